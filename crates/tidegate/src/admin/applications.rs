//! `/api/v1/applications`: connected systems, how each proves who it is, and what it may send.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
    routing::get,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tidegate_application::{Authentication, Format};

use super::{
    openapi::{self, Shapes},
    page,
    problem::Problem,
};
use crate::applications::{Counts, Known, Member};

/// The routes.
pub(super) fn routes(known: Known) -> Router {
    Router::new()
        .route("/api/v1/applications", get(list))
        .route("/api/v1/applications/{name}", get(show))
        .with_state(known)
}

/// What the routes take and answer.
pub(super) fn paths(shapes: &mut Shapes) -> Value {
    let shown = shapes.of::<Shown>();
    let all = page::shape(&shown);
    json!({
        "/api/v1/applications": {
            "get": {
                "summary": "Connected systems that documents describe, by name",
                "parameters": Shapes::query::<page::Wanted>(),
                "responses": shapes.answers("200", "A page.", Some(&all)),
            },
        },
        "/api/v1/applications/{name}": {
            "parameters": [openapi::in_path("name", "string", "Its name.")],
            "get": {
                "summary": "A connected system",
                "responses": shapes.answers("200", "The system.", Some(&shown)),
            },
        },
    })
}

/// A connected system. No secret is told, nor where one is.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Application")]
struct Shown {
    name: String,
    /// How it may prove who it is: any one is enough.
    authentication: Vec<&'static str>,
    /// How its messages are read; `null` where that is seen from each.
    format: Option<&'static str>,
    /// Patterns of the sources that it may use; `null` for the default.
    sources: Option<Vec<String>>,
    /// Patterns of the types that it may use; `null` for all.
    types: Option<Vec<String>>,
    /// What is `null` is not limited for it alone.
    limits: Limits,
    /// What it has sent to the process that answers.
    sent: Sent,
}

/// How much it has sent.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ApplicationSent")]
struct Sent {
    /// Since when that is counted: the start, or when its document came.
    since: Option<String>,
    /// Events that were stored.
    accepted: u64,
    /// Events that were not; a request that is refused unread is one.
    refused: u64,
    /// When the last event was stored; `null` where none was since then.
    last_accepted_at: Option<String>,
}

/// How much it may send.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ApplicationLimits")]
struct Limits {
    body_bytes: Option<u64>,
    batch_events: Option<usize>,
    events_per_second: Option<u64>,
    bytes_per_second: Option<u64>,
}

impl Shown {
    fn of(member: &Member) -> Self {
        let application = &member.application;
        let patterns = |all: &[_]| {
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            Some(all).filter(|all| !all.is_empty())
        };
        let limits = &application.limits;
        let counts = member.counts.as_deref();
        let time = |time| humantime::format_rfc3339_millis(time).to_string();
        Self {
            name: application.name.clone(),
            authentication: application.authentication.iter().map(method).collect(),
            format: application.format.map(Format::name),
            sources: patterns(&application.sources),
            types: patterns(&application.types),
            limits: Limits {
                body_bytes: limits.body_bytes_max,
                batch_events: limits.batch_events_max,
                events_per_second: limits.events_per_second.map(Into::into),
                bytes_per_second: limits.bytes_per_second.map(Into::into),
            },
            sent: Sent {
                since: counts.map(Counts::since).map(time),
                accepted: counts.map_or(0, Counts::accepted),
                refused: counts.map_or(0, Counts::refused),
                last_accepted_at: counts.and_then(Counts::last_accepted).map(time),
            },
        }
    }
}

/// As documents name it.
fn method(authentication: &Authentication) -> &'static str {
    match authentication {
        Authentication::None(_) => "none",
        Authentication::Mtls(_) => "mtls",
        Authentication::ForwardedCertificate(_) => "forwardedCertificate",
        Authentication::Oidc(_) => "oidc",
        Authentication::Basic(_) => "basic",
        Authentication::ApiKey(_) => "apiKey",
        Authentication::StandardWebhooks(_) => "standardWebhooks",
        Authentication::ConcurSignature(_) => "concurSignature",
        Authentication::GigyaJwt(_) => "gigyaJwt",
        Authentication::CxmlSharedSecret(_) => "cxmlSharedSecret",
    }
}

async fn list(
    State(known): State<Known>,
    wanted: Result<Query<page::Wanted>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(wanted) = wanted?;
    let directory = Arc::clone(&known.borrow());
    let mut all: Vec<&Member> = directory.members().collect();
    all.sort_by(|a, b| a.application.name.cmp(&b.application.name));
    let name = |one: &&Member| one.application.name.clone();
    let (page, next) = wanted.of(all, |one, from| *one.application.name < *from, name);
    let items: Vec<Shown> = page.into_iter().map(Shown::of).collect();
    Ok(Json(json!({ "items": items, "next": next })))
}

async fn show(
    State(known): State<Known>,
    Path(name): Path<String>,
) -> Result<Json<Shown>, Problem> {
    let directory = Arc::clone(&known.borrow());
    let member = directory.member(&name).ok_or_else(|| Problem {
        status: StatusCode::NOT_FOUND,
        code: "admin/no-such-application",
        detail: format!("no document describes an Application {name:?}"),
    })?;
    Ok(Json(Shown::of(&member)))
}
