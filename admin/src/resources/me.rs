//! Who asks, as this API sees them.

use crate::access::{Principal, Proof};
use crate::app::App;
use crate::extract::Who;
use axum::Json;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(me))
}

/// The one who asks.
#[derive(Debug, Serialize, ToSchema)]
struct Me {
    /// E-mail address.
    #[schema(example = "anna@example.org")]
    name: String,
    /// How it was proved: `session`, `api_token`, `operator_token` or `local`.
    #[schema(example = "session")]
    proof: &'static str,
    /// What may be done.
    #[schema(example = json!(["venue.read", "scans.read"]))]
    permissions: Vec<&'static str>,
}

/// Who am I, and what may I do?
#[utoipa::path(
    get, path = "/api/v1/me", tag = "account", operation_id = "getMe",
    responses((status = 200, description = "The one who asks", body = Me)),
    extensions(("x-permission" = json!("account")))
)]
async fn me(Who(principal): Who) -> Json<Me> {
    Json(Me::of(&principal))
}

impl Me {
    fn of(principal: &Principal) -> Me {
        Me {
            name: principal.name.to_string(),
            proof: match principal.proof {
                Proof::Local => "local",
                Proof::OperatorToken => "operator_token",
                Proof::Session(_) => "session",
                Proof::ApiToken { .. } => "api_token",
            },
            permissions: principal.permissions.iter().map(|permission| permission.word()).collect(),
        }
    }
}
