//! What Linux tells in /proc: CPU time of threads, memory of a process, how busy the machine is, what machine it is.
//! Knows file formats; knows nothing of what is measured with them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

/// CPU time of one thread since it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadCpu {
    /// Thread id.
    pub tid: u32,
    /// The thread's name, at most 15 characters.
    pub name: String,
    /// Nanoseconds on a CPU, user and kernel.
    pub cpu_ns: u64,
}

/// Time of the whole machine since boot, in ticks, over all cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachineTime {
    /// All ticks.
    pub total: u64,
    /// Ticks in which a core did something, or was taken away by the host.
    pub busy: u64,
    /// Cores that are online. Not those we may use: a pinned program may use one.
    pub core_count: usize,
}

/// The machine a result belongs to.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// As /proc/cpuinfo names it.
    pub cpu_model: String,
    /// Cores that are online.
    pub core_count: usize,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Kernel release.
    pub kernel: String,
}

/// CPU time of every thread of `pid`. Threads that have ended are not in it.
pub fn threads_cpu(pid: u32) -> Result<Vec<ThreadCpu>> {
    let tasks = format!("/proc/{pid}/task");
    let mut threads = Vec::new();
    for entry in fs::read_dir(&tasks).with_context(|| format!("read {tasks} (is process {pid} there?)"))? {
        // A thread may end between the listing and the reading: then it is one of those that are not counted.
        threads.extend(entry.ok().and_then(|entry| thread_cpu(&entry.path())));
    }
    Ok(threads)
}

fn thread_cpu(task: &Path) -> Option<ThreadCpu> {
    let tid = task.file_name()?.to_str()?.parse().ok()?;
    let name = fs::read_to_string(task.join("comm")).ok()?.trim_end().to_owned();
    let cpu_ns = schedstat_cpu_ns(&fs::read_to_string(task.join("schedstat")).ok()?)?;
    Some(ThreadCpu { tid, name, cpu_ns })
}

/// CPU time of every thread of `pid` and of every process below it. A process that wrote into its title what it does lends its
/// threads that name. Children that have ended and were waited for are one thread named [`ENDED`], in steps of one tick.
pub fn tree_cpu(pid: u32) -> Result<Vec<ThreadCpu>> {
    let mut threads = threads_cpu(pid)?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let ended = stat_cpu_ticks(&stat, CHILDREN_AT).map(ticks_ns).unwrap_or_default();
    // No thread has this number.
    threads.extend((ended > 0).then(|| ThreadCpu { tid: 0, name: ENDED.to_owned(), cpu_ns: ended }));
    let mut waiting = children(pid);
    while let Some(child) = waiting.pop() {
        // It may end meanwhile, as a thread may.
        let Ok(mut own) = threads_cpu(child) else { continue };
        if let Some(title) = title(child) {
            own.iter_mut().for_each(|thread| thread.name.clone_from(&title));
        }
        threads.append(&mut own);
        waiting.append(&mut children(child));
    }
    Ok(threads)
}

/// What [`tree_cpu`] calls the time of children that are no more.
pub const ENDED: &str = "ended children";

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_ascii_whitespace().flat_map(str::parse).collect::<Vec<_>>()).collect()
}

fn title(pid: u32) -> Option<String> {
    title_kind(&fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?)
}

/// The kind of process in a title such as `postgres: walwriter`. One that names an address serves a connection.
fn title_kind(command_line: &str) -> Option<String> {
    let (_, kind) = command_line.trim_end_matches(['\0', ' ']).split_once(": ")?;
    let connection = kind.contains("127.0.0.1(");
    Some(if connection {
        "backend".to_owned()
    } else {
        kind.split(' ').take(2).collect::<Vec<_>>().join(" ")
    })
}

fn schedstat_cpu_ns(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// CPU time spent between two looks, by thread name; a thread that is new started at zero.
pub fn cpu_between(before: &[ThreadCpu], after: &[ThreadCpu]) -> BTreeMap<String, u64> {
    let earlier: BTreeMap<u32, u64> = before.iter().map(|thread| (thread.tid, thread.cpu_ns)).collect();
    let mut spent = BTreeMap::new();
    for thread in after {
        let since = earlier.get(&thread.tid).copied().unwrap_or_default();
        *spent.entry(thread.name.clone()).or_default() += thread.cpu_ns.saturating_sub(since);
    }
    spent
}

/// CPU time of a process, threads that have ended included; in steps of one tick (10 ms).
pub fn process_cpu_ns(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path} (is process {pid} there?)"))?;
    stat_cpu_ticks(&text, OWN_AT).map(ticks_ns).with_context(|| format!("no CPU time in {path}"))
}

/// Where user and kernel time stand behind the name in `stat`: the process's own, and that of children it has waited for.
const OWN_AT: usize = 11;
const CHILDREN_AT: usize = 13;

fn ticks_ns(ticks: u64) -> u64 {
    ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second()
}

fn stat_cpu_ticks(stat: &str, at: usize) -> Option<u64> {
    // The name in parentheses may hold anything, spaces and parentheses too: count from the last one.
    let mut words = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(at);
    Some(words.next()?.parse::<u64>().ok()? + words.next()?.parse::<u64>().ok()?)
}

/// CPU time of the calling thread.
pub fn own_thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Resident memory of `pid`, in bytes.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let kib = value_of(&text, "VmRSS:").and_then(|value| value.split(' ').next()?.parse::<u64>().ok());
    Ok(kib.with_context(|| format!("no VmRSS in {path}"))? * 1024)
}

/// Bytes `pid` had a disk read; what the page cache gave is not in it.
pub fn disk_bytes_read(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/io");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let bytes = value_of(&text, "read_bytes:").and_then(|value| value.parse().ok());
    bytes.with_context(|| format!("no read_bytes in {path}"))
}

/// Time of the machine so far.
pub fn machine_time() -> Result<MachineTime> {
    let text = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    machine_time_parse(&text).context("no cpu line in /proc/stat")
}

fn machine_time_parse(stat: &str) -> Option<MachineTime> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    // user nice system idle iowait irq softirq steal; guest time is already part of user.
    let ticks: Vec<u64> = line.split_ascii_whitespace().take(8).map_while(|tick| tick.parse().ok()).collect();
    let total: u64 = ticks.iter().sum();
    let idle = ticks.get(3)? + ticks.get(4)?;
    let per_core = stat.lines().skip(1).take_while(|line| line.starts_with("cpu"));
    Some(MachineTime { total, busy: total - idle, core_count: per_core.count() })
}

/// The share of the whole machine in use during `look`.
pub fn busy_share(look: Duration) -> Result<f64> {
    let before = machine_time()?;
    std::thread::sleep(look);
    let after = machine_time()?;
    Ok((after.busy - before.busy) as f64 / (after.total - before.total).max(1) as f64)
}

/// The load average over one minute.
pub fn load_average() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg").context("read /proc/loadavg")?;
    text.split(' ').next().and_then(|load| load.parse().ok()).context("no number in /proc/loadavg")
}

/// Looks at the machine.
pub fn machine() -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu_info = read("/proc/cpuinfo");
    let memory = read("/proc/meminfo");
    let memory_kib =
        value_of(&memory, "MemTotal:").and_then(|value| value.split(' ').next()?.parse::<u64>().ok());
    Machine {
        cpu_model: value_of(&cpu_info, "model name")
            .unwrap_or("unknown")
            .trim_start_matches([':', ' '])
            .to_owned(),
        core_count: machine_time().map_or(0, |time| time.core_count),
        memory_mib: memory_kib.unwrap_or_default() / 1024,
        kernel: read("/proc/sys/kernel/osrelease").trim_end().to_owned(),
    }
}

/// The type of the file system that holds `dir`, by the longest mount point above it.
pub fn file_system(dir: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let above = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?, words.next()?);
        dir.starts_with(point).then_some((point.len(), kind))
    });
    // Of two mounts on one point the later one is seen, and `max_by_key` keeps the last of equals.
    above.max_by_key(|(length, _)| *length).map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}

fn value_of<'text>(text: &'text str, name: &str) -> Option<&'text str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_formats_are_understood() {
        assert_eq!(schedstat_cpu_ns("123456 789 10\n"), Some(123_456));
        let time =
            machine_time_parse("cpu  10 0 20 60 10 1 2 7 5 0\ncpu0 1 2 3\ncpu1 1 2 3\nintr 1\n").unwrap();
        assert_eq!(time, MachineTime { total: 110, busy: 40, core_count: 2 });
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 0 0 0 0 30 12 0 0 20 0 1 0 5\n";
        assert_eq!(stat_cpu_ticks(stat, OWN_AT), Some(42));
        assert_eq!(stat_cpu_ticks(stat, CHILDREN_AT), Some(0));
        assert_eq!(value_of("Name:\tx\nVmRSS:\t    1024 kB\n", "VmRSS:"), Some("1024 kB"));
    }

    #[test]
    fn spent_time_is_summed_by_name_and_starts_at_zero_for_new_threads() {
        let thread = |tid, name: &str, cpu_ns| ThreadCpu { tid, name: name.to_owned(), cpu_ns };
        let before = [thread(1, "device", 100), thread(2, "device", 50)];
        let after = [thread(1, "device", 300), thread(2, "device", 60), thread(3, "journal", 7)];
        let spent = cpu_between(&before, &after);
        assert_eq!(spent.into_iter().collect::<Vec<_>>(), [("device".into(), 210), ("journal".into(), 7)]);
    }

    #[test]
    fn processes_are_called_by_what_their_title_says_they_do() {
        let check = |line: &str, kind: Option<&str>| assert_eq!(title_kind(line).as_deref(), kind, "{line}");
        check("postgres: walwriter \0\0", Some("walwriter"));
        check("postgres: autovacuum worker claims\0", Some("autovacuum worker"));
        check("postgres: gatehouse claims 127.0.0.1(4711) idle\0", Some("backend"));
        check("/usr/bin/postgres\0-D\0/tmp/x\0", None);
    }

    #[test]
    fn a_child_is_part_of_the_tree_while_it_runs_and_afterwards() {
        let own = std::process::id();
        let mut child = std::process::Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo; read -r _"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        let is_child = |thread: &&ThreadCpu| thread.tid == child.id();
        assert!(tree_cpu(own).unwrap().iter().find(is_child).unwrap().cpu_ns > 0);
        drop(child.stdin.take());
        let id = child.id();
        child.wait().unwrap();
        let after = tree_cpu(own).unwrap();
        assert!(after.iter().all(|thread| thread.tid != id));
        assert!(after.iter().any(|thread| thread.name == ENDED && thread.cpu_ns > 0));
    }

    #[test]
    fn this_process_can_be_looked_at() {
        let pid = std::process::id();
        assert!(!threads_cpu(pid).unwrap().is_empty());
        assert!(resident_bytes(pid).unwrap() > 100_000);
        assert!(disk_bytes_read(pid).is_ok());
        assert!(machine().core_count >= 1);
        assert!(own_thread_cpu_ns() > 0);
    }
}
