//! The words rows are written with, and back. One table per enum; knows no database.

use crate::error::{StoreError, StoreResult};
use engine::catalog::{DeviceStatus, Direction, Role};
use engine::decision::{Reason, ScanKind};
use engine::record::PassageOutcome;
use engine::ticket::{CodeKind, TicketStatus};

/// A value that is one word in a row.
pub(crate) trait Word: Copy + Sized + 'static {
    fn word(self) -> &'static str;
    fn of_word(word: &str) -> Option<Self>;

    /// Reads the word back.
    fn read(word: &str) -> StoreResult<Self> {
        Self::of_word(word).ok_or_else(|| {
            StoreError::damaged(std::any::type_name::<Self>(), format!("'{word}' is not one of its words"))
        })
    }
}

macro_rules! words {
    ($($kind:ident { $($value:ident $word:literal)* })*) => {$(
        impl Word for $kind {
            fn word(self) -> &'static str {
                match self { $($kind::$value => $word,)* }
            }
            fn of_word(word: &str) -> Option<$kind> {
                match word { $($word => Some($kind::$value),)* _ => None }
            }
        }
    )*};
}

words! {
    TicketStatus {
        Active "active" NotActivated "not_activated" Blocked "blocked" Cancelled "cancelled" Superseded "superseded"
    }
    CodeKind { Optical "o" Card "c" }
    Direction { Entry "entry" Exit "exit" }
    ScanKind { Validate "validate" Test "test" Offline "offline" }
    PassageOutcome { Open "open" Passed "passed" Annulled "annulled" }
    DeviceStatus { Pending "pending" Active "active" Suspended "suspended" Revoked "revoked" }
    Role {
        Viewer "viewer" Steward "steward" Supervisor "supervisor" Manager "manager" Administrator "administrator"
    }
}

impl Word for Reason {
    fn word(self) -> &'static str {
        self.code()
    }

    fn of_word(word: &str) -> Option<Reason> {
        Reason::of_code(word)
    }
}
