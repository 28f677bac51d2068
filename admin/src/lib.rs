//! The admin REST API of Gatehouse: what a venue sets, sees and takes out, for people and for programs.
//!
//! ```text
//! connection → serve → layers (id, limits, who, may they) → resources → engine (one record a change) → settle → reply
//!                                                                   └→ store (lists, search, history)
//! ```
//!
//! | module | owns |
//! |---|---|
//! | `serve` | the listener, its threads and its end |
//! | `layers` | what happens to every request before a resource sees it |
//! | `auth` | how they prove it: passwords, sessions, tokens |
//! | `access` | who asks, and what they may do |
//! | `problem` | how a refusal is told (RFC 9457) |
//! | `extract`, `page`, `etag`, `moment`, `mistakes` | how requests are read and answers are formed |
//! | `app` | what resources work with: engine, store, waiting for what was changed |
//! | `venue_settings` | what the venue itself has set: retention, alarm, time zone |
//! | `durable` | waiting for the journal |
//! | `peripheral_desk` | printers and displays, asked on threads that may wait |
//! | `live` | the live feed: a hub behind the journal's tail, and its listeners |
//! | `statistics` | intervals, arrival curves, forecasts |
//! | `privacy` | forgetting who held an event's tickets |
//! | `document` | the OpenAPI document, and the pages that show it |
//! | `operations`, `imports`, `exports` | what takes longer than an answer: kept, resumed, bounded |
//! | `resources` | one file for each kind of thing |
//!
//! Changes nothing but through the engine, and never on a thread that a gate needs. Knows nothing of the device port.

pub mod access;
mod app;
mod auth;
mod document;
mod durable;
mod etag;
mod exports;
mod extract;
mod imports;
mod layers;
mod live;
mod mistakes;
mod moment;
mod operations;
mod page;
mod peripheral_desk;
mod privacy;
mod problem;
mod resources;
mod serve;
mod statistics;
mod venue_settings;

pub use app::{Edge, Fallback, ForgetPrints, MakeFallback, NodeSetting, Parts};

pub use auth::{AuthParts, Setup, SignInFigures, check_new_password, has_operators};
pub use document::document;
pub use durable::Durable;
pub use live::{LiveFigures, LiveParts, PeripheralNow};
pub use peripheral_desk::PeripheralsAt;
pub use problem::Kind;
pub use serve::{Admin, start};
