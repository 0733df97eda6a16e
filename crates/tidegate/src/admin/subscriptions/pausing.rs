//! `pause` and `resume` of a Subscription.

use axum::{
    Extension, Json,
    extract::{Path, State, rejection::JsonRejection},
    http::StatusCode,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::in_path;
use crate::{
    admin::{access::Who, audit::About, openapi::Shapes, problem::Problem},
    pipeline::{
        Operations,
        pauses::{Pausing, Refused},
    },
};

/// The routes.
pub(super) const PAUSE: &str = "/api/v1/subscriptions/{namespace}/{name}/pause";
pub(super) const RESUME: &str = "/api/v1/subscriptions/{namespace}/{name}/resume";

/// What the routes take and answer.
pub(super) fn paths(shapes: &mut Shapes) -> Map<String, Value> {
    let wanted = shapes.of::<Wanted>();
    let pausing = shapes.of::<Pausing>();
    let pause = json!({
        "parameters": in_path(),
        "post": {
            "summary": "Deliver nothing to a Subscription, and keep what it wants, until it is resumed",
            "requestBody": {
                "required": false,
                "content": { "application/json": { "schema": wanted } },
            },
            "responses": shapes.answers("200", "It is paused.", Some(&pausing)),
        },
    });
    let resume = json!({
        "parameters": in_path(),
        "post": {
            "summary": "Take the pause of a Subscription away",
            "responses": shapes.answers("200", "It is not paused.", Some(&pausing)),
        },
    });
    Map::from_iter([(PAUSE.to_owned(), pause), (RESUME.to_owned(), resume)])
}

/// A pause.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "PauseWanted")]
pub(super) struct Wanted {
    /// Why, for whoever looks: text of one line, at most 300 characters.
    reason: Option<String>,
}

pub(super) async fn pause(
    State(operations): State<Operations>,
    Path((namespace, name)): Path<(String, String)>,
    who: Option<Extension<Who>>,
    wanted: Result<Option<Json<Wanted>>, JsonRejection>,
) -> Result<(Option<Extension<About>>, Json<Pausing>), Problem> {
    let Json(Wanted { reason }) = wanted?.unwrap_or_default();
    let who = who.map(|Extension(who)| (*who.name).to_owned());
    let subscription = format!("{namespace}/{name}");
    let pausing = operations
        .pauses
        .pause(subscription, who, reason.as_deref())
        .await?;
    let about = reason.map(|reason| Extension(About(reason)));
    Ok((about, Json(pausing)))
}

pub(super) async fn resume(
    State(operations): State<Operations>,
    Path((namespace, name)): Path<(String, String)>,
) -> Result<Json<Pausing>, Problem> {
    let subscription = format!("{namespace}/{name}");
    Ok(Json(operations.pauses.resume(subscription).await?))
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let (status, code) = match &refused {
            Refused::NoSubscription(_) => (StatusCode::NOT_FOUND, "admin/no-such-subscription"),
            Refused::Reason(_) => (StatusCode::BAD_REQUEST, "admin/invalid-body"),
            Refused::ByDocument { .. } => (StatusCode::CONFLICT, "admin/paused-by-document"),
            Refused::TooMany(_) => (StatusCode::CONFLICT, "admin/too-many-pauses"),
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
