//! Tickets: found, shown, made and changed one at a time. Each change is one record of the engine with who, why, before and
//! after; lists and their bulk are elsewhere.

mod actions;
mod amend;
mod find;
mod list;
mod one;
mod shape;
mod story;
mod wish;

pub(super) use find::Which;

use crate::access::Principal;
use crate::app::App;
use crate::problem::Problem;
use engine::registry::Act;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(list::routes())
        .merge(one::routes())
        .merge(actions::routes())
        .merge(story::routes())
}

/// Notes that somebody looked at who has a ticket. Nothing is shown before it is safe: no look goes untold.
async fn note_look(
    app: &App,
    by: &Principal,
    subject: String,
    details: serde_json::Value,
) -> Result<(), Problem> {
    let act = Act {
        action: "personal_read".to_owned(),
        subject,
        details: details.to_string(),
        entries: Vec::new(),
    };
    app.safe(app.engine.act(by.operator, act)?).await
}
