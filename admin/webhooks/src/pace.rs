//! When a message that was not taken is sent again. Pure: knows no clock and no message.

use std::time::Duration;

/// The longest wait a receiver may ask for with `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
/// A message that failed so often lets later ones pass. Until then it keeps its place: order is worth half a minute.
pub const ASIDE_AFTER: u32 = 3;

/// How patient we are.
#[derive(Clone, Debug)]
pub struct Pace {
    /// The wait after each failure; one failure more, and the message is a dead letter.
    pub steps: Vec<Duration>,
    /// A receiver that takes nothing for so long is not asked any more.
    pub failing_max: Duration,
    /// One that takes something again after so long gets what was set aside at once: it was away, and not its messages bad.
    pub away_after: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let steps = vec![
            Duration::from_secs(5),
            Duration::from_secs(30),
            minutes(2),
            minutes(10),
            minutes(30),
            minutes(120),
            minutes(360),
        ];
        Pace { steps, failing_max: minutes(3 * 24 * 60), away_after: minutes(3) }
    }
}

impl Pace {
    /// The wait after this many failures of the message `id`, up to a fifth shorter or longer so that messages which failed
    /// together do not come together; `None`: it is a dead letter. A receiver may ask for more, up to an hour.
    pub fn wait(&self, failures: u32, id: &str, asked: Option<Duration>) -> Option<Duration> {
        let step = *self.steps.get(usize::try_from(failures).ok()?.checked_sub(1)?)?;
        let hash = secrets::hash(format!("{id} {failures}").as_bytes());
        let part = f64::from(u16::from_le_bytes([hash[0], hash[1]])) / f64::from(u16::MAX);
        let wait = step.mul_f64(0.8 + 0.4 * part);
        Some(asked.map_or(wait, |asked| wait.max(asked.min(RETRY_AFTER_MAX))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_are_spread_and_end() {
        let pace = Pace::default();
        let waits: Vec<Duration> = (1..=7).map(|n| pace.wait(n, "msg_1_0", None).unwrap()).collect();
        assert!(waits.is_sorted(), "{waits:?}");
        for (wait, step) in waits.iter().zip(&pace.steps) {
            assert!(*wait >= step.mul_f64(0.8) && *wait <= step.mul_f64(1.2), "{wait:?} of {step:?}");
        }
        assert_ne!(pace.wait(1, "msg_1_0", None), pace.wait(1, "msg_2_0", None));
        assert_eq!(pace.wait(8, "msg_1_0", None), None);
        assert_eq!(pace.wait(8, "msg_1_0", Some(Duration::from_secs(9))), None);
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_but_not_for_any() {
        let pace = Pace::default();
        let asked = |seconds| pace.wait(1, "m", Some(Duration::from_secs(seconds))).unwrap();
        assert!(asked(0) >= Duration::from_secs(4));
        assert_eq!(asked(60), Duration::from_secs(60));
        assert_eq!(asked(1_000_000), RETRY_AFTER_MAX);
    }
}
