//! What a record of the journal makes peripherals do: pure. Facts in, prints and shows out. Knows no queue, no process
//! and no clock.

use crate::job::Priority;
use crate::settings::Settings;
use documents::Values;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A record of the journal as rules see it: plain texts, empty where there is nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanFacts {
    /// Of the record. With a rule's name and `at_ms` it is the print's key: a replay prints nothing twice.
    pub lsn: u64,
    /// When it happened, ms since 1970.
    pub at_ms: i64,
    /// What happened.
    pub occasion: Occasion,
    /// Event's name.
    #[serde(default)]
    pub event: String,
    /// Gate's name.
    #[serde(default)]
    pub gate: String,
    /// Device's name.
    #[serde(default)]
    pub device: String,
    /// The stable code: `already_used`.
    #[serde(default)]
    pub reason: String,
    /// Why staff should look up, though the guest may pass.
    #[serde(default)]
    pub attention: String,
    /// `entry` or `exit`.
    #[serde(default)]
    pub direction: String,
    /// Ticket type's name.
    #[serde(default)]
    pub ticket_type: String,
    /// Who holds the ticket.
    #[serde(default)]
    pub holder: String,
    /// The ticket's number, as people know it; never its code.
    #[serde(default)]
    pub ticket: String,
    /// What is left of it: entries, or people in an area.
    #[serde(default)]
    pub remaining: String,
    /// The sentence the device shows.
    #[serde(default)]
    pub message: String,
    /// A test ticket: the value `specimen` says so on paper.
    #[serde(default)]
    pub specimen: bool,
    /// Everything else a template may want; what is said above wins.
    #[serde(default)]
    pub more: Values,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// A guest may pass.
    Admit,
    /// A guest may not.
    Deny,
    /// A button of a device or of the staff.
    Button,
}

/// When a rule is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// A guest may pass.
    Admit,
    /// A guest may not.
    Deny,
    /// A scan, either way, that staff should look up at.
    Attention,
    /// A button.
    Button,
}

/// A rule of the settings, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, in job ids too.
    pub name: String,
    /// When.
    pub on: On,
    /// At these gates only; none: at any.
    pub gates: Vec<String>,
    /// For these ticket types only; none: for any.
    pub types: Vec<String>,
    /// For these reasons only; none: for any.
    pub reasons: Vec<String>,
    /// Template to print, and where.
    pub print: Option<Target>,
    /// Template to show, and where.
    pub show: Option<Target>,
    /// Its prints go before which others.
    pub priority: Priority,
    /// Its prints are given up so long after the record, in ms.
    pub expires_after_ms: i64,
}

/// A template and the peripherals it goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The template's name.
    pub template: String,
    /// Peripherals and the gates each belongs to (none: any). One that belongs to other gates than the record's is left
    /// out.
    pub peripherals: Vec<(String, Vec<String>)>,
}

/// What a rule wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A durable job.
    Print {
        /// `rule:NAME:LSN:TIME`, with `@PERIPHERAL` where the rule prints on several.
        id: String,
        /// The rule.
        rule: String,
        /// Where.
        peripheral: String,
        /// What.
        template: String,
        /// Filled with.
        values: Values,
        /// Before which others.
        priority: Priority,
        /// Not any more after this, ms since 1970.
        expires_ms: i64,
    },
    /// For a display, now or never.
    Show {
        /// Where.
        display: String,
        /// What.
        template: String,
        /// Filled with.
        values: Values,
    },
}

/// What the rules want done about a record, in the rules' order.
pub fn actions(rules: &[Rule], facts: &ScanFacts) -> Vec<Action> {
    let mut actions = Vec::new();
    for rule in rules.iter().filter(|rule| rule.is_meant(facts)) {
        if let Some(target) = &rule.print {
            actions.extend(target.of(&facts.gate).map(|name| rule.print_on(name, target, facts)));
        }
        if let Some(target) = &rule.show {
            actions.extend(target.of(&facts.gate).map(|name| Action::Show {
                display: name.clone(),
                template: target.template.clone(),
                values: facts.values(),
            }));
        }
    }
    actions
}

/// Which scans the rules may want anything done about. For whoever puts facts together: of a surge's scans most concern
/// no rule.
pub struct Interest(Arc<Settings>);

// === impl Interest ===

impl Interest {
    /// As the settings are now.
    pub fn new(settings: Arc<Settings>) -> Interest {
        Interest(settings)
    }

    /// May a rule be meant by such a scan? Costs some 10 ns a rule.
    pub fn covers(&self, occasion: Occasion, attention: bool, gate: &str) -> bool {
        self.0.rules.iter().any(|rule| rule.may_be_meant(occasion, attention, gate))
    }
}

fn among(list: &[String], word: &str) -> bool {
    list.is_empty() || list.iter().any(|own| own == word)
}

// === impl Rule ===

impl Rule {
    fn is_meant(&self, facts: &ScanFacts) -> bool {
        self.may_be_meant(facts.occasion, !facts.attention.is_empty(), &facts.gate)
            && among(&self.types, &facts.ticket_type)
            && among(&self.reasons, &facts.reason)
    }

    /// As far as that can be told before the facts are put together.
    fn may_be_meant(&self, occasion: Occasion, attention: bool, gate: &str) -> bool {
        let on = match self.on {
            On::Admit => occasion == Occasion::Admit,
            On::Deny => occasion == Occasion::Deny,
            On::Attention => attention && matches!(occasion, Occasion::Admit | Occasion::Deny),
            On::Button => occasion == Occasion::Button,
        };
        on && among(&self.gates, gate)
    }

    fn print_on(&self, peripheral: &str, target: &Target, facts: &ScanFacts) -> Action {
        // The time too: another journal beside the same queue counts from one again, and prints its own.
        let mut id = format!("rule:{}:{}:{}", self.name, facts.lsn, facts.at_ms);
        // By the settings and not by the gate: which records a peripheral prints may not change its other keys.
        if target.peripherals.len() > 1 {
            id.push('@');
            id.push_str(peripheral);
        }
        Action::Print {
            id,
            rule: self.name.clone(),
            peripheral: peripheral.to_owned(),
            template: target.template.clone(),
            values: facts.values(),
            priority: self.priority,
            expires_ms: facts.at_ms.saturating_add(self.expires_after_ms),
        }
    }
}

impl Target {
    fn of<'a>(&'a self, gate: &'a str) -> impl Iterator<Item = &'a String> {
        let serves = move |gates: &[String]| gates.is_empty() || gates.iter().any(|own| own == gate);
        self.peripherals.iter().filter(move |(_, gates)| serves(gates)).map(|(name, _)| name)
    }
}

// === impl ScanFacts ===

impl ScanFacts {
    /// A button that was pressed at a gate; no record of the journal says so.
    pub fn button(gate: String, more: Values, at_ms: i64) -> ScanFacts {
        let none = String::new;
        ScanFacts {
            lsn: 0,
            at_ms,
            occasion: Occasion::Button,
            event: none(),
            gate,
            device: none(),
            reason: none(),
            attention: none(),
            direction: none(),
            ticket_type: none(),
            holder: none(),
            ticket: none(),
            remaining: none(),
            message: none(),
            specimen: false,
            more,
        }
    }

    /// What templates are filled with.
    pub fn values(&self) -> Values {
        let verdict = match self.occasion {
            Occasion::Admit => "admit",
            Occasion::Deny => "deny",
            Occasion::Button => "button",
        };
        let own = [
            ("lsn", self.lsn.to_string()),
            ("at_ms", self.at_ms.to_string()),
            ("verdict", verdict.to_owned()),
            ("event", self.event.clone()),
            ("gate", self.gate.clone()),
            ("device", self.device.clone()),
            ("reason", self.reason.clone()),
            ("attention", self.attention.clone()),
            ("direction", self.direction.clone()),
            ("ticket_type", self.ticket_type.clone()),
            ("holder", self.holder.clone()),
            ("ticket", self.ticket.clone()),
            ("remaining", self.remaining.clone()),
            ("message", self.message.clone()),
            ("specimen", if self.specimen { "SPECIMEN".to_owned() } else { String::new() }),
        ];
        let mut values = self.more.clone();
        for (name, text) in own {
            // Nothing said of it here leaves what was said besides.
            if !text.is_empty() || !values.contains_key(name) {
                values.insert(name.to_owned(), text);
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
    use super::*;

    fn texts(words: &str) -> Vec<String> {
        words.split_whitespace().map(str::to_owned).collect()
    }

    fn target(template: &str, peripherals: &[(&str, &str)]) -> Option<Target> {
        let peripherals =
            peripherals.iter().map(|(name, gates)| ((*name).to_owned(), texts(gates))).collect();
        Some(Target { template: template.to_owned(), peripherals })
    }

    fn rule(on: On, gates: &str, types: &str, reasons: &str) -> Rule {
        Rule {
            name: "r".to_owned(),
            on,
            gates: texts(gates),
            types: texts(types),
            reasons: texts(reasons),
            print: target("receipt", &[("till", "")]),
            show: None,
            priority: Priority::Normal,
            expires_after_ms: 1_000,
        }
    }

    /// "admit North VIP reason attention", `-` for nothing.
    fn facts(words: &str) -> ScanFacts {
        let words: Vec<&str> = words.split_whitespace().collect();
        let word = |at: usize| words.get(at).filter(|word| **word != "-").unwrap_or(&"").to_string();
        let json = serde_json::json!({
            "lsn": 7, "at_ms": 500, "occasion": words[0], "gate": word(1), "ticket_type": word(2), "reason": word(3),
            "attention": word(4),
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_rule_is_meant_or_not() {
        #[rustfmt::skip]
        let table = [
            // on, gates, types, reasons, facts, is it meant
            (On::Admit, "", "", "", "admit North VIP", true),
            (On::Admit, "", "", "", "deny North VIP already_used", false),
            (On::Admit, "", "", "", "button North", false),
            (On::Deny, "", "", "", "deny North VIP already_used", true),
            (On::Deny, "", "", "already_used", "deny North VIP already_used", true),
            (On::Deny, "", "", "too_early", "deny North VIP already_used", false),
            (On::Attention, "", "", "", "admit North VIP - child", true),
            (On::Attention, "", "", "", "deny North VIP already_used child", true),
            (On::Attention, "", "", "", "admit North VIP", false),
            (On::Attention, "", "", "", "button North - - child", false),
            (On::Button, "", "", "", "button North", true),
            (On::Button, "", "", "", "admit North", false),
            (On::Admit, "North South", "", "", "admit South VIP", true),
            (On::Admit, "North South", "", "", "admit West VIP", false),
            (On::Admit, "", "VIP Press", "", "admit West Press", true),
            (On::Admit, "", "VIP Press", "", "admit West Day", false),
            (On::Admit, "North", "VIP", "", "admit North Day", false),
        ];
        for (on, gates, types, reasons, words, wanted) in table {
            let found = !actions(&[rule(on, gates, types, reasons)], &facts(words)).is_empty();
            assert_eq!(found, wanted, "{on:?} [{gates}] [{types}] [{reasons}]: {words}");
            // Whoever asks first never leaves out a scan that a rule is meant for, and does where gate or occasion differ.
            let settings = Settings { rules: vec![rule(on, gates, types, reasons)], ..Settings::default() };
            let (interest, told) = (Interest::new(Arc::new(settings)), facts(words));
            let covered = interest.covers(told.occasion, !told.attention.is_empty(), &told.gate);
            let by_type_or_reason = !types.is_empty() || !reasons.is_empty();
            assert!(covered == wanted || covered && by_type_or_reason, "{on:?} [{gates}]: {words}");
        }
    }

    #[test]
    fn a_print_has_the_rules_key_and_end_and_a_peripheral_of_another_gate_is_left_out() {
        let mut rule = rule(On::Admit, "", "", "");
        let ids = |rule: &Rule, words: &str| -> Vec<String> {
            let ids =
                actions(std::slice::from_ref(rule), &facts(words)).into_iter().map(|action| match action {
                    Action::Print { id, expires_ms, .. } => format!("{id} until {expires_ms}"),
                    Action::Show { display, .. } => display,
                });
            ids.collect()
        };
        assert_eq!(ids(&rule, "admit North"), ["rule:r:7:500 until 1500"]);
        rule.print = target("receipt", &[("n", "North"), ("s", "South East"), ("all", "")]);
        rule.show = target("welcome", &[("dn", "North"), ("ds", "South")]);
        assert_eq!(
            ids(&rule, "admit North"),
            ["rule:r:7:500@n until 1500", "rule:r:7:500@all until 1500", "dn"]
        );
        assert_eq!(ids(&rule, "admit East"), ["rule:r:7:500@s until 1500", "rule:r:7:500@all until 1500"]);
    }

    #[test]
    fn values_say_what_happened_and_more_cannot_pretend() {
        let mut facts = facts("deny North VIP already_used");
        facts.more =
            Values::from([("seat", "A1"), ("verdict", "admit")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        let values = facts.values();
        assert_eq!((values["verdict"].as_str(), values["seat"].as_str()), ("deny", "A1"));
        assert_eq!((values["gate"].as_str(), values["specimen"].as_str()), ("North", ""));
        facts.specimen = true;
        assert_eq!(facts.values()["specimen"], "SPECIMEN");
    }
}
