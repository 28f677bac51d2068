//! The independent auditor: reads a journal with the engine's own reader and a database's tables by plain SQL, and compares
//! them record by record. It shares no code with what writes the rows: which row a record makes is said here once more.

use engine::Lsn;
use engine::catalog::{Catalog, Direction, Entity};
use engine::clock::Time;
use engine::decision::{Reason, ScanKind, Verdict};
use engine::disk::StdDisk;
use engine::inbox::InboxOutcome;
use engine::journal;
use engine::record::{PassageOutcome, Record, ScanRecord};
use engine::ticket::{CodeKind, Ticket, TicketStatus, TicketUse};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use store_testkit::Session;

/// Differences that are shown; the rest is counted.
const SHOWN: usize = 5;

/// What must be in the tables, from the journal alone: one line for each row, its columns joined by `|`.
#[derive(Default)]
struct Books {
    catalog: Catalog,
    last: u64,
    lines: BTreeMap<&'static str, Vec<String>>,
    /// Newest record of each entity, by table, event (of a ticket type) and name.
    entities: BTreeMap<(&'static str, u32, String), u64>,
    /// By number: the record that made the row what it is, type, status, and when it got it.
    tickets: BTreeMap<u32, (u64, u16, TicketStatus, Time)>,
    uses: BTreeMap<u32, TicketUse>,
    /// Rows of the inbox by number: the last record about each, and how it stands.
    inbox: BTreeMap<u64, (u64, &'static str)>,
    /// Tickets of scans, for their passages.
    of_scan: BTreeMap<u64, u32>,
}

/// Compares everything. The node may run, but must have nothing under way.
///
/// # Panics
/// At the first table that does not say what the journal says.
pub fn audit(journal: &Path, database: &Session) {
    let books = Books::read(journal);
    agree("meta", vec![books.last.to_string()], database, "SELECT cursor FROM meta");
    for (table, columns) in TABLES {
        let lines = books.lines.get(table).cloned().unwrap_or_default();
        agree(table, lines, database, &format!("SELECT {} FROM {table}", sql(columns)));
    }
    let lines = books.inbox.iter().map(|(id, (lsn, state))| format!("{id}|{lsn}|{state}")).collect();
    agree("inbox", lines, database, "SELECT id, lsn, state FROM inbox WHERE state <> 'waiting'");
    let scans = books.of_table("scans").iter().map(|line| before(line).to_owned()).collect();
    agree(
        "kept_answers",
        scans,
        database,
        "SELECT own ->> 0 FROM kept_answers, json_array_elements(entries) AS own",
    );
    for table in ["events", "zones", "gates", "ticket_types", "devices", "operators"] {
        let of_it = books.entities.iter().filter(|((own, ..), _)| *own == table);
        let lines = of_it.map(|((.., name), lsn)| format!("{name}|{lsn}")).collect();
        // The zone outside is made by no record.
        agree(table, lines, database, &format!("SELECT name, lsn FROM {table} WHERE lsn > 0"));
    }
    let lines = books
        .tickets
        .iter()
        .map(|(id, (lsn, kind, status, at))| format!("{id}|{lsn}|{kind}|{}|{}", status_word(*status), at.0));
    let columns = sql("id lsn type_id status @status_at");
    agree("tickets", lines.collect(), database, &format!("SELECT {columns} FROM tickets"));
    let lines = books.uses.iter().map(|(id, own)| use_line(*id, own)).collect();
    let columns = sql("ticket used inside day_used day presence first_gate last_gate @first_at @last_at");
    agree("ticket_uses", lines, database, &format!("SELECT {columns} FROM ticket_uses WHERE NOT cold"));
}

/// Tables with a row for each record, and their columns; `@`: a moment, `#`: bytes.
const TABLES: [(&str, &str); 8] = [
    (
        "scans",
        "lsn @decided_at @recorded_at @scanned_at device gate event ticket type_id specimen scan_id code_kind #code \
         kind verdict reason attention overridden operator note direction people remaining conflict",
    ),
    ("repeats", "lsn @at device scan"),
    ("passages", "lsn @at device scan outcome"),
    ("turns", "lsn @at gate event device people"),
    ("conflicts", "lsn reason ticket"),
    ("device_commands", "lsn @at operator device @expires_at"),
    ("codes", "ticket kind #code"),
    ("audit", "lsn @at operator"),
];

fn sql(columns: &str) -> String {
    let column = |own: &str| match (own.strip_prefix('@'), own.strip_prefix('#')) {
        (Some(moment), _) => format!("(extract(epoch FROM {moment}) * 1000)::bigint"),
        (_, Some(bytes)) => format!("encode({bytes}, 'hex')"),
        _ => own.to_owned(),
    };
    columns.split_whitespace().map(column).collect::<Vec<_>>().join(", ")
}

fn agree(table: &str, mut expected: Vec<String>, database: &Session, sql: &str) {
    let mut found: Vec<String> = database.run(sql).iter().map(|row| row.join("|")).collect();
    expected.sort_unstable();
    found.sort_unstable();
    if expected == found {
        return;
    }
    let (lost, made_up) = (only_in(&expected, &found), only_in(&found, &expected));
    panic!(
        "{table}: {} rows, {} records; {} lost or other: {:#?}; {} that no record made: {:#?}",
        found.len(),
        expected.len(),
        lost.len(),
        &lost[..lost.len().min(SHOWN)],
        made_up.len(),
        &made_up[..made_up.len().min(SHOWN)]
    );
}

/// Lines of one sorted list that the other has not, or not as often.
fn only_in<'l>(list: &'l [String], other: &[String]) -> Vec<&'l String> {
    let mut left = other.iter().peekable();
    let mut only = Vec::new();
    for line in list {
        while left.next_if(|own| *own < line).is_some() {}
        if left.next_if(|own| *own == line).is_none() {
            only.push(line);
        }
    }
    only
}

fn before(line: &str) -> &str {
    line.split('|').next().unwrap_or_default()
}

// === impl Books ===

impl Books {
    fn read(dir: &Path) -> Books {
        let mut books = Books { catalog: Catalog::new(), ..Books::default() };
        let disk = StdDisk::read_only(dir).unwrap();
        let verified = journal::inspect(&disk, &mut |found| {
            assert_eq!(found.lsn, Lsn(books.last + 1), "the journal must be whole for an audit");
            books.last = found.lsn.0;
            books.enter(found.lsn.0, &Record::decode(found.payload).unwrap());
        });
        assert_eq!(verified.unwrap().last, Some(Lsn(books.last)));
        books
    }

    fn of_table(&self, table: &str) -> &[String] {
        self.lines.get(table).map_or(&[], Vec::as_slice)
    }

    fn line(&mut self, table: &'static str, columns: &[&dyn Display]) {
        let columns: Vec<String> = columns.iter().map(|column| column.to_string()).collect();
        self.lines.entry(table).or_default().push(columns.join("|"));
    }

    fn enter(&mut self, lsn: u64, record: &Record<'_>) {
        match record {
            Record::Scan(scan) => self.scan(lsn, scan),
            Record::Repeat { at, device, of } => self.line("repeats", &[&lsn, &at.0, &device.0, of]),
            Record::Passage(own) => {
                let outcome = match own.outcome {
                    PassageOutcome::Open => "open",
                    PassageOutcome::Passed => "passed",
                    PassageOutcome::Annulled => "annulled",
                };
                self.line("passages", &[&lsn, &own.at.0, &own.device.0, &own.scan, &outcome]);
                if let (Some(after), Some(ticket)) = (own.after, self.of_scan.get(&own.scan)) {
                    self.uses.insert(*ticket, after);
                }
            }
            Record::Turns { at, gate, device, people } => {
                let event = self.catalog.gate(*gate).and_then(|gate| gate.event);
                let event = or_null(event.map(|event| event.0));
                self.line("turns", &[&lsn, &at.0, &gate.0, &event, &device.0, people]);
            }
            Record::Put { at, operator, entity } => {
                self.catalog.put(entity);
                self.entities.insert(identity(entity), lsn);
                self.line("audit", &[&lsn, &at.0, &or_null(operator.map(|own| own.0))]);
            }
            Record::Tickets { at, first, tickets } => {
                (first.0..).zip(tickets).for_each(|(id, ticket)| self.ticket(lsn, id, ticket));
                self.line("audit", &[&lsn, &at.0, &"NULL"]);
            }
            Record::Status { at, operator, ticket, status } => {
                let own = self.tickets.get_mut(&ticket.0).unwrap();
                (own.0, own.2, own.3) = (lsn, *status, *at);
                self.line("audit", &[&lsn, &at.0, &or_null(operator.map(|own| own.0))]);
            }
            Record::Command { at, operator, device, expires_at, .. } => {
                let operator = or_null(operator.map(|own| own.0));
                self.line("device_commands", &[&lsn, &at.0, &operator, &device.0, &expires_at.0]);
                self.line("audit", &[&lsn, &at.0, &operator]);
            }
            Record::Inbox { at, row, outcome } => {
                let state = match outcome.as_ref() {
                    InboxOutcome::Added { id, ticket } => {
                        self.ticket(lsn, id.0, ticket);
                        "done"
                    }
                    InboxOutcome::Changed { id, ticket } => {
                        self.tickets.insert(id.0, (lsn, ticket.type_id.0, ticket.status, ticket.status_at));
                        "done"
                    }
                    InboxOutcome::Unchanged => "done",
                    InboxOutcome::Early => "early",
                    InboxOutcome::Outdated => "outdated",
                    InboxOutcome::Refused(_) => "refused",
                };
                if matches!(outcome.as_ref(), InboxOutcome::Added { .. } | InboxOutcome::Changed { .. }) {
                    self.line("audit", &[&lsn, &at.0, &"NULL"]);
                }
                self.inbox.insert(row.id, (lsn, state));
            }
            Record::Born { .. } | Record::Delivered { .. } => {}
            other => panic!("the auditor does not know what rows this makes: {other:?}"),
        }
    }

    fn scan(&mut self, lsn: u64, scan: &ScanRecord<'_>) {
        let (answer, facts) = (&scan.answer, scan.answer.ticket.as_ref());
        let (verdict, reason, attention) = match answer.verdict {
            Verdict::Admit { attention } => ("admit", None, attention),
            Verdict::Deny(reason) => ("deny", Some(reason), None),
        };
        let kind = facts.and_then(|facts| self.catalog.ticket_type(facts.type_id));
        let event = kind.map(|kind| kind.event).or_else(|| self.catalog.gate(answer.gate)?.event);
        let code: String = scan.code.iter().map(|byte| format!("{byte:02x}")).collect();
        let kind = match answer.kind {
            ScanKind::Validate => "validate",
            ScanKind::Test => "test",
            ScanKind::Offline => "offline",
        };
        let direction = if answer.direction == Direction::Entry { "entry" } else { "exit" };
        let code_of = |reason: Option<Reason>| or_null(reason.map(Reason::code));
        self.line(
            "scans",
            &[
                &lsn,
                &answer.at.0,
                &scan.recorded_at.0,
                &or_null(scan.scanned_at.map(|at| at.0)),
                &scan.device.0,
                &answer.gate.0,
                &or_null(event.map(|event| event.0)),
                &or_null(facts.map(|facts| facts.ticket.0)),
                &or_null(facts.map(|facts| facts.type_id.0)),
                &if facts.is_some_and(|facts| facts.specimen) { "t" } else { "f" },
                &scan.scan_id,
                &kind_word(scan.code_kind),
                &code,
                &kind,
                &verdict,
                &code_of(reason),
                &code_of(attention),
                &code_of(answer.overridden),
                &or_null(scan.overriding.map(|own| own.operator.0)),
                &or_null(scan.overriding.map(|own| own.note)),
                &direction,
                &answer.people,
                &or_null(facts.and_then(|facts| facts.remaining)),
                &code_of(scan.conflict),
            ],
        );
        if let Some(facts) = facts {
            self.of_scan.insert(lsn, facts.ticket.0);
            if let Some(after) = scan.after {
                self.uses.insert(facts.ticket.0, after);
            }
        }
        if let Some(conflict) = scan.conflict {
            self.line("conflicts", &[&lsn, &conflict.code(), &or_null(facts.map(|facts| facts.ticket.0))]);
        }
    }

    fn ticket(&mut self, lsn: u64, id: u32, ticket: &Ticket) {
        self.tickets.insert(id, (lsn, ticket.type_id.0, ticket.status, ticket.status_at));
        self.uses.insert(id, ticket.usage);
        for (kind, code) in ticket.details.codes() {
            let code: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
            self.line("codes", &[&id, &kind_word(kind), &code]);
        }
    }
}

fn or_null<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |value| value.to_string())
}

fn kind_word(kind: CodeKind) -> &'static str {
    if kind == CodeKind::Optical { "o" } else { "c" }
}

fn status_word(status: TicketStatus) -> &'static str {
    match status {
        TicketStatus::Active => "active",
        TicketStatus::NotActivated => "not_activated",
        TicketStatus::Blocked => "blocked",
        TicketStatus::Cancelled => "cancelled",
        TicketStatus::Superseded => "superseded",
    }
}

fn use_line(ticket: u32, own: &TicketUse) -> String {
    let TicketUse { used, inside, day_used, day, presence, first_gate, last_gate, first_at, last_at } = own;
    let (presence, first_gate, last_gate) = (presence.0, first_gate.0, last_gate.0);
    format!(
        "{ticket}|{used}|{inside}|{day_used}|{day}|{presence}|{first_gate}|{last_gate}|{}|{}",
        first_at.0, last_at.0
    )
}

/// By what an entity is told from all others.
fn identity(entity: &Entity) -> (&'static str, u32, String) {
    let (_, name) = entity.kind_and_name();
    let (table, event) = match entity {
        Entity::Event(_) => ("events", 0),
        Entity::Zone(_) => ("zones", 0),
        Entity::Gate(_) => ("gates", 0),
        Entity::Type(own) => ("ticket_types", own.event.0),
        Entity::Device(_) => ("devices", 0),
        Entity::Operator(_) => ("operators", 0),
    };
    (table, event, name.to_owned())
}
