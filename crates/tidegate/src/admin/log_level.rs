//! `/api/v1/log-level`: what is logged, changed while the process runs.

use axum::{
    Extension, Json, Router,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
    routing::get,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidegate_telemetry::logs::{Error, Level};

use super::{audit::About, openapi::Shapes, problem::Problem};

/// The routes.
pub(super) fn routes(level: Level) -> Router {
    Router::new()
        .route("/api/v1/log-level", get(show).put(set))
        .with_state(level)
}

/// What the routes take and answer.
pub(super) fn paths(shapes: &mut Shapes) -> Value {
    let wanted = shapes.of::<Wanted>();
    let shown = shapes.of::<Shown>();
    json!({
        "/api/v1/log-level": {
            "get": {
                "summary": "What is logged",
                "responses": shapes.answers("200", "The level.", Some(&shown)),
            },
            "put": {
                "summary": "Log this from now on, until the process ends",
                "requestBody": {
                    "required": true,
                    "content": { "application/json": { "schema": wanted } },
                },
                "responses": shapes.answers("200", "The level.", Some(&shown)),
            },
        },
    })
}

/// What is to be logged.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "WantedLogLevel")]
struct Wanted {
    /// A level, or directives such as `info,tidegate_deliver=debug`.
    level: String,
}

/// What is logged.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LogLevel")]
struct Shown {
    /// Now.
    level: String,
    /// After the next start.
    configured: String,
}

impl Shown {
    fn of(level: &Level) -> Json<Self> {
        Json(Self {
            level: level.now(),
            configured: level.configured().to_owned(),
        })
    }
}

async fn show(State(level): State<Level>) -> Json<Shown> {
    Shown::of(&level)
}

async fn set(
    State(level): State<Level>,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<(Extension<About>, Json<Shown>), Problem> {
    let Json(wanted) = wanted?;
    level.set(&wanted.level)?;
    Ok((Extension(About(wanted.level)), Shown::of(&level)))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "admin/invalid-body",
            detail: error.to_string(),
        }
    }
}
