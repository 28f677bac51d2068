//! Who presents what, where and when: a pure function of scenario, scale, tempo and seed, so that two runs ask the same.
//! Knows no sockets, no clock and no server.

use std::ops::Range;
use std::time::Duration;

use super::file::{Format, Keeping, Mix, Scenario, Stream, Upload};

/// How a run differs from its file.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Multiplies people, rates, rows, readers and clients.
    pub scale: f64,
    /// Seconds of the venue in one of the run's.
    pub compress: f64,
    /// Makes the tickets of one run other ones than those of the next.
    pub seed: u16,
}

/// Everything a run presents.
#[derive(Debug)]
pub struct Plan {
    /// How long it is.
    pub length: Duration,
    /// Readers, those of streams first, by their places in the streams.
    pub readers: Vec<ReaderPlan>,
    /// Streams, in the file's order.
    pub streams: Vec<StreamPlan>,
    /// First scans of all streams, by time.
    pub arrivals: Vec<Arrival>,
    /// Uploads, in the file's order.
    pub uploads: Vec<UploadPlan>,
    /// Every ticket the venue has sold.
    pub tickets: Vec<Ticket>,
    /// What begins every code of this run.
    pub seed: u16,
}

/// One reader.
#[derive(Debug, Clone)]
pub struct ReaderPlan {
    /// Place of its event.
    pub event: usize,
    /// Its gate.
    pub gate: String,
    /// What it speaks.
    pub format: Format,
    /// How it keeps its connection.
    pub keeping: Keeping,
}

/// One stream.
#[derive(Debug)]
pub struct StreamPlan {
    /// Its readers, step by step.
    pub steps: Vec<StepPlan>,
    /// How often a scan without an answer is sent again.
    pub retries: u8,
}

/// One gate group on the way of a stream's guests.
#[derive(Debug)]
pub struct StepPlan {
    /// Its readers; the one at place `p` belongs to event `p % events`.
    pub readers: Range<usize>,
    /// How long after the step before.
    pub after: Duration,
}

/// A guest comes to a reader.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arrival {
    /// From the start.
    pub at: Duration,
    /// Place of the stream.
    pub stream: usize,
    /// Place of the reader.
    pub reader: usize,
    /// What the guest presents.
    pub wish: Wish,
}

/// What is presented. Numbers are places of tickets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Its first scan, and nobody else has it.
    Fresh(u32),
    /// Presented at two readers at this moment.
    Copied(u32),
    /// One that was admitted before, whichever; while there is none, this fresh one.
    Used(u32),
    /// Refused for this reason.
    Refused(u32, &'static str),
    /// A code nobody sold, by number.
    Unknown(u32),
}

/// One upload: its readers and their rows.
#[derive(Debug)]
pub struct UploadPlan {
    /// When all of them upload.
    pub at: Duration,
    /// Its readers.
    pub readers: Range<usize>,
    /// By reader: what was presented there while it was cut off.
    pub rows: Vec<Vec<OfflineRow>>,
}

/// A scan made while the reader was cut off; it showed green.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OfflineRow {
    /// Place of the ticket.
    pub ticket: u32,
    /// Another reader showed green for it too.
    pub shared: bool,
}

/// A ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Place of its event.
    pub event: usize,
    /// Place of its type in the file.
    pub kind: usize,
    /// As the import wants it.
    pub status: &'static str,
}

const ACTIVE: &str = "active";

// === impl Setting ===

impl Setting {
    /// The time of the run at which it is `venue_s` at the venue.
    pub fn run_time(&self, venue_s: f64) -> Duration {
        Duration::from_secs_f64(venue_s / self.compress)
    }

    /// `count`, scaled, and at least one.
    pub fn scaled(&self, count: u32) -> u32 {
        ((f64::from(count) * self.scale).round() as u32).max(1)
    }
}

// === impl Plan ===

impl Plan {
    /// What `scenario` comes to in this setting.
    pub fn new(scenario: &Scenario, setting: Setting) -> Plan {
        let mut planner = Planner {
            scenario,
            setting,
            random: Random(u64::from(setting.seed)),
            unknown_count: 0,
            plan: Plan {
                length: setting.run_time(scenario.time.length_s),
                readers: Vec::new(),
                streams: Vec::new(),
                arrivals: Vec::new(),
                uploads: Vec::new(),
                tickets: Vec::new(),
                seed: setting.seed,
            },
        };
        scenario.stream.iter().for_each(|stream| planner.stream(stream));
        scenario.upload.iter().for_each(|upload| planner.upload(upload));
        planner.beside();
        // Stable: of those at the same moment, the order of the file.
        planner.plan.arrivals.sort_by_key(|arrival| arrival.at);
        planner.plan
    }

    /// The code of a ticket.
    pub fn code(&self, ticket: u32) -> String {
        format!("{:04X}-T{ticket:08}", self.seed)
    }

    /// A code nobody sold.
    pub fn unknown_code(&self, number: u32) -> String {
        format!("{:04X}-X{number:08}", self.seed)
    }
}

/// A reader's name.
pub fn reader_name(place: usize) -> String {
    format!("LOAD_{place:04}")
}

/// A reader's key: known beforehand, so that a run needs nothing from the import.
pub fn reader_key(place: usize) -> String {
    format!("load-key-{place:04}")
}

struct Planner<'file> {
    scenario: &'file Scenario,
    setting: Setting,
    random: Random,
    unknown_count: u32,
    plan: Plan,
}

// === impl Planner ===

impl Planner<'_> {
    fn events(&self) -> usize {
        self.scenario.venue.events as usize
    }

    fn stream(&mut self, stream: &Stream) {
        let steps: Vec<StepPlan> = stream
            .path
            .iter()
            .map(|step| StepPlan {
                readers: self.readers(&step.gates, step.readers, stream.format, stream.connection),
                after: self.setting.run_time(step.after_s),
            })
            .collect();
        let begin = self.setting.run_time(stream.from_s);
        let length = self.setting.run_time(stream.end_s(&self.scenario.time)) - begin;
        let count = match (stream.guests, stream.per_second) {
            (Some(guests), _) => u64::from(self.setting.scaled(guests)),
            (None, rate) => (rate.unwrap_or_default() * self.setting.scale * length.as_secs_f64()) as u64,
        };
        let kind = self.kind(&stream.kind);
        let readers = steps[0].readers.clone();
        let place = self.plan.streams.len();
        for (n, share) in stream.shape.arrivals(count.max(1)).into_iter().enumerate() {
            let reader = readers.start + n % readers.len();
            let at = begin + length.mul_f64(share);
            let wish = self.wish(&stream.mix, reader, &readers, kind);
            self.plan.arrivals.push(Arrival { at, stream: place, reader, wish });
            if let (Wish::Copied(_), Some(reader)) = (wish, self.neighbor(reader, &readers)) {
                self.plan.arrivals.push(Arrival { at, stream: place, reader, wish });
            }
        }
        self.plan.streams.push(StreamPlan { steps, retries: stream.retries });
    }

    fn wish(&mut self, mix: &Mix, reader: usize, readers: &Range<usize>, kind: usize) -> Wish {
        let event = self.plan.readers[reader].event;
        let weights = mix.weights();
        let mut left = self.random.share() * weights.iter().map(|(_, weight)| weight).sum::<f64>();
        let chosen = weights.iter().find(|(_, weight)| {
            left -= weight;
            left < 0.0
        });
        match chosen.map_or("fresh", |(name, _)| name) {
            "copied" if self.neighbor(reader, readers).is_some() => {
                Wish::Copied(self.ticket(event, kind, ACTIVE))
            }
            "used" => Wish::Used(self.ticket(event, kind, ACTIVE)),
            "unknown" => {
                self.unknown_count += 1;
                Wish::Unknown(self.unknown_count)
            }
            reason @ ("blocked" | "cancelled" | "not_activated") => {
                Wish::Refused(self.ticket(event, kind, reason), reason)
            }
            reason @ "wrong_event" => {
                let other = (event + 1) % self.events();
                Wish::Refused(self.ticket(other, kind, ACTIVE), reason)
            }
            _ => Wish::Fresh(self.ticket(event, kind, ACTIVE)),
        }
    }

    /// Another reader of the same event.
    fn neighbor(&self, reader: usize, readers: &Range<usize>) -> Option<usize> {
        let next = reader + self.events();
        let first = readers.start + (reader - readers.start) % self.events();
        let other = if readers.contains(&next) { next } else { first };
        (other != reader).then_some(other)
    }

    fn upload(&mut self, upload: &Upload) {
        let readers = self.readers(&upload.gates, upload.readers, Format::Json, Keeping::KeepAlive);
        let kind = self.kind(&upload.kind);
        let rows_each = (self.setting.scaled(upload.rows) as usize / readers.len()).max(1);
        let mut rows: Vec<Vec<OfflineRow>> = vec![Vec::with_capacity(rows_each); readers.len()];
        for index in 0..rows_each {
            for reader in readers.clone() {
                let place = reader - readers.start;
                if rows[place].len() > index {
                    continue;
                }
                let ticket = self.ticket(self.plan.readers[reader].event, kind, ACTIVE);
                let other = self.neighbor(reader, &readers).map(|other| other - readers.start);
                let other = other.filter(|other| rows[*other].len() <= index);
                let shared = other.filter(|_| self.random.share() < upload.conflicts / 2.0);
                rows[place].push(OfflineRow { ticket, shared: shared.is_some() });
                rows.get_mut(shared.unwrap_or(usize::MAX))
                    .into_iter()
                    .for_each(|rows| rows.push(OfflineRow { ticket, shared: true }));
            }
        }
        self.plan.uploads.push(UploadPlan { at: self.setting.run_time(upload.at_s), readers, rows });
    }

    /// Tickets nobody presents.
    fn beside(&mut self) {
        let venue = &self.scenario.venue;
        let scaled = |count: u32| (f64::from(count) * self.setting.scale).round() as u32;
        let (beside, far) = (scaled(venue.tickets_beside), scaled(venue.far_tickets));
        let counts =
            (0..self.events()).map(|event| (event, beside)).chain([(self.scenario.far_event(), far)]);
        for (event, count) in counts.collect::<Vec<_>>() {
            for _ in 0..count {
                self.ticket(event, 0, ACTIVE);
            }
        }
    }

    fn readers(&mut self, group: &str, count: u32, format: Format, keeping: Keeping) -> Range<usize> {
        let group = self.scenario.venue.gate.iter().find(|own| own.name == group);
        let group = group.expect("the file was checked: its gate groups are there");
        let (events, first) = (self.events(), self.plan.readers.len());
        let count = (self.setting.scaled(count) as usize).max(events);
        for place in 0..count {
            let event = place % events;
            let gate = gate_name(&group.name, event, (place / events) % group.count as usize);
            self.plan.readers.push(ReaderPlan { event, gate, format, keeping });
        }
        first..first + count
    }

    fn kind(&self, name: &str) -> usize {
        let place = self.scenario.venue.kind.iter().position(|kind| kind.name == name);
        place.expect("the file was checked: its types are there")
    }

    fn ticket(&mut self, event: usize, kind: usize, status: &'static str) -> u32 {
        self.plan.tickets.push(Ticket { event, kind, status });
        self.plan.tickets.len() as u32 - 1
    }
}

/// An event's name.
pub fn event_name(event: usize) -> String {
    format!("load-event-{:02}", event + 1)
}

/// What the names of one event's zones and gates begin with.
pub fn event_prefix(event: usize) -> String {
    format!("E{:02}_", event + 1)
}

/// A gate's name.
pub fn gate_name(group: &str, event: usize, number: usize) -> String {
    format!("{}{group}_{:03}", event_prefix(event), number + 1)
}

/// Numbers that look random and are the same in every run (splitmix64).
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next one.
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next one from 0 to below 1.
    pub fn share(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The next one below `count`.
    pub fn below(&mut self, count: usize) -> usize {
        (self.draw() % count.max(1) as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn plan(name: &str, scale: f64) -> Plan {
        let scenario = Scenario::find(name).unwrap();
        Plan::new(&scenario, Setting { scale, compress: scenario.time.compress, seed: 7 })
    }

    #[test]
    fn a_stadium_brings_its_sixty_thousand_and_half_of_them_at_last() {
        let plan = plan("stadium-60k", 1.0);
        assert!((60_000..62_000).contains(&plan.arrivals.len()), "{}", plan.arrivals.len());
        assert_eq!(plan.readers.len(), 91);
        let last = plan.length - plan.length.mul_f64(20.0 / 90.0);
        let late = plan.arrivals.iter().filter(|arrival| arrival.at > last).count();
        assert!(late.abs_diff(plan.arrivals.len() / 2) < 600, "{late}");
    }

    #[test]
    fn no_fresh_ticket_is_presented_twice_but_copies_are_at_two_readers_at_once() {
        for (name, _) in super::super::file::BUILT_IN {
            let plan = plan(name, 0.05);
            let mut presented: HashMap<u32, Vec<Arrival>> = HashMap::new();
            for arrival in &plan.arrivals {
                if let Wish::Fresh(ticket) | Wish::Copied(ticket) | Wish::Used(ticket) = arrival.wish {
                    presented.entry(ticket).or_default().push(*arrival);
                }
            }
            for arrivals in presented.values() {
                match arrivals[0].wish {
                    Wish::Copied(_) => {
                        assert_eq!(arrivals.len(), 2, "{name}");
                        assert_eq!(arrivals[0].at, arrivals[1].at, "{name}");
                        assert_ne!(arrivals[0].reader, arrivals[1].reader, "{name}");
                        let event = |arrival: &Arrival| plan.readers[arrival.reader].event;
                        assert_eq!(event(&arrivals[0]), event(&arrivals[1]), "{name}");
                    }
                    _ => assert_eq!(arrivals.len(), 1, "{name}"),
                }
            }
            assert!(plan.arrivals.iter().all(|arrival| arrival.at <= plan.length), "{name}");
        }
    }

    #[test]
    fn a_ticket_stands_in_one_upload_or_as_shared_in_two() {
        let plan = plan("backlog", 1.0);
        let mut seen: HashMap<u32, u32> = HashMap::new();
        let rows: Vec<&OfflineRow> =
            plan.uploads.iter().flat_map(|upload| upload.rows.iter().flatten()).collect();
        rows.iter().for_each(|row| *seen.entry(row.ticket).or_default() += 1);
        assert!(rows.iter().all(|row| seen[&row.ticket] == 1 + u32::from(row.shared)));
        assert_eq!(rows.len(), 33_000);
        assert!(rows.iter().any(|row| row.shared));
    }

    #[test]
    fn the_same_seed_gives_the_same_plan() {
        assert_eq!(plan("late-surge", 0.1).arrivals, plan("late-surge", 0.1).arrivals);
    }
}
