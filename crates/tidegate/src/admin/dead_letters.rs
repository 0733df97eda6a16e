//! `/api/v1/dead-letters`: what could not be delivered, and what is to become of it.

use std::time::SystemTime;

use axum::{
    Extension, Json, Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};
use tidegate_backbone::{
    Unreadable,
    jetstream::{Jetstream, Letter},
};
use tidegate_event::json as event_json;
use url::Url;

use super::{
    audit::About,
    openapi::{self, Shapes},
    problem::Problem,
};
use crate::pipeline::{NotRedriven, Redrive};

/// Letters of one answer, unless fewer are wanted.
const LIMIT_DEFAULT: usize = 100;

/// Most letters of one answer.
const LIMIT_MAX: usize = 1_000;

/// Most letters that are looked at for one answer: reading one takes a good tenth of a millisecond.
const LOOKED_AT_MAX: usize = 5_000;

#[derive(Clone)]
struct Shared {
    log: Jetstream,
    redrive: Redrive,
}

/// The routes.
pub(super) fn routes(log: Jetstream, redrive: Redrive) -> Router {
    Router::new()
        .route("/api/v1/dead-letters", get(list))
        .route("/api/v1/dead-letters/{sequence}", get(show).delete(discard))
        .route("/api/v1/dead-letters/{sequence}/redrive", post(redriven))
        .with_state(Shared { log, redrive })
}

/// What the routes take and answer.
pub(super) fn paths(shapes: &mut Shapes) -> Value {
    let letter = shapes.of::<Summary>();
    let event = json!({
        "type": ["object", "null"],
        "description": "In the JSON format of CloudEvents; null where what is stored is none.",
    });
    let raw = shapes.of::<Raw>();
    let raw = json!({ "anyOf": [raw, { "type": "null" }] });
    let whole = json!({ "allOf": [letter], "properties": { "event": event, "raw": raw } });
    let page = json!({
        "allOf": [openapi::items(&letter)],
        "properties": {
            "next": { "type": ["integer", "null"], "description": "`from` of the next page." },
        },
    });
    let sequence = openapi::in_path("sequence", "integer", "The letter's number.");
    json!({
        "/api/v1/dead-letters": {
            "get": {
                "summary": "Dead letters, oldest first, page by page",
                "parameters": Shapes::query::<Wanted>(),
                "responses": shapes.answers("200", "A page.", Some(&page)),
            },
        },
        "/api/v1/dead-letters/{sequence}": {
            "parameters": [sequence],
            "get": {
                "summary": "A dead letter with its event",
                "responses": shapes.answers("200", "The letter.", Some(&whole)),
            },
            "delete": {
                "summary": "Delete a dead letter",
                "responses": shapes.answers("204", "It is gone.", None),
            },
        },
        "/api/v1/dead-letters/{sequence}/redrive": {
            "parameters": [sequence],
            "post": {
                "summary": "Send a dead letter again, once",
                "parameters": Shapes::query::<Elsewhere>(),
                "responses": shapes.answers("204", "The sink has it, and it is gone here.", None),
            },
        },
    })
}

/// Which letters.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Wanted {
    /// Of this Subscription, `namespace/name`.
    subscription: Option<String>,
    /// With this reason.
    reason: Option<String>,
    /// Of events of this type.
    r#type: Option<String>,
    /// That became dead letters at this time or later.
    #[serde(with = "humantime_serde::option")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    since: Option<SystemTime>,
    /// That became dead letters before this time.
    #[serde(with = "humantime_serde::option")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    until: Option<SystemTime>,
    /// The cursor: the first place to look at, `next` of the page before.
    from: u64,
    /// Letters of one page: 100, unless fewer or more are wanted, at most 1,000.
    limit: Option<usize>,
}

impl Wanted {
    fn wants(&self, letter: &Letter) -> bool {
        let is = |wanted: &Option<String>, have: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == have)
        };
        let r#type = letter.event.as_ref().map_or("", |event| &*event.r#type);
        is(&self.subscription, &letter.subscription)
            && is(&self.reason, &letter.reason)
            && is(&self.r#type, r#type)
            && self.since.is_none_or(|since| letter.buried_at >= since)
            && self.until.is_none_or(|until| letter.buried_at < until)
    }
}

/// A letter without its data.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "DeadLetter")]
struct Summary {
    /// Its number.
    sequence: u64,
    /// When it became a dead letter.
    buried_at: String,
    /// `namespace/name` of the Subscription that gave it up.
    subscription: String,
    /// Why: a stable code.
    reason: String,
    /// The last failure, for people.
    detail: String,
    /// The status of the sink's last answer, if it gave one.
    status: Option<u16>,
    /// How the body of that answer begins.
    answer: Option<String>,
    /// How often it was tried.
    attempts: u32,
    /// The event's number in the event stream.
    original_sequence: u64,
    /// When the event was stored.
    stored_at: Option<String>,
    /// Of the event; `null` where what is stored is none.
    id: Option<String>,
    /// Of the event.
    source: Option<String>,
    /// Of the event.
    r#type: Option<String>,
    /// Bytes of the event's data.
    data_bytes: usize,
}

impl Summary {
    fn of(letter: &Letter) -> Self {
        let time = |time| humantime::format_rfc3339_millis(time).to_string();
        let event = letter.event.as_ref().ok();
        Self {
            sequence: letter.sequence,
            buried_at: time(letter.buried_at),
            subscription: letter.subscription.clone(),
            reason: letter.reason.clone(),
            detail: letter.detail.clone(),
            status: letter.status,
            answer: letter.answer.clone(),
            attempts: letter.attempts,
            original_sequence: letter.original_sequence,
            stored_at: letter.stored_at.map(time),
            id: event.map(|event| event.id.to_string()),
            source: event.map(|event| event.source.to_string()),
            r#type: event.map(|event| event.r#type.to_string()),
            data_bytes: match &letter.event {
                Ok(event) => event.data_len(),
                Err(unreadable) => unreadable.payload.len(),
            },
        }
    }
}

async fn list(
    State(shared): State<Shared>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(wanted) = wanted?;
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let subscription = wanted.subscription.as_deref();
    let subscription = subscription.and_then(|id| id.split_once('/'));
    let mut items = Vec::new();
    let mut from = wanted.from.max(1);
    for _ in 0..LOOKED_AT_MAX {
        if items.len() == limit {
            break;
        }
        let Some(letter) = shared.log.letter_from(from, subscription).await? else {
            return Ok(Json(json!({ "items": items, "next": null })));
        };
        from = letter.sequence + 1;
        if wanted.wants(&letter) {
            items.push(Summary::of(&letter));
        }
    }
    Ok(Json(json!({ "items": items, "next": from })))
}

/// A letter with its event, as JSON that keeps the data's own bytes.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    summary: Summary,
    event: Option<Box<RawValue>>,
    raw: Option<Raw>,
}

/// What is kept in the place of an event, such as a record that could not be read.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Raw")]
struct Raw {
    /// What is wrong with it.
    reason: String,
    /// Its headers, in order: names and values.
    headers: Vec<(String, String)>,
    /// Its bytes, where they are text.
    text: Option<String>,
    /// Its bytes in base64, where they are not.
    base64: Option<String>,
}

impl Raw {
    fn of(unreadable: &Unreadable) -> Self {
        let headers = unreadable.headers.iter();
        let text = str::from_utf8(&unreadable.payload).ok();
        Self {
            reason: unreadable.reason.clone(),
            headers: headers
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            base64: text.is_none().then(|| STANDARD.encode(&unreadable.payload)),
            text: text.map(str::to_owned),
        }
    }
}

async fn show(
    State(shared): State<Shared>,
    Path(sequence): Path<u64>,
) -> Result<Response, Problem> {
    let letter = found(&shared.log, sequence).await?;
    let event = letter.event.as_ref().ok().map(event_json::encode);
    let event = event.and_then(|json| String::from_utf8(json).ok());
    let shown = Shown {
        summary: Summary::of(&letter),
        event: event.and_then(|json| RawValue::from_string(json).ok()),
        raw: letter.event.as_ref().err().map(Raw::of),
    };
    Ok(Json(shown).into_response())
}

async fn discard(
    State(shared): State<Shared>,
    Path(sequence): Path<u64>,
) -> Result<StatusCode, Problem> {
    if shared.log.discard(sequence).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(missing(sequence))
    }
}

/// Where to, if not to the Subscription's own sink.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Elsewhere {
    /// An address, in the place of the Subscription's sink.
    #[schemars(with = "Option<String>")]
    sink: Option<Url>,
}

/// Only what the sink has taken is taken away here.
async fn redriven(
    State(shared): State<Shared>,
    Path(sequence): Path<u64>,
    elsewhere: Result<Query<Elsewhere>, QueryRejection>,
) -> Result<(Extension<About>, StatusCode), Problem> {
    let Query(elsewhere) = elsewhere?;
    let letter = found(&shared.log, sequence).await?;
    let about = about(&letter, elsewhere.sink.as_ref());
    let done = async move {
        let attempt = shared.redrive.attempt(&letter, elsewhere.sink);
        attempt.await.map_err(not_redriven)?;
        shared.log.discard(sequence).await?;
        Ok((Extension(about), StatusCode::NO_CONTENT))
    };
    // To its end, though whoever asked may be gone: else the letter would be sent once more.
    tokio::spawn(done).await.unwrap_or_else(|error| {
        Err(Problem {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "admin/failed",
            detail: error.to_string(),
        })
    })
}

/// Whose letter it is, and where it goes if not to its own sink. An address may hold a secret
/// before its host and behind it.
fn about(letter: &Letter, elsewhere: Option<&Url>) -> About {
    let elsewhere = elsewhere.map(|sink| sink.origin().ascii_serialization());
    let elsewhere = elsewhere.map(|origin| format!(" to {origin}"));
    About(letter.subscription.clone() + &elsewhere.unwrap_or_default())
}

async fn found(log: &Jetstream, sequence: u64) -> Result<Letter, Problem> {
    let letter = log.letter(sequence).await?;
    letter.ok_or_else(|| missing(sequence))
}

fn missing(sequence: u64) -> Problem {
    Problem {
        status: StatusCode::NOT_FOUND,
        code: "admin/no-such-dead-letter",
        detail: format!("there is no dead letter {sequence}; it may be redriven or discarded"),
    }
}

fn not_redriven(error: NotRedriven) -> Problem {
    let (status, code) = match &error {
        NotRedriven::NoSubscription { .. } => (StatusCode::CONFLICT, "admin/no-subscription"),
        NotRedriven::NoEvent { .. } => (StatusCode::CONFLICT, "admin/no-event"),
        NotRedriven::NotTaken { .. } => (StatusCode::BAD_GATEWAY, "admin/not-taken"),
    };
    Problem {
        status,
        code,
        detail: error.to_string(),
    }
}
