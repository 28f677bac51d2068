//! Forgetting who held an event's tickets, as rows: what a node is afterwards is what its store gives back, and nobody is
//! named any more.

use crate::administration::CHIEF;
use crate::place::{Database, on_every_database, on_older_postgres};
use crate::queries::project;
use crate::venue::*;
use engine::checkpoint::image;
use engine::decision::Override;
use engine::ticket::{Ticket, TicketId};
use engine::{Amendment, EngineError};
use store::{AuditFilter, ScanFilter};

on_every_database! {
    a_shredded_event_names_nobody_and_is_as_the_engine_has_it
}

on_older_postgres! {
    a_shredded_event_names_nobody_and_is_as_the_engine_has_it
}

/// Every ticket of both events, hot and cold.
fn tickets(queries: &dyn store::Queries) -> Vec<(TicketId, Ticket)> {
    let of = |event| queries.tickets_of(event, None, usize::MAX >> 33).unwrap();
    [of(MATCH), of(CONCERT)].concat()
}

fn a_shredded_event_names_nobody_and_is_as_the_engine_has_it(on: Database) {
    for seed in [41, 42] {
        let (node, mut day, place) = (venue(), Day::new(seed), on.place());
        (0..600).for_each(|_| day.step(&node));
        // Said by people: an amendment, a note, and what was searched for.
        let before = node.engine.with_state(|state| {
            let found = state.tickets.iter().filter(|(_, own)| own.type_id.0 < 3);
            found.take(2).map(|(id, own)| (id, own.clone())).collect::<Vec<_>>()
        });
        let amendment = Amendment {
            action: "change_holder".to_owned(),
            details: r#"{"before":{"holder":"Änni Muster1"},"after":{"holder":"Bert"},"reference":"R"}"#
                .to_owned(),
            changed: before.iter().map(|(id, own)| (*id, own.clone(), own.clone())).collect(),
            added: Vec::new(),
            as_of: None,
        };
        node.engine.amend(CHIEF, amendment).unwrap();
        let code = before[0].1.details.codes().next().map(|(_, code)| code.to_vec()).unwrap();
        let by = Override { operator: CHIEF.unwrap(), note: "Änni wept" };
        let mut noted = scan(0, &code);
        (noted.overriding, noted.scan_id) = (Some(by), Some("noted"));
        node.engine.scan(&noted).unwrap();
        let queries = project(&node, &place);
        let others: Vec<_> = tickets(&*queries).into_iter().filter(|(_, own)| own.type_id.0 == 3).collect();
        assert!(others.iter().any(|(_, own)| own.details.has_person()), "seed {seed}");

        node.clock.set(event("match").ends_at.plus_ms(1));
        let forgotten = node.engine.shred(CHIEF, MATCH).unwrap();
        assert!(forgotten.tickets > 0 && forgotten.answers > 0, "seed {seed}: {forgotten:?}");
        let queries = project(&node, &place);
        let after = tickets(&*queries);
        for (id, own) in after.iter().filter(|(_, own)| own.type_id.0 < 3) {
            assert!(!own.details.has_person(), "seed {seed}: ticket {id:?} names somebody");
        }
        let kept: Vec<_> = after.into_iter().filter(|(_, own)| own.type_id.0 == 3).collect();
        assert_eq!(kept, others, "seed {seed}: the other event's tickets are as they were");
        let lines = queries.audit(&AuditFilter::default(), None, 10_000).unwrap();
        let line = lines.iter().find(|line| line.action == "change_holder").unwrap();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&line.details).unwrap(),
            serde_json::json!({"before": {"holder": null}, "after": {"holder": null}, "reference": "R"})
        );
        let scans = queries.scans(&ScanFilter::default(), None, 10_000).unwrap();
        let of_match = scans.iter().filter(|own| own.event == Some(MATCH));
        assert!(of_match.filter_map(|own| own.note.as_deref()).all(str::is_empty), "seed {seed}");
        // Rows and replay give what the engine has, kept answers among it.
        let given_back = place.open().bootstrap().unwrap();
        assert!(image(&given_back) == node.engine.image(), "seed {seed}");
        place.open().scrub().unwrap();
        let again = node.engine.shred(CHIEF, MATCH).unwrap();
        assert_eq!((again.tickets, again.answers), (0, 0), "seed {seed}: a second time there is nothing");
    }
}

#[test]
fn only_an_event_that_is_over_is_shredded() {
    let node = venue();
    assert!(matches!(node.engine.shred(CHIEF, MATCH), Err(EngineError::EventGoesOn)));
    node.clock.set(event("match").ends_at);
    assert!(matches!(node.engine.shred(CHIEF, MATCH), Err(EngineError::EventGoesOn)));
    let unknown = engine::catalog::EventId(99);
    assert!(matches!(node.engine.shred(CHIEF, unknown), Err(EngineError::EventNotFound)));
}
