//! What stands in the place of an operator's password hash: the hash, and what the administration has said about it.
//! One field, so that disabling somebody is one change that every door sees. Knows no password.
//!
//! ```text
//! [ "disabled:" ] [ "once:" ] argon2id in PHC form, or nothing: cannot sign in with a password
//! ```

use engine::catalog::Operator;

const DISABLED: &str = "disabled:";
const ONCE: &str = "once:";

/// An operator's password hash, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credential {
    /// May not do anything until enabled again.
    pub disabled: bool,
    /// The password was given by an administrator; nothing can be done with it but to set another.
    pub once: bool,
    /// Argon2id in PHC form.
    pub hash: Option<String>,
}

impl Credential {
    /// Of an operator.
    pub fn of(operator: &Operator) -> Credential {
        let text = operator.password_hash.as_str();
        let (disabled, text) = text.strip_prefix(DISABLED).map_or((false, text), |rest| (true, rest));
        let (once, text) = text.strip_prefix(ONCE).map_or((false, text), |rest| (true, rest));
        Credential { disabled, once, hash: (!text.is_empty()).then(|| text.to_owned()) }
    }

    /// As it stands in the operator.
    pub fn text(&self) -> String {
        let (disabled, once) = (if self.disabled { DISABLED } else { "" }, if self.once { ONCE } else { "" });
        format!("{disabled}{once}{}", self.hash.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::catalog::Role;

    #[test]
    fn what_is_written_is_read_and_what_is_disabled_matches_no_password() {
        for disabled in [false, true] {
            for once in [false, true] {
                for hash in [None, Some("$argon2id$v=19$x".to_owned())] {
                    let own = Credential { disabled, once, hash };
                    let operator = Operator {
                        name: "anna@venue.example".to_owned(),
                        role: Role::Viewer,
                        password_hash: own.text(),
                        token_hashes: Vec::new(),
                    };
                    assert_eq!(Credential::of(&operator), own);
                    let plain = !disabled && !once;
                    assert_eq!(own.text().is_empty() || own.text().starts_with('$'), plain, "{own:?}");
                }
            }
        }
    }
}
