//! Acts of people: what they change in the registry, and admissions they annul; each leaves its line for the audit.
//! Knows no sessions and no rights.

use super::{Engine, EngineError, passage_of};
use crate::catalog::OperatorId;
use crate::decision::Answer;
use crate::journal::Lsn;
use crate::record::{PassageOutcome, Record};
use crate::registry::{Act, Expected};
use crate::scans::KeptScan;
use crate::state::State;
use std::sync::Arc;

/// Entries read under one lock: some 50 µs.
const ENTRIES_PER_TURN: usize = 512;

impl Engine {
    /// Does an act: one record, whatever it changes.
    ///
    /// # Errors
    /// `Registry` where it is too large or there is no room for its entries, `Unavailable`.
    pub fn act(&self, operator: Option<OperatorId>, act: Act) -> Result<Lsn, EngineError> {
        self.act_if(operator, &[], act)
    }

    /// As `act`, but only while these entries are as expected. Of two that expect the same and change it, one is done.
    ///
    /// # Errors
    /// As `act`; `Changed`.
    pub fn act_if(
        &self,
        operator: Option<OperatorId>,
        expected: &[Expected<'_>],
        act: Act,
    ) -> Result<Lsn, EngineError> {
        act.check()?;
        let mut state = self.state.lock();
        if !state.registry.is_as(expected) {
            return Err(EngineError::Changed);
        }
        state.registry.check_room(&act.entries)?;
        Ok(self.commit(&mut state, &Record::Act { at: self.clock.now(), operator, act })?)
    }

    /// What the registry's entry of this kind and name says.
    pub fn registry_entry(&self, kind: &str, name: &str) -> Option<Arc<str>> {
        self.state.lock().registry.get(kind, name).cloned()
    }

    /// The registry's entries of a kind, in the order of their names. Gates go on in between: what changes meanwhile
    /// may be in it or not.
    pub fn registry(&self, kind: &str) -> Vec<(String, Arc<str>)> {
        let mut found: Vec<(String, Arc<str>)> = Vec::new();
        loop {
            let (state, known) = (self.state.lock(), found.len());
            let after = found.last().map(|(name, _)| name.clone());
            let entries = state.registry.of_kind(kind, after.as_deref()).take(ENTRIES_PER_TURN);
            found.extend(entries.map(|(name, value)| (name.to_owned(), Arc::clone(value))));
            if found.len() < known + ENTRIES_PER_TURN {
                return found;
            }
        }
    }

    /// A person says that the guest of a kept scan did not pass: as `annul`, whichever device had asked. Doing it twice
    /// changes nothing.
    ///
    /// # Errors
    /// No such scan, a refusal, too old, confirmed already, a note that is too long, `Unavailable`.
    pub fn annul_by(
        &self,
        operator: Option<OperatorId>,
        scan: Lsn,
        note: &str,
    ) -> Result<(Lsn, Answer), EngineError> {
        let mut state = self.state.lock();
        let at = self.clock.now();
        let kept = state.scans.at_lsn(scan.0).ok_or(EngineError::ScanNotFound)?;
        let answer = kept.answer.clone();
        let Some(passage) = passage_of(&state, kept, PassageOutcome::Annulled, at)? else {
            return Ok((Lsn(state.lsn), answer));
        };
        let act = annulment(&state, kept, note);
        act.check()?;
        // Should the journal fail between the two, a line of the audit is too many, and not an annulment without one.
        self.commit(&mut state, &Record::Act { at, operator, act })?;
        Ok((self.commit(&mut state, &Record::Passage(passage))?, answer))
    }
}

fn annulment(state: &State, kept: &KeptScan, note: &str) -> Act {
    let ticket = kept.answer.ticket.as_ref();
    let details = serde_json::json!({
        "note": note,
        "ticket": ticket.map(|facts| facts.ticket.0),
        "reference": ticket.map(|facts| facts.label.reference()),
        "gate": state.catalog.gate(kept.answer.gate).map(|gate| &gate.name),
    });
    Act {
        action: "annul".to_owned(),
        subject: kept.lsn.to_string(),
        details: details.to_string(),
        entries: Vec::new(),
    }
}
