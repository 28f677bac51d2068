//! What is told in the audit of failures to sign in: how many there were in a while and who has to wait, in one line
//! however many there are. An attacker cannot fill the journal. Keeps no name that belongs to nobody.

use super::lockout::Counted;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Names and addresses that are told of at once.
const TOLD_MAX: usize = 20;

/// Failures since the last report.
#[derive(Debug, Default)]
pub struct Reports(Mutex<Report>);

#[derive(Debug, Default)]
struct Report {
    failures: u64,
    waiting: u64,
    accounts: Vec<String>,
    addresses: Vec<String>,
}

impl Reports {
    /// A failure, and who has to wait from now on. A name that nobody has may be a password in the wrong field.
    pub fn failed(&self, newly: &[&Counted], is_known: bool) {
        let mut report = self.0.lock();
        report.failures += 1;
        report.waiting += newly.len() as u64;
        for one in newly {
            match one {
                Counted::Address(address) => tell(&mut report.addresses, address.to_string()),
                Counted::Account(name) if is_known => tell(&mut report.accounts, name.clone()),
                Counted::Account(_) | Counted::Browser(_) => {}
            }
        }
    }

    /// What is to be told; `None`: nothing happened.
    pub fn take(&self) -> Option<Value> {
        let report = std::mem::take(&mut *self.0.lock());
        (report.failures > 0).then(|| {
            json!({
                "failures": report.failures, "told_to_wait": report.waiting,
                "accounts": report.accounts, "addresses": report.addresses,
            })
        })
    }
}

fn tell(list: &mut Vec<String>, one: String) {
    if list.len() < TOLD_MAX && !list.contains(&one) {
        list.push(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn however_many_fail_one_bounded_line_is_told_and_no_name_that_nobody_has() {
        let reports = Reports::default();
        assert_eq!(reports.take(), None);
        let typed = Counted::Account("my secret password".to_owned());
        for n in 0..10_000_u32 {
            reports.failed(&[&Counted::Address(IpAddr::from(n.to_be_bytes())), &typed], false);
        }
        reports.failed(&[&Counted::Account("anna@venue.example".to_owned())], true);
        let told = reports.take().unwrap();
        assert_eq!((&told["failures"], &told["told_to_wait"]), (&json!(10_001), &json!(20_001)));
        assert_eq!(told["accounts"], json!(["anna@venue.example"]));
        assert!(
            told["addresses"].as_array().unwrap().len() == TOLD_MAX && !told.to_string().contains("secret")
        );
        assert_eq!(reports.take(), None);
    }
}
