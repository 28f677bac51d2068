//! What a host gives up before it loads somebody's code: rights it does not need, memory without end, its turn at the
//! processor, a life without its supervisor. Knows which files each way to a device needs, and no device.
//!
//! All of it is for mistakes first: a driver that writes through a wild pointer must not reach the venue's data base.
//! Number of processes is not limited: that limit counts everything its user runs, the server's threads too. A driver
//! cannot start a program all the same, for there is none it may execute.

use driver_frames::Way;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setrlimit};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use thread_priority::ThreadPriority;
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};

/// Address space, in bytes: threads' stacks and malloc's arenas reserve far more than they use.
const ADDRESS_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Open files: pipes, the record, the device (libusb alone has seven).
const FILES_MAX: u64 = 64;

/// The system's libraries, which a driver may be linked to, and what the loader and the resolver look at.
const SYSTEM: [&str; 13] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/dev/null",
];

/// How far a process was shut in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walls {
    /// Nothing but its own device can be reached.
    All,
    /// The kernel knows some of the rules.
    Some,
    /// It has no landlock.
    None,
}

/// Ends with the supervisor, also where this process is stopped or hangs: the device is free for the next one.
///
/// The system sends the signal when the THREAD that started us ends: a supervisor starts a host from a thread that
/// lives as long as the host is wanted.
///
/// # Errors
/// The system's.
pub fn die_with_supervisor() -> io::Result<()> {
    let parent = getppid();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid() != parent {
        // It ended between the two lines, and no signal will come.
        return Err(io::Error::other("the supervisor ended"));
    }
    Ok(())
}

/// Limits what a process gone wild can take from the machine, and keeps it from gaining rights.
///
/// # Errors
/// The system's.
pub fn limit() -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    for (resource, most) in
        [(Resource::Core, 0), (Resource::As, ADDRESS_BYTES_MAX), (Resource::Nofile, FILES_MAX)]
    {
        // Never above what is allowed already.
        let most = rustix::process::getrlimit(resource).maximum.map_or(most, |now| now.min(most));
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

/// From now on this thread, and those it starts, run when nothing else wants their core, and stop at once when
/// something does: no driver, however busy, makes a gate wait.
///
/// `SCHED_IDLE` and no low priority, for the reason that the server's own background work has (sched(7)): one that is
/// only nice finishes its slice before a thread that wakes.
///
/// # Errors
/// Where the system does not allow it; the host works all the same.
pub fn give_way() -> Result<(), thread_priority::Error> {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle)
}

/// Shuts this thread, and those it starts from now on, out of every file and every TCP port that this way does not
/// need, as far as the kernel is able to.
///
/// # Errors
/// Rules the kernel does not take.
pub fn shut_in(way: Option<&Way>) -> Result<Walls, RulesetError> {
    let abi = ABI::V6;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .scope(Scope::Signal)?
        .create()?;
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    rules = rules.add_rules(path_beneath_rules(SYSTEM, reading))?;
    if let Some(way) = way {
        for (path, access) in files(way) {
            rules = rules.add_rules(path_beneath_rules([path], access))?;
        }
        for port in ports(way) {
            rules = rules.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
        }
    }
    Ok(match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Walls::All,
        RulesetStatus::PartiallyEnforced => Walls::Some,
        _ => Walls::None,
    })
}

impl fmt::Display for Walls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Walls::All => "shut in: the driver reaches its own device and nothing else",
            Walls::Some => "shut in as far as this kernel's landlock is able to",
            Walls::None => "not shut in: this kernel has no landlock",
        })
    }
}

/// The files a way needs. A device that is plugged in again has a new node, so the folder is allowed and not the node:
/// what is in it besides is kept from us by its owner, where the server does not run as root.
fn files(way: &Way) -> Vec<(String, BitFlags<AccessFs>)> {
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::ReadDir | AccessFs::IoctlDev;
    // Of the file itself, where a link leads to it.
    let folder = |path: &str| {
        let real = Path::new(path).canonicalize().unwrap_or_else(|_| PathBuf::from(path));
        real.parent().unwrap_or(Path::new("/")).display().to_string()
    };
    match way {
        Way::Tcp(_) => Vec::new(),
        Way::Serial(_) => vec![("/dev".to_owned(), device)],
        // Tests put a pipe in the place of a node, outside of /dev.
        Way::Lp(path) if !path.starts_with("/dev/") => vec![(folder(path), device)],
        Way::Lp(_) => vec![("/dev".to_owned(), device)],
        Way::Usb { .. } => vec![
            ("/dev/bus/usb".to_owned(), device),
            ("/sys/bus/usb".to_owned(), AccessFs::ReadFile | AccessFs::ReadDir),
            ("/sys/devices".to_owned(), AccessFs::ReadFile | AccessFs::ReadDir),
        ],
        Way::File(path) => {
            vec![(folder(path), AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::Truncate)]
        }
        Way::Replay(path) => vec![(path.clone(), AccessFs::ReadFile.into())],
    }
}

/// The printer's port, and the resolver's for long answers.
fn ports(way: &Way) -> Vec<u16> {
    const DNS: u16 = 53;
    match way {
        Way::Tcp(address) => {
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            port.into_iter().chain([DNS]).collect()
        }
        _ => Vec::new(),
    }
}
