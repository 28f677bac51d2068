//! What follows from no single record: counts, rates, alarms, silent devices, peripherals, health. Looked at twice a second
//! on a thread that may lock what gates lock, for some microseconds, and told where it changed. Knows no listener.

use super::alarm::{Limits, Rates, SAMPLE_EVERY, Sample, Window};
use super::hub::{Hub, LiveFigures, Post};
use super::message::{Message, Place, Topic, at_gate};
use super::told::{
    AlarmTold, CountsTold, DeviceTold, HealthTold, LiveMessage, PeripheralTold, RatesTold, TallyTold,
};
use crate::moment::Moment;
use crate::venue_settings::VenueSettings;
use engine::catalog::{Catalog, DeviceId, DeviceStatus, GateId, TypeId, ZoneId};
use engine::counts::{Counts, Tally};
use engine::{Engine, Time};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::ProjectorStats;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

/// Between two looks: counts are told at most twice a second.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Rates of a gate are told no more often than this.
const RATES_EVERY: Duration = Duration::from_secs(4);
/// A store that lacks something for longer is behind.
const BEHIND_FROM_MS: i64 = 10_000;
/// While something is wrong with journal or store it is told again after so long, with new figures.
const HEALTH_AGAIN: Duration = Duration::from_secs(10);

/// When a device was last heard of; `None`: not since the program started.
pub type LastSeen = Arc<dyn Fn(DeviceId) -> Option<Time> + Send + Sync>;

/// What the feed needs of the node besides the engine.
pub struct LiveParts {
    /// Makes the calling thread run when nobody else wants its core.
    pub give_way: fn(),
    /// A device that says nothing for so long is silent, in milliseconds.
    pub device_silent_ms: i64,
    /// How far the projector is.
    pub projector: Arc<ProjectorStats>,
    /// Where listeners are counted.
    pub figures: Arc<LiveFigures>,
    /// Printers and displays as they are now.
    pub peripherals: Box<dyn Fn() -> Vec<PeripheralNow> + Send + Sync>,
}

/// A printer or display at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeripheralNow {
    /// Its name.
    pub name: String,
    /// Does it work?
    pub up: bool,
    /// `ok`, `low`, `out` or `unknown`.
    pub paper: &'static str,
    /// Jobs that wait.
    pub queued: u64,
    /// Jobs that may have printed.
    pub unresolved: u64,
}

/// Looks until `stopping` says so; then ends the hub too.
pub async fn run(
    engine: Arc<Engine>,
    parts: LiveParts,
    last_seen: LastSeen,
    hub: Hub,
    mut stopping: watch::Receiver<bool>,
) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watch = Watch::over(last_seen);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopping.wait_for(|stop| *stop) => break,
        }
        let posts = watch.look(&engine, &parts, Instant::now());
        if !posts.is_empty() {
            hub.post(posts).await;
        }
    }
    hub.stop().await;
}

/// What was told last.
struct Watch {
    last_seen: LastSeen,
    counts: Counts,
    gates: Vec<(Window, Rates)>,
    silent: BTreeMap<DeviceId, Time>,
    peripherals: Vec<PeripheralNow>,
    health: Option<(&'static str, &'static str)>,
    sampled_at: Option<Instant>,
    rates_at: Option<Instant>,
    health_at: Option<Instant>,
}

/// Is it time again?
fn due(last: &mut Option<Instant>, every: Duration, now: Instant) -> bool {
    let due = last.is_none_or(|last| now.duration_since(last) >= every);
    if due {
        *last = Some(now);
    }
    due
}

// === impl Watch ===

impl Watch {
    fn over(last_seen: LastSeen) -> Watch {
        Watch {
            last_seen,
            counts: Counts::default(),
            gates: Vec::new(),
            silent: BTreeMap::new(),
            peripherals: Vec::new(),
            health: None,
            sampled_at: None,
            rates_at: None,
            health_at: None,
        }
    }

    fn look(&mut self, engine: &Engine, parts: &LiveParts, now: Instant) -> Vec<Post> {
        let (catalog, counts, time) = (engine.catalog(), engine.counts(), engine.now());
        let mut posts = Vec::new();
        changed_counts(&catalog, &self.counts, &counts, &mut posts);
        if due(&mut self.sampled_at, SAMPLE_EVERY, now) {
            let rates_due = due(&mut self.rates_at, RATES_EVERY, now);
            let limits = Limits::of(&VenueSettings::of(engine));
            self.rates(&catalog, &counts, (time, &limits), rates_due, &mut posts);
            self.devices(&catalog, parts.device_silent_ms, time, &mut posts);
            self.peripherals((parts.peripherals)(), &mut posts);
            self.health(engine, &parts.projector, now, &mut posts);
        }
        self.counts = counts;
        posts
    }

    fn rates(
        &mut self,
        catalog: &Catalog,
        counts: &Counts,
        (at, limits): (Time, &Limits),
        rates_due: bool,
        posts: &mut Vec<Post>,
    ) {
        // Every gate from its beginning on, also before its first scan: a window tells what is new since its first sample.
        self.gates.resize_with(catalog.gates().count(), Default::default);
        for ((id, gate), (window, told)) in catalog.gates().zip(&mut self.gates) {
            let n = id.index();
            let tally = counts.gates.get(n).copied().unwrap_or_default();
            let (rates, alarm) =
                window.take(Sample { admitted: tally.admits, denied: tally.denials }, limits);
            if rates_due && rates != *told {
                *told = rates;
                let message = LiveMessage::Rates(RatesTold {
                    gate: gate.name.clone(),
                    admitted_per_minute: rates.minute.admitted,
                    denied_per_minute: rates.minute.denied,
                    refusal_rate: rates.refusal,
                });
                let place = Some(at_gate(catalog, id));
                posts.push(post(Topic::Rates, "rates", n, place, &message, true));
            }
            if let Some(raised) = alarm {
                let message = alarm_told(&gate.name, raised, rates.refusal, (at, limits));
                posts.push(post(Topic::Alarms, "alarm", n, Some(at_gate(catalog, id)), &message, raised));
            }
        }
    }

    /// Devices that were heard of and no longer are, and those that are again.
    fn devices(&mut self, catalog: &Catalog, silent_ms: i64, now: Time, posts: &mut Vec<Post>) {
        for (id, device) in catalog.devices() {
            let seen = (self.last_seen)(id).filter(|_| device.status == DeviceStatus::Active);
            let Some(seen) = seen else {
                self.silent.remove(&id);
                continue;
            };
            let silent = now.since_ms(seen) >= silent_ms;
            let changed = match silent {
                true => self.silent.insert(id, seen).is_none(),
                false => self.silent.remove(&id).is_some(),
            };
            if changed {
                let message = LiveMessage::Device(DeviceTold {
                    state: if silent { "silent" } else { "back" },
                    device: device.name.clone(),
                    gate: device.gate.and_then(|gate| catalog.gate(gate)).map(|gate| gate.name.clone()),
                    last_seen: Moment(seen).to_string(),
                });
                let place = device.gate.map(|gate| at_gate(catalog, gate));
                posts.push(post(Topic::Devices, "device", id.index(), place, &message, silent));
            }
        }
    }

    fn peripherals(&mut self, now: Vec<PeripheralNow>, posts: &mut Vec<Post>) {
        for (n, own) in now.iter().enumerate() {
            if self.peripherals.contains(own) {
                continue;
            }
            let message = LiveMessage::Peripheral(PeripheralTold {
                peripheral: own.name.clone(),
                up: own.up,
                paper: own.paper,
                queued: own.queued,
                unresolved: own.unresolved,
            });
            posts.push(post(Topic::Peripherals, "peripheral", n, None, &message, true));
        }
        self.peripherals = now;
    }

    fn health(&mut self, engine: &Engine, projector: &ProjectorStats, now: Instant, posts: &mut Vec<Post>) {
        let durable = engine.journal().positions().durable;
        let projected = engine.projected();
        let behind_ms =
            projector.behind_since(projected, durable).map_or(0, |since| engine.now().since_ms(since).max(0));
        let journal = if engine.journal().poisoned() { "poisoned" } else { "well" };
        let store = match (projector.is_failing(), behind_ms >= BEHIND_FROM_MS) {
            (true, _) => "away",
            (false, true) => "behind",
            (false, false) => "well",
        };
        let state = (journal, store);
        let again = state != ("well", "well") && due(&mut self.health_at, HEALTH_AGAIN, now);
        if self.health == Some(state) && !again {
            return;
        }
        self.health = Some(state);
        let message = LiveMessage::Health(HealthTold {
            journal,
            store,
            behind_s: behind_ms as f64 / 1_000.0,
            behind_records: durable.0.saturating_sub(projected.0),
        });
        posts.push(post(Topic::Health, "health", 0, None, &message, true));
    }
}

fn post(
    topic: Topic,
    kind: &'static str,
    number: usize,
    place: Option<Place>,
    message: &LiveMessage,
    stands: bool,
) -> Post {
    let key = (topic, kind, number as u32);
    Post { key, message: Message::derived(topic, kind, place, message), stands }
}

fn alarm_told(
    gate: &str,
    raised: bool,
    refusal_rate: Option<f64>,
    (at, limits): (Time, &Limits),
) -> LiveMessage {
    LiveMessage::Alarm(AlarmTold {
        state: if raised { "raised" } else { "cleared" },
        what: "refusal_rate",
        gate: gate.to_owned(),
        refusal_rate,
        raised_from: limits.raised_from,
        cleared_below: limits.cleared_below,
        at: Moment(at).to_string(),
    })
}

// === counts ===

fn changed_counts(catalog: &Catalog, before: &Counts, after: &Counts, posts: &mut Vec<Post>) {
    let mut tell = |of: &'static str, n: usize, name: &str, place: Place, tally: Tally| {
        let event = place.event.filter(|_| of != "event").and_then(|event| catalog.event(event));
        let told = CountsTold {
            of,
            name: name.to_owned(),
            event: event.map(|event| event.name.clone()),
            inside: None,
            tally: Some(tally.into()),
        };
        posts.push(counts_post(of, n, Some(place), told));
    };
    for (n, tally) in changed(&before.gates, &after.gates) {
        if let Some(gate) = catalog.gate(GateId(n as u16)) {
            tell("gate", n, &gate.name, at_gate(catalog, GateId(n as u16)), *tally);
        }
    }
    for (n, tally) in changed(&before.types, &after.types) {
        if let Some(kind) = catalog.ticket_type(TypeId(n as u16)) {
            tell("type", n, &kind.name, Place { event: Some(kind.event), gate: None }, *tally);
        }
    }
    for (n, tally) in changed(&before.events, &after.events) {
        if let Some((id, event)) = catalog.events().nth(n) {
            tell("event", n, &event.name, Place { event: Some(id), gate: None }, *tally);
        }
    }
    for (n, inside) in changed(&before.zones, &after.zones) {
        if let Some(zone) = catalog.zone(ZoneId(n as u16)) {
            let name = zone.name.clone();
            let told = CountsTold { of: "zone", name, event: None, inside: Some(*inside), tally: None };
            posts.push(counts_post("zone", n, None, told));
        }
    }
}

fn counts_post(of: &'static str, number: usize, place: Option<Place>, told: CountsTold) -> Post {
    let message = Message::derived(Topic::Counts, "counts", place, &LiveMessage::Counts(told));
    Post { key: (Topic::Counts, of, number as u32), message, stands: true }
}

fn changed<'c, T: PartialEq + Default>(
    before: &'c [T],
    after: &'c [T],
) -> impl Iterator<Item = (usize, &'c T)> {
    let is_new = move |(n, own): &(usize, &T)| match before.get(*n) {
        Some(before) => before != *own,
        None => **own != T::default(),
    };
    after.iter().enumerate().filter(is_new)
}

impl From<Tally> for TallyTold {
    fn from(tally: Tally) -> TallyTold {
        TallyTold {
            entries: tally.entries,
            exits: tally.exits,
            attendance: tally.attendance,
            admitted: tally.admits,
            denied: tally.denials,
            turns: tally.turns,
        }
    }
}
