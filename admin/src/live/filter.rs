//! What a listener wants to hear: topics, events, gates, and what the listener may hear at all. Pure; knows no queue.

use super::message::{Message, Topic};
use crate::access::{Permission, Principal};
use crate::problem::{Kind, Problem};
use engine::catalog::{Catalog, EventId, GateId};

/// Names in one filter.
const NAMES_MAX: usize = 100;

/// The topics, their words and what hearing each takes.
const TOPICS: [(Topic, &str, Permission); 7] = [
    (Topic::Scans, "scans", Permission::ScansRead),
    (Topic::Counts, "counts", Permission::ScansRead),
    (Topic::Rates, "rates", Permission::ScansRead),
    (Topic::Alarms, "alarms", Permission::ScansRead),
    (Topic::Devices, "devices", Permission::DevicesRead),
    (Topic::Peripherals, "peripherals", Permission::PeripheralsRead),
    (Topic::Health, "health", Permission::VenueRead),
];

/// A listener's choice.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    topics: Vec<Topic>,
    events: Vec<EventId>,
    gates: Vec<GateId>,
}

// === impl Filter ===

impl Filter {
    /// Reads the choice out of lists with commas. Without `topics`, all that the listener may hear.
    ///
    /// # Errors
    /// A word or name that is not known, too many, or a topic that the listener may not hear.
    pub fn of(
        catalog: &Catalog,
        who: &Principal,
        topics: Option<&str>,
        events: Option<&str>,
        gates: Option<&str>,
    ) -> Result<Filter, Problem> {
        let topics = match topics {
            Some(topics) => {
                names("topics", topics)?.map(|word| topic(word, who)).collect::<Result<_, Problem>>()?
            }
            None => TOPICS.iter().filter(|(.., takes)| who.may(*takes)).map(|(topic, ..)| *topic).collect(),
        };
        let event = |name| catalog.event_named(name).ok_or_else(|| unknown("events", "event", name));
        let gate = |name| catalog.gate_named(name).ok_or_else(|| unknown("gates", "gate", name));
        Ok(Filter {
            topics,
            events: names("events", events.unwrap_or_default())?.map(event).collect::<Result<_, _>>()?,
            gates: names("gates", gates.unwrap_or_default())?.map(gate).collect::<Result<_, _>>()?,
        })
    }

    /// May the listener still hear all of it?
    pub fn is_open_to(&self, who: &Principal) -> bool {
        let takes = |topic: &Topic| TOPICS.iter().find(|(own, ..)| own == topic).map(|(.., takes)| *takes);
        self.topics.iter().filter_map(takes).all(|takes| who.may(takes))
    }

    /// Is a message for this listener? Some nanoseconds. What concerns everything is told to everybody.
    pub fn fits(&self, message: &Message) -> bool {
        if message.topic == Topic::Gaps {
            return true;
        }
        self.topics.contains(&message.topic)
            && message.place.is_none_or(|place| {
                let event = || place.event.is_some_and(|event| self.events.contains(&event));
                let gate = |gate| self.gates.contains(&gate);
                (self.events.is_empty() || event()) && (self.gates.is_empty() || place.gate.is_none_or(gate))
            })
    }
}

fn topic(word: &str, who: &Principal) -> Result<Topic, Problem> {
    let Some((topic, _, takes)) = TOPICS.iter().find(|(_, own, _)| *own == word) else {
        let known = TOPICS.map(|(_, word, _)| word).join(", ");
        return Err(Problem::invalid("topics", format!("there are {known}")));
    };
    if who.may(*takes) {
        return Ok(*topic);
    }
    Err(Problem::new(Kind::NotAllowed, format!("the topic {word} takes the permission {}", takes.word())))
}

fn names<'l>(field: &str, list: &'l str) -> Result<impl Iterator<Item = &'l str>, Problem> {
    let names = || list.split(',').filter(|name| !name.is_empty());
    if names().count() > NAMES_MAX {
        return Err(Problem::invalid(field, format!("at most {NAMES_MAX} names, with commas between")));
    }
    Ok(names())
}

fn unknown(field: &str, what: &str, name: &str) -> Problem {
    Problem::invalid(field, format!("there is no {what} '{}'", crate::problem::shown(name)))
}

#[cfg(test)]
mod tests {
    use super::super::message::Place;
    use super::*;

    fn message(topic: Topic, place: Option<Place>) -> Message {
        Message { topic, kind: "x", lsn: None, place, text: "{}".into(), personal: None }
    }

    #[test]
    fn what_concerns_everything_passes_and_what_concerns_another_gate_or_event_does_not() {
        let filter = Filter { topics: vec![Topic::Scans], events: vec![EventId(1)], gates: vec![GateId(7)] };
        let at = |event, gate| {
            message(Topic::Scans, Some(Place { event: Some(EventId(event)), gate: Some(GateId(gate)) }))
        };
        assert!(filter.fits(&at(1, 7)));
        assert!(!filter.fits(&at(1, 8)));
        assert!(!filter.fits(&at(2, 7)));
        assert!(!filter.fits(&message(Topic::Scans, Some(Place { event: None, gate: Some(GateId(7)) }))));
        assert!(filter.fits(&message(Topic::Scans, None)));
        assert!(!filter.fits(&message(Topic::Health, None)), "a topic that was not asked for");
        assert!(filter.fits(&message(Topic::Gaps, None)), "a gap is everybody's business");
    }

    #[test]
    fn a_topic_that_may_not_be_heard_is_refused_and_left_out_of_all() {
        let viewer = Principal {
            permissions: crate::access::Permissions::of_role(engine::catalog::Role::Viewer),
            ..Principal::local()
        };
        let catalog = Catalog::new();
        let of = |topics| Filter::of(&catalog, &viewer, topics, None, None);
        assert!(of(Some("scans,devices")).is_err());
        assert!(of(Some("everything")).is_err());
        assert!(!of(None).unwrap().fits(&message(Topic::Devices, None)));
        assert!(of(Some("scans,health")).unwrap().is_open_to(&viewer));
        assert!(Filter::of(&catalog, &viewer, None, Some("nothing"), None).is_err());
    }
}
