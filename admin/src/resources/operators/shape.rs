//! Operators as they are shown and taken. No answer has a hash in it.

use crate::app::App;
use crate::auth::kept;
use crate::auth::people::Account;
use crate::auth::second_factor::SecondFactor;
use crate::problem::Problem;
use engine::catalog::Role as Own;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longest address of a new operator, in bytes.
pub(in crate::resources) const EMAIL_BYTES_MAX: usize = 128;

/// An e-mail address of somebody new: ASCII, kept in small letters.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(value_type = String, example = "bert@venue.example", min_length = 3, max_length = 128,
    pattern = "^[A-Za-z0-9._%+'-]+@[A-Za-z0-9.-]+$")]
pub(in crate::resources) struct Email(String);

impl Email {
    /// In small letters.
    ///
    /// # Errors
    /// It is none.
    pub(in crate::resources) fn checked(&self, field: &str) -> Result<String, Problem> {
        let of = |text: &str, more: &[u8]| {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || more.contains(&byte);
            !text.is_empty() && text.bytes().all(good)
        };
        let good = self.0.len() <= EMAIL_BYTES_MAX
            && self.0.split_once('@').is_some_and(|(own, host)| of(own, b"._%+'-") && of(host, b".-"));
        if good {
            Ok(self.0.to_lowercase())
        } else {
            Err(Problem::invalid(field, "an e-mail address is meant"))
        }
    }
}

/// What an operator may do; each role may what those before it may, and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    /// Reads.
    Viewer,
    /// Works a gate.
    Steward,
    /// Runs the gates.
    Supervisor,
    /// Sets the event up.
    Manager,
    /// Everything.
    Administrator,
}

impl Role {
    /// As the engine has it.
    pub(super) fn own(self) -> Own {
        match self {
            Role::Viewer => Own::Viewer,
            Role::Steward => Own::Steward,
            Role::Supervisor => Own::Supervisor,
            Role::Manager => Own::Manager,
            Role::Administrator => Own::Administrator,
        }
    }

    fn of(role: Own) -> Role {
        match role {
            Own::Viewer => Role::Viewer,
            Own::Steward => Role::Steward,
            Own::Supervisor => Role::Supervisor,
            Own::Manager => Role::Manager,
            Own::Administrator => Role::Administrator,
        }
    }
}

/// How an operator stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// May sign in.
    Active,
    /// Has a password from an administrator, and has to set their own before anything else.
    PasswordToSet,
    /// Is let in nowhere.
    Disabled,
}

/// An operator as they are shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Operator)]
pub(in crate::resources) struct Shown {
    /// Identity: an e-mail address; never changes.
    #[schema(example = "bert@venue.example")]
    pub(super) email: String,
    /// What they may do.
    role: Role,
    /// How they stand.
    status: Status,
    /// Have they a password?
    #[schema(example = true)]
    has_password: bool,
    /// Have they a token that `gatehouse user add` gave?
    #[schema(example = false)]
    has_token: bool,
    /// Is a code asked for besides the password?
    #[schema(example = true)]
    second_factor: bool,
}

impl Shown {
    /// As they are now.
    pub(super) fn of(app: &App, account: &Account) -> Shown {
        let (operator, credential) = (&account.operator, &account.credential);
        let factor = kept::find::<SecondFactor>(&app.engine, &operator.name);
        Shown {
            email: operator.name.clone(),
            role: Role::of(operator.role),
            status: match (credential.disabled, credential.once) {
                (true, _) => Status::Disabled,
                (false, true) => Status::PasswordToSet,
                (false, false) => Status::Active,
            },
            has_password: credential.hash.is_some(),
            has_token: !operator.token_hashes.is_empty(),
            second_factor: factor.is_some_and(|factor| factor.value.confirmed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_that_no_station_has_and_is_kept_in_small_letters() {
        let checked = |text: &str| Email(text.to_owned()).checked("email").ok();
        assert_eq!(checked("Anna.O'Neil+1@Venue.example").as_deref(), Some("anna.o'neil+1@venue.example"));
        for wrong in [
            "",
            "@",
            "a@",
            "@b",
            "a b@c",
            "a@b@c",
            "station:x@y",
            "a\n@b",
            "ä@b",
            &format!("{}@b", "a".repeat(127)),
        ] {
            assert_eq!(checked(wrong), None, "{wrong}");
        }
    }
}
