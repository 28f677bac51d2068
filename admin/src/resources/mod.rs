//! The resources: one file for each kind of thing. Each reads its request, asks engine or store, and forms its answer.

mod account;
mod admissions;
mod audit;
mod auth;
mod catalog;
mod conflicts;
mod counts;
mod devices;
mod events;
mod exports;
mod gates;
mod imports;
mod jobs;
mod live;
mod me;
mod names;
mod operations;
mod operators;
mod peripherals;
mod privacy;
mod scans;
mod settings;
mod stations;
mod statistics;
mod texts;
mod tickets;
mod tokens;
mod totp;
mod types;
mod webhooks;
mod zones;

use crate::app::App;
use crate::document;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;

/// Every route there is, with its part of the document.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    document::headed()
        .merge(me::routes())
        .merge(events::routes())
        .merge(zones::routes())
        .merge(gates::routes())
        .merge(types::routes())
        .merge(devices::routes())
        .merge(counts::routes())
        .merge(conflicts::routes())
        .merge(audit::routes())
        .merge(settings::routes())
        .merge(admissions::routes())
        .merge(scans::routes())
        .merge(tickets::routes())
        .merge(live::routes())
        .merge(statistics::routes())
        .merge(auth::routes())
        .merge(account::routes())
        .merge(totp::routes())
        .merge(operators::routes())
        .merge(privacy::routes())
        .merge(tokens::routes())
        .merge(operations::routes())
        .merge(imports::routes())
        .merge(exports::routes())
        .merge(webhooks::routes())
        .merge(peripherals::routes())
        .merge(jobs::routes())
        .merge(stations::routes())
}
