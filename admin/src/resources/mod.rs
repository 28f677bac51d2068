//! The resources: one file for each kind of thing. Each reads its request, asks engine or store, and forms its answer.

mod account;
mod auth;
mod catalog;
mod me;
mod operators;
mod tokens;
mod zones;

use crate::app::App;
use crate::document;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

/// Every route there is, with its part of the document.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    document::headed()
        .merge(auth::routes())
        .merge(account::routes())
        .merge(operators::routes())
        .merge(tokens::routes())
        .merge(me::routes())
        .merge(zones::routes())
}
