//! The resources: one file for each kind of thing. Each reads its request, asks engine or store, and forms its answer.

mod admissions;
mod catalog;
mod me;
mod scans;
mod texts;
mod tickets;
mod zones;

use crate::app::App;
use crate::document;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

/// Every route there is, with its part of the document.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    document::headed()
        .merge(admissions::routes())
        .merge(me::routes())
        .merge(scans::routes())
        .merge(tickets::routes())
        .merge(zones::routes())
}
