//! When the crowd will be in: from how fast guests came in the last minutes, or from the curve of an earlier event. Says by
//! which method, and between which moments it may be wrong. Pure.

use super::curve::Curve;
use engine::Time;

/// Shares of the expected crowd that are told.
pub const SHARES: [f64; 3] = [0.5, 0.9, 0.99];
/// Minutes whose rate is taken to go on.
const RATE_MINUTES: i64 = 10;
const MINUTE_MS: i64 = 60_000;
/// A forecast further ahead is none.
const AHEAD_MAX_MS: f64 = 24.0 * 3_600_000.0;
/// The range of a rate: so many standard errors to both sides.
const ERRORS: f64 = 2.0;

/// How a forecast was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The rate of the last minutes goes on.
    LastMinutes,
    /// The guests that are missing come as those of an earlier event did.
    EarlierEvent,
}

/// When a share of the crowd is in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reached {
    /// The share, 0 to 1.
    pub share: f64,
    /// Is it in already?
    pub already: bool,
    /// When it was, or will be; `None`: not within a day, or nothing to tell it by.
    pub at: Option<Time>,
    /// The range of `at`; `None`: no bound is known on that side.
    pub earliest: Option<Time>,
    /// See `earliest`.
    pub latest: Option<Time>,
}

/// A forecast.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// How it was made.
    pub method: Method,
    /// People a minute, in the last minutes.
    pub per_minute: f64,
    /// For each of [`SHARES`].
    pub reached: Vec<Reached>,
}

/// An earlier event: its curve and its kick-off.
#[derive(Clone, Copy, Debug)]
pub struct Earlier<'c> {
    /// How its guests came.
    pub curve: &'c Curve,
    /// Its kick-off.
    pub starts_at: Time,
}

/// Forecasts when shares of `expected` people are in.
pub fn forecast(
    curve: &Curve,
    starts_at: Time,
    now: Time,
    expected: f64,
    like: Option<Earlier<'_>>,
) -> Forecast {
    let rate = Rate::of(curve, now);
    let like = like.filter(|like| like.curve.total() > 0);
    let people = curve.at(now);
    let ahead = |share: f64| -> [Option<Time>; 3] {
        match like {
            Some(like) => like.ahead(people, starts_at, now, expected, share),
            None => rate.ahead(now, share * expected - people),
        }
    };
    let reached = SHARES.map(|share| match curve.when(share * expected).filter(|_| expected > 0.0) {
        Some(at) => Reached { share, already: true, at: Some(at), earliest: Some(at), latest: Some(at) },
        None => {
            let [at, earliest, latest] = ahead(share);
            Reached { share, already: false, at, earliest, latest }
        }
    });
    let method = if like.is_some() { Method::EarlierEvent } else { Method::LastMinutes };
    Forecast { method, per_minute: rate.mean, reached: reached.to_vec() }
}

/// People a minute, and how sure that is.
struct Rate {
    mean: f64,
    error: f64,
}

// === impl Rate ===

impl Rate {
    fn of(curve: &Curve, now: Time) -> Rate {
        let at = |minutes: i64| curve.at(now.plus_ms(-minutes * MINUTE_MS));
        let minutes: Vec<f64> = (0..RATE_MINUTES).map(|n| at(n) - at(n + 1)).collect();
        let count = RATE_MINUTES as f64;
        let mean = minutes.iter().sum::<f64>() / count;
        let variance = minutes.iter().map(|own| (own - mean).powi(2)).sum::<f64>() / (count - 1.0);
        // Even where every minute was the same, guests come by chance: at least Poisson's.
        Rate { mean, error: (variance.max(mean) / count).sqrt() }
    }

    /// When so many more will have come: likely, at the earliest, at the latest.
    fn ahead(&self, now: Time, missing: f64) -> [Option<Time>; 3] {
        let at = |rate: f64| {
            let ms = missing / rate * MINUTE_MS as f64;
            (rate > 0.0 && ms <= AHEAD_MAX_MS).then(|| now.plus_ms(ms as i64))
        };
        let range = ERRORS * self.error;
        [at(self.mean), at(self.mean + range), at(self.mean - range)]
    }
}

// === impl Earlier ===

impl Earlier<'_> {
    /// Two ways to look at it give the range: those who are missing come as they did then from the same moment before
    /// kick-off on; or everybody comes as then, but as much earlier or later as they have until now.
    fn ahead(&self, people: f64, starts_at: Time, now: Time, expected: f64, share: f64) -> [Option<Time>; 3] {
        let total = self.curve.total() as f64;
        let shift = starts_at.since_ms(self.starts_at);
        let then = now.plus_ms(-shift);
        let before = self.curve.at(then);
        let missing = (share * expected - people) / (expected - people).max(1.0);
        let likely = self.curve.when(before + missing * (total - before)).filter(|_| before < total);
        let likely = likely.map(|at| at.plus_ms(shift).max(now));
        let same = (people > 0.0).then(|| self.curve.when(people / expected * total)).flatten();
        let late_ms = same.map(|same| then.since_ms(same));
        let by_delay = self.curve.when(share * total).zip(late_ms);
        let by_delay = by_delay.map(|(at, late_ms)| at.plus_ms(shift + late_ms).max(now));
        let (earliest, latest) = match (likely, by_delay) {
            (Some(one), Some(other)) => (Some(one.min(other)), Some(one.max(other))),
            _ => (None, None),
        };
        [likely, earliest, latest]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(n: i64) -> Time {
        Time(n * MINUTE_MS)
    }

    fn even(from: i64, minutes: i64, people: i64) -> Curve {
        Curve::of((from..from + minutes).map(|n| (minute(n), people)))
    }

    #[test]
    fn a_steady_rate_goes_on_and_its_range_holds_it() {
        let curve = even(0, 30, 10);
        let forecast = forecast(&curve, minute(120), minute(30), 1_000.0, None);
        assert_eq!((forecast.method, forecast.per_minute), (Method::LastMinutes, 10.0));
        let half = forecast.reached[0];
        assert_eq!((half.already, half.at), (false, Some(minute(50))));
        assert!(half.earliest < half.at && half.at < half.latest, "{half:?}");
    }

    #[test]
    fn what_is_reached_is_told_as_it_was() {
        let curve = even(0, 30, 10);
        let forecast = forecast(&curve, minute(120), minute(60), 400.0, None);
        assert_eq!(forecast.per_minute, 0.0);
        assert_eq!((forecast.reached[0].already, forecast.reached[0].at), (true, Some(minute(20))));
        let most = forecast.reached[1];
        assert_eq!((most.already, most.at, most.latest), (false, None, None), "nobody comes any more");
    }

    #[test]
    fn those_who_are_missing_come_as_at_the_earlier_event() {
        // Then: 10 a minute for half an hour, 50 a minute in the last ten minutes before kick-off.
        let minutes = (0..40).map(|n| (minute(n), if n < 30 { 10 } else { 50 }));
        let earlier = Curve::of(minutes);
        let like = Earlier { curve: &earlier, starts_at: minute(40) };
        // Now: twice as many expected, and twice as many came, a day later.
        let day = 24 * 60;
        let now = even(day, 20, 20);
        let forecast = forecast(&now, minute(day + 40), minute(day + 20), 1_600.0, Some(like));
        assert_eq!(forecast.method, Method::EarlierEvent);
        let at = forecast.reached.iter().map(|own| own.at.unwrap()).collect::<Vec<_>>();
        assert_eq!(at[0], minute(day + 32));
        assert_eq!(forecast.reached[0].earliest, Some(at[0]), "it goes exactly as then: both ways agree");
        assert!(at[1] > at[0] && at[2] <= minute(day + 40), "{at:?}");
    }

    #[test]
    fn without_anybody_there_is_no_forecast_and_no_panic() {
        let none = Curve::default();
        for like in [None, Some(Earlier { curve: &none, starts_at: minute(0) })] {
            for expected in [0.0, 100.0] {
                let forecast = forecast(&none, minute(0), minute(5), expected, like);
                assert!(forecast.reached.iter().all(|own| own.at.is_none()), "{forecast:?}");
            }
        }
    }
}
