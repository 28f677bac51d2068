//! What the program asks of the operating system for the gates' sake: threads that give way, memory in small pages.
//! Knows the scheduler and the memory's settings; knows nothing of what a thread does.

use thread_priority::ThreadPriority;
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
};
use tracing::debug;

/// From now on this thread runs when no other thread wants its core, and stops at once when one does.
///
/// A low priority alone (nice 19) is not enough: Linux lets a thread that runs finish its slice of some 3 ms before one
/// that wakes, and a gate waits that long. `SCHED_IDLE` is stopped at once (sched(7)). Only for a thread that never
/// holds a lock a gate may want: it could be stopped while holding it.
pub fn give_way() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle) {
        // Some sandboxes forbid it; then a gate may wait for a slice now and then.
        debug!(?error, "the scheduler does not let this thread give way");
    }
}

/// From now on this process gets its memory in pages of 4 KiB, never in huge ones.
///
/// A huge page is cleared when it is first touched, by the thread that touches it: where the host of a virtual machine
/// has to find the memory too that took 5 ms for 2 MiB, and now and then it was a gate's thread. Small ones cost more
/// waits for addresses (finding one ticket of a million takes some 10 % longer) and no gate ever waits for one.
pub fn small_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        debug!(%error, "huge pages cannot be switched off; a gate may wait for one to be cleared");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_gives_way_is_the_schedulers_last_choice() {
        let policy = std::thread::spawn(|| {
            give_way();
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            // proc(5): policy is field 41; the name, field 2, may hold spaces.
            stat.rsplit_once(')').unwrap().1.split_whitespace().nth(41 - 3).unwrap().to_owned()
        });
        assert_eq!(policy.join().unwrap(), "5", "SCHED_IDLE");
    }

    #[test]
    fn huge_pages_are_switched_off() {
        small_pages();
        assert!(rustix::thread::transparent_huge_pages_are_disabled().unwrap());
    }
}
