//! What an operator tells a device to do: its words, and how long it waits to be fetched. Knows no device and no wire.

use crate::limits::MESSAGE_BYTES_MAX;
use serde::{Deserialize, Serialize};

/// An unlock that is not fetched within this time is dropped: nobody expects a gate to open minutes later.
const UNLOCK_LIVES_MS: i64 = 10_000;
/// A message that is not fetched within this time is dropped.
const MESSAGE_LIVES_MS: i64 = 60_000;
/// Commands that set how a device stands wait for a day; the heartbeat tells the standing besides.
const MODE_LIVES_MS: i64 = 24 * 60 * 60 * 1_000;

/// What an operator tells a device to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Open once.
    Unlock,
    /// Stay shut until unlocked.
    Lock,
    /// Back to normal work.
    Release,
    /// Turn free and count.
    EmergencyOpen,
    /// Fetch the settings.
    Reload,
    /// Show a text.
    Message(String),
}

/// Why words are no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The action is none of those there are.
    #[error("one of unlock, lock, release, emergency_open, reload, message")]
    Action,
    /// A message without a text, or with one that is too long.
    #[error("a text of 1 to {MESSAGE_BYTES_MAX} bytes")]
    Message,
}

impl Command {
    /// The command of an action's word; `text` is what a message says.
    ///
    /// # Errors
    /// No such action, or a message that cannot be shown.
    pub fn of_words(action: &str, text: Option<&str>) -> Result<Command, CommandError> {
        Ok(match action {
            "unlock" => Command::Unlock,
            "lock" => Command::Lock,
            "release" => Command::Release,
            "emergency_open" => Command::EmergencyOpen,
            "reload" => Command::Reload,
            "message" => {
                let text = text.filter(|text| !text.is_empty() && text.len() <= MESSAGE_BYTES_MAX);
                Command::Message(text.ok_or(CommandError::Message)?.to_owned())
            }
            _ => return Err(CommandError::Action),
        })
    }

    /// The action's word.
    pub fn action(&self) -> &'static str {
        match self {
            Command::Unlock => "unlock",
            Command::Lock => "lock",
            Command::Release => "release",
            Command::EmergencyOpen => "emergency_open",
            Command::Reload => "reload",
            Command::Message(_) => "message",
        }
    }

    /// What a message says.
    pub fn text(&self) -> Option<&str> {
        match self {
            Command::Message(text) => Some(text),
            _ => None,
        }
    }

    /// How long it waits to be fetched, in milliseconds.
    pub fn lives_ms(&self) -> i64 {
        match self {
            Command::Unlock => UNLOCK_LIVES_MS,
            Command::Message(_) => MESSAGE_LIVES_MS,
            Command::Lock | Command::Release | Command::EmergencyOpen | Command::Reload => MODE_LIVES_MS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_commands_belong_together() {
        for action in ["unlock", "lock", "release", "emergency_open", "reload", "message"] {
            let command = Command::of_words(action, Some("hello")).unwrap();
            assert_eq!(command.action(), action);
            assert_eq!(command.text().is_some(), action == "message");
        }
        assert_eq!(Command::of_words("open", None), Err(CommandError::Action));
        for text in [None, Some(""), Some("x".repeat(MESSAGE_BYTES_MAX + 1).as_str())] {
            assert_eq!(Command::of_words("message", text), Err(CommandError::Message));
        }
    }
}
