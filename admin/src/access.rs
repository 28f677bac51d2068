//! Who asks, and what they may do: permissions, what each role has of them, and the principal behind a request.
//! Knows no path: each route says which permission it takes.

use engine::catalog::{OperatorId, Role};
use std::sync::Arc;

/// A station is an operator whose name begins so: a PC with printers, and nobody who signs in.
pub const STATION_PREFIX: &str = "station:";

macro_rules! permissions {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal, $least:ident;)*) => {
        /// One thing that may be done. Every route takes exactly one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Permission { $($(#[doc = $doc])* $name),* }

        impl Permission {
            /// All there are.
            pub const ALL: &[Permission] = &[$(Permission::$name),*];

            /// As scopes of tokens and documents write it.
            pub const fn word(self) -> &'static str { match self { $(Permission::$name => $word),* } }
            /// The permission of a word.
            pub fn of_word(word: &str) -> Option<Permission> { match word { $($word => Some(Permission::$name),)* _ => None } }
            /// The lowest role that has it.
            pub const fn least(self) -> Role { match self { $(Permission::$name => Role::$least),* } }
            /// What it is, for people.
            pub fn meaning(self) -> &'static str { match self { $(Permission::$name => concat!($($doc),*).trim_ascii()),* } }
        }
    };
}

permissions! {
    /// Sees events, zones, gates, ticket types, and how they stand.
    VenueRead = "venue.read", Viewer;
    /// Sets events, zones, gates and ticket types up.
    VenueWrite = "venue.write", Manager;
    /// Closes, opens and frees gates while guests come.
    GatesCommand = "gates.command", Supervisor;
    /// Sees tickets, without who holds them.
    TicketsRead = "tickets.read", Steward;
    /// Sees holders, orders and seats.
    TicketsPersonal = "tickets.personal", Supervisor;
    /// Blocks, unblocks, activates, cancels, reissues tickets, changes holders, gives uses back.
    TicketsWrite = "tickets.write", Supervisor;
    /// Takes ticket lists in.
    TicketsImport = "tickets.import", Manager;
    /// Admits by hand what would be refused, and annuls.
    ScansOverride = "scans.override", Supervisor;
    /// Sees the access log and its figures.
    ScansRead = "scans.read", Viewer;
    /// Takes lists of tickets and scans out.
    Export = "export", Manager;
    /// Sees what offline devices let in against the rules, and settles it.
    ConflictsWrite = "conflicts.write", Supervisor;
    /// Sees devices and how they stand.
    DevicesRead = "devices.read", Steward;
    /// Sends commands to devices.
    DevicesCommand = "devices.command", Supervisor;
    /// Approves, suspends and revokes devices, gives them keys and settings.
    DevicesWrite = "devices.write", Manager;
    /// Sees printers and displays and their jobs.
    PeripheralsRead = "peripherals.read", Steward;
    /// Prints, shows texts, presses buttons at gates.
    PeripheralsUse = "peripherals.use", Steward;
    /// Takes jobs back, repeats and settles them, opens drawers, releases printers, reads their file again.
    PeripheralsWrite = "peripherals.write", Supervisor;
    /// Sees who may sign in.
    OperatorsRead = "operators.read", Manager;
    /// Adds operators, changes their roles, resets passwords.
    OperatorsWrite = "operators.write", Administrator;
    /// Own second factor, own sessions.
    OwnAccount = "account", Viewer;
    /// Own password. All that can be done with one an administrator gave.
    OwnPassword = "account.password", Viewer;
    /// Makes and ends API tokens.
    TokensWrite = "tokens.write", Manager;
    /// Sees who did what.
    AuditRead = "audit.read", Manager;
    /// Reads settings.
    SettingsRead = "settings.read", Manager;
    /// Changes settings.
    SettingsWrite = "settings.write", Administrator;
    /// Sets webhooks up and sees what was delivered.
    WebhooksWrite = "webhooks.write", Manager;
    /// Removes personal data for good.
    PrivacyWrite = "privacy.write", Administrator;
}

/// A set of permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions(u64);

/// Who asks.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The operator; `None` is the program's own command on this machine.
    pub operator: Option<OperatorId>,
    /// Name for logs and answers: an e-mail address.
    pub name: Arc<str>,
    /// What may be done.
    pub permissions: Permissions,
    /// How they proved it.
    pub proof: Proof,
}

/// How somebody proved who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The token in the control file, which only the program's user can read.
    Local,
    /// A token that `gatehouse user add` gave.
    OperatorToken,
    /// A session's access token: the session's id.
    Session(Arc<str>),
    /// An API token.
    ApiToken {
        /// Its id.
        id: Arc<str>,
        /// What its maker calls it.
        name: Arc<str>,
    },
}

// === impl Permissions ===

impl Permissions {
    /// What a role may do.
    pub fn of_role(role: Role) -> Permissions {
        Permission::ALL.iter().copied().filter(|permission| permission.least() <= role).collect()
    }

    /// Everything.
    pub fn all() -> Permissions {
        Permission::ALL.iter().copied().collect()
    }

    /// Is it among them?
    pub fn has(self, permission: Permission) -> bool {
        self.0 & bit(permission) != 0
    }

    /// What both have.
    #[must_use]
    pub fn and(self, other: Permissions) -> Permissions {
        Permissions(self.0 & other.0)
    }

    /// Each of them, in order.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.has(*permission))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Permissions {
        Permissions(permissions.into_iter().fold(0, |bits, permission| bits | bit(permission)))
    }
}

const fn bit(permission: Permission) -> u64 {
    1 << permission as u32
}

const _: () = assert!(Permission::ALL.len() <= 64);

// === impl Principal ===

impl Principal {
    /// The program's own command.
    pub fn local() -> Principal {
        Principal {
            operator: None,
            name: "this machine's own command".into(),
            permissions: Permissions::all(),
            proof: Proof::Local,
        }
    }

    /// May they?
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.has(permission)
    }
}

/// A role as the API writes it.
pub fn role_word(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Steward => "steward",
        Role::Supervisor => "supervisor",
        Role::Manager => "manager",
        Role::Administrator => "administrator",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_role_may_all_that_a_lower_one_may_and_more() {
        let roles = [Role::Viewer, Role::Steward, Role::Supervisor, Role::Manager, Role::Administrator];
        for pair in roles.windows(2) {
            let (lower, higher) = (Permissions::of_role(pair[0]), Permissions::of_role(pair[1]));
            assert_eq!(lower.and(higher), lower);
            assert_ne!(lower, higher, "{pair:?}");
        }
        assert_eq!(Permissions::of_role(Role::Administrator), Permissions::all());
    }

    #[test]
    fn words_and_permissions_belong_together() {
        for permission in Permission::ALL {
            assert_eq!(Permission::of_word(permission.word()), Some(*permission));
        }
        assert_eq!(Permission::of_word("everything"), None);
    }
}
