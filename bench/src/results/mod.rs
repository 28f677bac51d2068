//! Results of two runs, figure by figure: what became better or worse beyond what a run itself varies by, and what makes
//! the two incomparable. Reads files; measures nothing and knows no one file's form.
//!
//! | module | owns |
//! |---|---|
//! | `meaning` | what a figure's name says |
//! | `figures` | a file as figures and settings |
//! | `verdict` | two values of one figure |
//! | `page` | all of it in words for people |

pub mod figures;
pub mod meaning;
pub mod page;
pub mod verdict;

use anyhow::{Context, Result, ensure};
use figures::Figures;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use verdict::{Pair, Verdict};

/// What a scenario's report is called in its folder; it goes by the folder's name.
const REPORT: &str = "report";

/// One run's files by name.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// As it was asked for.
    pub place: String,
    /// By file name without its ending.
    pub files: BTreeMap<String, Figures>,
}

/// Two runs beside each other.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Figures that both have, file by file.
    pub files: Vec<(String, Vec<Pair>)>,
    /// What only the first and only the second has, as file and the beginning of the figures' names, and how many.
    pub alone: [BTreeMap<String, usize>; 2],
    /// Settings that differ: name, one side's, the other's.
    pub settings: BTreeSet<(String, String, String)>,
    /// Which commits were measured.
    pub commits: [BTreeSet<String>; 2],
    /// The runs were made on machines that are not alike.
    pub machines_differ: bool,
    /// Files of either side that say that others used the machine.
    pub busy: [BTreeSet<String>; 2],
}

// === impl Run ===

impl Run {
    /// A result file, or every one in a folder and in the folders right below it.
    ///
    /// # Errors
    /// Nothing is there; a file is no JSON.
    pub fn read(place: &str) -> Result<Run> {
        let (path, mut run) = (Path::new(place), Run { place: place.to_owned(), ..Run::default() });
        if path.is_dir() {
            run.folder(path, 1)?;
        } else {
            run.file(path)?;
        }
        ensure!(!run.files.is_empty(), "no results in {place}: a result is a JSON file");
        Ok(run)
    }

    fn folder(&mut self, folder: &Path, depth: u32) -> Result<()> {
        for entry in std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() && depth > 0 {
                self.folder(&path, depth - 1)?;
            } else if path.extension().is_some_and(|ending| ending == "json") {
                self.file(&path)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let file = serde_json::from_str(&text).with_context(|| format!("parse {}", path.display()))?;
        self.files.insert(name_of(path), Figures::of(&file));
        Ok(())
    }
}

/// `stadium-60k.json` and `stadium-60k/report.json` are the same result.
fn name_of(path: &Path) -> String {
    let name = |path: Option<&Path>| {
        path.and_then(Path::file_stem).map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    };
    match name(Some(path)) {
        own if own == REPORT => name(path.parent()),
        own => own,
    }
}

// === impl Comparison ===

impl Comparison {
    /// Files of the same name beside each other. Where each side is one file, their names do not matter.
    pub fn of(a: &Run, b: &Run) -> Comparison {
        let mut comparison = Comparison::default();
        match (single(a), single(b)) {
            (Some((name, a)), Some((_, b))) => comparison.both(name, a, b),
            _ => comparison.by_name(a, b),
        }
        comparison
    }

    fn by_name(&mut self, a: &Run, b: &Run) {
        for (name, figures) in &a.files {
            match b.files.get(name) {
                Some(others) => self.both(name, figures, others),
                None => drop(self.alone[0].insert(name.clone(), figures.figures.len())),
            }
        }
        for (name, figures) in b.files.iter().filter(|(name, _)| !a.files.contains_key(*name)) {
            self.alone[1].insert(name.clone(), figures.figures.len());
        }
    }

    fn both(&mut self, file: &str, a: &Figures, b: &Figures) {
        let mut pairs = Vec::new();
        for (name, figure) in &a.figures {
            match b.figures.get(name) {
                Some(other) => pairs.push(Pair::of(name, figure, other)),
                None => *self.alone[0].entry(beginning(file, name)).or_default() += 1,
            }
        }
        for name in b.figures.keys().filter(|name| !a.figures.contains_key(*name)) {
            *self.alone[1].entry(beginning(file, name)).or_default() += 1;
        }
        pairs.sort_by(Pair::worst_first);
        self.files.push((file.to_owned(), pairs));
        for (side, figures) in [a, b].into_iter().enumerate() {
            let commits = figures.settings.iter().filter(|(name, _)| last(name) == "commit");
            self.commits[side].extend(commits.map(|(_, commit)| commit.clone()));
            if figures.busy {
                self.busy[side].insert(file.to_owned());
            }
        }
        self.settings_of(a, b);
    }

    fn settings_of(&mut self, a: &Figures, b: &Figures) {
        for (name, text) in a.settings.iter().filter(|(name, _)| last(name) != "commit") {
            let Some(other) = b.settings.get(name).filter(|other| *other != text) else { continue };
            self.machines_differ |= ["cpu_model", "core_count", "memory_mib"].contains(&last(name));
            // One sentence for a machine that is named in every file.
            let name = name.rsplit_once("machine.").map_or(name.as_str(), |(_, own)| own);
            self.settings.insert((name.to_owned(), text.clone(), other.clone()));
        }
    }

    /// How many figures of ours came out as `verdict`.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.pairs().filter(|pair| pair.verdict == verdict && !meaning::is_yardstick(&pair.name)).count()
    }

    /// Figures of the machine itself that are not what they were: then part of every other difference is the machine's.
    pub fn yardsticks_moved(&self) -> impl Iterator<Item = &Pair> {
        self.pairs().filter(|pair| {
            meaning::is_yardstick(&pair.name) && matches!(pair.verdict, Verdict::Worse | Verdict::Better)
        })
    }

    fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.files.iter().flat_map(|(_, pairs)| pairs)
    }
}

fn single(run: &Run) -> Option<(&String, &Figures)> {
    run.files.first_key_value().filter(|_| run.files.len() == 1)
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// The part of the file that figures have or have not as one.
fn beginning(file: &str, name: &str) -> String {
    format!("{file}: {}", name.split('.').next().unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "results/2026-11-23-intel-xeon-processor-2-cores";
    const AFTER: &str = "results/2026-11-25-intel-xeon-processor-2-cores";
    const SCENARIO: &str = "results/2026-11-25-scenarios/stadium-60k.json";

    fn compare(a: &str, b: &str) -> Comparison {
        let run = |place: &str| Run::read(&format!("{}/{place}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        Comparison::of(&run(a), &run(b))
    }

    fn pair<'c>(comparison: &'c Comparison, file: &str, name: &str) -> &'c Pair {
        let (_, pairs) = comparison.files.iter().find(|(own, _)| own == file).unwrap();
        pairs.iter().find(|pair| pair.name == name).unwrap_or_else(|| panic!("{file} has no {name}"))
    }

    #[test]
    fn committed_runs_are_compared_file_by_file() {
        let found = compare(BEFORE, AFTER);
        let files: Vec<_> = found.files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(files, ["compare", "memory", "micro"]);
        let check = |file, name, verdict| assert_eq!(pair(&found, file, name).verdict, verdict, "{name}");
        check("compare", "gatehouse.answers_per_second", Verdict::Better);
        check("compare", "echo.p50_us", Verdict::Better);
        check("micro", "decide_apply/reentry_1000.ns", Verdict::Better);
        check("memory", "bytes_per_ticket_restarted", Verdict::BetterOnce);
        check("memory", "file_bytes", Verdict::Same);
        check("compare", "open.latency.count", Verdict::Same);
        // The earlier run had no earlier build beside it.
        assert!(found.alone[1].contains_key("compare: earlier"));
    }

    #[test]
    fn what_differs_between_the_runs_is_told() {
        let found = compare(BEFORE, AFTER);
        assert!(!found.machines_differ, "the same machine with another kernel");
        let kernel = found.settings.iter().find(|(name, ..)| name == "kernel").unwrap();
        assert_ne!(kernel.1, kernel.2);
        assert_eq!(
            found.commits.map(|own| own.into_iter().collect::<Vec<_>>()),
            [vec!["c22374c4ddec".to_owned()], vec!["78ee2d1eab80".to_owned()]]
        );
    }

    #[test]
    fn a_machine_that_ran_otherwise_is_told_and_not_counted_as_ours() {
        let found = compare(BEFORE, AFTER);
        let moved: Vec<_> = found.yardsticks_moved().map(|pair| pair.name.as_str()).collect();
        assert!(moved.contains(&"echo.answers_per_second"), "{moved:?}");
        let all = found.pairs().filter(|pair| pair.verdict == Verdict::Better).count();
        assert_eq!(found.count(Verdict::Better), all - moved.len());
    }

    #[test]
    fn another_way_round_the_better_is_the_worse() {
        let (there, back) = (compare(BEFORE, AFTER), compare(AFTER, BEFORE));
        assert_eq!(there.count(Verdict::Better), back.count(Verdict::Worse));
        assert_eq!(there.count(Verdict::WorseOnce), back.count(Verdict::BetterOnce));
        assert!(there.count(Verdict::Better) > 0);
        let worst = &back.files[0].1[0];
        assert_eq!(worst.verdict, Verdict::Worse);
    }

    #[test]
    fn a_run_beside_itself_is_the_same_in_everything() {
        for place in [AFTER, SCENARIO, "results/2026-11-25-store"] {
            let found = compare(place, place);
            let all: usize = found.files.iter().map(|(_, pairs)| pairs.len()).sum();
            assert!(all > 20, "{place} has {all} figures");
            assert!(found.pairs().all(|pair| pair.verdict == Verdict::Same));
            assert!(found.settings.is_empty() && found.alone.iter().all(BTreeMap::is_empty));
        }
    }

    #[test]
    fn two_single_files_are_compared_whatever_they_are_called() {
        let found = compare(SCENARIO, "results/2026-11-25-scenarios/league.json");
        assert!(pair(&found, "stadium-60k", "streams.guests.latency.p99_us").a > 0.0);
        assert!(found.settings.iter().any(|(name, ..)| name == "run.compress"));
        assert!(found.alone[0].contains_key("stadium-60k: streams"));
    }

    #[test]
    fn a_scenarios_report_goes_by_its_folder() {
        assert_eq!(name_of(Path::new("target/scenarios/league/report.json")), "league");
        assert_eq!(name_of(Path::new("results/league.json")), "league");
    }
}
