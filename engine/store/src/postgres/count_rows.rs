//! Rows of counts and of device states: written where they changed, read back exactly. Knows no rule.

use super::values::{Json, get, number};
use crate::apply::json;
use crate::counted::{self, CountRow};
use crate::error::{StoreError, StoreResult, WhileDoing};
use deadpool_postgres::ClientWrapper;
use engine::counts::{Counts, Tally};
use engine::state::DeviceState;
use std::collections::HashMap;

const PUT: &str = "INSERT INTO counts (scope, id, inside, entries, exits, attendance, admits, denials, turns) \
     SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], \
     $7::bigint[], $8::bigint[], $9::bigint[]) \
     ON CONFLICT (scope, id) DO UPDATE SET (inside, entries, exits, attendance, admits, denials, turns) = \
     (excluded.inside, excluded.entries, excluded.exits, excluded.attendance, excluded.admits, excluded.denials, \
     excluded.turns)";

const PUT_DEVICE: &str =
    "INSERT INTO device_states VALUES ($1, $2) ON CONFLICT (device) DO UPDATE SET state = excluded.state";

/// Writes the counts that are not as they were.
pub(super) async fn write(session: &ClientWrapper, before: &Counts, after: &Counts) -> StoreResult<()> {
    let changed = counted::changed(before, after);
    if changed.is_empty() {
        return Ok(());
    }
    let scopes: Vec<&str> = changed.iter().map(|(scope, ..)| *scope).collect();
    let ids: Vec<i64> = changed.iter().map(|(_, id, _)| *id as i64).collect();
    let column = |of: fn(&CountRow) -> i64| changed.iter().map(|(.., row)| of(row)).collect::<Vec<i64>>();
    let statement = session.prepare_cached(PUT).await.while_doing("prepare to write counts")?;
    session
        .execute(
            &statement,
            &[
                &scopes,
                &ids,
                &column(|row| row.inside),
                &column(|row| row.tally.entries),
                &column(|row| row.tally.exits),
                &column(|row| row.tally.attendance),
                &column(|row| row.tally.admits as i64),
                &column(|row| row.tally.denials as i64),
                &column(|row| row.tally.turns),
            ],
        )
        .await
        .map(drop)
        .while_doing("write counts")
}

/// All counts.
pub(super) async fn read(session: &ClientWrapper) -> StoreResult<Counts> {
    let meta = session.query_one("SELECT repeats, tests FROM meta", &[]).await.while_doing("read counts")?;
    let (repeats, tests) = (get::<i64>(&meta, 0)? as u64, get::<i64>(&meta, 1)? as u64);
    let sql = "SELECT scope, id, inside, entries, exits, attendance, admits, denials, turns FROM counts ORDER BY id";
    let statement = session.prepare_cached(sql).await.while_doing("prepare to read counts")?;
    let mut scopes: HashMap<String, Vec<(usize, CountRow)>> = HashMap::new();
    for row in session.query(&statement, &[]).await.while_doing("read counts")? {
        let tally = Tally {
            entries: get(&row, 3)?,
            exits: get(&row, 4)?,
            attendance: get(&row, 5)?,
            admits: get::<i64>(&row, 6)? as u64,
            denials: get::<i64>(&row, 7)? as u64,
            turns: get(&row, 8)?,
        };
        let place = number::<u32, _>(get::<i64>(&row, 1)?)? as usize;
        let count = CountRow { inside: get(&row, 2)?, tally };
        scopes.entry(get(&row, 0)?).or_default().push((place, count));
    }
    counted::counts(repeats, tests, &mut |scope| Ok(scopes.remove(scope).unwrap_or_default()))
}

/// Writes the state of one device.
pub(super) async fn write_device(
    session: &ClientWrapper,
    device: usize,
    state: &DeviceState,
) -> StoreResult<()> {
    let statement = session.prepare_cached(PUT_DEVICE).await.while_doing("prepare to write device states")?;
    session
        .execute(&statement, &[&(device as i64), &Json(json(state).into())])
        .await
        .map(drop)
        .while_doing("write the state of a device")
}

/// The states of all devices that ever had one to tell.
pub(super) async fn read_devices(session: &ClientWrapper) -> StoreResult<Vec<DeviceState>> {
    let mut devices = Vec::new();
    let rows = session.query("SELECT device, state FROM device_states ORDER BY device", &[]).await;
    for row in rows.while_doing("read device states")? {
        let device: u32 = number(get::<i64>(&row, 0)?)?;
        devices.resize_with(device as usize, DeviceState::default);
        devices.push(
            serde_json::from_str(&get::<Json<'_>>(&row, 1)?.0)
                .map_err(|error| StoreError::damaged(format!("the state of device {device}"), error))?,
        );
    }
    Ok(devices)
}
