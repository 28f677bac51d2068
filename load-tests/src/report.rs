//! The result of one run: its numbers as JSON and as a few lines for people. Knows no sockets and no files.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::latency::LatencySummary;
use crate::tally::Tally;
use crate::window::WindowCost;

/// Everything a run found out.
#[derive(Debug, Clone, Serialize)]
pub struct RunResult {
    /// `closed` or `open`.
    pub pace: &'static str,
    /// Scans per second that were asked for (open loop).
    pub rate: Option<u32>,
    /// Keep-alive connections.
    pub connections: usize,
    /// Length of the measured window.
    pub seconds: f64,
    /// Answers within the window.
    pub answers: u64,
    /// Answers per second of the window.
    pub answers_per_second: f64,
    /// From the intended send time to the answer.
    pub latency: LatencySummary,
    /// The part of the latency before the request was sent: waiting for an idle connection, or for this program.
    pub send_delay: LatencySummary,
    /// Scans that were due and could not be sent before the run was given up (open loop).
    pub unsent: u64,
    /// CPU of this program's loop per answer.
    pub client_cpu_us: f64,
    /// The loop never slept: its CPU is the whole core, whatever the answers cost.
    pub client_spins: bool,
    /// CPU of the server per answer, when its process is known.
    pub server_cpu_us: Option<f64>,
    /// The same by thread name.
    pub server_threads_us: BTreeMap<String, f64>,
    /// Share of the machine that neither server nor client used during the window.
    pub foreign_share: f64,
    /// Whether answers were judged.
    pub judged: bool,
    /// Counts over the whole run, warm-up included.
    pub tally: Tally,
    /// Why the run ended before its time.
    pub ended_early: Option<String>,
}

// === impl RunResult ===

impl RunResult {
    /// Fills in what is divided by the answers.
    pub fn cost(&mut self, cost: &WindowCost, server_known: bool) {
        let per_answer = |cpu_ns: u64| cpu_ns as f64 / 1_000.0 / self.answers.max(1) as f64;
        self.seconds = cost.seconds;
        self.answers_per_second = if cost.seconds > 0.0 { self.answers as f64 / cost.seconds } else { 0.0 };
        self.client_cpu_us = per_answer(cost.client_cpu_ns);
        self.server_cpu_us = server_known.then(|| per_answer(cost.server_cpu_ns.values().sum()));
        self.server_threads_us =
            cost.server_cpu_ns.iter().map(|(name, ns)| (name.clone(), per_answer(*ns))).collect();
        self.foreign_share = cost.foreign_share;
    }

    /// Every answer was right, and every scan that was due was sent and answered.
    pub fn is_right(&self) -> bool {
        self.tally.is_right() && self.unsent == 0
    }

    /// The result for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let rate = self.rate.map(|rate| format!(", {rate}/s asked")).unwrap_or_default();
        line(
            &mut text,
            "answers",
            &format!(
                "{} in {:.1} s = {:.0}/s ({} loop, {} connections{rate})",
                self.answers, self.seconds, self.answers_per_second, self.pace, self.connections
            ),
        );
        line(&mut text, "latency", &latency_text(&self.latency));
        if self.rate.is_some() {
            line(&mut text, "  of it unsent", &latency_text(&self.send_delay));
        }
        let spins = if self.client_spins { " (never sleeps, so as not to be late)" } else { "" };
        line(&mut text, "client CPU", &format!("{:.2} µs per answer{spins}", self.client_cpu_us));
        if let Some(server_cpu_us) = self.server_cpu_us {
            line(&mut text, "server CPU", &format!("{server_cpu_us:.2} µs per answer"));
            for (name, us) in self.server_threads_us.iter().filter(|(_, us)| **us >= 0.005) {
                line(&mut text, &format!("  {name}"), &format!("{us:.2} µs"));
            }
            line(&mut text, "other CPU", &format!("{:.1} % of the machine", self.foreign_share * 100.0));
        }
        self.tally_text(&mut text);
        text
    }

    fn tally_text(&self, text: &mut String) {
        let Tally { admitted, denied, wrong, second_admissions, lost, reconnects, .. } = &self.tally;
        if self.judged {
            let right = format!("{admitted} admitted, {denied} denied (warm-up included)");
            line(text, "right", &right);
            line(text, "wrong", &format!("{wrong}, of them admitted a second time: {second_admissions}"));
        } else {
            line(text, "answers judged", "no");
        }
        line(text, "unanswered", &format!("{lost} lost, {} unsent, {reconnects} reconnects", self.unsent));
        for (status, count) in &self.tally.by_status {
            line(text, "  no verdict", &format!("{count} with status {status}"));
        }
        if !self.tally.admitted_twice.is_empty() {
            line(text, "ADMITTED TWICE", &self.tally.admitted_twice.join(" "));
        }
        for example in &self.tally.examples {
            line(text, "  e.g.", example);
        }
        if let Some(cause) = &self.ended_early {
            line(text, "ENDED EARLY", cause);
        }
    }
}

/// One latency summary on one line.
pub fn latency_text(latency: &LatencySummary) -> String {
    let LatencySummary { p50_us, p90_us, p99_us, p999_us, max_us, .. } = latency;
    format!("p50 {p50_us:.0}  p90 {p90_us:.0}  p99 {p99_us:.0}  p99.9 {p999_us:.0}  max {max_us:.0} µs")
}

/// A duration for people, with three digits and its unit.
pub fn duration_text(us: f64) -> String {
    let (value, unit) = match us {
        us if us < 1_000.0 => (us, "µs"),
        us if us < 1_000_000.0 => (us / 1_000.0, "ms"),
        us => (us / 1_000_000.0, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

fn line(text: &mut String, name: &str, value: &str) {
    writeln!(text, "{name:<16} {value}").expect("a String takes everything");
}
