//! What cannot be in a scenario file although it can be read. Every mistake is told, with its key. Knows the file's types;
//! changes nothing.

use super::file::{Act, GateGroup, Measure, Reentry, Scenario, StoreKind, Stream, TicketType, Want};
use crate::limits;

/// Every mistake, in the order of the file.
pub fn mistakes(scenario: &Scenario) -> Vec<String> {
    let mut check = Check { scenario, mistakes: Vec::new() };
    check.time();
    check.venue();
    scenario.stream.iter().for_each(|stream| check.stream(stream));
    check.beside();
    check.names();
    scenario.want.iter().enumerate().for_each(|(index, want)| check.want(index, want));
    check.mistakes
}

struct Check<'file> {
    scenario: &'file Scenario,
    mistakes: Vec<String>,
}

impl<'file> Check<'file> {
    fn must(&mut self, holds: bool, mistake: impl FnOnce() -> String) {
        if !holds {
            self.mistakes.push(mistake());
        }
    }

    fn gate_group(&self, name: &str) -> Option<&'file GateGroup> {
        self.scenario.venue.gate.iter().find(|group| group.name == name)
    }

    fn kind(&self, name: &str) -> Option<&'file TicketType> {
        self.scenario.venue.kind.iter().find(|kind| kind.name == name)
    }

    fn time(&mut self) {
        let time = self.scenario.time;
        self.must((1.0..=86_400.0).contains(&time.length_s), || "time.length_s: 1 to 86400".to_owned());
        self.must((1.0..=10_000.0).contains(&time.compress), || "time.compress: 1 to 10000".to_owned());
        self.must(!self.scenario.title.trim().is_empty(), || "title: is empty".to_owned());
        self.must(!self.scenario.about.trim().is_empty(), || "about: is empty".to_owned());
        for (index, part) in self.scenario.part.iter().enumerate() {
            let fits = 0.0 <= part.from_s && part.from_s < part.to_s && part.to_s <= time.length_s;
            self.must(fits, || {
                format!("part[{index}] '{}': from_s < to_s, both within time.length_s", part.name)
            });
        }
        for (index, happening) in self.scenario.happens.iter().enumerate() {
            let fits = (0.0..=time.length_s).contains(&happening.at_s);
            self.must(fits, || format!("happens[{index}].at_s: within time.length_s"));
            let of_database = matches!(happening.what, Act::StopDatabase | Act::StartDatabase);
            let has_one = self.scenario.venue.store == StoreKind::Postgres;
            self.must(!of_database || has_one, || {
                format!("happens[{index}].what: needs venue.store = \"postgres\"")
            });
        }
    }

    fn venue(&mut self) {
        let venue = &self.scenario.venue;
        self.must((1..=100).contains(&venue.events), || "venue.events: 1 to 100".to_owned());
        self.must(venue.tickets_beside <= 10_000_000, || "venue.tickets_beside: at most 10000000".to_owned());
        self.must(venue.far_tickets <= 10_000_000, || "venue.far_tickets: at most 10000000".to_owned());
        for group in &venue.gate {
            self.must((1..=1_000).contains(&group.count), || {
                format!("venue.gate '{}': count is 1 to 1000", group.name)
            });
            for (key, zone) in [("from", &group.from), ("to", &group.to)] {
                let known = zone == "outside" || venue.zone.iter().any(|own| own.name == *zone);
                self.must(known, || {
                    format!("venue.gate '{}': {key} = '{zone}' is no zone of the venue", group.name)
                });
            }
        }
        for kind in &venue.kind {
            let some = kind.entries.is_none_or(|entries| entries > 0);
            self.must(some, || format!("venue.type '{}': entries is 1 or more, or left out", kind.name));
        }
    }

    fn stream(&mut self, stream: &Stream) {
        let owner = format!("stream '{}'", stream.name);
        let time = self.scenario.time;
        let end_s = stream.end_s(&time);
        self.must(0.0 <= stream.from_s && stream.from_s < end_s && end_s <= time.length_s, || {
            format!("{owner}: from_s < to_s, both within time.length_s")
        });
        let amount = match (stream.guests, stream.per_second) {
            (Some(guests), None) => (1..=2_000_000).contains(&guests),
            (None, Some(rate)) => rate > 0.0 && rate <= 200_000.0,
            _ => false,
        };
        self.must(amount, || {
            format!("{owner}: either guests (1 to 2000000) or per_second (above 0, to 200000)")
        });
        self.must(stream.retries <= 10, || format!("{owner}: retries is at most 10"));
        if let Some(mistake) = stream.shape.mistake() {
            self.mistakes.push(format!("{owner}: shape: {mistake}"));
        }
        let weights = stream.mix.weights();
        let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
        let possible = weights.iter().all(|(_, weight)| (0.0..=1e6).contains(weight)) && sum > 0.0;
        self.must(possible, || format!("{owner}: mix: relative amounts from 0 to 1000000, not all 0"));
        self.must(stream.mix.wrong_event == 0.0 || self.scenario.venue.events > 1, || {
            format!("{owner}: mix.wrong_event: needs venue.events of 2 or more")
        });
        self.path(stream, &owner);
    }

    fn path(&mut self, stream: &Stream, owner: &str) {
        self.must((1..=10).contains(&stream.path.len()), || format!("{owner}: path has 1 to 10 steps"));
        let mut zone = "outside";
        let (mut entries, mut leaves) = (0_u16, false);
        for (index, step) in stream.path.iter().enumerate() {
            self.must((1..=limits::READERS_MAX).contains(&step.readers), || {
                format!("{owner}: path[{index}].readers: 1 to {}", limits::READERS_MAX)
            });
            self.must((0.0..=86_400.0).contains(&step.after_s), || {
                format!("{owner}: path[{index}].after_s: 0 to 86400")
            });
            self.must(index > 0 || step.after_s == 0.0, || {
                format!("{owner}: path[0].after_s: nothing is before the first gate")
            });
            let Some(group) = self.scenario.venue.gate.iter().find(|group| group.name == step.gates) else {
                self.mistakes
                    .push(format!("{owner}: path[{index}].gates = '{}' is no gate group", step.gates));
                return;
            };
            self.must(group.from == zone, || {
                format!(
                    "{owner}: path[{index}]: '{}' leads from {}, the guest is in {zone}",
                    group.name, group.from
                )
            });
            entries += u16::from(group.from == "outside");
            leaves |= group.to == "outside";
            zone = &group.to;
        }
        let way_s: f64 = stream.path.iter().map(|step| step.after_s).sum();
        let time = self.scenario.time;
        self.must(stream.end_s(&time) + way_s <= time.length_s, || {
            format!("{owner}: who comes last is still on the way at the end: to_s and all after_s within time.length_s")
        });
        let Some(kind) = self.kind(&stream.kind) else {
            self.mistakes.push(format!("{owner}: type = '{}' is no type of the venue", stream.kind));
            return;
        };
        let enough = kind.entries.is_none_or(|own| own >= entries);
        let returns = entries <= 1 || kind.reentry == Reentry::AfterExit;
        self.must(enough && returns, || {
            format!("{owner}: the path enters {entries} times, and its type does not allow that")
        });
        let one_way = !leaves && kind.entries == Some(1) && kind.reentry == Reentry::None;
        self.must(!stream.mix.repeats() || one_way, || {
            format!(
                "{owner}: mix.used and mix.copied: only for a type with entries = 1 without reentry, on a way without exit"
            )
        });
    }

    /// Uploads and slow clients.
    fn beside(&mut self) {
        let length_s = self.scenario.time.length_s;
        for upload in &self.scenario.upload {
            let owner = format!("upload '{}'", upload.name);
            let enters = self.gate_group(&upload.gates).is_some_and(|group| group.from == "outside");
            self.must(enters, || {
                format!("{owner}: gates = '{}' is no gate group from outside", upload.gates)
            });
            self.must(self.kind(&upload.kind).is_some(), || {
                format!("{owner}: type = '{}' is no type of the venue", upload.kind)
            });
            self.must((1..=limits::READERS_MAX).contains(&upload.readers), || {
                format!("{owner}: readers: 1 to {}", limits::READERS_MAX)
            });
            let rows_max = upload.readers.saturating_mul(limits::UPLOAD_ROWS_MAX);
            self.must((upload.readers..=rows_max).contains(&upload.rows), || {
                format!("{owner}: rows: 1 to {} for each reader", limits::UPLOAD_ROWS_MAX)
            });
            self.must((0.0..=1.0).contains(&upload.conflicts), || format!("{owner}: conflicts: 0 to 1"));
            self.must((0.0..=length_s).contains(&upload.at_s), || {
                format!("{owner}: at_s: within time.length_s")
            });
        }
        for slow in &self.scenario.slow {
            let owner = format!("slow '{}'", slow.name);
            self.must((1..=limits::READERS_MAX).contains(&slow.clients), || {
                format!("{owner}: clients: 1 to {}", limits::READERS_MAX)
            });
            self.must((0.01..=60.0).contains(&slow.byte_every_s), || {
                format!("{owner}: byte_every_s: 0.01 to 60")
            });
            self.must(0.0 <= slow.from_s && slow.from_s < slow.to_s && slow.to_s <= length_s, || {
                format!("{owner}: from_s < to_s, both within time.length_s")
            });
        }
        let steps = self.scenario.stream.iter().flat_map(|stream| &stream.path);
        let readers: u64 = steps.map(|step| u64::from(step.readers)).sum();
        let uploads: u64 = self.scenario.upload.iter().map(|upload| u64::from(upload.readers)).sum();
        let slow: u64 = self.scenario.slow.iter().map(|slow| u64::from(slow.clients)).sum();
        self.must(readers + uploads + slow <= u64::from(limits::READERS_MAX), || {
            format!(
                "readers: {} connections at once; a server takes some {} from one address",
                readers + uploads + slow,
                limits::READERS_MAX
            )
        });
    }

    fn names(&mut self) {
        let venue = &self.scenario.venue;
        let lists: [(&str, Vec<&str>); 5] = [
            ("venue.zone", venue.zone.iter().map(|zone| zone.name.as_str()).collect()),
            ("venue.gate", venue.gate.iter().map(|gate| gate.name.as_str()).collect()),
            ("venue.type", venue.kind.iter().map(|kind| kind.name.as_str()).collect()),
            ("part", self.scenario.part.iter().map(|part| part.name.as_str()).collect()),
            ("stream, upload, slow", self.flow_names()),
        ];
        for (key, names) in lists {
            for (index, name) in names.iter().enumerate() {
                let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
                self.must(plain && (1..=40).contains(&name.len()), || {
                    format!("{key}: the name '{name}' has 1 to 40 letters, digits, _ or -")
                });
                self.must(!names[..index].contains(name), || format!("{key}: '{name}' is there twice"));
            }
        }
        let flows = !self.flow_names().is_empty();
        self.must(flows, || "stream: a scenario without traffic measures nothing".to_owned());
    }

    fn flow_names(&self) -> Vec<&'file str> {
        let streams = self.scenario.stream.iter().map(|stream| stream.name.as_str());
        let uploads = self.scenario.upload.iter().map(|upload| upload.name.as_str());
        let slow = self.scenario.slow.iter().map(|slow| slow.name.as_str());
        streams.chain(uploads).chain(slow).collect()
    }

    fn want(&mut self, index: usize, want: &Want) {
        let owner = format!("want[{index}]");
        let scenario = self.scenario;
        let is_stream = |name: &String| scenario.stream.iter().any(|stream| stream.name == *name);
        let is_upload = |name: &String| scenario.upload.iter().any(|upload| upload.name == *name);
        let is_part = |name: &String| scenario.part.iter().any(|part| part.name == *name);
        let happens = |act| scenario.happens.iter().any(|happening| happening.what == act);
        let whose = match want.what {
            Measure::P50 | Measure::P99 | Measure::P999 | Measure::Max => {
                want.of.as_ref().is_some_and(is_stream)
            }
            Measure::Done => want.of.as_ref().is_some_and(is_upload),
            Measure::Reconnected => want.of.is_none() && happens(Act::CutConnections),
            Measure::CaughtUp => want.of.is_none() && happens(Act::StartDatabase),
            Measure::DiskBytesRead => want.of.is_none(),
            Measure::StoreLookups => want.of.is_none() && want.part.is_none(),
        };
        self.must(whose, || {
            format!("{owner}: latencies are of a stream, done is of an upload, the others need what they measure and no 'of'")
        });
        let parts_known = want.part.iter().chain(&want.than_in).all(is_part);
        self.must(parts_known, || format!("{owner}: in and than_in name parts of this file"));
        let is_latency = matches!(want.what, Measure::P50 | Measure::P99 | Measure::P999 | Measure::Max);
        let is_amount = matches!(want.what, Measure::DiskBytesRead | Measure::StoreLookups);
        let limit = match (want.at_most_s, want.at_most_times, &want.than_in, want.at_most) {
            (Some(limit), None, None, None) => limit > 0.0 && !is_amount,
            (None, Some(times), Some(_), None) => times > 0.0 && is_latency,
            (None, None, None, Some(limit)) => limit >= 0.0 && is_amount,
            _ => false,
        };
        self.must(limit, || {
            format!(
                "{owner}: one limit: at_most_s, or (of a latency) at_most_times with than_in, or (of an amount) at_most"
            )
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::BUILT_IN;
    use super::*;

    #[test]
    fn every_scenario_is_read_and_opens_with_words_on_what_it_stands_for() {
        for (name, text) in BUILT_IN {
            Scenario::parse(name, text).unwrap();
            let words = text.lines().take_while(|line| line.starts_with('#'));
            assert!(words.map(str::len).sum::<usize>() > 150, "{name}");
        }
    }

    /// A small scenario that is right, with one text in it put in place of another.
    fn with(from: &str, to: &str) -> String {
        const RIGHT: &str = r#"
            title = "t"
            about = "a"
            [time]
            length_s = 10
            [venue]
            [[venue.zone]]
            name = "BOWL"
            [[venue.gate]]
            name = "IN"
            count = 2
            from = "outside"
            to = "BOWL"
            [[venue.type]]
            name = "SEAT"
            entries = 1
            [[stream]]
            name = "guests"
            guests = 10
            path = [{ gates = "IN", readers = 2 }]
            type = "SEAT"
            mix = { fresh = 1, used = 1 }
            [[part]]
            name = "half"
            from_s = 0
            to_s = 5
            [[want]]
            what = "p99"
            of = "guests"
            in = "half"
            at_most_s = 1
        "#;
        assert!(RIGHT.contains(from), "{from}");
        Scenario::parse("mine.toml", &RIGHT.replacen(from, to, 1))
            .map_or_else(|error| format!("{error:#}"), |_| "right".to_owned())
    }

    #[test]
    fn a_mistake_is_told_with_file_and_key() {
        assert_eq!(with("title", "title"), "right");
        for (from, to, told) in [
            (
                "length_s = 10",
                "length_s = 10
lenght = 3",
                "unknown field `lenght`",
            ),
            ("length_s = 10", "length_s = 'long'", "invalid type"),
            ("length_s = 10", "length_s = 0", "time.length_s: 1 to 86400"),
            ("count = 2", "count = 0", "venue.gate 'IN': count is 1 to 1000"),
            ("to = \"BOWL\"", "to = \"HALL\"", "venue.gate 'IN': to = 'HALL' is no zone"),
            ("guests = 10", "guests = 10\nper_second = 3", "stream 'guests': either guests"),
            ("readers = 2", "readers = 2000", "path[0].readers: 1 to 1000"),
            ("gates = \"IN\"", "gates = \"OUT\"", "path[0].gates = 'OUT' is no gate group"),
            ("type = \"SEAT\"", "type = \"VIP\"", "stream 'guests': type = 'VIP' is no type"),
            ("fresh = 1, used = 1", "fresh = 0", "mix: relative amounts"),
            ("used = 1", "wrong_event = 1", "mix.wrong_event: needs venue.events of 2"),
            ("used = 1", "stolen = 1", "unknown field `stolen`"),
            ("entries = 1", "entries = 2", "mix.used and mix.copied: only for a type with entries = 1"),
            ("to_s = 5", "to_s = 50", "part[0] 'half': from_s < to_s"),
            ("of = \"guests\"", "of = \"nobody\"", "want[0]: latencies are of a stream"),
            ("in = \"half\"", "in = \"third\"", "want[0]: in and than_in name parts"),
            ("at_most_s = 1", "at_most = 1", "want[0]: one limit"),
            ("what = \"p99\"", "what = \"caught_up\"", "want[0]: latencies are of a stream"),
            (
                "guests = 10",
                "guests = 10\nshape = { kind = 'crowd', share = 2, last = 0.5 }",
                "shape: a crowd's",
            ),
            ("[[part]]", "[[happens]]\nat_s = 3\nwhat = 'stop_database'\n[[part]]", "needs venue.store"),
            ("name = \"guests\"", "name = \"two words\"", "has 1 to 40 letters"),
            (
                "readers = 2 }",
                "readers = 2 }, { gates = \"IN\", readers = 1, after_s = 5 }",
                "still on the way",
            ),
        ] {
            let error = with(from, to);
            assert!(error.contains("mine.toml"), "{to}: {error}");
            assert!(error.contains(told), "{to}: {error}");
        }
    }
}
