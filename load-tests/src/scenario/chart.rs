//! Line charts over a run's time as inline SVG: axes with units, a legend, shaded parts, marks, and a hover text for every
//! piece of time. Knows numbers and names; refuses to know what they measure.

use std::fmt::Write as _;

/// A chart.
#[derive(Debug)]
pub struct Chart<'run> {
    /// Above it.
    pub title: String,
    /// How values are told.
    pub unit: Unit,
    /// The end of its time, in seconds.
    pub end_s: f64,
    /// Its lines; they share their points' times.
    pub lines: Vec<Line>,
    /// Parts of the time that are shaded.
    pub bands: Vec<(&'run str, f64, f64)>,
    /// Moments that are marked.
    pub marks: Vec<(String, f64)>,
}

/// A line.
#[derive(Debug)]
pub struct Line {
    /// In the legend, where it is not dashed, and in hover texts.
    pub name: String,
    /// Its color, by number.
    pub color: usize,
    /// What was asked for is dashed, what came is not.
    pub is_dashed: bool,
    /// Seconds and values, in order; a gap where there is none.
    pub points: Vec<(f64, Option<f64>)>,
}

/// How values are drawn and told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds, on a logarithmic axis.
    Latency,
    /// A second, on an axis from zero.
    PerSecond,
    /// Any number, on an axis from zero.
    Plain,
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 34.0;

/// The values at the bottom and the top of an axis.
#[derive(Debug, Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    is_log: bool,
}

// === impl Chart ===

impl Chart<'_> {
    /// The chart as an `<svg>` element for a page that defines the colors `--line-0` and so on.
    pub fn svg(&self) -> String {
        let axis = self.axis();
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
            escaped(&self.title)
        );
        self.draw_bands(&mut svg);
        self.draw_grid(&mut svg, &axis);
        self.lines.iter().for_each(|line| self.draw_line(&mut svg, &axis, line));
        self.draw_marks(&mut svg);
        self.draw_legend(&mut svg);
        self.draw_hover(&mut svg);
        svg + "</svg>\n"
    }

    fn axis(&self) -> Axis {
        let values = || self.lines.iter().flat_map(|line| line.points.iter().filter_map(|(_, value)| *value));
        let high = values().fold(0.0, f64::max);
        if self.unit == Unit::Latency {
            let low = values().filter(|value| *value > 0.0).fold(f64::MAX, f64::min).min(high.max(1.0));
            let decade = |value: f64, round: fn(f64) -> f64| 10_f64.powf(round(value.max(1.0).log10()));
            let low = decade(low, f64::floor);
            return Axis { low, high: decade(high, f64::ceil).max(low * 10.0), is_log: true };
        }
        // Room above the lines, for the names of parts and marks.
        Axis { low: 0.0, high: if high > 0.0 { high * 1.3 } else { 1.0 }, is_log: false }
    }

    fn x(&self, at_s: f64) -> f64 {
        LEFT + (at_s / self.end_s.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn draw_bands(&self, svg: &mut String) {
        for (number, (name, from_s, to_s)) in self.bands.iter().enumerate() {
            let (x, right) = (self.x(*from_s), self.x(*to_s));
            let _ = writeln!(
                svg,
                "<rect class=\"band band-{}\" x=\"{x:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{}\"/>\
                 <text class=\"band-name\" x=\"{:.1}\" y=\"{}\">{}</text>",
                number % 2,
                (right - x).max(0.0),
                HEIGHT - TOP - BOTTOM,
                x + 5.0,
                TOP + 13.0,
                escaped(name)
            );
        }
    }

    fn draw_grid(&self, svg: &mut String, axis: &Axis) {
        for value in axis.ticks() {
            let y = axis.y(value);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                y + 4.0,
                self.unit.text(value)
            );
        }
        let step_s = nice_step(self.end_s / 8.0);
        let ticks = (0..).map(|n| f64::from(n) * step_s).take_while(|at_s| *at_s <= self.end_s * 1.000_1);
        for at_s in ticks {
            let _ = writeln!(
                svg,
                "<text class=\"tick\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                self.x(at_s),
                HEIGHT - BOTTOM + 18.0,
                seconds_text(at_s)
            );
        }
    }

    fn draw_line(&self, svg: &mut String, axis: &Axis, line: &Line) {
        let mut path = String::new();
        let mut pen_is_down = false;
        for (at_s, value) in &line.points {
            let Some(value) = value.filter(|value| !axis.is_log || *value > 0.0) else {
                pen_is_down = false;
                continue;
            };
            let word = if pen_is_down { 'L' } else { 'M' };
            let _ = write!(path, "{word}{:.1} {:.1}", self.x(*at_s), axis.y(value));
            pen_is_down = true;
        }
        let dashed = if line.is_dashed { " dashed" } else { "" };
        let _ = writeln!(
            svg,
            "<path class=\"line{dashed}\" style=\"stroke:var(--line-{})\" d=\"{path}\"/>",
            line.color
        );
    }

    fn draw_marks(&self, svg: &mut String) {
        for (name, at_s) in &self.marks {
            let x = self.x(*at_s);
            let _ = writeln!(
                svg,
                "<line class=\"mark\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{}\"/>\
                 <text class=\"band-name\" x=\"{:.1}\" y=\"{}\">{}</text>",
                HEIGHT - BOTTOM,
                x + 5.0,
                TOP + 27.0,
                escaped(name)
            );
        }
    }

    fn draw_legend(&self, svg: &mut String) {
        let mut x = LEFT;
        for line in self.lines.iter().filter(|line| !line.is_dashed) {
            let _ = writeln!(
                svg,
                "<line class=\"line\" style=\"stroke:var(--line-{})\" x1=\"{x:.1}\" x2=\"{:.1}\" y1=\"18\" y2=\"18\"/>\
                 <text class=\"legend\" x=\"{:.1}\" y=\"22\">{}</text>",
                line.color,
                x + 22.0,
                x + 28.0,
                escaped(&line.name)
            );
            // Letters of a legend are some 7 units wide; there is nobody here who could measure them.
            x += 28.0 + 7.0 * line.name.chars().count() as f64 + 22.0;
        }
    }

    /// One invisible column for each piece of time; pointing at it tells every line's value there.
    fn draw_hover(&self, svg: &mut String) {
        let Some(first) = self.lines.first() else { return };
        let next_s = |index: usize| first.points.get(index + 1).map_or(self.end_s, |(at_s, _)| *at_s);
        for (index, (at_s, _)) in first.points.iter().enumerate() {
            let mut text = format!("at {}", seconds_text(*at_s));
            for line in &self.lines {
                if let Some((_, Some(value))) = line.points.get(index) {
                    let _ = write!(text, "\n{}: {}", line.name, self.unit.text(*value));
                }
            }
            let (x, right) = (self.x(*at_s), self.x(next_s(index)));
            let _ = writeln!(
                svg,
                "<rect class=\"hover\" x=\"{x:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{}\"><title>{}</title></rect>",
                (right - x).max(0.5),
                HEIGHT - TOP - BOTTOM,
                escaped(&text)
            );
        }
    }
}

// === impl Axis ===

impl Axis {
    fn y(&self, value: f64) -> f64 {
        let share = if self.is_log {
            (value.max(self.low) / self.low).log10() / (self.high / self.low).log10()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }

    fn ticks(&self) -> Vec<f64> {
        let step = nice_step(self.high / 5.0);
        let first = if self.is_log { self.low } else { 0.0 };
        let next = |value: &f64| Some(if self.is_log { value * 10.0 } else { value + step });
        std::iter::successors(Some(first), next).take_while(|value| *value <= self.high * 1.000_1).collect()
    }
}

// === impl Unit ===

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Unit::Latency if value >= 1e6 => format!("{} s", short(value / 1e6)),
            Unit::Latency if value >= 1e3 => format!("{} ms", short(value / 1e3)),
            Unit::Latency => format!("{} µs", short(value)),
            Unit::PerSecond => format!("{}/s", short(value)),
            Unit::Plain => short(value),
        }
    }
}

/// Three digits, and no zeros behind the point.
fn short(value: f64) -> String {
    let digits = match value {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The smallest of 1, 2, 5 times a power of ten that is not below `least`.
fn nice_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-9).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps.into_iter().find(|step| *step >= least).unwrap_or(steps[3])
}

fn seconds_text(at_s: f64) -> String {
    if at_s >= 600.0 { format!("{:.0} min", at_s / 60.0) } else { format!("{} s", short(at_s)) }
}

/// Text that means itself within an element or an attribute.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_numbers_that_hold_every_value() {
        let log = Axis { low: 100.0, high: 100_000.0, is_log: true };
        assert_eq!(log.ticks(), [100.0, 1_000.0, 10_000.0, 100_000.0]);
        assert_eq!(log.y(100.0), HEIGHT - BOTTOM);
        assert_eq!(log.y(100_000.0), TOP);
        assert_eq!(Axis { low: 0.0, high: 1_080.0, is_log: false }.ticks(), [0.0, 500.0, 1_000.0]);
        assert_eq!(nice_step(0.03), 0.05);
        assert_eq!(nice_step(200.0), 200.0);
    }

    #[test]
    fn a_chart_of_nothing_is_still_a_chart() {
        let line =
            Line { name: "p99 <of> & \"all\"".into(), color: 0, is_dashed: false, points: vec![(0.0, None)] };
        let (unit, lines) = (Unit::Latency, vec![line]);
        let chart = Chart { title: "t".into(), unit, end_s: 0.0, lines, bands: vec![], marks: vec![] };
        let svg = chart.svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(svg.contains("p99 &lt;of&gt; &amp; &quot;all&quot;"), "{svg}");
    }

    #[test]
    fn values_are_told_with_their_units() {
        assert_eq!(Unit::Latency.text(1_500.0), "1.5 ms");
        assert_eq!(Unit::Latency.text(100.0), "100 µs");
        assert_eq!(Unit::PerSecond.text(2_000.0), "2000/s");
    }
}
