//! Figures: what statistics read is what a look at each line of the access log gives.

use crate::place::{Database, on_every_database, on_older_postgres};
use crate::venue::*;
use engine::catalog::{DeviceId, Direction, EventId, GateId};
use engine::clock::Time;
use engine::decision::{Reason, ScanKind};
use engine::record::PassageOutcome;
use engine::ticket::CodeKind;
use std::collections::BTreeMap;
use store::{Flow, FlowScope, Period, PresentedOrder, Queries, ScanFilter, ScanRow, Store};

on_every_database! {
    figures_are_what_a_look_at_each_scan_gives
    figures_are_counted_again_when_a_database_comes_from_an_older_program
}

on_older_postgres! {
    figures_are_what_a_look_at_each_scan_gives
}

const EVER: Period = Period { since: Time(0), until: Time::MAX };

fn filled(on: Database, seed: u64) -> (Node, crate::place::Place, Box<dyn Store>) {
    let (node, mut day, place) = (venue(), Day::new(seed), on.place());
    (0..900).for_each(|_| day.step(&node));
    node.commit();
    let mut store = place.open();
    let records = node.records(0);
    for batch in records.chunks(37) {
        store.apply(&decode(batch)).unwrap();
    }
    (node, place, store)
}

fn scans(queries: &dyn Queries) -> Vec<ScanRow> {
    let rows = queries.scans(&ScanFilter::default(), None, 100_000).unwrap();
    rows.into_iter().filter(|row| row.kind != ScanKind::Test && !row.specimen).collect()
}

type Flows = BTreeMap<(EventId, i64, u32), Flow>;

fn reference(rows: &[ScanRow], id: impl Fn(&ScanRow) -> Option<u32>) -> Flows {
    let mut flows = Flows::new();
    for row in rows {
        let (Some(event), Some(id)) = (row.event, id(row)) else { continue };
        let people = i64::from(row.people);
        let own = flows.entry((event, row.decided_at.0.div_euclid(60_000) * 60_000, id)).or_default();
        match row.direction {
            _ if !row.verdict.admits() => own.denied += 1,
            // Without a ticket it is a turn; annulled people were taken back.
            _ if row.ticket.is_none() || row.outcome == PassageOutcome::Annulled => {}
            Direction::Entry => own.admitted += people,
            Direction::Exit => own.exits += people,
        }
    }
    flows.retain(|_, flow| *flow != Flow::default());
    flows
}

fn told(queries: &dyn Queries, scope: FlowScope) -> Flows {
    let mut flows = Flows::new();
    for event in [MATCH, CONCERT] {
        for row in queries.arrivals(event, scope, EVER).unwrap() {
            flows.insert((event, row.minute.0, row.id), row.flow);
        }
    }
    flows.retain(|_, flow| *flow != Flow::default());
    flows
}

fn check(queries: &dyn Queries) {
    let rows = scans(queries);
    assert_eq!(told(queries, FlowScope::Event), reference(&rows, |_| Some(0)));
    assert_eq!(told(queries, FlowScope::Gate), reference(&rows, |row| Some(u32::from(row.gate.0))));
    let kind = |row: &ScanRow| row.type_id.map(|kind| u32::from(kind.0));
    assert_eq!(told(queries, FlowScope::Type), reference(&rows, kind));
    for event in [MATCH, CONCERT] {
        let mut denials = BTreeMap::<(Reason, GateId, DeviceId), i64>::new();
        let mut codes = BTreeMap::<(CodeKind, Vec<u8>), i64>::new();
        for row in rows.iter().filter(|row| row.event == Some(event)) {
            if let Some(reason) = row.verdict.denial() {
                *denials.entry((reason, row.gate, row.device)).or_default() += 1;
                *codes.entry((row.code_kind, row.code.clone())).or_default() += 1;
            }
        }
        let found = queries.denials(event).unwrap();
        let found = found.into_iter().map(|row| ((row.reason, row.gate, row.device), row.denied));
        assert_eq!(found.collect::<BTreeMap<_, _>>(), denials);
        let found = queries.presented_again(event, PresentedOrder::Denied, 10_000).unwrap();
        assert!(found.windows(2).all(|pair| pair[0].denied >= pair[1].denied));
        let found = found.into_iter().map(|row| ((row.kind, row.code), row.denied));
        assert_eq!(found.collect::<BTreeMap<_, _>>(), codes);
    }
}

fn figures_are_what_a_look_at_each_scan_gives(on: Database) {
    for seed in [51, 52] {
        let (_node, _place, store) = filled(on, seed);
        let queries = store.queries().unwrap();
        check(&*queries);
        let rows = queries.arrivals(MATCH, FlowScope::Event, EVER).unwrap();
        let (first, last) = (rows[1].minute, rows[rows.len() - 1].minute);
        let period = Period { since: first, until: last };
        assert_eq!(queries.arrivals(MATCH, FlowScope::Event, period).unwrap(), rows[1..rows.len() - 1]);
        let again = queries.presented_again(MATCH, PresentedOrder::Times, 5).unwrap();
        assert_eq!(again.len(), 5);
        assert!(
            again
                .windows(2)
                .all(|pair| { pair[0].denied + pair[0].admitted >= pair[1].denied + pair[1].admitted })
        );
    }
}

fn figures_are_counted_again_when_a_database_comes_from_an_older_program(on: Database) {
    let (_node, place, store) = filled(on, 53);
    drop(store);
    place.migrate(Some(4)).unwrap();
    check(&*place.open().queries().unwrap());
}
