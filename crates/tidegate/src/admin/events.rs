//! `/api/v1/events`: which events are stored, and what happened to each.

pub(super) mod tail;

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use axum::{
    Json, Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
    routing::get,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};
use tidegate_backbone::{Log as _, jetstream::StoredEvent};
use tidegate_event::{Event, json as event_json};
use tidegate_history::{Outcome, Reason, Record, What, batch};
use tidegate_subscription::Filter;
use tidegate_telemetry::trace;

use super::{
    openapi::{self, Shapes},
    problem::Problem,
};
use crate::pipeline::{Operations, journal::REDRIVE};

/// Events of one answer, unless fewer are wanted.
const LIMIT_DEFAULT: usize = 100;

/// Most events of one answer.
const LIMIT_MAX: usize = 1_000;

/// Most events that are looked at for one answer.
const LOOKED_AT_MAX: usize = 50_000;

/// Most records that are told of one event, the oldest.
const RECORDS_MAX: usize = 10_000;

/// The routes.
pub(super) fn routes(operations: Operations) -> Router {
    Router::new()
        .route("/api/v1/events", get(list))
        .route("/api/v1/events/{sequence}", get(show))
        .with_state(operations.clone())
        .merge(tail::routes(operations))
}

/// What the routes take and answer.
pub(super) fn paths(shapes: &mut Shapes) -> Value {
    let summary = shapes.of::<Summary>();
    let step = shapes.of::<Step>();
    let standing = shapes.of::<Standing>();
    let page = json!({
        "allOf": [openapi::items(&summary)],
        "properties": {
            "next": { "type": ["integer", "null"], "description": "`from` of the next page." },
        },
    });
    let event = json!({
        "type": ["object", "null"],
        "description": "In the JSON format of CloudEvents; null where what is stored is none.",
    });
    let whole = json!({
        "allOf": [summary],
        "properties": {
            "event": event,
            "subscriptions": { "type": "array", "items": standing },
            "history": { "type": "array", "items": step },
        },
    });
    json!({
        "/api/v1/events": {
            "get": {
                "summary": "Stored events, oldest first, page by page",
                "parameters": Shapes::query::<Wanted>(),
                "responses": shapes.answers("200", "A page.", Some(&page)),
            },
        },
        "/api/v1/events/{sequence}": {
            "parameters": [openapi::in_path("sequence", "integer", "The event's number.")],
            "get": {
                "summary": "An event, and what happened to it",
                "responses": shapes.answers("200", "The event.", Some(&whole)),
            },
        },
    })
}

/// Which events.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    /// Of this type.
    r#type: Option<String>,
    /// Of this source.
    source: Option<String>,
    /// With this subject.
    subject: Option<String>,
    /// With this id.
    id: Option<String>,
    /// Of which this CESQL expression is true.
    filter: Option<String>,
    /// That were stored at this time or later.
    #[serde(with = "humantime_serde::option")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    since: Option<SystemTime>,
    /// That were stored before this time.
    #[serde(with = "humantime_serde::option")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    until: Option<SystemTime>,
    /// The cursor: the first place to look at, `next` of the page before.
    from: Option<u64>,
    /// Events of one page: 100, unless fewer or more are wanted, at most 1,000.
    limit: Option<usize>,
}

impl Wanted {
    fn wants(&self, event: Option<&Event>, filter: Option<&Filter>) -> bool {
        let Some(event) = event else {
            // What is none has nothing to be found by.
            let by = [&self.subject, &self.id, &self.filter];
            return by.iter().all(|by| by.is_none());
        };
        let is = |wanted: &Option<String>, have: Option<&str>| {
            wanted.is_none() || wanted.as_deref() == have
        };
        is(&self.id, Some(&event.id))
            && is(&self.subject, event.subject.as_deref())
            && is(&self.r#type, Some(&event.r#type))
            && is(&self.source, Some(&event.source))
            && filter.is_none_or(|filter| filter.passes(event))
    }
}

/// An event without its data.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "StoredEvent")]
struct Summary {
    /// Its number.
    sequence: u64,
    /// When it was stored.
    stored_at: String,
    /// `null` where what is stored is no event, as all that follows.
    id: Option<String>,
    source: Option<String>,
    r#type: Option<String>,
    subject: Option<String>,
    /// The trace that it is in, if it is in one: its id, in hexadecimal.
    trace: Option<String>,
    /// Bytes of its data.
    data_bytes: usize,
}

impl Summary {
    fn of(stored: &StoredEvent) -> Self {
        let event = stored.event.as_ref().ok();
        Self {
            sequence: stored.sequence,
            stored_at: time(stored.stored_at),
            id: event.map(|event| event.id.to_string()),
            source: event.map(|event| event.source.to_string()),
            r#type: event.map(|event| event.r#type.to_string()),
            subject: event.and_then(|event| event.subject.as_ref().map(ToString::to_string)),
            trace: event
                .and_then(trace::parent_of)
                .map(|parent| parent.trace()),
            data_bytes: match &stored.event {
                Ok(event) => event.data_len(),
                Err(unreadable) => unreadable.payload.len(),
            },
        }
    }
}

/// Something that happened to an event.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "EventStep")]
struct Step {
    /// When.
    at: String,
    /// `received`; or what an attempt came to: `delivered`, `again`, `waits`, `deadLetter`.
    what: &'static str,
    /// Who sent it; empty where nobody said.
    #[serde(skip_serializing_if = "Option::is_none")]
    application: Option<String>,
    /// It was stored before.
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
    /// `namespace/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<String>,
    /// The replay that it was sent by.
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<String>,
    /// The how many-th attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u32>,
    /// The status of the sink's answer, if it gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Milliseconds that the attempt took.
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<f64>,
    /// Why: a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Milliseconds until it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    /// The number of the dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    letter: Option<u64>,
}

impl Step {
    fn new(at: SystemTime, what: &'static str) -> Self {
        Self {
            at: time(at),
            what,
            application: None,
            duplicate: None,
            subscription: None,
            replay: None,
            attempt: None,
            status: None,
            took_ms: None,
            code: None,
            detail: None,
            delay_ms: None,
            letter: None,
        }
    }

    fn of(record: &Record) -> Self {
        match &record.what {
            What::Received {
                application,
                duplicate,
            } => Self {
                application: Some(application.to_string()),
                duplicate: Some(*duplicate),
                ..Self::new(record.at, "received")
            },
            What::Attempted {
                subscription,
                replay,
                attempt,
                status,
                took,
                outcome,
            } => Self {
                subscription: Some(subscription.to_string()),
                replay: replay.as_deref().map(str::to_owned),
                attempt: Some(*attempt),
                status: *status,
                took_ms: Some(took.as_secs_f64() * 1_000.0),
                ..Self::new(record.at, "").with(outcome)
            },
        }
    }

    fn with(self, outcome: &Outcome) -> Self {
        let because = |reason: &Reason| (Some(reason.code.to_string()), reason.detail.clone());
        let (what, (code, detail)) = match outcome {
            Outcome::Delivered => ("delivered", (None, String::new())),
            Outcome::Again { reason, .. } => ("again", because(reason)),
            Outcome::Waits { reason } => ("waits", because(reason)),
            Outcome::DeadLetter { reason, .. } => ("deadLetter", because(reason)),
        };
        Self {
            what,
            code,
            detail: Some(detail).filter(|detail| !detail.is_empty()),
            delay_ms: match outcome {
                Outcome::Again { delay, .. } => u64::try_from(delay.as_millis()).ok(),
                Outcome::Delivered | Outcome::Waits { .. } | Outcome::DeadLetter { .. } => None,
            },
            letter: match outcome {
                Outcome::DeadLetter { letter, .. } => Some(*letter),
                Outcome::Delivered | Outcome::Again { .. } | Outcome::Waits { .. } => None,
            },
            ..self
        }
    }
}

/// How an event stands with a Subscription.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "EventStanding")]
struct Standing {
    /// `namespace/name`.
    subscription: String,
    /// What its last attempt came to (`delivered`, `again`, `waits`, `deadLetter`); where none is
    /// known, `pending` if it was not offered yet and `unknown` if it was.
    state: &'static str,
    /// What that means, and what to do.
    message: String,
}

async fn list(
    State(operations): State<Operations>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(wanted) = wanted?;
    let filter = filter(wanted.filter.as_deref())?;
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let (mut items, mut looked_at, mut next) = (Vec::new(), 0_usize, None);
    let see = |stored: StoredEvent| {
        if wanted.until.is_some_and(|until| stored.stored_at >= until) {
            return false;
        }
        looked_at += 1;
        if wanted.wants(stored.event.as_ref().ok(), filter.as_ref()) {
            items.push(Summary::of(&stored));
        }
        let goes_on = items.len() < limit && looked_at < LOOKED_AT_MAX;
        next = (!goes_on).then_some(stored.sequence + 1);
        goes_on
    };
    let of = (wanted.source.as_deref(), wanted.r#type.as_deref());
    match (wanted.from, wanted.since) {
        (None, Some(since)) => operations.log.events_since(since, of, see).await?,
        (from, _) => {
            operations
                .log
                .events_from(from.unwrap_or(1), of, see)
                .await?
        }
    }
    Ok(Json(json!({ "items": items, "next": next })))
}

fn filter(text: Option<&str>) -> Result<Option<Filter>, Problem> {
    match text.map(str::parse) {
        None => Ok(None),
        Some(Ok(expression)) => Ok(Some(Filter::Sql(expression))),
        Some(Err(error)) => Err(Problem {
            status: StatusCode::BAD_REQUEST,
            code: "admin/invalid-query",
            detail: format!("filter: {error}"),
        }),
    }
}

/// An event whole, as JSON that keeps the data's own bytes.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    summary: Summary,
    subscriptions: Vec<Standing>,
    history: Vec<Step>,
    event: Option<Box<RawValue>>,
}

async fn show(
    State(operations): State<Operations>,
    Path(sequence): Path<u64>,
) -> Result<Json<Shown>, Problem> {
    let stored = operations.log.event(sequence).await?;
    let stored = stored.ok_or_else(|| Problem {
        status: StatusCode::NOT_FOUND,
        code: "admin/no-such-event",
        detail: format!(
            "there is no event {sequence}; it may have been deleted to make room, or by its age"
        ),
    })?;
    let history = history(&operations, &stored).await?;
    let subscriptions = standings(&operations, &stored, &history).await?;
    let event = stored.event.as_ref().ok().map(event_json::encode);
    let event = event.and_then(|json| String::from_utf8(json).ok());
    Ok(Json(Shown {
        summary: Summary::of(&stored),
        subscriptions,
        history: history.iter().map(Step::of).collect(),
        event: event.and_then(|json| RawValue::from_string(json).ok()),
    }))
}

/// What happened to it, oldest first.
async fn history(operations: &Operations, stored: &StoredEvent) -> Result<Vec<Record>, Problem> {
    if !operations.has_history {
        return Ok(Vec::new());
    }
    let mut records = Vec::new();
    let see = |message: &bytes::Bytes| {
        // One of a later version may be among them.
        let of_all = batch::read(message).unwrap_or_default().into_iter();
        records.extend(of_all.filter(|record| record.place == stored.sequence));
        records.len() < RECORDS_MAX
    };
    // Nothing is told of it before it is stored.
    operations.log.history(stored.stored_at, see).await?;
    records.sort_by_key(|record| record.at);
    Ok(records)
}

/// How it stands with those that have tried it, and those that want it now.
async fn standings(
    operations: &Operations,
    stored: &StoredEvent,
    history: &[Record],
) -> Result<Vec<Standing>, Problem> {
    let mut last = BTreeMap::new();
    for record in history {
        if let What::Attempted {
            subscription,
            replay,
            outcome,
            ..
        } = &record.what
            && replay.as_deref().is_none_or(|by| by == REDRIVE)
        {
            last.insert(subscription.to_string(), (record.at, outcome));
        }
    }
    let mut standings: Vec<Standing> = last
        .iter()
        .map(|(subscription, (at, outcome))| standing(subscription, *at, outcome))
        .collect();
    let subscriptions = Arc::clone(&operations.subscriptions.borrow());
    let Ok(event) = &stored.event else {
        return Ok(standings);
    };
    for subscription in subscriptions.iter() {
        let id = subscription.id();
        if last.contains_key(&id) || subscription.matches(event).is_none() {
            continue;
        }
        let name = subscription.consumer_name();
        let consumer = operations.consumers.consumer(&name).await?;
        let is_offered = consumer.is_some_and(|consumer| consumer.delivered >= stored.sequence);
        let (state, message) = match is_offered {
            _ if subscription.pause => (
                "pending",
                "it is paused; its events are kept for it; `tidegate subscriptions show` tells by whom",
            ),
            false => (
                "pending",
                "it was not offered yet; `tidegate subscriptions list` tells why",
            ),
            true => (
                "unknown",
                "it wants it now, and no attempt is known: it came later, the first attempt is \
                 under way, or what happened is not kept (history.sample, history.age_max)",
            ),
        };
        standings.push(Standing {
            subscription: id,
            state,
            message: message.to_owned(),
        });
    }
    Ok(standings)
}

fn standing(subscription: &str, at: SystemTime, outcome: &Outcome) -> Standing {
    let because = |reason: &Reason| format!("{}: {}", reason.code, reason.detail);
    let (state, message) = match outcome {
        Outcome::Delivered => ("delivered", format!("its sink took it at {}", time(at))),
        Outcome::Again { reason, delay } => {
            let at = at.checked_add(*delay).unwrap_or(at);
            let message = format!("it is tried again at {}; {}", time(at), because(reason));
            ("again", message)
        }
        Outcome::Waits { reason } => (
            "waits",
            format!(
                "it waits until its sink is there again; {}",
                because(reason)
            ),
        ),
        Outcome::DeadLetter { reason, letter } => (
            "deadLetter",
            format!(
                "{}; when that is mended: tidegate dead-letters redrive {letter}",
                because(reason)
            ),
        ),
    };
    Standing {
        subscription: subscription.to_owned(),
        state,
        message,
    }
}

fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}
