//! What PostgreSQL's answers mean to those who run the store. The one place that knows SQLSTATEs. Only the server's
//! message is passed on: its details repeat values of rows.

use crate::error::{Cause, StoreError, StoreResult, WhileDoing};
use std::error::Error as _;
use tokio_postgres::error::{DbError, SqlState};

// === impl Cause ===

impl Cause {
    fn of(error: &DbError) -> Cause {
        let state = error.code();
        // Whole classes first: https://www.postgresql.org/docs/current/errcodes-appendix.html
        match state.code().get(..2).unwrap_or_default() {
            "08" => return Cause::Away,
            "28" => return Cause::NotAllowed,
            "23" => return Cause::Altered,
            "58" => return Cause::Disk,
            "XX" => return Cause::Damaged,
            _ => {}
        }
        match *state {
            SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::DATABASE_DROPPED
            | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => Cause::Away,
            SqlState::TOO_MANY_CONNECTIONS => Cause::Crowded,
            SqlState::LOCK_NOT_AVAILABLE => Cause::Locked,
            SqlState::OBJECT_IN_USE
            | SqlState::T_R_DEADLOCK_DETECTED
            | SqlState::T_R_SERIALIZATION_FAILURE
            | SqlState::OUT_OF_MEMORY => Cause::Busy,
            SqlState::QUERY_CANCELED => Cause::Slow,
            SqlState::READ_ONLY_SQL_TRANSACTION => Cause::ReadOnly,
            SqlState::DISK_FULL => Cause::Full,
            SqlState::INSUFFICIENT_PRIVILEGE | SqlState::INVALID_CATALOG_NAME => Cause::NotAllowed,
            SqlState::UNDEFINED_TABLE
            | SqlState::UNDEFINED_COLUMN
            | SqlState::UNDEFINED_FUNCTION
            | SqlState::DUPLICATE_TABLE
            | SqlState::DUPLICATE_OBJECT
            | SqlState::RAISE_EXCEPTION
            | SqlState::DATATYPE_MISMATCH => Cause::Altered,
            _ => Cause::Other,
        }
    }
}

impl<T> WhileDoing<T> for Result<T, tokio_postgres::Error> {
    fn while_doing(self, action: &'static str) -> StoreResult<T> {
        self.map_err(|error| store_error(action, &error))
    }
}

/// Says what was tried, and what the answer means.
pub(super) fn store_error(action: &'static str, error: &tokio_postgres::Error) -> StoreError {
    if let Some(told) = error.as_db_error() {
        return StoreError::Server { action, cause: Cause::of(told), said: told.message().to_owned() };
    }
    let cause = if error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>()) {
        Cause::Away
    } else {
        Cause::Other
    };
    let said = error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    StoreError::Server { action, cause, said }
}

/// Nothing was heard of the server for too long.
pub(super) fn unheard(action: &'static str) -> StoreError {
    StoreError::Server { action, cause: Cause::Away, said: "no answer in time".to_owned() }
}
