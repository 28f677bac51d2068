//! What is measured: counters of the device port, latency of scans, and the page Prometheus reads. Counters are
//! read when the page is asked for; the hot path only adds.

use crate::http::{self, STAGES, Stages};
use crate::inbox::InboxStats;
use crate::peripherals::figures;
use crate::peripherals::requests::Desk;
use crate::profile::{ProfileId, Profiles};
use engine::decision::REASONS;
use engine::journal::{Journal, SYNC_BUCKETS};
use engine::{Answered, Engine, Lsn, Seen};
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Profiles that are counted one by one.
const PROFILES_MAX: usize = 64;
/// Upper bounds of the latency buckets, in microseconds.
const BUCKETS_US: [u64; 14] =
    [50, 100, 200, 350, 500, 750, 1_000, 2_000, 5_000, 10_000, 50_000, 100_000, 500_000, 2_000_000];
/// Scans whose latency is being measured at the most; more go unmeasured.
const MEASURED_MAX: usize = 65_536;

/// Counters of the device port.
pub struct PortMetrics {
    admits: Vec<AtomicU64>,
    denials: Vec<AtomicU64>,
    same: AtomicU64,
    repeats: AtomicU64,
    /// Messages and unlocks refused because too many waited for the device.
    pub commands_refused: AtomicU64,
    /// Answers that were not decisions, by status.
    pub faults: Faults,
}

/// Counters by HTTP status.
pub struct Faults([AtomicU64; FAULTS.len()]);

/// Statuses this server answers with, besides 200.
const FAULTS: [u16; 20] =
    [400, 401, 403, 404, 405, 408, 409, 411, 413, 414, 415, 417, 429, 431, 500, 501, 503, 505, 426, 0];

impl Default for PortMetrics {
    fn default() -> PortMetrics {
        let zeros = || (0..PROFILES_MAX).map(|_| AtomicU64::new(0)).collect();
        PortMetrics {
            admits: zeros(),
            denials: zeros(),
            same: AtomicU64::new(0),
            repeats: AtomicU64::new(0),
            commands_refused: AtomicU64::new(0),
            faults: Faults(std::array::from_fn(|_| AtomicU64::new(0))),
        }
    }
}

impl PortMetrics {
    /// Counts an answered scan. A few nanoseconds.
    pub fn scan(&self, profile: ProfileId, answered: &Answered) {
        match answered.seen {
            Seen::SameId => &self.same,
            Seen::Repeat => &self.repeats,
            Seen::New if answered.lsn == Lsn(0) => return,
            Seen::New if answered.answer.verdict.admits() => &self.admits[profile.0 as usize % PROFILES_MAX],
            Seen::New => &self.denials[profile.0 as usize % PROFILES_MAX],
        }
        .fetch_add(1, Ordering::Relaxed);
    }

    /// Admissions and refusals since the start.
    pub fn totals(&self) -> (u64, u64) {
        let sum = |list: &[AtomicU64]| list.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        (sum(&self.admits), sum(&self.denials))
    }
}

impl Faults {
    /// Counts one.
    pub fn count(&self, status: u16) {
        let at = FAULTS.iter().position(|known| *known == status).unwrap_or(FAULTS.len() - 1);
        self.0[at].fetch_add(1, Ordering::Relaxed);
    }
}

/// Latency of scans, from the request's arrival at the engine to the moment its reply may leave. One per worker.
pub struct Latency {
    waiting: Mutex<VecDeque<(u64, Instant)>>,
    all: Mutex<Histogram<u64>>,
    recent: Mutex<Histogram<u64>>,
}

impl Default for Latency {
    fn default() -> Latency {
        let histogram = || Histogram::new_with_bounds(1, 60_000_000, 2).expect("fixed bounds that are good");
        Latency { waiting: Mutex::default(), all: Mutex::new(histogram()), recent: Mutex::new(histogram()) }
    }
}

impl Latency {
    /// A scan was decided and waits for this LSN; `journal` tells how far it is.
    pub fn begin(&self, wait: Lsn, journal: &Journal) {
        {
            let mut waiting = self.waiting.lock();
            if waiting.len() < MEASURED_MAX {
                waiting.push_back((wait.0, Instant::now()));
            }
        }
        // A retry waits for nothing, and the journal may have been faster than this line.
        let durable = journal.positions().durable;
        if wait <= durable {
            self.durable(durable);
        }
    }

    /// Everything up to here is durable. Called by the journal's thread.
    pub fn durable(&self, lsn: Lsn) {
        let now = Instant::now();
        let mut waiting = self.waiting.lock();
        if waiting.is_empty() {
            return;
        }
        let (mut all, mut recent) = (self.all.lock(), self.recent.lock());
        while let Some((_, began)) = waiting.pop_front_if(|(wait, _)| *wait <= lsn.0) {
            let micros = u64::try_from(now.duration_since(began).as_micros()).unwrap_or(u64::MAX);
            all.saturating_record(micros.max(1));
            recent.saturating_record(micros.max(1));
        }
    }

    /// The histogram since the last call.
    pub fn take_recent(&self) -> Histogram<u64> {
        let mut recent = self.recent.lock();
        let taken = recent.clone();
        recent.reset();
        taken
    }
}

/// Where the page's numbers come from.
pub struct Sources {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Profiles, for their names.
    pub profiles: Profiles,
    /// The device port's shared part.
    pub port: Arc<crate::port::Shared>,
    /// Its HTTP layer; `None` while it is switched off or stopped.
    pub http: Box<dyn Fn() -> Option<http::Stats> + Send + Sync>,
    /// Latency of each worker.
    pub latency: Vec<Arc<Latency>>,
    /// The projector.
    pub projector: Arc<store::ProjectorStats>,
    /// The box office's inbox, where the store has one.
    pub inbox: Option<Arc<InboxStats>>,
    /// Signing in to the admin API.
    pub sign_in: Arc<admin::SignInFigures>,
    /// The store it carries to.
    pub store: store::StoreWatch,
    /// Printers and displays, where there are some.
    pub desk: Option<Desk>,
    /// Webhooks, where they are at work.
    pub webhooks: Option<Arc<webhooks::Webhooks>>,
    /// Listeners of the live feed.
    pub live: Arc<admin::LiveFigures>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sources")
    }
}

/// The page as text.
///
/// # Errors
/// Never in practice: writing to a string.
pub fn page(sources: Arc<Sources>) -> Result<String, std::fmt::Error> {
    let mut registry = prometheus_client::registry::Registry::with_prefix("gatehouse");
    registry.register_collector(Box::new(Page(sources)));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Page(Arc<Sources>);

/// Writes families of one metric.
/// Writes metrics by their form.
pub(crate) struct Writer<'a, 'e> {
    /// For what has a form of its own.
    pub(crate) encoder: &'a mut DescriptorEncoder<'e>,
}

impl Writer<'_, '_> {
    pub(crate) fn counters(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<(&'static str, String)>, u64)>,
    ) -> std::fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            let counter = ConstCounter::new(value);
            counter.encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    pub(crate) fn gauges(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Vec<(&'static str, String)>, u64)>,
    ) -> std::fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> std::fmt::Result {
        let metric = self.encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(metric)
    }

    fn gauge(&mut self, name: &str, help: &str, value: i64) -> std::fmt::Result {
        let metric = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(metric)
    }

    fn seconds(&mut self, name: &str, help: &str, value: f64) -> std::fmt::Result {
        let metric = self.encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(metric)
    }

    /// A text, as the label `label` of a metric whose value is always 1.
    fn info(&mut self, name: &str, help: &str, label: &str, text: &str) -> std::fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Info)?;
        metric.encode_info(&[(label, text)])
    }

    /// `buckets`: the upper bound of each and how many are in it.
    fn histogram(&mut self, name: &str, help: &str, sum_s: f64, buckets: &[(f64, u64)]) -> std::fmt::Result {
        let mut metric = self.encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        let count = buckets.iter().map(|(_, count)| count).sum();
        metric.encode_histogram::<[(&str, &str); 0]>(sum_s, count, buckets, None)
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut writer = Writer { encoder: &mut encoder };
        self.scans(&mut writer)?;
        self.counts(&mut writer)?;
        self.journal(&mut writer)?;
        self.projection(&mut writer)?;
        self.live(&mut writer)?;
        self.store(&mut writer)?;
        self.behind(&mut writer)?;
        self.0.inbox.as_ref().map_or(Ok(()), |inbox| inbox_rows(&mut writer, inbox))?;
        sign_in(&mut writer, &self.0.sign_in)?;
        self.0.desk.as_ref().map_or(Ok(()), |desk| figures::write(&mut writer, &desk.metrics()))?;
        self.0.webhooks.as_ref().map_or(Ok(()), |webhooks| receivers(&mut writer, webhooks))?;
        self.0.port.stages.as_ref().map_or(Ok(()), |stages| steps(&mut writer, stages))?;
        self.latency(&mut writer)
    }
}

impl Page {
    fn scans(&self, writer: &mut Writer<'_, '_>) -> std::fmt::Result {
        let metrics = &self.0.port.metrics;
        let by_profile =
            |list: &[AtomicU64], decision: &'static str| -> Vec<(Vec<(&'static str, String)>, u64)> {
                self.0
                    .profiles
                    .iter()
                    .map(|(id, profile)| {
                        (
                            vec![("profile", profile.name().to_owned()), ("decision", decision.to_owned())],
                            list[id.0 as usize % PROFILES_MAX].load(Ordering::Relaxed),
                        )
                    })
                    .collect()
            };
        let mut all = by_profile(&metrics.admits, "admit");
        all.extend(by_profile(&metrics.denials, "deny"));
        writer.counters(
            "profile_scans",
            "Scans decided since the start, by device profile and decision",
            all,
        )?;
        writer.counter(
            "same_id_scans",
            "Scans answered again by their id",
            metrics.same.load(Ordering::Relaxed),
        )?;
        writer.counter(
            "repeated_scans",
            "Scans answered again within the repeat window",
            metrics.repeats.load(Ordering::Relaxed),
        )?;
        writer.counter(
            "commands_refused",
            "Messages and unlocks refused because too many waited for the device",
            metrics.commands_refused.load(Ordering::Relaxed),
        )?;
        let faults = FAULTS
            .iter()
            .zip(&metrics.faults.0)
            .map(|(status, count)| (vec![("status", status.to_string())], count.load(Ordering::Relaxed)));
        writer.counters(
            "faults",
            "Requests of the device port not answered with a decision, by status; 0 is any other",
            faults,
        )
    }

    fn counts(&self, writer: &mut Writer<'_, '_>) -> std::fmt::Result {
        let counts = self.0.engine.counts();
        let catalog = self.0.engine.catalog();
        let denials =
            REASONS.iter().map(|reason| (vec![("reason", reason.code().to_owned())], counts.denied(*reason)));
        writer.counters("denials", "Refusals by reason, over the life of this node", denials)?;
        let by_gate = |pick: fn(&engine::counts::Tally) -> u64| {
            let named = catalog.gates().map(|(id, gate)| {
                (vec![("gate", gate.name.clone())], counts.gates.get(id.index()).map_or(0, pick))
            });
            named.collect::<Vec<_>>()
        };
        writer.counters("gate_admits", "Scans that admitted, by gate", by_gate(|tally| tally.admits))?;
        writer.counters(
            "gate_denials",
            "Scans that were refused, by gate",
            by_gate(|tally| tally.denials),
        )?;
        let mut metric = writer.encoder.encode_descriptor(
            "zone_people",
            "People inside each zone now",
            None,
            MetricType::Gauge,
        )?;
        for (id, zone) in catalog.zones().skip(1) {
            let inside = counts.zones.get(id.index()).copied().unwrap_or(0);
            ConstGauge::new(inside).encode(metric.encode_family(&[("zone", zone.name.as_str())])?)?;
        }
        Ok(())
    }

    fn journal(&self, writer: &mut Writer<'_, '_>) -> std::fmt::Result {
        let journal = self.0.engine.journal();
        let at = journal.positions();
        let sync = journal.sync_stats();
        writer.gauge("journal_next_lsn", "Last position given out", at.next.0 as i64)?;
        writer.gauge("journal_written_lsn", "Last position written", at.written.0 as i64)?;
        writer.gauge(
            "journal_durable_lsn",
            "Last position that survives a power cut",
            at.durable.0 as i64,
        )?;
        writer.gauge(
            "journal_poisoned",
            "1: a write or sync failed, nothing is admitted until a restart",
            i64::from(journal.poisoned()),
        )?;
        writer.gauge(
            "journal_pending_bytes",
            "Bytes that wait for the writer",
            journal.pending_bytes() as i64,
        )?;
        writer.gauge("journal_disk_bytes", "Bytes of the journal's segments", journal.disk_bytes() as i64)?;
        writer.counter("journal_syncs", "Syncs of the journal", sync.syncs)?;
        let bounds = (0..SYNC_BUCKETS as i32 - 1).map(|bits| f64::powi(2.0, bits) / 1e6);
        let buckets: Vec<(f64, u64)> = bounds.chain([f64::INFINITY]).zip(sync.sync_us_buckets).collect();
        let sum_s = sync.sync_us_total as f64 / 1e6;
        writer.histogram("journal_sync_seconds", "How long a sync took", sum_s, &buckets)?;
        writer.counter(
            "journal_segments_made_ahead",
            "Segments that were ready when needed",
            sync.spares_taken,
        )?;
        writer.counter(
            "journal_segments_failed_ahead",
            "Segments that could not be made ahead or taken",
            sync.spares_failed,
        )?;
        writer.counter("journal_records", "Records written to the journal", sync.records)?;
        writer.gauge(
            "checkpoint_lsn",
            "Position of the newest checkpoint",
            self.0.engine.checkpointed().0 as i64,
        )
    }

    fn live(&self, writer: &mut Writer<'_, '_>) -> std::fmt::Result {
        let live = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        writer.counter("live_opened", "Listeners of the live feed that came", live(&self.0.live.opened))?;
        writer.counter("live_closed", "Of these, that went", live(&self.0.live.closed))?;
        writer.counter("live_dropped", "Of these, that were too slow", live(&self.0.live.dropped))
    }

    fn projection(&self, writer: &mut Writer<'_, '_>) -> std::fmt::Result {
        let (engine, stats) = (&self.0.engine, &self.0.projector);
        // What was projected is read first: the other way round it might be ahead of what was durable.
        let projected = engine.projected();
        let durable = engine.journal().positions().durable;
        let behind_ms =
            stats.behind_since(projected, durable).map_or(0, |since| engine.now().since_ms(since));
        let done = stats.snapshot();
        writer.gauge(
            "projected_lsn",
            "Position up to which the store has everything; until the store was reached, what it has at the least",
            projected.0 as i64,
        )?;
        writer.gauge(
            "projection_lag_records",
            "Durable records the store does not have yet",
            durable.0 as i64 - projected.0 as i64,
        )?;
        writer.seconds(
            "projection_lag_seconds",
            "How long the oldest durable record has waited that the store does not have; 0: it has all",
            behind_ms.max(0) as f64 / 1e3,
        )?;
        writer.gauge(
            "settled_lsn",
            "Position up to which the store keeps everything through a power cut",
            engine.settled().0 as i64,
        )?;
        writer.counter("projection_batches", "Transactions of the store", done.batches)?;
        writer.counter("projection_records", "Records in them", done.records)?;
        writer.gauge(
            "projection_batch_records_max",
            "Records the next transaction may have; falls while the store is slow or ends transactions by a deadline",
            done.batch_records_max as i64,
        )?;
        let bounds = store::BATCH_BUCKETS_MS.iter().map(|ms| *ms as f64 / 1e3).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(done.batches_by_time).collect();
        let sum_s = done.batches_us as f64 / 1e6;
        writer.histogram("projection_batch_seconds", "How long a transaction took", sum_s, &buckets)?;
        writer.counter("projection_syncs", "Syncs of the store", done.syncs)?;
        writer.counter(
            "projection_errors",
            "Failed tries; each but one that cannot pass is repeated",
            done.errors,
        )?;
        writer.gauge(
            "projection_failing",
            "1: the last try failed and the projection waits for the store; gates go on",
            i64::from(done.failing),
        )?;
        done.last_error.map_or(Ok(()), |error| {
            writer.info(
                "projection_last_error",
                "The last failed try in words, cut short; it stays when it is over: see projection_failing",
                "error",
                &error,
            )
        })
    }

    fn store(&self, writer: &mut Writer<'_, '_>) -> std::fmt::Result {
        let store = &self.0.store;
        writer.info("store", "Which store this node has", "name", store.name)?;
        let Some(pool) = &store.pool else { return Ok(()) };
        let now = pool();
        writer.gauge("store_pool_open", "Connections for questions that are open", now.open as i64)?;
        writer.gauge(
            "store_pool_in_use",
            "Of these, connections with a question under way",
            now.in_use as i64,
        )?;
        writer.gauge("store_pool_waiting", "Questions that wait for a connection", now.waiting as i64)?;
        writer.gauge("store_pool_most", "Connections for questions there may be", now.most as i64)
    }

    fn behind(&self, writer: &mut Writer<'_, '_>) -> std::fmt::Result {
        let engine = &self.0.engine;
        let (tickets, scans, early) = engine.sizes();
        writer.gauge("tickets", "Tickets in memory", tickets as i64)?;
        writer.gauge("scans_kept", "Answers kept for retries", scans as i64)?;
        writer.counter(
            "scans_forgotten_early",
            "Answers forgotten before their time because too many are kept",
            early,
        )?;
        let (codes, asked, maybe) = engine.cold_filter().stats();
        writer.gauge("cold_codes", "Codes in the filter in front of the store", codes as i64)?;
        writer.counter("cold_filter_asked", "Unknown codes the filter was asked about", asked)?;
        writer.counter("cold_filter_maybe", "Of these, codes that were looked up in the store", maybe)?;
        let (lookups, refused, waiting) = self.0.port.cold.stats();
        writer.counter("cold_lookups", "Look-ups in the store", lookups)?;
        writer.counter("cold_lookups_refused", "Look-ups refused because too many waited", refused)?;
        writer.gauge("cold_lookups_waiting", "Look-ups that wait now", waiting as i64)?;
        writer.gauge("conflicts", "Conflicts nobody has looked into", engine.conflicts().len() as i64)?;
        (self.0.http)().map_or(Ok(()), |http| http_layer(writer, &http))
    }

    fn latency(&self, writer: &mut Writer<'_, '_>) -> std::fmt::Result {
        let mut merged: Histogram<u64> =
            Histogram::new_with_bounds(1, 60_000_000, 2).expect("fixed bounds that are good");
        for worker in &self.0.latency {
            let _ = merged.add(&*worker.all.lock());
        }
        let mut buckets = Vec::with_capacity(BUCKETS_US.len() + 1);
        let mut below = 0;
        for bound in BUCKETS_US {
            let up_to = merged.count_between(0, bound);
            buckets.push((bound as f64 / 1e6, up_to - below));
            below = up_to;
        }
        buckets.push((f64::INFINITY, merged.len() - below));
        let sum_s = merged
            .iter_recorded()
            .map(|value| value.value_iterated_to() as f64 * value.count_at_value() as f64)
            .sum::<f64>()
            / 1e6;
        writer.histogram(
            "scan_seconds",
            "From the engine's first sight of a scan to the moment its reply may leave",
            sum_s,
            &buckets,
        )
    }
}

fn http_layer(writer: &mut Writer<'_, '_>, http: &http::Stats) -> std::fmt::Result {
    writer.gauge("connections", "Open connections of the device port", http.connections_open() as i64)?;
    writer.counter("connections_opened", "Connections of the device port", http.connections_opened)?;
    writer.counter(
        "connections_refused",
        "Connections closed at once because a cap was reached",
        http.connections_refused,
    )?;
    writer.counter("requests", "Requests of the device port", http.requests)?;
    writer.counter("request_bytes", "Bytes received by the device port", http.bytes_in)?;
    writer.counter("reply_bytes", "Bytes sent by the device port", http.bytes_out)?;
    writer.counter("panics", "Requests whose handler panicked; each is a bug", http.panics)?;
    writer.counter(
        "undurable",
        "Replies that became unavailable because the journal failed or was late",
        http.undurable,
    )?;
    let timeouts = [
        ("head", http.timeouts_head),
        ("body", http.timeouts_body),
        ("idle", http.timeouts_idle),
        ("write", http.timeouts_write),
        ("later", http.timeouts_later),
        ("durable", http.timeouts_durable),
    ];
    let labelled = timeouts.into_iter().map(|(kind, count)| (vec![("kind", kind.to_owned())], count));
    writer.counters("timeouts", "Deadlines that passed, by kind", labelled)
}

fn steps(writer: &mut Writer<'_, '_>, stages: &Stages) -> std::fmt::Result {
    let mut metric = writer.encoder.encode_descriptor(
        "stage_seconds",
        "How long each step of an answer took; journal_wait and write once for all answers that left together",
        None,
        MetricType::Histogram,
    )?;
    for (stage, name) in STAGES {
        let (sum_s, buckets) = stages.histogram(stage);
        let count = buckets.iter().map(|(_, count)| count).sum();
        let labels = [("stage", name)];
        let mut of_stage = metric.encode_family(&labels)?;
        of_stage.encode_histogram::<[(&str, &str); 0]>(sum_s, count, &buckets, None)?;
    }
    Ok(())
}

/// How webhooks do. A queue that cannot be read has no figures now, and the page its others.
fn receivers(writer: &mut Writer<'_, '_>, webhooks: &webhooks::Webhooks) -> std::fmt::Result {
    let Ok(all) = webhooks.figures() else { return Ok(()) };
    let of = |pick: fn(&(webhooks::Figures, u64)) -> u64| {
        all.iter().map(move |own| (vec![("webhook", own.0.webhook.clone())], pick(own)))
    };
    writer.counters("webhook_delivered", "Messages that receivers took", of(|own| own.0.delivered))?;
    writer.counters("webhook_failed", "Attempts that failed", of(|own| own.0.failed))?;
    writer.counters("webhook_dead", "Messages that became dead letters", of(|own| own.0.dead))?;
    writer.counters(
        "webhook_dead_dropped",
        "Dead letters dropped because there were too many",
        of(|own| own.0.dropped),
    )?;
    writer.gauges(
        "webhook_dead_letters",
        "Dead letters that wait for a person",
        of(|own| own.0.dead_letters),
    )?;
    writer.gauges("webhook_pending", "Messages that wait to be sent", of(|own| own.0.pending))?;
    writer.gauges("webhook_lag_records", "Records of the journal not yet looked at", of(|own| own.1))
}

fn sign_in(writer: &mut Writer<'_, '_>, figures: &admin::SignInFigures) -> std::fmt::Result {
    writer.counter("sign_ins", "Sessions that began", figures.signed_in())?;
    writer.counter("sign_in_failures", "Wrong names, passwords and codes", figures.failed())?;
    writer.counter(
        "sign_ins_told_to_wait",
        "Attempts to sign in that were refused unread after failures, or because too many wait",
        figures.told_to_wait(),
    )?;
    writer.counter("password_hashes", "Passwords that were hashed, right or wrong", figures.hashes())?;
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    writer.gauge(
        "password_hashes_at_once_max",
        "Most passwords hashed at once",
        count(figures.hashing_max()),
    )?;
    writer.gauge(
        "passwords_waiting_max",
        "Most passwords that waited or were hashed at once",
        count(figures.waiting_max()),
    )
}

fn inbox_rows(writer: &mut Writer<'_, '_>, inbox: &InboxStats) -> std::fmt::Result {
    let rows = inbox.rows().map(|(outcome, count)| (vec![("outcome", outcome.to_owned())], count));
    writer.counters("inbox_rows", "Rows of the box office's inbox taken in, by what came of them", rows)?;
    writer.counter("inbox_errors", "Looks into the inbox that failed", inbox.errors())?;
    writer.gauge(
        "inbox_waiting_seconds",
        "How long the oldest row waits that was read from the inbox and is not done",
        inbox.waiting().as_secs() as i64,
    )
}
