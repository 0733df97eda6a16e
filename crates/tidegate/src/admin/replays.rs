//! `/api/v1/replays`: stored events once more, for one Subscription.

use axum::{
    Json, Router,
    extract::{Path, State, rejection::JsonRejection},
    http::StatusCode,
    routing::get,
};
use serde_json::{Value, json};

use super::problem::Problem;
use crate::pipeline::replays::{Refused, ReplayDoor, Status, Wanted};

/// The routes.
pub(super) fn routes(replays: ReplayDoor) -> Router {
    Router::new()
        .route("/api/v1/replays", get(list).post(begin))
        .route("/api/v1/replays/{name}", get(show).delete(cancel))
        .with_state(replays)
}

async fn list(State(replays): State<ReplayDoor>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "items": replays.list().await? })))
}

async fn begin(
    State(replays): State<ReplayDoor>,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<(StatusCode, Json<Status>), Problem> {
    let Json(wanted) = wanted?;
    let status = replays.begin(wanted).await?;
    Ok((StatusCode::CREATED, Json(status)))
}

async fn show(
    State(replays): State<ReplayDoor>,
    Path(name): Path<String>,
) -> Result<Json<Status>, Problem> {
    Ok(Json(replays.find(&name).await?))
}

async fn cancel(
    State(replays): State<ReplayDoor>,
    Path(name): Path<String>,
) -> Result<Json<Status>, Problem> {
    Ok(Json(replays.cancel(name).await?))
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let (status, code) = match &refused {
            Refused::NoSubscription(_) => (StatusCode::CONFLICT, "admin/no-subscription"),
            Refused::Invalid(_) => (StatusCode::BAD_REQUEST, "admin/invalid-body"),
            Refused::Runs(_) => (StatusCode::CONFLICT, "admin/replay-runs"),
            Refused::Missing(_) => (StatusCode::NOT_FOUND, "admin/no-such-replay"),
            Refused::Log(_) | Refused::Stopping => {
                (StatusCode::SERVICE_UNAVAILABLE, "admin/log-unavailable")
            }
        };
        Self {
            status,
            code,
            detail: refused.to_string(),
        }
    }
}
