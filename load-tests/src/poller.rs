//! epoll and the tick timer as safe calls. Knows file descriptors and tokens; knows nothing of sockets' contents.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

/// A level-triggered epoll instance and the events of its last wait.
pub struct Poller {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

/// What a descriptor is watched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Bytes to read, or the end.
    Read,
    /// As `Read`, and room to write.
    ReadWrite,
}

/// One descriptor that can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// The number it was added with.
    pub token: u64,
    /// There is room to write.
    pub writable: bool,
}

/// A timer that becomes readable at a fixed interval, or once when it is set.
///
/// A timer descriptor, not the wait's own timeout: that one has whole milliseconds, and an open loop at
/// 5,000 per second has a scan due every 200 µs.
#[derive(Debug)]
pub struct Ticker {
    timer: OwnedFd,
}

// === impl Poller ===

impl Poller {
    /// Room for `events_max` events per wait.
    pub fn new(events_max: usize) -> io::Result<Poller> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Poller { epoll, events: Vec::with_capacity(events_max) })
    }

    /// Starts watching `source` under `token`.
    pub fn add(&self, source: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, source, epoll::EventData::new_u64(token), interest.flags())?)
    }

    /// Changes what `source` is watched for.
    pub fn modify(&self, source: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, source, epoll::EventData::new_u64(token), interest.flags())?)
    }

    /// Stops watching `source`.
    pub fn remove(&self, source: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, source)?)
    }

    /// Waits until something is ready or `wait_max` has passed (`None`: for ever); returns how many are ready.
    pub fn wait(&mut self, wait_max: Option<Duration>) -> io::Result<usize> {
        self.events.clear();
        let timeout = wait_max.map(timespec);
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(count) => Ok(count),
            Err(rustix::io::Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// The `index`-th event of the last wait.
    pub fn ready(&self, index: usize) -> Ready {
        let event = self.events[index];
        let flags = event.flags;
        Ready { token: event.data.u64(), writable: flags.contains(epoll::EventFlags::OUT) }
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").field("epoll", &self.epoll).finish_non_exhaustive()
    }
}

impl Interest {
    fn flags(self) -> epoll::EventFlags {
        match self {
            Interest::Read => epoll::EventFlags::IN,
            Interest::ReadWrite => epoll::EventFlags::IN | epoll::EventFlags::OUT,
        }
    }
}

// === impl Ticker ===

impl Ticker {
    /// Ticks every `interval`, first after one `interval`.
    pub fn every(interval: Duration) -> io::Result<Ticker> {
        let ticker = Ticker::unset()?;
        let interval = timespec(interval.max(Duration::from_nanos(1)));
        let schedule = Itimerspec { it_interval: interval, it_value: interval };
        timerfd_settime(&ticker.timer, TimerfdTimerFlags::empty(), &schedule)?;
        Ok(ticker)
    }

    /// A timer that is set anew for each time it is wanted.
    pub fn unset() -> io::Result<Ticker> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        Ok(Ticker { timer: timerfd_create(TimerfdClockId::Monotonic, flags)? })
    }

    /// Lets it tick once, after `wait`.
    pub fn once(&self, wait: Duration) -> io::Result<()> {
        let schedule = Itimerspec {
            it_interval: timespec(Duration::ZERO),
            // Zero would unset it.
            it_value: timespec(wait.max(Duration::from_nanos(1))),
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &schedule)?;
        Ok(())
    }

    /// Takes the ticks that have passed, so that the timer stops being readable until the next one.
    pub fn clear(&self) -> io::Result<()> {
        match rustix::io::read(&self.timer, &mut [0_u8; 8]) {
            Ok(_) | Err(rustix::io::Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Ticker {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
