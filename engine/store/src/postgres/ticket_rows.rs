//! Rows of tickets, what they have done, their codes and their words. Knows how each is written, many at once, and read
//! back exactly; knows no rule.

use super::values::{Moment, Text, get, number};
use crate::error::{StoreError, StoreResult, WhileDoing};
use crate::search::{Code, codes_moved, pack, unpack, words_moved, words_of};
use crate::tables::Place;
use crate::words::Word;
use deadpool_postgres::ClientWrapper;
use engine::Lsn;
use engine::catalog::{EventId, GateId, TypeId, ZoneId};
use engine::clock::Time;
use engine::ticket::{Details, Ticket, TicketId, TicketStatus, TicketUse};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio_postgres::Row;

/// Where the columns are.
pub(super) const TABLES: &str = "tickets JOIN ticket_uses ON ticket = id";

/// The columns [`read`] wants, in its order.
pub(super) const COLUMNS: &str = "id, type_id, status, status_at, specimen, valid_from, valid_until, \
     reference, holder, order_ref, seat, codes, \
     used, inside, day_used, day, presence, first_gate, last_gate, first_at, last_at";

const PUT: &str = "INSERT INTO tickets (id, lsn, event, type_id, status, status_at, specimen, valid_from, valid_until, \
     reference, holder, order_ref, seat, codes) \
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::integer[], $5::text[], $6::timestamptz[], \
     $7::boolean[], $8::timestamptz[], $9::timestamptz[], $10::text[], $11::text[], $12::text[], $13::text[], \
     $14::bytea[]) \
     ON CONFLICT (id) DO UPDATE SET (status, status_at, lsn) = (excluded.status, excluded.status_at, excluded.lsn) \
     WHERE tickets.lsn < excluded.lsn";

const PUT_USES: &str = "INSERT INTO ticket_uses (ticket, lsn, cold, used, inside, day_used, day, presence, first_gate, \
     last_gate, first_at, last_at) \
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::boolean[], $4::integer[], $5::integer[], $6::integer[], \
     $7::integer[], $8::integer[], $9::integer[], $10::integer[], $11::timestamptz[], $12::timestamptz[]) \
     ON CONFLICT (ticket) DO UPDATE SET (lsn, cold, used, inside, day_used, day, presence, first_gate, last_gate, \
     first_at, last_at) = (excluded.lsn, excluded.cold, excluded.used, excluded.inside, excluded.day_used, \
     excluded.day, excluded.presence, excluded.first_gate, excluded.last_gate, excluded.first_at, excluded.last_at)";

/// A hot ticket stays hot, a cold one cold: `cold` is left alone, so that no index is touched.
const SET_USES: &str = "UPDATE ticket_uses AS own SET (lsn, used, inside, day_used, day, presence, first_gate, \
     last_gate, first_at, last_at) = (new.lsn, new.used, new.inside, new.day_used, new.day, new.presence, \
     new.first_gate, new.last_gate, new.first_at, new.last_at) \
     FROM unnest($1::bigint[], $2::bigint[], $3::boolean[], $4::integer[], $5::integer[], $6::integer[], \
     $7::integer[], $8::integer[], $9::integer[], $10::integer[], $11::timestamptz[], $12::timestamptz[]) \
     AS new (ticket, lsn, cold, used, inside, day_used, day, presence, first_gate, last_gate, first_at, last_at) \
     WHERE own.ticket = new.ticket AND own.lsn < new.lsn";

const PUT_CODES: &str = "INSERT INTO codes (code, kind, ticket) \
     SELECT * FROM unnest($1::bytea[], $2::text[], $3::bigint[]) ON CONFLICT DO NOTHING";

const PUT_WORDS: &str = "INSERT INTO ticket_words (word, ticket) \
     SELECT * FROM unnest($1::text[], $2::bigint[]) ON CONFLICT DO NOTHING";

const SET_STATUS: &str = "UPDATE tickets AS own SET (lsn, status, status_at) = (new.lsn, new.status, new.status_at) \
     FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::timestamptz[]) AS new (id, lsn, status, status_at) \
     WHERE own.id = new.id AND own.lsn < new.lsn";

const REMOVE_CODES: &str = "DELETE FROM codes AS own USING unnest($1::bytea[], $2::text[], $3::bigint[]) \
     AS old (code, kind, ticket) WHERE own.code = old.code AND own.kind = old.kind AND own.ticket = old.ticket";

const KEEP_CODES: &str = "INSERT INTO former_codes (code, kind, ticket) \
     SELECT * FROM unnest($1::bytea[], $2::text[], $3::bigint[]) ON CONFLICT DO NOTHING";

const STATUSES: &str = "SELECT id, status FROM tickets WHERE id = ANY ($1)";

const TEXTS: &str = "SELECT id, holder, reference, order_ref, codes FROM tickets WHERE id = ANY ($1)";

const CHANGE: &str = "UPDATE tickets AS own SET (lsn, type_id, status, status_at, specimen, valid_from, valid_until, \
     reference, holder, order_ref, seat, codes) = (new.lsn, new.type_id, new.status, new.status_at, new.specimen, \
     new.valid_from, new.valid_until, new.reference, new.holder, new.order_ref, new.seat, new.codes) \
     FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::text[], $5::timestamptz[], $6::boolean[], \
     $7::timestamptz[], $8::timestamptz[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bytea[]) \
     AS new (id, lsn, type_id, status, status_at, specimen, valid_from, valid_until, reference, holder, order_ref, \
     seat, codes) \
     WHERE own.id = new.id AND own.lsn < new.lsn";

const REMOVE_WORDS: &str = "DELETE FROM ticket_words AS own USING unnest($1::text[], $2::bigint[]) AS old (word, ticket) \
     WHERE own.word = old.word AND own.ticket = old.ticket";

const HOT_USES: &str = "SELECT ticket, used, inside, day_used, day, presence, first_gate, last_gate, first_at, last_at \
     FROM ticket_uses WHERE ticket = ANY ($1) AND NOT cold";

const COOL: &str = "UPDATE ticket_uses SET cold = true, lsn = $1 WHERE ticket >= $3 AND ticket < $4 AND NOT cold \
     AND (SELECT event FROM tickets WHERE id = ticket) = $2 \
     RETURNING ticket, used, inside, day_used, day, presence, first_gate, last_gate, first_at, last_at";

/// Tickets on their way: columns, as a statement takes them.
#[derive(Default)]
pub(super) struct Puts {
    ids: Vec<i64>,
    lsns: Vec<i64>,
    events: Vec<Option<i64>>,
    types: Vec<i32>,
    statuses: Vec<&'static str>,
    status_ats: Vec<Moment>,
    specimens: Vec<bool>,
    valid_froms: Vec<Option<Moment>>,
    valid_untils: Vec<Option<Moment>>,
    texts: [Vec<Text<'static>>; 4],
    packed: Vec<Vec<u8>>,
    uses: Uses,
    codes: Codes,
    words: Words,
}

/// Codes and the tickets that have them: columns, as a statement takes them.
#[derive(Default)]
struct Codes {
    codes: Vec<Vec<u8>>,
    kinds: Vec<&'static str>,
    tickets: Vec<i64>,
}

/// Words and the tickets that are found by them: columns, as a statement takes them.
#[derive(Default)]
struct Words {
    words: Vec<Text<'static>>,
    tickets: Vec<i64>,
}

/// What tickets have done, on its way: columns, as a statement takes them.
#[derive(Default)]
pub(super) struct Uses {
    ids: Vec<i64>,
    lsns: Vec<i64>,
    colds: Vec<bool>,
    /// used, inside, day_used, day, presence, first_gate, last_gate
    numbers: [Vec<i32>; 7],
    first_ats: Vec<Moment>,
    last_ats: Vec<Moment>,
}

// === impl Puts ===

impl Puts {
    pub(super) fn add(&mut self, lsn: Lsn, id: TicketId, ticket: &Ticket, place: Place) {
        let details = &ticket.details;
        let own = i64::from(id.0);
        self.ids.push(own);
        self.lsns.push(lsn.0 as i64);
        self.events.push(place.event.map(|event| i64::from(event.0)));
        self.types.push(i32::from(ticket.type_id.0));
        self.statuses.push(ticket.status.word());
        self.status_ats.push(Moment(ticket.status_at));
        self.specimens.push(ticket.specimen);
        self.valid_froms.push(bound(ticket.valid_from, Time::MIN));
        self.valid_untils.push(bound(ticket.valid_until, Time::MAX));
        let texts = [details.reference(), details.holder(), details.order(), details.seat()];
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.push(Text::of(text).into_owned());
        }
        self.packed.push(pack(details));
        self.uses.add(lsn, id, ticket.usage, place.cold);
        for code in details.codes() {
            self.codes.add(code, own);
        }
        for word in words_of(details) {
            self.words.add(&word, own);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Writes them; none are left here, also when it fails. No ticket may be among them twice.
    pub(super) async fn flush(&mut self, session: &ClientWrapper) -> StoreResult<()> {
        let Puts { texts: [references, holders, orders, seats], codes, words, uses, .. } = self;
        let put = session.prepare_cached(PUT).await.while_doing("prepare to write tickets")?;
        session
            .execute(
                &put,
                &[
                    &self.ids,
                    &self.lsns,
                    &self.events,
                    &self.types,
                    &self.statuses,
                    &self.status_ats,
                    &self.specimens,
                    &self.valid_froms,
                    &self.valid_untils,
                    references,
                    holders,
                    orders,
                    seats,
                    &self.packed,
                ],
            )
            .await
            .while_doing("write tickets")?;
        uses.write(session, PUT_USES).await?;
        codes.write(session, PUT_CODES).await?;
        words.write(session, PUT_WORDS).await?;
        *self = Puts::default();
        Ok(())
    }
}

// === impl Codes ===

impl Codes {
    fn add(&mut self, (kind, code): Code<'_>, ticket: i64) {
        self.codes.push(code.to_vec());
        self.kinds.push(kind.word());
        self.tickets.push(ticket);
    }

    async fn write(&self, session: &ClientWrapper, sql: &'static str) -> StoreResult<()> {
        if self.codes.is_empty() {
            return Ok(());
        }
        let statement = session.prepare_cached(sql).await.while_doing("prepare to write codes")?;
        let written = session.execute(&statement, &[&self.codes, &self.kinds, &self.tickets]).await;
        written.map(drop).while_doing("write codes")
    }
}

// === impl Words ===

impl Words {
    fn add(&mut self, word: &str, ticket: i64) {
        self.words.push(Text::of(word).into_owned());
        self.tickets.push(ticket);
    }

    async fn write(&self, session: &ClientWrapper, sql: &'static str) -> StoreResult<()> {
        if self.words.is_empty() {
            return Ok(());
        }
        let statement = session.prepare_cached(sql).await.while_doing("prepare to write words of tickets")?;
        let written = session.execute(&statement, &[&self.words, &self.tickets]).await;
        written.map(drop).while_doing("write words of tickets")
    }
}

// === impl Uses ===

impl Uses {
    pub(super) fn add(&mut self, lsn: Lsn, id: TicketId, usage: TicketUse, cold: bool) {
        self.ids.push(i64::from(id.0));
        self.lsns.push(lsn.0 as i64);
        self.colds.push(cold);
        let numbers = [
            usage.used,
            usage.inside,
            usage.day_used,
            usage.day,
            usage.presence.0,
            usage.first_gate.0,
            usage.last_gate.0,
        ];
        for (column, number) in self.numbers.iter_mut().zip(numbers) {
            column.push(i32::from(number));
        }
        self.first_ats.push(Moment(usage.first_at));
        self.last_ats.push(Moment(usage.last_at));
    }

    /// Writes what tickets have done that stay where they are.
    pub(super) async fn set(&self, session: &ClientWrapper) -> StoreResult<()> {
        if self.ids.is_empty() { Ok(()) } else { self.write(session, SET_USES).await }
    }

    async fn write(&self, session: &ClientWrapper, sql: &'static str) -> StoreResult<()> {
        let [used, inside, day_used, day, presence, first_gate, last_gate] = &self.numbers;
        let statement = session.prepare_cached(sql).await.while_doing("prepare to move tickets")?;
        session
            .execute(
                &statement,
                &[
                    &self.ids,
                    &self.lsns,
                    &self.colds,
                    used,
                    inside,
                    day_used,
                    day,
                    presence,
                    first_gate,
                    last_gate,
                    &self.first_ats,
                    &self.last_ats,
                ],
            )
            .await
            .map(drop)
            .while_doing("write what tickets have done")
    }
}

/// Writes where tickets stand in their lives; none of them twice.
pub(super) async fn set_statuses(
    session: &ClientWrapper,
    statuses: &HashMap<TicketId, (Lsn, TicketStatus, Time)>,
) -> StoreResult<()> {
    if statuses.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = statuses.keys().map(|id| i64::from(id.0)).collect();
    let lsns: Vec<i64> = statuses.values().map(|(lsn, ..)| lsn.0 as i64).collect();
    let words: Vec<&str> = statuses.values().map(|(_, status, _)| status.word()).collect();
    let ats: Vec<Moment> = statuses.values().map(|(_, _, at)| Moment(*at)).collect();
    let set = session.prepare_cached(SET_STATUS).await.while_doing("prepare to write statuses")?;
    session
        .execute(&set, &[&ids, &lsns, &words, &ats])
        .await
        .map(drop)
        .while_doing("write statuses of tickets")
}

/// Where these tickets stand in their lives.
pub(super) async fn statuses(
    session: &ClientWrapper,
    ids: &[i64],
) -> StoreResult<HashMap<TicketId, TicketStatus>> {
    let read = session.prepare_cached(STATUSES).await.while_doing("prepare to read statuses")?;
    let rows = session.query(&read, &[&ids]).await.while_doing("read statuses of tickets")?;
    rows.iter()
        .map(|row| Ok((TicketId(number(get::<i64>(row, 0)?)?), TicketStatus::read(get(row, 1)?)?)))
        .collect()
}

/// Writes tickets that are otherwise, and the codes and words they are found by.
pub(super) async fn change(
    session: &ClientWrapper,
    changes: &BTreeMap<TicketId, (Lsn, Ticket)>,
) -> StoreResult<()> {
    if changes.is_empty() {
        return Ok(());
    }
    // The columns of a ticket's row are made as for a new one.
    let mut columns = Puts::default();
    changes
        .iter()
        .for_each(|(id, (lsn, ticket))| columns.add(*lsn, *id, ticket, Place { event: None, cold: false }));
    let (mut gone, mut new) = (Words::default(), Words::default());
    let (mut gone_codes, mut new_codes) = (Codes::default(), Codes::default());
    let texts = session.prepare_cached(TEXTS).await.while_doing("prepare to read tickets")?;
    for row in session.query(&texts, &[&columns.ids]).await.while_doing("read tickets that change")? {
        let id: i64 = get(&row, 0)?;
        let text = |column: usize| get::<Text<'_>>(&row, column).map(|text| text.plain().into_owned());
        let before = [text(1)?, text(2)?, text(3)?];
        let Some((_, ticket)) = changes.get(&TicketId(number(id)?)) else { continue };
        let (old_words, new_words) = words_moved(&before, &ticket.details);
        old_words.iter().for_each(|word| gone.add(word, id));
        new_words.iter().for_each(|word| new.add(word, id));
        let (old, now) = codes_moved(get(&row, 4)?, &ticket.details)
            .ok_or_else(|| StoreError::damaged(format!("ticket {id}"), "its codes do not add up"))?;
        old.into_iter().for_each(|code| gone_codes.add(code, id));
        now.into_iter().for_each(|code| new_codes.add(code, id));
    }
    let [references, holders, orders, seats] = &columns.texts;
    let change = session.prepare_cached(CHANGE).await.while_doing("prepare to change tickets")?;
    session
        .execute(
            &change,
            &[
                &columns.ids,
                &columns.lsns,
                &columns.types,
                &columns.statuses,
                &columns.status_ats,
                &columns.specimens,
                &columns.valid_froms,
                &columns.valid_untils,
                references,
                holders,
                orders,
                seats,
                &columns.packed,
            ],
        )
        .await
        .while_doing("change tickets")?;
    gone_codes.write(session, REMOVE_CODES).await?;
    gone_codes.write(session, KEEP_CODES).await?;
    new_codes.write(session, PUT_CODES).await?;
    gone.write(session, REMOVE_WORDS).await?;
    new.write(session, PUT_WORDS).await
}

/// What the hot ones of these tickets have done.
pub(super) async fn hot_uses(
    session: &ClientWrapper,
    ids: &BTreeSet<TicketId>,
) -> StoreResult<HashMap<TicketId, TicketUse>> {
    let ids: Vec<i64> = ids.iter().map(|id| i64::from(id.0)).collect();
    let read = session.prepare_cached(HOT_USES).await.while_doing("prepare to read tickets")?;
    let rows = session.query(&read, &[&ids]).await.while_doing("read what tickets have done")?;
    rows.iter().map(of_use).collect()
}

/// Marks the hot tickets of an event in a run of numbers as cold; gives what each has done.
pub(super) async fn cool(
    session: &ClientWrapper,
    lsn: Lsn,
    event: EventId,
    first: TicketId,
    count: u32,
) -> StoreResult<Vec<TicketUse>> {
    let end = i64::from(first.0) + i64::from(count);
    let cool = session.prepare_cached(COOL).await.while_doing("prepare to mark tickets as cold")?;
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&(lsn.0 as i64), &i64::from(event.0), &i64::from(first.0), &end];
    let rows = session.query(&cool, &values).await.while_doing("mark tickets as cold")?;
    rows.iter().map(|row| of_use(row).map(|(_, usage)| usage)).collect()
}

fn of_use(row: &Row) -> StoreResult<(TicketId, TicketUse)> {
    let id = TicketId(number(get::<i64>(row, 0)?)?);
    let usage = read_usage(row, 1).map_err(|error| of_ticket(id, error))?;
    Ok((id, usage))
}

/// Reads a ticket from a row of [`COLUMNS`].
pub(super) fn read(row: &Row) -> StoreResult<(TicketId, Ticket)> {
    let id = TicketId(number(get::<i64>(row, 0)?)?);
    let ticket = read_ticket(row).map_err(|error| of_ticket(id, error))?;
    Ok((id, ticket))
}

fn of_ticket(id: TicketId, error: StoreError) -> StoreError {
    match error {
        StoreError::Damaged { problem, .. } => StoreError::damaged(format!("ticket {}", id.0), problem),
        other => other,
    }
}

fn read_ticket(row: &Row) -> StoreResult<Ticket> {
    let codes = unpack(get(row, 11)?).ok_or_else(|| StoreError::damaged("", "its codes do not add up"))?;
    let text = |column: usize| get::<Text<'_>>(row, column).map(Text::plain);
    let texts = [text(7)?, text(8)?, text(9)?, text(10)?];
    let texts = [&*texts[0], &*texts[1], &*texts[2], &*texts[3]];
    Details::check(&texts, &codes).map_err(|problem| StoreError::damaged("", problem))?;
    Ok(Ticket {
        type_id: TypeId(number(get::<i32>(row, 1)?)?),
        status: TicketStatus::read(get(row, 2)?)?,
        status_at: get::<Moment>(row, 3)?.0,
        specimen: get(row, 4)?,
        valid_from: get::<Option<Moment>>(row, 5)?.map_or(Time::MIN, |own| own.0),
        valid_until: get::<Option<Moment>>(row, 6)?.map_or(Time::MAX, |own| own.0),
        usage: read_usage(row, 12)?,
        details: Details::new(texts[0], texts[1], texts[2], texts[3], &codes),
    })
}

/// Reads what a ticket has done, from nine columns starting at `at`.
fn read_usage(row: &Row, at: usize) -> StoreResult<TicketUse> {
    let own = |column: usize| get::<i32>(row, at + column).and_then(number);
    Ok(TicketUse {
        used: own(0)?,
        inside: own(1)?,
        day_used: own(2)?,
        day: own(3)?,
        presence: ZoneId(own(4)?),
        first_gate: GateId(own(5)?),
        last_gate: GateId(own(6)?),
        first_at: get::<Moment>(row, at + 7)?.0,
        last_at: get::<Moment>(row, at + 8)?.0,
    })
}

/// "Left to the type" is NULL, so that nobody has to know the engine's first and last moment.
fn bound(time: Time, open: Time) -> Option<Moment> {
    (time != open).then_some(Moment(time))
}
