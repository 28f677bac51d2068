//! The resources: one file for each kind of thing. Each reads its request, asks engine or store, and forms its answer.

mod catalog;
mod exports;
mod imports;
mod me;
mod operations;
mod zones;

use crate::app::App;
use crate::document;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

/// Every route there is, with its part of the document.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    let lists = operations::routes().merge(imports::routes()).merge(exports::routes());
    document::headed().merge(me::routes()).merge(zones::routes()).merge(lists)
}
