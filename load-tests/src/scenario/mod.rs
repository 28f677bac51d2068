//! A scenario from its file to its report: the plan is made, the venue is brought in, the load runs, and what came is told.
//! Owns this order; each step is a module's.
//!
//! | module | owns |
//! |---|---|
//! | [`mod@file`], [`check`] | what can be written in a scenario, and what is impossible about it |
//! | [`shape`], [`plan`] | when guests come, who presents what where: before anything runs |
//! | [`venue`] | the files an operator would import for it |
//! | [`generator`], [`reader`], [`upload`], [`slow`] | the loop that sends, and who sends |
//! | [`truth`] | what each answer has to be |
//! | [`stagehand`] | the server seen from beside, and a database that goes and comes |
//! | [`stats`], [`live`], [`wants`], [`report`], [`html`], [`chart`] | what is told |

pub mod chart;
pub mod check;
pub mod file;
pub mod generator;
pub mod html;
pub mod live;
pub mod plan;
pub mod reader;
pub mod report;
pub mod shape;
pub mod slow;
pub mod stagehand;
pub mod stats;
pub mod truth;
pub mod upload;
pub mod venue;
pub mod wants;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use store_testkit::{Postgres, PostgresOptions, all_programs};

use crate::procfs::MachineTime;
use crate::server::{Data, Server, ServerSettings};
use crate::target::Target;
use crate::{affinity, limits, process, procfs, target};
use file::{Act, Scenario, StoreKind};
use generator::{Ran, Start};
use live::Live;
use plan::{Plan, Setting};
use report::{LoadFacts, PartFacts, Report, RunFacts};
use slow::SlowCrowd;
use stagehand::{Seen, Stagehand, metric};
use stats::{PartTime, StreamStats, StreamSummary};
use upload::Uploads;
use wants::{Figures, STORE_LOOKUPS};

/// What a run needs besides its scenario.
#[derive(Debug, Clone)]
pub struct ScenarioSettings {
    /// A scenario's name or file.
    pub name: String,
    /// Who is asked.
    pub whom: Whom,
    /// Multiplies people, rates, rows, readers and clients.
    pub scale: f64,
    /// How the venue's time passes.
    pub tempo: Tempo,
    /// Which tickets.
    pub seed: u16,
    /// The core of the thread that makes the load; the server is not kept there.
    pub load_core: Option<usize>,
    /// The commit of the server's source, for the report.
    pub commit: String,
    /// The command line, for the report.
    pub command: String,
}

/// Who is asked.
#[derive(Debug, Clone)]
pub enum Whom {
    /// A server that is started for the run, its data in a new directory in this one.
    Own(ServerSettings, PathBuf),
    /// One that runs, and has the scenario's venue.
    Running {
        /// Its device port.
        target: Target,
        /// Its API port, for its counters.
        admin_addr: Option<SocketAddr>,
        /// Its process, when it is on this machine.
        pid: Option<u32>,
    },
}

/// How the venue's time passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tempo {
    /// As at the venue.
    Real,
    /// As the file says.
    Compressed,
    /// So that the run takes so long.
    Within(Duration),
}

// === impl Tempo ===

impl fmt::Display for Tempo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tempo::Real => f.write_str("real"),
            Tempo::Compressed => f.write_str("compressed"),
            Tempo::Within(length) => write!(f, "{}", length.as_secs_f64()),
        }
    }
}

/// A server that was prepared, and what is needed of it.
struct Stage {
    server: Option<Server>,
    database: Option<Postgres>,
    target: Target,
    admin_addr: Option<SocketAddr>,
    pid: Option<u32>,
}

/// Counters of the server that are told as what they grew by.
const COUNTERS: [&str; 8] = [
    "gatehouse_journal_records_total",
    "gatehouse_journal_syncs_total",
    "gatehouse_same_id_scans_total",
    "gatehouse_repeated_scans_total",
    "gatehouse_cold_filter_asked_total",
    STORE_LOOKUPS,
    "gatehouse_conflicts",
    "gatehouse_connections_opened_total",
];

/// Runs a scenario.
pub fn run(settings: &ScenarioSettings) -> Result<Report> {
    let scenario = Scenario::find(&settings.name)?;
    let setting = setting(settings, &scenario);
    let plan = Plan::new(&scenario, setting);
    let connections = plan.readers.len() + SlowCrowd::new(&scenario.slow, setting).len();
    ensure!(
        connections <= limits::READERS_MAX as usize,
        "--scale {}: {connections} connections at once; a server takes some {} from one address",
        settings.scale,
        limits::READERS_MAX
    );
    process::allow_descriptors(limits::DESCRIPTORS)?;
    let stage = prepare(settings, &scenario, &plan)?;
    let measured = measure(&scenario, setting, &plan, stage, settings.load_core)?;
    Ok(report(settings, &scenario, setting, &plan, measured))
}

/// What a run found, before it is made a report.
struct Measured {
    started_at: String,
    ran: Ran,
    seen: Seen,
    counters: BTreeMap<String, f64>,
    core_share: f64,
    foreign_share: f64,
    server_fault: Option<String>,
}

fn measure(
    scenario: &Scenario,
    setting: Setting,
    plan: &Plan,
    stage: Stage,
    load_core: Option<usize>,
) -> Result<Measured> {
    let Stage { server, database, target, admin_addr, pid } = stage;
    let counters_before = counters(admin_addr);
    let started_at = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let (machine_before, cpu_before) = (procfs::machine_time()?, own_and_server_cpu(pid));
    let begin = Instant::now();
    let acts = database_acts(scenario, setting);
    let hand = Stagehand { pid, admin_addr, database, acts, length: plan.length, begin };
    let (ran, seen) = perform(scenario, setting, plan, (&target, load_core), hand)?;
    let cpu = own_and_server_cpu(pid).saturating_sub(cpu_before);
    let elapsed = begin.elapsed();
    let foreign_share = foreign_share(&machine_before, &procfs::machine_time()?, cpu, elapsed);
    let counters = grown(&counters_before, &counters(admin_addr));
    // A server of ours has to stop as it promises; a run that left it broken did not end well, and is told all the same.
    let server_fault = server.and_then(|mut server| server.stop().err()).map(|error| format!("{error:#}"));
    let core_share = ran.cpu.as_secs_f64() / elapsed.as_secs_f64();
    Ok(Measured { started_at, ran, seen, counters, core_share, foreign_share, server_fault })
}

fn report(
    settings: &ScenarioSettings,
    scenario: &Scenario,
    setting: Setting,
    plan: &Plan,
    measured: Measured,
) -> Report {
    let Measured { started_at, ran, seen, counters, core_share, foreign_share, server_fault } = measured;
    let streams: Vec<StreamSummary> = ran.streams.iter().map(StreamStats::summary).collect();
    let uploads = ran.uploads.summaries(plan);
    let reconnected_s: Vec<Option<f64>> =
        ran.reconnected.iter().map(|time| time.map(|time| time.as_secs_f64())).collect();
    let figures = Figures {
        streams: &streams,
        uploads: &uploads,
        reconnected_s: &reconnected_s,
        seen: &seen,
        counters: &counters,
        parts: &scenario.part,
        setting,
    };
    let wants = scenario.want.iter().map(|want| figures.check(want)).collect();
    let was_late = was_late(&streams, core_share);
    Report {
        scenario: settings.name.clone(),
        title: scenario.title.clone(),
        about: scenario.about.trim().to_owned(),
        run: run_facts(settings, setting, plan, started_at),
        parts: part_facts(scenario, setting),
        slow: ran.slow.summaries(),
        streams,
        uploads,
        cuts_s: cut_times(scenario, setting).iter().map(Duration::as_secs_f64).collect(),
        reconnected_s,
        server: seen,
        counters,
        server_fault,
        load: LoadFacts { core_share, foreign_share, strays: ran.strays, was_late },
        wants,
    }
}

fn run_facts(settings: &ScenarioSettings, setting: Setting, plan: &Plan, started_at: String) -> RunFacts {
    RunFacts {
        command: settings.command.clone(),
        commit: settings.commit.clone(),
        started_at,
        machine: procfs::machine(),
        server: settings.whom.text(),
        scale: settings.scale,
        compress: setting.compress,
        seconds: plan.length.as_secs_f64(),
        seed: settings.seed,
    }
}

/// Writes the files a server needs before a run against it.
pub fn write_venue(settings: &ScenarioSettings, dir: &Path) -> Result<venue::VenueFiles> {
    let scenario = Scenario::find(&settings.name)?;
    let plan = Plan::new(&scenario, setting(settings, &scenario));
    venue::write(&scenario, &plan, dir)
}

/// Writes the report as JSON and HTML into `dir`; gives the page's path.
pub fn write_report(report: &Report, dir: &Path) -> Result<PathBuf> {
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    let page = dir.join("report.html");
    let json = serde_json::to_string_pretty(report).context("write the report as JSON")? + "\n";
    for (path, text) in [(dir.join("report.json"), json), (page.clone(), html::page(report))] {
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(page)
}

fn setting(settings: &ScenarioSettings, scenario: &Scenario) -> Setting {
    let compress = match settings.tempo {
        Tempo::Real => 1.0,
        Tempo::Compressed => scenario.time.compress,
        Tempo::Within(length) => scenario.time.length_s / length.as_secs_f64(),
    };
    Setting { scale: settings.scale, compress, seed: settings.seed }
}

// === impl Whom ===

impl Whom {
    fn text(&self) -> String {
        match self {
            Whom::Own(settings, _) => {
                format!("{} serve {}", settings.program.display(), settings.serve_args.join(" "))
                    .trim_end()
                    .to_owned()
            }
            Whom::Running { target, .. } => format!("http://{}", target.host),
        }
    }
}

/// Brings server, database and venue into place.
fn prepare(settings: &ScenarioSettings, scenario: &Scenario, plan: &Plan) -> Result<Stage> {
    let (server_settings, work_dir) = match &settings.whom {
        Whom::Running { target, admin_addr, pid } => {
            let is_own = scenario.venue.store == StoreKind::Embedded;
            ensure!(
                is_own,
                "'{}' stops a database: it needs a server of its own (--gatehouse)",
                settings.name
            );
            let (target, admin_addr, pid) = (target.clone(), *admin_addr, *pid);
            return Ok(Stage { server: None, database: None, target, admin_addr, pid });
        }
        Whom::Own(server_settings, work_dir) => (server_settings, work_dir),
    };
    let mut server_settings = ServerSettings { data: Data::Nothing, ..server_settings.clone() };
    let database = (scenario.venue.store == StoreKind::Postgres).then(start_database).transpose()?;
    if let Some(database) = &database {
        let url = database.url("postgres");
        server_settings.serve_args.extend(["--store", "postgres", "--database-url"].map(str::to_owned));
        server_settings.serve_args.push(url);
    }
    let mut server = Server::new(server_settings, work_dir)?;
    server.start()?;
    eprintln!("{}: {} readers, {} tickets", settings.name, plan.readers.len(), plan.tickets.len());
    let files = venue::write(scenario, plan, &server.dir().join("venue"))?;
    server.import_venue(&files.venue)?;
    for (event, list) in &files.tickets {
        server.import(event, list)?;
    }
    let far_count = plan.tickets.iter().filter(|ticket| ticket.event == scenario.far_event()).count();
    if far_count > 0 {
        cool(&mut server, far_count)?;
    }
    server.process()?.wait_quiet()?;
    Ok(Stage {
        target: Target::at(server.device_addr),
        admin_addr: Some(server.admin_addr),
        pid: Some(server.process()?.pid()),
        database,
        server: Some(server),
    })
}

/// Waits until the tickets of an event that is far are in the store only. A server looks for such events when it starts, and
/// lets their tickets go when the store knows them.
fn cool(server: &mut Server, far_count: usize) -> Result<()> {
    wait_for_metric(server.admin_addr, "gatehouse_projection_lag_records", |lag| lag == 0.0)?;
    server.stop()?;
    server.start()?;
    wait_for_metric(server.admin_addr, "gatehouse_cold_codes", |count| count >= far_count as f64)
}

fn wait_for_metric(addr: SocketAddr, name: &str, is_there: impl Fn(f64) -> bool) -> Result<()> {
    let deadline = Instant::now() + limits::CATCH_UP_WAIT;
    loop {
        let page = target::get_page(addr, "/metrics", limits::CONNECT_WAIT).context("read the metrics")?;
        if metric(&page, name).is_some_and(&is_there) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{name} is not there after {:?}", limits::CATCH_UP_WAIT);
        std::thread::sleep(limits::SAMPLE_PAUSE);
    }
}

fn start_database() -> Result<Postgres> {
    let start = || {
        let programs = all_programs();
        Postgres::start(&programs[0], &PostgresOptions { synced: true, ..Default::default() })
    };
    // The kit is made for tests and panics with a sentence; here that is an error like any other.
    std::panic::catch_unwind(start).map_err(|cause| {
        let sentence = cause.downcast_ref::<String>().cloned().unwrap_or_default();
        anyhow!("PostgreSQL cannot be started: {sentence}")
    })
}

/// The run itself: the load in this thread, the stagehand in another.
fn perform(
    scenario: &Scenario,
    setting: Setting,
    plan: &Plan,
    (target, load_core): (&Target, Option<usize>),
    hand: Stagehand,
) -> Result<(Ran, Seen)> {
    let parts = part_times(scenario, setting);
    let streams = scenario.stream.iter();
    let mut start = Start {
        plan,
        events: scenario.venue.events as usize,
        addr: target.addr,
        host: target.host.clone(),
        streams: streams.map(|stream| StreamStats::new(&stream.name, plan.length, &parts)).collect(),
        uploads: Uploads::new(&scenario.upload, plan, &target.host, &parts),
        slow: SlowCrowd::new(&scenario.slow, setting),
        cuts: cut_times(scenario, setting),
        live: Live::new(plan.length),
        begin: hand.begin,
    };
    // All of the above took its time, and a schedule that starts before it would begin late.
    start.begin = Instant::now() + limits::BEGIN_PAUSE;
    let hand = Stagehand { begin: start.begin, ..hand };
    let (end, ended) = mpsc::channel();
    std::thread::scope(|scope| {
        let hand = std::thread::Builder::new()
            .name("stagehand".to_owned())
            .spawn_scoped(scope, move || hand.work(&ended))
            .context("start the stagehand's thread")?;
        // Only now: what was started from a pinned thread would share its core.
        let ran = load_core.map_or(Ok(()), affinity::pin_current_thread).and_then(|()| generator::run(start));
        drop(end);
        let seen = hand.join().map_err(|_| anyhow!("the stagehand failed; its words are above"))?;
        Ok((ran?, seen))
    })
}

fn cut_times(scenario: &Scenario, setting: Setting) -> Vec<Duration> {
    let cuts = scenario.happens.iter().filter(|happening| happening.what == Act::CutConnections);
    let mut cuts: Vec<Duration> = cuts.map(|happening| setting.run_time(happening.at_s)).collect();
    cuts.sort_unstable();
    cuts
}

fn database_acts(scenario: &Scenario, setting: Setting) -> Vec<(Duration, Act)> {
    let acts = scenario.happens.iter().filter(|happening| happening.what != Act::CutConnections);
    let mut acts: Vec<_> = acts.map(|happening| (setting.run_time(happening.at_s), happening.what)).collect();
    acts.sort_by_key(|(at, _)| *at);
    acts
}

fn part_times(scenario: &Scenario, setting: Setting) -> Vec<PartTime> {
    let times = scenario.part.iter().map(|part| PartTime {
        name: part.name.clone(),
        from: setting.run_time(part.from_s),
        to: setting.run_time(part.to_s),
    });
    times.collect()
}

fn part_facts(scenario: &Scenario, setting: Setting) -> Vec<PartFacts> {
    let facts = part_times(scenario, setting).into_iter().map(|part| PartFacts {
        name: part.name,
        from_s: part.from.as_secs_f64(),
        to_s: part.to.as_secs_f64(),
    });
    facts.collect()
}

/// Where the program's own delay is a good part of what it measured, or it had no time left to look at answers, nothing can
/// be said about the server.
fn was_late(streams: &[StreamSummary], core_share: f64) -> bool {
    let delayed = streams.iter().any(|stream| {
        stream.send_delay.p99_us > limits::SEND_DELAY_SHARE_MAX * stream.latency.p99_us
            && stream.send_delay.p99_us > limits::SEND_DELAY_SEEN_US
    });
    delayed || core_share > limits::CORE_SHARE_MAX
}

fn counters(admin_addr: Option<SocketAddr>) -> BTreeMap<String, f64> {
    let page = admin_addr.and_then(|addr| target::get_page(addr, "/metrics", limits::CONNECT_WAIT).ok());
    let page = page.unwrap_or_default();
    COUNTERS.iter().filter_map(|name| Some(((*name).to_owned(), metric(&page, name)?))).collect()
}

fn grown(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let grown = after.iter().map(|(name, value)| (name.clone(), value - before.get(name).unwrap_or(&0.0)));
    grown.collect()
}

fn own_and_server_cpu(pid: Option<u32>) -> Duration {
    let cpu_ns = |pid: u32| procfs::process_cpu_ns(pid).unwrap_or_default();
    Duration::from_nanos(cpu_ns(std::process::id()) + pid.map_or(0, cpu_ns))
}

fn foreign_share(before: &MachineTime, after: &MachineTime, own: Duration, elapsed: Duration) -> f64 {
    let busy = (after.busy - before.busy) as f64 / (after.total - before.total).max(1) as f64;
    let own = own.as_secs_f64() / (elapsed.as_secs_f64() * after.core_count.max(1) as f64);
    (busy - own).max(0.0)
}
