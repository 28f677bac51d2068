//! Sides by turns: the machine looked at first, then every side once in each round, in an order that rotates, and a table
//! of medians. Knows rounds, ratios and words; refuses to know what a side is made of.

use super::Side;
use anyhow::{Context, Result, ensure};
use load_tests::busy::{self, Busy};
use load_tests::compare::markdown::{cell, disk, others, push, quotient, table};
use load_tests::compare::summary::{Medians, Spread};
use load_tests::compare::{command_line, date};
use load_tests::procfs::{self, Machine};
use load_tests::report::RunResult;
use load_tests::{Outcome, affinity};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A thread that takes less than this of an answer, in microseconds, is not shown.
const THREAD_US_MIN: f64 = 0.005;

/// How sides are measured, and what is told of it.
#[derive(Debug, Clone)]
pub struct Turns {
    /// Each side, this many times.
    pub rounds: usize,
    /// Before each measurement.
    pub warmup: Duration,
    /// Each measurement.
    pub length: Duration,
    /// The core of this program's loop.
    pub client_core: usize,
    /// The core of every side's server; `None`: it has all of them.
    pub server_core: Option<usize>,
    /// Where the sides' data lives.
    pub work_dir: PathBuf,
    /// Measure although others use the machine, and say so.
    pub busy_ok: bool,
    /// The commit of the source, for the report.
    pub commit: String,
    /// The program's own name, for the report.
    pub program: &'static str,
    /// Above the table.
    pub title: &'static str,
    /// What the first side is to the others, in a word: "limit".
    pub first_is: &'static str,
    /// What a reader of the table has to know.
    pub notes: Vec<String>,
}

/// Everything found out, as written to a file.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Above the table.
    pub title: &'static str,
    /// UTC.
    pub date: String,
    /// As typed.
    pub command: String,
    /// As told by the caller.
    pub commit: String,
    /// Where it ran.
    pub machine: Machine,
    /// What others did there, before the start.
    pub before: Busy,
    /// The cores of servers and client; `None`: all of them.
    pub cores: [Option<usize>; 2],
    /// Under the sides' data.
    pub file_system: String,
    /// What the first side is to the others.
    pub first_is: &'static str,
    /// In the table's order.
    pub sides: Vec<Turned>,
    /// What a reader of the table has to know.
    pub notes: Vec<String>,
}

/// One side's rounds.
#[derive(Debug, Clone, Serialize)]
pub struct Turned {
    /// What the table calls it.
    pub name: String,
    /// Over the rounds.
    pub medians: Medians,
    /// Against the first side, by medians.
    pub to_first: ToFirst,
    /// Every single run, in order.
    pub rounds: Vec<RunResult>,
    /// What else was done meanwhile, run by run.
    pub beside: Vec<String>,
}

/// A side divided by the first one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ToFirst {
    /// Answers per second.
    pub rate: f64,
    /// CPU of the server per answer.
    pub cpu: f64,
}

// === impl Turns ===

impl Turns {
    /// Looks at the machine, pins this thread, starts the sides and measures them by turns. What the sides start must be
    /// pinned by them: it would inherit this thread's core.
    ///
    /// # Errors
    /// A busy machine, a side that does not start or goes away.
    pub fn measure(&self, start: impl FnOnce() -> Result<Vec<Box<dyn Side>>>) -> Result<Report> {
        let before = busy::look_around(self.busy_ok)?;
        affinity::pin_current_thread(self.client_core)?;
        let sides = self.run(start()?)?;
        Ok(Report {
            title: self.title,
            date: date(),
            command: command_line(self.program),
            commit: self.commit.clone(),
            machine: procfs::machine(),
            before,
            cores: [self.server_core, Some(self.client_core)],
            file_system: procfs::file_system(&self.work_dir),
            first_is: self.first_is,
            sides,
            notes: self.notes.clone(),
        })
    }

    fn run(&self, mut sides: Vec<Box<dyn Side>>) -> Result<Vec<Turned>> {
        ensure!(!sides.is_empty() && self.rounds > 0, "there is nothing to be measured");
        let mut results: Vec<Vec<RunResult>> = sides.iter().map(|_| Vec::new()).collect();
        for round in 0..self.rounds {
            for place in order(round, sides.len()) {
                let side = &mut sides[place];
                eprintln!("round {} of {}: {}", round + 1, self.rounds, side.name());
                let result = side.round(self.warmup, self.length);
                results[place].push(result.with_context(|| side.name().to_owned())?);
            }
        }
        let names = sides.iter().map(|side| side.name().to_owned());
        let mut turned = turned(names.zip(results).collect());
        turned.iter_mut().zip(&sides).for_each(|(turned, side)| turned.beside = side.beside().to_vec());
        Ok(turned)
    }
}

/// The places of a round, beginning one further each time: nobody always comes after the same neighbour's dust.
fn order(round: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |turn| (round + turn) % count)
}

fn turned(results: Vec<(String, Vec<RunResult>)>) -> Vec<Turned> {
    let medians: Vec<Medians> = results.iter().map(|(_, rounds)| Medians::of(rounds.iter())).collect();
    let Some(first) = medians.first().cloned() else { return Vec::new() };
    let sides = results.into_iter().zip(medians);
    let side = |((name, rounds), medians): ((String, Vec<RunResult>), Medians)| Turned {
        to_first: ToFirst::of(&medians, &first),
        name,
        medians,
        rounds,
        beside: Vec::new(),
    };
    sides.map(side).collect()
}

// === impl ToFirst ===

impl ToFirst {
    fn of(own: &Medians, first: &Medians) -> ToFirst {
        let by = |value: fn(&Medians) -> Spread| {
            let (own, first) = (value(own).median, value(first).median);
            if first > 0.0 { own / first } else { 0.0 }
        };
        ToFirst { rate: by(|of| of.answers_per_second), cpu: by(|of| of.server_cpu_us) }
    }
}

// === impl Turned ===

impl Turned {
    /// Answers that were wrong or never came, over all rounds and warm-ups.
    pub fn wrong(&self) -> u64 {
        self.rounds.iter().map(|run| run.tally.wrong + run.tally.lost + run.unsent).sum()
    }

    fn is_right(&self) -> bool {
        self.rounds.iter().all(|run| run.is_right() && run.ended_early.is_none())
    }
}

// === impl Report ===

impl Report {
    /// Whether every answer of every side was right.
    pub fn outcome(&self) -> Outcome {
        if self.sides.iter().all(Turned::is_right) { Outcome::Right } else { Outcome::Wrong }
    }

    /// The report for people.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n", self.title);
        self.head(&mut text);
        self.table(&mut text);
        self.threads(&mut text);
        text
    }

    /// Writes `NAME.json` and `NAME.md` into `out`.
    ///
    /// # Errors
    /// The directory or a file cannot be written.
    pub fn write(&self, out: &Path, name: &str) -> Result<()> {
        std::fs::create_dir_all(out).with_context(|| format!("create {}", out.display()))?;
        let json = serde_json::to_string_pretty(self).context("write the result as JSON")? + "\n";
        for (ending, text) in [("json", json), ("md", self.markdown())] {
            let path = out.join(format!("{name}.{ending}"));
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }

    fn head(&self, text: &mut String) {
        let Report { machine, cores, .. } = self;
        let [server, client] =
            cores.map(|core| core.map_or_else(|| "all cores".to_owned(), |core| format!("core {core}")));
        push(text, &format!("- date: {}, commit: {}", self.date, self.commit));
        push(text, &format!("- command: `{}`", self.command));
        push(
            text,
            &format!(
                "- machine: {}, {} cores, {} MiB, Linux {}, data on {}; servers on {server}, client on {client}",
                machine.cpu_model, machine.core_count, machine.memory_mib, machine.kernel, self.file_system
            ),
        );
        others(text, &self.before, self.runs().map(|run| run.foreign_share).fold(0.0, f64::max));
        disk(text, &self.file_system);
        for example in self.runs().flat_map(|run| &run.tally.examples) {
            push(text, &format!("- **WRONG ANSWER: {example}**"));
        }
        self.notes.iter().for_each(|note| push(text, &format!("- {note}")));
    }

    fn runs(&self) -> impl Iterator<Item = &RunResult> {
        self.sides.iter().flat_map(|side| &side.rounds)
    }

    fn table(&self, text: &mut String) {
        let first = self.runs().next();
        let pace = match first.and_then(|run| run.rate) {
            Some(rate) => format!("Open loop, {rate} scans/s"),
            None => "Closed loop".to_owned(),
        };
        push(
            text,
            &format!(
                "\n## {pace}, {} connections, {} rounds of {:.1} s by turns: median (lowest – highest)\n",
                first.map_or(0, |run| run.connections),
                self.sides.first().map_or(0, |side| side.rounds.len()),
                first.map_or(0.0, |run| run.seconds)
            ),
        );
        let by = format!("÷ {}", self.first_is);
        let mut table = table(vec![
            "",
            "answers/s",
            &by,
            "server CPU µs/answer",
            &by,
            "p50 µs",
            "p99 µs",
            &by,
            "p99.9 µs",
            "wrong",
        ]);
        for side in &self.sides {
            let Turned { name, medians, .. } = side;
            let first = &self.sides[0].medians;
            table.add_row(vec![
                name.clone(),
                cell(medians.answers_per_second, 0),
                quotient(medians.answers_per_second, first.answers_per_second),
                cell(medians.server_cpu_us, 2),
                quotient(medians.server_cpu_us, first.server_cpu_us),
                cell(medians.p50_us, 0),
                cell(medians.p99_us, 0),
                quotient(medians.p99_us, first.p99_us),
                cell(medians.p999_us, 0),
                side.wrong().to_string(),
            ]);
        }
        push(text, &table.to_string());
        let beside = self.sides.iter().filter(|side| !side.beside.is_empty());
        let lines: Vec<String> =
            beside.map(|side| format!("- {}: {}", side.name, side.beside.join("; "))).collect();
        if !lines.is_empty() {
            push(text, &format!("\nBeside the scans, round by round:\n\n{}", lines.join("\n")));
        }
    }

    /// One row for each thread of any side, one column for each side.
    fn threads(&self, text: &mut String) {
        push(text, "\n## Where the servers' CPU goes, by thread: µs per answer\n");
        let mut header = vec!["thread"];
        header.extend(self.sides.iter().map(|side| side.name.as_str()));
        let mut table = table(header);
        let all = self.sides.iter().flat_map(|side| &side.medians.threads_us);
        let names: BTreeSet<&str> =
            all.filter(|(_, us)| us.max >= THREAD_US_MIN).map(|(name, _)| name.as_str()).collect();
        for name in names {
            let of =
                |side: &Turned| side.medians.threads_us.get(name).map_or_else(String::new, |us| cell(*us, 2));
            table.add_row([name.to_owned()].into_iter().chain(self.sides.iter().map(of)));
        }
        push(text, &table.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use load_tests::latency::LatencySummary;
    use load_tests::tally::Tally;

    fn run(rate: f64, cpu: f64, wrong: u64) -> RunResult {
        let threads = [("device-0".to_owned(), cpu), ("never".to_owned(), 0.0)];
        RunResult {
            pace: "closed",
            rate: None,
            connections: 64,
            seconds: 8.0,
            answers: 1,
            answers_per_second: rate,
            latency: LatencySummary {
                p50_us: 10.0,
                p99_us: 20.0,
                p999_us: 30.0,
                ..LatencySummary::default()
            },
            send_delay: LatencySummary::default(),
            unsent: 0,
            client_cpu_us: 1.0,
            client_spins: false,
            server_cpu_us: Some(cpu),
            server_threads_us: threads.into(),
            foreign_share: 0.0,
            judged: true,
            tally: Tally { wrong, ..Tally::default() },
            ended_early: None,
        }
    }

    struct Told(&'static str, Vec<RunResult>, std::rc::Rc<std::cell::RefCell<String>>);

    impl Side for Told {
        fn name(&self) -> &str {
            self.0
        }

        fn round(&mut self, _: Duration, _: Duration) -> Result<RunResult> {
            self.2.borrow_mut().push_str(self.0);
            self.1.pop().context("no more rounds")
        }
    }

    fn turns(rounds: usize) -> Turns {
        Turns {
            rounds,
            warmup: Duration::ZERO,
            length: Duration::ZERO,
            client_core: 0,
            server_core: Some(0),
            work_dir: std::env::temp_dir(),
            busy_ok: true,
            commit: "c".to_owned(),
            program: "p",
            title: "t",
            first_is: "limit",
            notes: vec!["a note".to_owned()],
        }
    }

    #[test]
    fn sides_go_by_turns_and_the_first_one_changes_each_round() {
        let seen = std::rc::Rc::default();
        let side = |name| -> Box<dyn Side> {
            Box::new(Told(name, vec![run(1.0, 1.0, 0); 4], std::rc::Rc::clone(&seen)))
        };
        let results = turns(4).run(vec![side("a"), side("b"), side("c")]).unwrap();
        assert_eq!(*seen.borrow(), "abcbcacababc");
        assert!(results.iter().all(|side| side.rounds.len() == 4));
        assert!(turns(1).run(Vec::new()).is_err(), "nothing to measure");
    }

    #[test]
    fn ratios_are_medians_divided_by_the_first_side_and_wrong_answers_fail_the_run() {
        let limit = vec![run(200.0, 4.0, 0), run(100.0, 2.0, 0), run(300.0, 5.0, 0)];
        let slow = vec![run(50.0, 12.0, 0), run(20.0, 9.0, 2), run(40.0, 20.0, 1)];
        let sides = turned(vec![("limit".to_owned(), limit), ("slow".to_owned(), slow)]);
        assert_eq!(sides[0].to_first, ToFirst { rate: 1.0, cpu: 1.0 });
        assert_eq!(sides[1].to_first, ToFirst { rate: 0.2, cpu: 3.0 });
        assert_eq!((sides[0].wrong(), sides[1].wrong()), (0, 3));
        let before = Busy { load_average: 0.1, share: 0.01, too_busy: false };
        let report = Report {
            title: "t",
            date: date(),
            command: "p stacks".to_owned(),
            commit: "c".to_owned(),
            machine: procfs::machine(),
            before,
            cores: [Some(0), None],
            file_system: "ext4".to_owned(),
            first_is: "limit",
            sides,
            notes: vec!["a note".to_owned()],
        };
        assert_eq!(report.outcome(), Outcome::Wrong);
        let text = report.markdown();
        let row = text.lines().find(|line| line.starts_with("| slow")).unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells[2..6], ["40 (20 – 50)", "0.20", "12.00 (9.00 – 20.00)", "3.00"], "{text}");
        assert_eq!(cells[10], "3", "{text}");
        assert!(text.contains("servers on core 0, client on all cores"), "{text}");
        assert!(text.contains("- a note") && text.contains("device-0") && !text.contains("never"), "{text}");
        let json: serde_json::Value = serde_json::to_value(&report).unwrap();
        assert_eq!(json.pointer("/sides/1/to_first/cpu").unwrap(), 3.0);
    }
}
