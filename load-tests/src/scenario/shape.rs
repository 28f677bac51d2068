//! When a crowd comes: a relative rate over a stream's time, and the times of its arrivals by it. Knows numbers between 0
//! and 1 only; refuses to know seconds.

use serde::Deserialize;

/// How a stream's arrivals spread over its time.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Shape {
    /// Evenly.
    #[default]
    Constant,
    /// Linearly more or less, from a relative rate to another.
    Ramp {
        /// At the beginning.
        from: f64,
        /// At the end.
        to: f64,
    },
    /// Evenly, but `times` as many a second within one part of the time.
    Spike {
        /// Where it begins, as a share of the stream's time.
        at: f64,
        /// How long it is, as a share of the stream's time.
        width: f64,
        /// How many times the usual rate.
        times: f64,
    },
    /// A share of all comes in the last part of the time; before it more come from minute to minute, and within it they
    /// swell and ebb, as people do who all know when it begins.
    Crowd {
        /// Of all arrivals.
        share: f64,
        /// As a share of the stream's time.
        last: f64,
    },
}

/// A piece of time with a relative rate at both of its ends.
#[derive(Debug, Clone, Copy)]
struct Piece {
    length: f64,
    from: f64,
    to: f64,
}

// === impl Shape ===

impl Shape {
    /// What is impossible about it.
    pub fn mistake(&self) -> Option<&'static str> {
        let within = |value: f64| value > 0.0 && value < 1.0;
        match *self {
            Shape::Constant => None,
            Shape::Ramp { from, to } if from < 0.0 || to < 0.0 || !(from + to).is_normal() => {
                Some("a ramp's from and to are relative rates of 0 or more, and not both 0")
            }
            Shape::Spike { at, width, times }
                if !(0.0..1.0).contains(&at)
                    || !within(width)
                    || at + width > 1.0
                    || !(1.0..=10_000.0).contains(&times) =>
            {
                Some(
                    "a spike's at and width are shares of the time, together at most 1, and times is 1 to 10000",
                )
            }
            Shape::Crowd { share, last } if !within(share) || !within(last) => {
                Some("a crowd's share and last are above 0 and below 1")
            }
            _ => None,
        }
    }

    /// The times of `count` arrivals, each between 0 and 1, in order.
    pub fn arrivals(&self, count: u64) -> Vec<f64> {
        let pieces = self.pieces();
        let total: f64 = pieces.iter().map(Piece::area).sum();
        let (mut index, mut time_before, mut area_before) = (0, 0.0, 0.0);
        let mut times = Vec::with_capacity(count as usize);
        for n in 0..count {
            let wanted = (n as f64 + 0.5) / count as f64 * total;
            while index + 1 < pieces.len() && wanted > area_before + pieces[index].area() {
                area_before += pieces[index].area();
                time_before += pieces[index].length;
                index += 1;
            }
            times.push(time_before + pieces[index].time_of(wanted - area_before));
        }
        times
    }

    fn pieces(&self) -> Vec<Piece> {
        match *self {
            Shape::Constant => vec![Piece { length: 1.0, from: 1.0, to: 1.0 }],
            Shape::Ramp { from, to } => vec![Piece { length: 1.0, from, to }],
            Shape::Spike { at, width, times } => vec![
                Piece { length: at, from: 1.0, to: 1.0 },
                Piece { length: width, from: times, to: times },
                Piece { length: 1.0 - at - width, from: 1.0, to: 1.0 },
            ],
            Shape::Crowd { share, last } => {
                let early = 1.0 - last;
                // From nothing to twice the mean, and on from there to a peak, so that the areas are the shares.
                let end_of_early = 2.0 * (1.0 - share) / early;
                let peak = (2.0 * share / last - end_of_early / 2.0).max(0.0);
                vec![
                    Piece { length: early, from: 0.0, to: end_of_early },
                    Piece { length: last / 2.0, from: end_of_early, to: peak },
                    Piece { length: last / 2.0, from: peak, to: 0.0 },
                ]
            }
        }
    }
}

// === impl Piece ===

impl Piece {
    fn area(&self) -> f64 {
        self.length * (self.from + self.to) / 2.0
    }

    /// The time from its beginning at which `area` has passed.
    fn time_of(&self, area: f64) -> f64 {
        let slope = if self.length > 0.0 { (self.to - self.from) / self.length } else { 0.0 };
        let time = if slope.abs() < 1e-9 {
            area / self.from.max(f64::MIN_POSITIVE)
        } else {
            // from·t + slope·t²/2 = area
            ((self.from * self.from + 2.0 * slope * area).max(0.0).sqrt() - self.from) / slope
        };
        time.clamp(0.0, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share_after(shape: Shape, since: f64) -> f64 {
        let times = shape.arrivals(10_000);
        assert!(times.windows(2).all(|pair| pair[0] <= pair[1]), "{shape:?} goes back");
        assert!(times.iter().all(|time| (0.0..=1.0).contains(time)), "{shape:?} leaves its time");
        times.iter().filter(|time| **time > since).count() as f64 / 10_000.0
    }

    #[test]
    fn arrivals_come_as_their_shape_says() {
        let check = |shape, since, expected: f64| {
            let found = share_after(shape, since);
            assert!((found - expected).abs() < 0.002, "{shape:?} after {since}: {found}, not {expected}");
        };
        check(Shape::Constant, 0.75, 0.25);
        check(Shape::Ramp { from: 0.0, to: 1.0 }, 0.5, 0.75);
        check(Shape::Ramp { from: 1.0, to: 0.0 }, 0.5, 0.25);
        check(Shape::Spike { at: 0.4, width: 0.1, times: 10.0 }, 0.5, 0.5 / 1.9);
        check(Shape::Crowd { share: 0.5, last: 20.0 / 90.0 }, 70.0 / 90.0, 0.5);
        check(Shape::Crowd { share: 0.7, last: 0.1 }, 0.9, 0.7);
    }

    #[test]
    fn impossible_shapes_are_told() {
        assert!(Shape::Ramp { from: 0.0, to: 0.0 }.mistake().is_some());
        assert!(Shape::Spike { at: 0.9, width: 0.2, times: 2.0 }.mistake().is_some());
        assert!(Shape::Crowd { share: 1.0, last: 0.5 }.mistake().is_some());
        assert!(Shape::Crowd { share: 0.5, last: 0.2 }.mistake().is_none());
    }
}
