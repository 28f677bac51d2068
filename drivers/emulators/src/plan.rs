//! What goes wrong with a printer on a network, planned from a seed before it happens: the same seed is the same plan.
//! Knows neither sockets nor printers.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A plan made from a seed has faults for so many connections; later ones are well, so that tickets go on.
const CONNECTIONS_PLANNED: usize = 5;

/// What goes wrong, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Of the first connection, the second, …; those after the last are well.
    pub connections: Vec<Behaviour>,
    /// After its start nobody is let in for so long.
    pub refuses_ms: u64,
    /// After so many bytes in all the paper ends.
    pub paper_out_at: Option<u64>,
    /// Whenever the paper has ended somebody brings new paper after so long.
    pub refill_after_ms: u64,
    /// While there is a connection another is closed at once.
    pub one_at_a_time: bool,
    /// A connection that is not read any more is dropped after so long.
    pub holds_ms: u64,
}

/// What goes wrong on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// It is read no faster.
    pub bytes_a_second: Option<u32>,
    /// How it ends.
    pub end: End,
    /// What comes back.
    pub answers: Answers,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// When the host ends it.
    ByHost,
    /// The printer closes it after so many bytes.
    ClosesAfter(u64),
    /// The printer reads no more after so many bytes; 0: it never reads.
    FreezesAfter(u64),
}

/// What comes back on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// What the printer says.
    All,
    /// Nothing more after so many bytes; 0: nothing at all.
    SilentAfter(u64),
    /// What the printer says among bytes that mean nothing, from this seed.
    Garbage(u64),
}

impl Behaviour {
    /// Nothing goes wrong.
    pub const WELL: Behaviour = Behaviour { bytes_a_second: None, end: End::ByHost, answers: Answers::All };
}

impl Plan {
    /// The plan of a seed, for documents of about so many bytes.
    pub fn from_seed(seed: u64, document_bytes: u64) -> Plan {
        let mut rng = StdRng::seed_from_u64(seed);
        let connections = (0..CONNECTIONS_PLANNED).map(|_| behaviour(&mut rng, document_bytes)).collect();
        Plan {
            connections,
            refuses_ms: if rng.random_bool(0.2) { rng.random_range(1..=150) } else { 0 },
            paper_out_at: rng.random_bool(0.25).then(|| rng.random_range(0..document_bytes * 4)),
            refill_after_ms: rng.random_range(1..=400),
            one_at_a_time: rng.random_bool(0.5),
            holds_ms: rng.random_range(20..=200),
        }
    }

    /// What goes wrong on this connection, counted from 0.
    pub fn connection(&self, number: usize) -> Behaviour {
        self.connections.get(number).copied().unwrap_or(Behaviour::WELL)
    }
}

fn behaviour(rng: &mut StdRng, document_bytes: u64) -> Behaviour {
    let within = 0..document_bytes + document_bytes / 4;
    let end = match rng.random_range(0..10) {
        0 | 1 => End::ClosesAfter(rng.random_range(within)),
        2 => End::FreezesAfter(rng.random_range(within)),
        3 => End::FreezesAfter(0),
        _ => End::ByHost,
    };
    let answers = match rng.random_range(0..10) {
        0 => Answers::SilentAfter(0),
        1 => Answers::SilentAfter(rng.random_range(1..16)),
        2 => Answers::Garbage(rng.random()),
        _ => Answers::All,
    };
    let slowest = u32::try_from(document_bytes).unwrap_or(u32::MAX);
    let bytes_a_second = rng.random_bool(0.2).then(|| rng.random_range(slowest / 2 + 1..=slowest * 4 + 1));
    Behaviour { bytes_a_second, end, answers }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan_and_another_is_another() {
        assert_eq!(Plan::from_seed(7, 300), Plan::from_seed(7, 300));
        assert_ne!(Plan::from_seed(7, 300), Plan::from_seed(8, 300));
    }

    #[test]
    fn every_fault_comes_up_within_the_seeds_that_are_run() {
        let plans: Vec<Plan> = (0..200).map(|seed| Plan::from_seed(seed, 300)).collect();
        let any = |of: &dyn Fn(&Behaviour) -> bool| plans.iter().any(|plan| plan.connections.iter().any(of));
        assert!(any(&|well| *well == Behaviour::WELL));
        assert!(any(&|slow| slow.bytes_a_second.is_some()));
        assert!(any(&|close| matches!(close.end, End::ClosesAfter(_))));
        assert!(any(&|never| matches!(never.end, End::FreezesAfter(0))));
        assert!(any(&|freeze| matches!(freeze.end, End::FreezesAfter(1..))));
        assert!(any(&|mute| matches!(mute.answers, Answers::SilentAfter(0))));
        assert!(any(&|no_proof| matches!(no_proof.answers, Answers::SilentAfter(1..))));
        assert!(any(&|garbage| matches!(garbage.answers, Answers::Garbage(_))));
        assert!(plans.iter().any(|plan| plan.refuses_ms > 0));
        assert!(plans.iter().any(|plan| plan.paper_out_at.is_some()));
        assert!(plans.iter().any(|plan| plan.one_at_a_time));
    }
}
