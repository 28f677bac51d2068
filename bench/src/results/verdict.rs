//! Two values of one figure: which is better, and whether by more than each run itself varies. Pure arithmetic.

use super::figures::Figure;
use super::meaning::{Better, Meaning};
use std::cmp::Ordering;

/// What became of a figure. The order is the order it is told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The spreads do not overlap.
    Worse,
    /// The spreads do not overlap.
    Better,
    /// One value each: how far it varies is not known.
    WorseOnce,
    /// One value each: how far it varies is not known.
    BetterOnce,
    /// The spreads overlap.
    WithinSpread,
    /// Its name does not say which way is better.
    Unjudged,
    /// Equal to the last digit, and the spread too where both have one.
    Same,
}

/// One figure of both runs.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Its path in the file.
    pub name: String,
    /// What the name says.
    pub meaning: Meaning,
    /// The first run's.
    pub a: f64,
    /// The second run's.
    pub b: f64,
    /// What became of it.
    pub verdict: Verdict,
}

// === impl Verdict ===

impl Verdict {
    /// In words.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Worse => "**worse**",
            Verdict::Better => "better",
            Verdict::WorseOnce => "worse?",
            Verdict::BetterOnce => "better?",
            Verdict::WithinSpread => "within the spread",
            Verdict::Unjudged => "",
            Verdict::Same => "same",
        }
    }
}

// === impl Pair ===

impl Pair {
    /// Both runs' value of the figure `name`.
    pub fn of(name: &str, a: &Figure, b: &Figure) -> Pair {
        let verdict = verdict(a, b);
        Pair { name: name.to_owned(), meaning: a.meaning, a: a.value, b: b.value, verdict }
    }

    /// B ÷ A; `None` where A is nothing.
    pub fn ratio(&self) -> Option<f64> {
        (self.a != 0.0).then(|| self.b / self.a)
    }

    /// By verdict; the worst of the worse first, the rest by name.
    pub fn worst_first(&self, other: &Pair) -> Ordering {
        let by_badness = || match self.verdict {
            Verdict::Worse | Verdict::WorseOnce => other.badness().total_cmp(&self.badness()),
            _ => Ordering::Equal,
        };
        let by_name = || self.name.cmp(&other.name);
        self.verdict.cmp(&other.verdict).then_with(by_badness).then_with(by_name)
    }

    /// How many times as bad B is.
    fn badness(&self) -> f64 {
        let (better, worse) = match self.meaning.better {
            Some(Better::Higher) => (self.b, self.a),
            _ => (self.a, self.b),
        };
        if better == 0.0 { f64::INFINITY } else { worse / better }
    }
}

fn verdict(a: &Figure, b: &Figure) -> Verdict {
    if a.value == b.value && (a.spread == b.spread || a.spread.is_none() || b.spread.is_none()) {
        return Verdict::Same;
    }
    let Some(better) = a.meaning.better else { return Verdict::Unjudged };
    let improved = (b.value < a.value) == (better == Better::Lower);
    match (a.spread, b.spread) {
        (Some(a), Some(b)) if a.0 <= b.1 && b.0 <= a.1 => Verdict::WithinSpread,
        (Some(_), Some(_)) if improved => Verdict::Better,
        (Some(_), Some(_)) => Verdict::Worse,
        _ if improved => Verdict::BetterOnce,
        _ => Verdict::WorseOnce,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: f64, spread: Option<(f64, f64)>, better: Option<Better>) -> Figure {
        Figure { value, spread, meaning: Meaning { unit: "", better } }
    }

    fn check(a: (f64, f64, f64), b: (f64, f64, f64), better: Option<Better>, expected: Verdict) {
        let figure = |(value, low, high)| figure(value, Some((low, high)), better);
        assert_eq!(verdict(&figure(a), &figure(b)), expected, "{a:?} {b:?} {better:?}");
    }

    #[test]
    fn only_spreads_that_do_not_touch_are_better_or_worse() {
        let [lower, higher] = [Some(Better::Lower), Some(Better::Higher)];
        check((5.0, 4.0, 6.0), (8.0, 7.0, 9.0), lower, Verdict::Worse);
        check((5.0, 4.0, 6.0), (8.0, 7.0, 9.0), higher, Verdict::Better);
        check((8.0, 7.0, 9.0), (5.0, 4.0, 6.0), lower, Verdict::Better);
        check((8.0, 7.0, 9.0), (5.0, 4.0, 6.0), higher, Verdict::Worse);
        check((5.0, 4.0, 7.0), (8.0, 7.0, 9.0), lower, Verdict::WithinSpread);
        check((5.0, 4.0, 9.0), (5.0, 4.5, 6.0), lower, Verdict::WithinSpread);
        check((5.0, 4.0, 6.0), (8.0, 7.0, 9.0), None, Verdict::Unjudged);
        check((5.0, 4.0, 6.0), (5.0, 4.0, 6.0), lower, Verdict::Same);
    }

    #[test]
    fn one_value_each_is_told_as_such() {
        let of = |value, better| figure(value, None, Some(better));
        assert_eq!(verdict(&of(1.0, Better::Lower), &of(2.0, Better::Lower)), Verdict::WorseOnce);
        assert_eq!(verdict(&of(1.0, Better::Higher), &of(2.0, Better::Higher)), Verdict::BetterOnce);
        let spread = figure(2.0, Some((1.9, 2.1)), Some(Better::Lower));
        assert_eq!(verdict(&of(2.0, Better::Lower), &spread), Verdict::Same);
        assert_eq!(verdict(&of(1.0, Better::Lower), &spread), Verdict::WorseOnce);
    }

    #[test]
    fn the_worst_stands_first_also_where_there_was_nothing_before() {
        let pair = |name: &str, a: f64, b: f64, better| {
            Pair::of(name, &figure(a, Some((a, a)), Some(better)), &figure(b, Some((b, b)), Some(better)))
        };
        let mut pairs = [
            pair("calm", 1.0, 1.0, Better::Lower),
            pair("twice", 1.0, 2.0, Better::Lower),
            pair("half the rate, and less", 10.0, 4.0, Better::Higher),
            pair("faster", 2.0, 1.0, Better::Lower),
            pair("lost", 0.0, 1.0, Better::Lower),
        ];
        pairs.sort_by(Pair::worst_first);
        let names = pairs.each_ref().map(|pair| pair.name.as_str());
        assert_eq!(names, ["lost", "half the rate, and less", "twice", "faster", "calm"]);
    }
}
