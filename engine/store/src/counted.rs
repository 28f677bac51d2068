//! Counts as rows: which rows say what has changed, and how counts are put together from all of them. Knows no database
//! and no rule.

use crate::error::{StoreError, StoreResult};
use engine::counts::{Counts, Tally};

/// What a row of counts says: people inside a zone, or the tally of an event, gate, type or reason.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) struct CountRow {
    pub inside: i64,
    pub tally: Tally,
}

/// A row with its key: scope, and place within it.
pub(crate) type Counted = (&'static str, usize, CountRow);

/// The rows of counts that are not as they were.
pub(crate) fn changed(before: &Counts, after: &Counts) -> Vec<Counted> {
    let zone = |inside: &i64| CountRow { inside: *inside, ..CountRow::default() };
    let tally = |tally: &Tally| CountRow { tally: *tally, ..CountRow::default() };
    let reason = |denials: &u64| CountRow {
        tally: Tally { denials: *denials, ..Tally::default() },
        ..CountRow::default()
    };
    let mut rows = Vec::new();
    changed_in("zone", &before.zones, &after.zones, zone, &mut rows);
    changed_in("event", &before.events, &after.events, tally, &mut rows);
    changed_in("gate", &before.gates, &after.gates, tally, &mut rows);
    changed_in("type", &before.types, &after.types, tally, &mut rows);
    changed_in("reason", &before.reasons, &after.reasons, reason, &mut rows);
    rows
}

fn changed_in<T: PartialEq>(
    scope: &'static str,
    before: &[T],
    after: &[T],
    row_of: impl Fn(&T) -> CountRow,
    rows: &mut Vec<Counted>,
) {
    // A new place is written also when it counts nothing: how many there are is part of the counts.
    let changed = after.iter().enumerate().filter(|(id, value)| before.get(*id) != Some(value));
    rows.extend(changed.map(|(id, value)| (scope, id, row_of(value))));
}

/// Counts from their rows. `scope` gives the rows of a scope in the order of their places.
pub(crate) fn counts(
    repeats: u64,
    tests: u64,
    scope: &mut dyn FnMut(&'static str) -> StoreResult<Vec<(usize, CountRow)>>,
) -> StoreResult<Counts> {
    let mut counts = Counts { repeats, tests, ..Counts::default() };
    let mut places = |name| scope(name).map(all_places);
    counts.zones = places("zone")?.into_iter().map(|row| row.inside).collect();
    counts.events = places("event")?.into_iter().map(|row| row.tally).collect();
    counts.gates = places("gate")?.into_iter().map(|row| row.tally).collect();
    counts.types = places("type")?.into_iter().map(|row| row.tally).collect();
    let reasons = places("reason")?;
    if reasons.len() > counts.reasons.len() {
        return Err(StoreError::damaged("counts", "there are more reasons than this program knows"));
    }
    for (count, row) in counts.reasons.iter_mut().zip(reasons) {
        *count = row.tally.denials;
    }
    Ok(counts)
}

/// A place without a row counts nothing.
fn all_places(rows: Vec<(usize, CountRow)>) -> Vec<CountRow> {
    let mut all = Vec::new();
    for (id, row) in rows {
        all.resize(id, CountRow::default());
        all.push(row);
    }
    all
}
