//! What is done now and then about signing in: sessions that are over go, tokens' last uses are written down, failures are
//! told in the audit. Each in one bounded record, and in none where there is nothing.

use super::act;
use super::api_tokens::ApiToken;
use super::kept;
use super::sessions::{self, Session};
use crate::app::App;
use engine::registry::RegistryChange;
use engine::{EngineError, Time};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(60);
/// Uses of tokens are written down every so many looks.
const USES_EVERY: u64 = 10;
/// Entries that change in one record.
const AT_ONCE_MAX: usize = 60;
/// A token that is over is shown for so long, so that it can be seen what it was.
const SHOWN_AFTER_MS: i64 = 30 * 24 * 3_600_000;

/// Looks again and again, until the program stops.
pub async fn keep(app: Arc<App>) {
    let mut stopping = app.stopping.clone();
    for turn in 1_u64.. {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stopping.wait_for(|stop| *stop) => break,
        }
        look(&app, turn.is_multiple_of(USES_EVERY));
    }
    look(&app, true);
}

fn look(app: &App, with_uses: bool) {
    let now = app.engine.now();
    let done = tell_failures(app).and_then(|()| sweep(app, now));
    let done = done.and_then(|()| if with_uses { write_uses_down(app) } else { Ok(()) });
    if let Err(error) = done {
        tracing::debug!(%error, "sessions and tokens are looked after later");
    }
}

fn tell_failures(app: &App) -> Result<(), EngineError> {
    let Some(told) = app.auth.reports.take() else { return Ok(()) };
    app.engine.act(None, act("sign_in_failures", "sign_in", told, Vec::new())).map(drop)
}

/// Removes what is over.
fn sweep(app: &App, now: Time) -> Result<(), EngineError> {
    let all = kept::all::<Session>(&app.engine);
    let sessions = sessions::over(&all, now).map(kept::gone::<Session>);
    let tokens = kept::all::<ApiToken>(&app.engine).into_iter();
    let tokens = tokens.filter(|one| now.0 > one.value.expires_at.saturating_add(SHOWN_AFTER_MS));
    let gone: Vec<RegistryChange> =
        sessions.chain(tokens.map(|one| kept::gone::<ApiToken>(&one.name))).take(AT_ONCE_MAX).collect();
    if gone.is_empty() {
        return Ok(());
    }
    let details = json!({"count": gone.len()});
    app.engine.act(None, act("ended_removed", "sessions and tokens", details, gone)).map(drop)
}

/// A token that was ended meanwhile stays ended: its entry has to be as it was found.
fn write_uses_down(app: &App) -> Result<(), EngineError> {
    let uses = app.auth.uses.take(AT_ONCE_MAX);
    let used = uses.into_iter().filter_map(|(id, at)| Some((kept::find::<ApiToken>(&app.engine, &id)?, at)));
    let used: Vec<_> = used.collect();
    if used.is_empty() {
        return Ok(());
    }
    let expected: Vec<_> = used.iter().map(|(found, _)| found.as_found()).collect();
    let entries = used.iter().map(|(found, at)| kept::put(&found.name, &found.value.used(*at)));
    let act = act("tokens_used", "tokens", json!({"count": used.len()}), entries.collect());
    match app.engine.act_if(None, &expected, act) {
        Ok(_) => Ok(()),
        Err(error) => {
            // Somebody changed one of them: the next look has them all again.
            used.iter().for_each(|(found, at)| app.auth.uses.used(&found.name, *at));
            if matches!(error, EngineError::Changed) { Ok(()) } else { Err(error) }
        }
    }
}
