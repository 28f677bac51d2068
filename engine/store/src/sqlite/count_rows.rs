//! Rows of counts and of device states: written where they changed, read back exactly. Knows no rule.

use crate::apply::json;
use crate::counted::{self, CountRow};
use crate::error::{StoreError, StoreResult, WhileDoing};
use engine::counts::{Counts, Tally};
use engine::state::DeviceState;
use rusqlite::{Connection, params};

/// Writes the counts that are not as they were.
pub(super) fn write(connection: &Connection, before: &Counts, after: &Counts) -> StoreResult<()> {
    for (scope, id, CountRow { inside, tally }) in counted::changed(before, after) {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO counts (scope, id, inside, entries, exits, attendance, admits, denials, turns) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    scope,
                    id as i64,
                    inside,
                    tally.entries,
                    tally.exits,
                    tally.attendance,
                    tally.admits as i64,
                    tally.denials as i64,
                    tally.turns,
                ])
            })
            .while_doing("write counts")?;
    }
    Ok(())
}

/// All counts.
pub(super) fn read(connection: &Connection) -> StoreResult<Counts> {
    let (repeats, tests) = connection
        .query_row("SELECT repeats, tests FROM meta", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        })
        .while_doing("read counts")?;
    counted::counts(repeats as u64, tests as u64, &mut |name| scope(connection, name))
}

fn scope(connection: &Connection, scope: &str) -> StoreResult<Vec<(usize, CountRow)>> {
    let mut statement = connection
        .prepare_cached(
            "SELECT id, inside, entries, exits, attendance, admits, denials, turns FROM counts \
             WHERE scope = ?1 ORDER BY id",
        )
        .while_doing("read counts")?;
    let rows = statement.query_map([scope], |row| {
        let tally = Tally {
            entries: row.get(2)?,
            exits: row.get(3)?,
            attendance: row.get(4)?,
            admits: row.get::<_, i64>(5)? as u64,
            denials: row.get::<_, i64>(6)? as u64,
            turns: row.get(7)?,
        };
        Ok((row.get::<_, u32>(0)? as usize, CountRow { inside: row.get(1)?, tally }))
    });
    rows.and_then(Iterator::collect).while_doing("read counts")
}

/// Writes the state of one device.
pub(super) fn write_device(connection: &Connection, device: usize, state: &DeviceState) -> StoreResult<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO device_states (device, state) VALUES (?1, ?2)")
        .and_then(|mut statement| statement.execute(params![device as i64, json(state)]))
        .map(drop)
        .while_doing("write the state of a device")
}

/// The states of all devices that ever had one to tell.
pub(super) fn read_devices(connection: &Connection) -> StoreResult<Vec<DeviceState>> {
    let mut devices = Vec::new();
    let mut statement = connection
        .prepare_cached("SELECT device, state FROM device_states ORDER BY device")
        .while_doing("read device states")?;
    let mut rows = statement.query([]).while_doing("read device states")?;
    while let Some(row) = rows.next().while_doing("read device states")? {
        let device: u32 = row.get(0).while_doing("read device states")?;
        let state: String = row.get(1).while_doing("read device states")?;
        devices.resize_with(device as usize, DeviceState::default);
        devices.push(
            serde_json::from_str(&state)
                .map_err(|error| StoreError::damaged(format!("the state of device {device}"), error))?,
        );
    }
    Ok(devices)
}
