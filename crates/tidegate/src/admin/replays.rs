//! `/api/v1/replays`: stored events once more, for one Subscription.

use axum::{
    Extension, Json, Router,
    extract::{
        Path, Query, State,
        rejection::{JsonRejection, QueryRejection},
    },
    http::StatusCode,
    routing::get,
};
use serde_json::{Value, json};

use super::{
    audit::About,
    openapi::{self, Shapes},
    page,
    problem::Problem,
};
use crate::pipeline::replays::{Refused, ReplayDoor, Status, Wanted};

/// The routes.
pub(super) fn routes(replays: ReplayDoor) -> Router {
    Router::new()
        .route("/api/v1/replays", get(list).post(begin))
        .route("/api/v1/replays/{name}", get(show).delete(cancel))
        .with_state(replays)
}

/// What the routes take and answer.
pub(super) fn paths(shapes: &mut Shapes) -> Value {
    let replay = shapes.of::<Status>();
    let all = page::shape(&replay);
    let wanted = shapes.of::<Wanted>();
    let name = openapi::in_path("name", "string", "The replay's name.");
    json!({
        "/api/v1/replays": {
            "get": {
                "summary": "Replays that run, and the latest that have ended, the latest begun first",
                "parameters": Shapes::query::<page::Wanted>(),
                "responses": shapes.answers("200", "A page.", Some(&all)),
            },
            "post": {
                "summary": "Deliver stored events to a Subscription once more",
                "requestBody": {
                    "required": true,
                    "content": { "application/json": { "schema": wanted } },
                },
                "responses": shapes.answers("201", "It has begun.", Some(&replay)),
            },
        },
        "/api/v1/replays/{name}": {
            "parameters": [name],
            "get": {
                "summary": "How far a replay has come",
                "responses": shapes.answers("200", "The replay.", Some(&replay)),
            },
            "delete": {
                "summary": "Cancel a replay",
                "responses": shapes.answers("200", "The replay, cancelled.", Some(&replay)),
            },
        },
    })
}

async fn list(
    State(replays): State<ReplayDoor>,
    wanted: Result<Query<page::Wanted>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(wanted) = wanted?;
    let all = replays.list().await?;
    let is_before = |one: &Status, from: &str| one.name() > from;
    let (items, next) = wanted.of(all, is_before, |one| one.name().to_owned());
    Ok(Json(json!({ "items": items, "next": next })))
}

async fn begin(
    State(replays): State<ReplayDoor>,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<(StatusCode, Extension<About>, Json<Status>), Problem> {
    let Json(wanted) = wanted?;
    let status = replays.begin(wanted).await?;
    let about = format!("{} for {}", status.name(), status.subscription());
    let about = Extension(About(about));
    Ok((StatusCode::CREATED, about, Json(status)))
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
