//! The resources: one file for each kind of thing. Each reads its request, asks engine or store, and forms its answer.

mod catalog;
mod live;
mod me;
mod statistics;
mod zones;

use crate::app::App;
use crate::document;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

/// Every route there is, with its part of the document.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    document::headed()
        .merge(live::routes())
        .merge(statistics::routes())
        .merge(me::routes())
        .merge(zones::routes())
}
