//! Work in turns: a bounded queue before two threads. The first is prompt and has an allowance, enough for people who sign
//! in; the second gives way to gates and takes what comes when the first has its hands full or its allowance is used up. So
//! nobody waits on a busy machine in ordinary times, and a flood costs gates next to nothing. Knows no password.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Jobs the prompt thread does at once before it needs a rest.
const ALLOWANCE: u32 = 20;
/// One more is allowed after each of these: of some 30 ms, so 6 % of a core.
const ONE_MORE_EVERY: Duration = Duration::from_millis(500);

/// The queue, and with it the threads: they end when it is dropped.
pub struct Turns<J> {
    shared: Arc<Shared<J>>,
    waiting_max: usize,
}

struct Shared<J> {
    state: Mutex<State<J>>,
    changed: Condvar,
}

struct State<J> {
    jobs: VecDeque<J>,
    /// Does the prompt thread wait for a job, and may it take one?
    prompt_is_free: bool,
    ended: bool,
}

/// What the prompt thread may still do.
struct Allowance {
    left: u32,
    since: Instant,
}

impl<J: Send + 'static> Turns<J> {
    /// Starts the threads. At most `waiting_max` jobs wait.
    ///
    /// # Errors
    /// No threads can be had.
    pub fn start(
        name: &str,
        waiting_max: usize,
        give_way: fn(),
        work: impl Fn(J) + Send + Sync + 'static,
    ) -> io::Result<Turns<J>> {
        let state = State { jobs: VecDeque::new(), prompt_is_free: false, ended: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let work = Arc::new(work);
        let (own, prompt_work) = (Arc::clone(&shared), Arc::clone(&work));
        let thread = || std::thread::Builder::new().name(name.to_owned());
        thread().spawn(move || own.prompt(&*prompt_work))?;
        let own = Arc::clone(&shared);
        thread().spawn(move || {
            give_way();
            own.giving_way(&*work);
        })?;
        Ok(Turns { shared, waiting_max })
    }

    /// Takes a job in; `false`: too many wait.
    pub fn take_in(&self, job: J) -> bool {
        let mut state = self.shared.state.lock();
        let has_room = state.jobs.len() < self.waiting_max;
        if has_room {
            state.jobs.push_back(job);
            self.shared.changed.notify_all();
        }
        has_room
    }
}

impl<J> Drop for Turns<J> {
    fn drop(&mut self) {
        self.shared.state.lock().ended = true;
        self.shared.changed.notify_all();
    }
}

impl<J> Shared<J> {
    fn prompt(&self, work: &dyn Fn(J)) {
        let mut allowance = Allowance { left: ALLOWANCE, since: Instant::now() };
        loop {
            if let Some(rest) = allowance.rest(Instant::now()) {
                std::thread::sleep(rest);
                continue;
            }
            let mut state = self.state.lock();
            state.prompt_is_free = true;
            self.changed.wait_while(&mut state, |state| state.jobs.is_empty() && !state.ended);
            state.prompt_is_free = false;
            let Some(job) = state.jobs.pop_front() else { return };
            drop(state);
            self.changed.notify_all();
            allowance.left -= 1;
            work(job);
        }
    }

    fn giving_way(&self, work: &dyn Fn(J)) {
        loop {
            let mut state = self.state.lock();
            let not_ours = |state: &mut State<J>| state.jobs.is_empty() || state.prompt_is_free;
            self.changed.wait_while(&mut state, |state| not_ours(state) && !state.ended);
            let Some(job) = state.jobs.pop_front() else { return };
            drop(state);
            work(job);
        }
    }
}

impl Allowance {
    /// How long a rest is needed; `None`: one more may be done.
    fn rest(&mut self, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.since);
        let more = passed.as_millis() / ONE_MORE_EVERY.as_millis();
        if more > 0 {
            self.left = self.left.saturating_add(u32::try_from(more).unwrap_or(ALLOWANCE)).min(ALLOWANCE);
            self.since = now;
        }
        (self.left == 0).then(|| ONE_MORE_EVERY.saturating_sub(now.saturating_duration_since(self.since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn the_allowance_is_used_up_by_a_flood_and_comes_back() {
        let began = Instant::now();
        let mut allowance = Allowance { left: ALLOWANCE, since: began };
        for _ in 0..ALLOWANCE {
            assert_eq!(allowance.rest(began), None);
            allowance.left -= 1;
        }
        assert_eq!(allowance.rest(began), Some(ONE_MORE_EVERY));
        assert_eq!(allowance.rest(began + ONE_MORE_EVERY), None);
        allowance.left = 0;
        assert_eq!(allowance.rest(began + 1_000 * ONE_MORE_EVERY), None);
        assert_eq!(allowance.left, ALLOWANCE, "never more than at the start");
    }

    #[test]
    fn in_calm_times_the_prompt_thread_does_it_all_and_beyond_its_allowance_the_other_one_helps() {
        let (done, dones) = mpsc::channel();
        let turns = Turns::start(
            "t",
            100,
            || {},
            move |n: u32| {
                done.send((n, std::thread::current().id())).unwrap();
            },
        );
        let turns = turns.unwrap();
        let mut threads = Vec::new();
        for n in 0..ALLOWANCE / 2 {
            // Until it waits again: the other one would take what it cannot take yet.
            while !turns.shared.state.lock().prompt_is_free {
                std::thread::yield_now();
            }
            assert!(turns.take_in(n));
            threads.push(dones.recv().unwrap().1);
        }
        threads.dedup();
        assert_eq!(threads.len(), 1);
        (0..3 * ALLOWANCE).for_each(|n| assert!(turns.take_in(n)));
        let others: std::collections::HashSet<_> =
            (0..3 * ALLOWANCE).map(|_| dones.recv().unwrap().1).collect();
        assert_eq!(others.len(), 2);
        drop(turns);
        assert!(dones.recv().is_err(), "both threads end with the queue");
    }
}
