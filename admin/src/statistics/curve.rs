//! An arrival curve: how many had come at which minute. Knows no event.

use engine::Time;

/// Milliseconds of a minute.
const MINUTE_MS: i64 = 60_000;

/// How many had come by the end of each minute in which somebody came.
#[derive(Clone, Debug, Default)]
pub struct Curve {
    /// End of the minute, people until then.
    steps: Vec<(Time, i64)>,
}

// === impl Curve ===

impl Curve {
    /// Of the people of each minute, in order.
    pub fn of(minutes: impl IntoIterator<Item = (Time, i64)>) -> Curve {
        let mut total = 0;
        let step = |(minute, people): (Time, i64)| {
            total += people;
            (minute.plus_ms(MINUTE_MS), total)
        };
        Curve { steps: minutes.into_iter().map(step).collect() }
    }

    /// All that came.
    pub fn total(&self) -> i64 {
        self.steps.last().map_or(0, |(_, total)| *total)
    }

    /// How many had come at a moment; within a minute they are taken to come evenly.
    pub fn at(&self, at: Time) -> f64 {
        let next = self.steps.partition_point(|(end, _)| *end <= at);
        let before = next.checked_sub(1).map_or(0, |last| self.steps[last].1) as f64;
        let Some((end, after)) = self.steps.get(next) else { return before };
        let part = 1.0 - (end.since_ms(at) as f64 / MINUTE_MS as f64).clamp(0.0, 1.0);
        before + (*after as f64 - before) * part
    }

    /// When so many had come; `None`: they never had.
    pub fn when(&self, people: f64) -> Option<Time> {
        let (end, after) = *self.steps.iter().find(|(_, total)| *total as f64 >= people)?;
        let before = self.at(end.plus_ms(-MINUTE_MS));
        let missing = (after as f64 - people) / (after as f64 - before).max(1.0);
        Some(end.plus_ms(-((missing.clamp(0.0, 1.0) * MINUTE_MS as f64) as i64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(n: i64) -> Time {
        Time(n * MINUTE_MS)
    }

    #[test]
    fn a_curve_is_read_both_ways() {
        let curve = Curve::of([(minute(10), 60), (minute(12), 40)]);
        assert_eq!(curve.total(), 100);
        assert_eq!(curve.at(minute(10)), 0.0);
        assert_eq!(curve.at(minute(10).plus_ms(30_000)), 30.0);
        assert_eq!(curve.at(minute(12)), 60.0, "nobody came in minute 11");
        assert_eq!(curve.at(minute(20)), 100.0);
        assert_eq!(curve.when(30.0), Some(minute(10).plus_ms(30_000)));
        assert_eq!(curve.when(80.0), Some(minute(12).plus_ms(30_000)));
        assert_eq!(curve.when(101.0), None);
    }

    #[test]
    fn an_empty_curve_never_had_anybody() {
        let curve = Curve::default();
        assert_eq!((curve.total(), curve.at(minute(5)), curve.when(1.0)), (0, 0.0, None));
    }
}
