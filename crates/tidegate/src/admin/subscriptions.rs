//! `/api/v1/subscriptions`: who gets events, how they stand, and what waits for them.

mod counted;
mod kyma;
mod pausing;

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use axum::{
    Json, Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
    routing::{get, post},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tidegate_backbone::{ControlError, Log as _, Pending};
use tidegate_consume::shared::Shape;
use tidegate_subscription::Subscription;

use self::counted::{Counted, Rates};
use super::{
    openapi::{self, Shapes},
    page,
    problem::Problem,
};
use crate::{
    folder::FileMistake,
    pipeline::{Operations, pauses::Paused, standing, states},
};

/// Most mistakes of one answer; `tidegate check` tells all.
const MISTAKES_MAX: usize = 100;

/// The routes.
pub(super) fn routes(operations: Operations) -> Router {
    Router::new()
        .route("/api/v1/subscriptions", get(list))
        .route("/api/v1/subscriptions/{namespace}/{name}", get(show))
        .route(pausing::PAUSE, post(pausing::pause))
        .route(pausing::RESUME, post(pausing::resume))
        .with_state(operations)
}

/// What the routes take and answer.
pub(super) fn paths(shapes: &mut Shapes) -> Value {
    let subscription = shapes.of::<Standing>();
    let all = json!({
        "allOf": [page::shape(&subscription)],
        "properties": {
            "mistakes": {
                "type": "array",
                "items": { "type": "string" },
                "description": "What is wrong with documents, with file, line and field: the first 100, in \
                                each page.",
            },
        },
    });
    let mut paths = json!({
        "/api/v1/subscriptions": {
            "get": {
                "summary": "Subscriptions by name, how they stand, and documents that are no use",
                "parameters": Shapes::query::<page::Wanted>(),
                "responses": shapes.answers("200", "A page.", Some(&all)),
            },
        },
        "/api/v1/subscriptions/{namespace}/{name}": {
            "parameters": in_path(),
            "get": {
                "summary": "A Subscription, and how it stands",
                "parameters": Shapes::query::<counted::Wanted>(),
                "responses": shapes.answers("200", "The Subscription.", Some(&subscription)),
            },
        },
    });
    if let Some(paths) = paths.as_object_mut() {
        paths.extend(pausing::paths(shapes));
    }
    paths
}

/// Which Subscription.
fn in_path() -> [Value; 2] {
    [
        openapi::in_path("namespace", "string", "Its namespace."),
        openapi::in_path("name", "string", "Its name."),
    ]
}

/// A Subscription, and how it stands.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Subscription")]
pub(super) struct Standing {
    namespace: String,
    name: String,
    pub(super) sink: String,
    /// Its durable consumer in JetStream.
    consumer: String,
    /// Whether its events come from a consumer that it shares with others; `null` while another
    /// process delivers.
    shares_consumer: Option<bool>,
    /// Why not, where they come from one of its own.
    own_consumer_reason: Option<&'static str>,
    /// Whether it gets events.
    pub(super) ready: bool,
    /// What pauses it; `null` where nothing does.
    pub(super) paused: Option<Paused>,
    pub(super) conditions: Vec<Condition>,
    /// Events that it has not been offered yet; `null` while it has no consumer.
    pub(super) undelivered: Option<u64>,
    /// Events that it was offered and that are not settled, waiting retries included.
    pub(super) unsettled: Option<u64>,
    counted: Counted,
    /// `null` where they were not asked for: by `watch`, of one Subscription.
    rates: Option<Rates>,
    /// The place up to which it has settled all that it got.
    #[serde(skip)]
    pub(super) settled_to: Option<u64>,
    /// For Kyma's kind: its `status`, in Kyma's words.
    kyma_status: Option<kyma::Status>,
}

/// A condition, as Kubernetes has them.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Condition {
    pub(super) r#type: &'static str,
    /// `True`, `False` or `Unknown`.
    pub(super) status: &'static str,
    /// One word for programs.
    pub(super) reason: &'static str,
    /// For people.
    pub(super) message: String,
    /// Since when, where that is known.
    last_transition_time: Option<String>,
}

async fn list(
    State(operations): State<Operations>,
    wanted: Result<Query<page::Wanted>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(wanted) = wanted?;
    let all = standings(&operations).await?;
    let all = all.into_iter().map(|(_, standing)| standing);
    let is_before = |one: &Standing, from: &str| {
        let from = from.split_once('/').unwrap_or((from, ""));
        (&*one.namespace, &*one.name) < from
    };
    let name = |one: &Standing| format!("{}/{}", one.namespace, one.name);
    let (items, next) = wanted.of(all, is_before, name);
    let mistakes = operations.states.mistakes();
    let told = mistakes.iter().take(MISTAKES_MAX);
    let mut told: Vec<String> = told.map(ToString::to_string).collect();
    if let more @ 1.. = mistakes.len() - told.len() {
        told.push(format!("and {more} more: tidegate check tells all"));
    }
    Ok(Json(
        json!({ "items": items, "next": next, "mistakes": told }),
    ))
}

/// How all of them stand, by name.
pub(super) async fn standings(
    operations: &Operations,
) -> Result<Vec<(Arc<Subscription>, Standing)>, ControlError> {
    let consumers = operations.consumers.consumers().await?;
    let consumers: HashMap<String, Pending> = consumers
        .into_iter()
        .map(|consumer| (consumer.name.clone(), consumer))
        .collect();
    let subscriptions = Arc::clone(&operations.subscriptions.borrow());
    let mistakes = operations.states.mistakes();
    let mut items: Vec<(Arc<Subscription>, Standing)> = subscriptions
        .iter()
        .map(|one| {
            let consumer = consumers.get(&one.consumer_name());
            let standing = standing(operations, one, consumer, &mistakes);
            (Arc::clone(one), standing)
        })
        .collect();
    items.sort_by(|(a, _), (b, _)| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    Ok(items)
}

async fn show(
    State(operations): State<Operations>,
    Path((namespace, name)): Path<(String, String)>,
    wanted: Result<Query<counted::Wanted>, QueryRejection>,
) -> Result<Json<Standing>, Problem> {
    let Query(wanted) = wanted?;
    let subscriptions = Arc::clone(&operations.subscriptions.borrow());
    let mut all = subscriptions.iter();
    let found = all.find(|one| (&one.namespace, &one.name) == (&namespace, &name));
    let subscription = found.ok_or_else(|| Problem {
        status: StatusCode::NOT_FOUND,
        code: "admin/no-such-subscription",
        detail: format!("there is no Subscription {namespace}/{name}"),
    })?;
    let id = subscription.id();
    let rates = Rates::watched(&wanted, || operations.consume.counted(&id)).await;
    let consumer = operations
        .consumers
        .consumer(&subscription.consumer_name())
        .await?;
    let mistakes = operations.states.mistakes();
    let standing = standing(&operations, subscription, consumer.as_ref(), &mistakes);
    Ok(Json(Standing { rates, ..standing }))
}

fn standing(
    operations: &Operations,
    subscription: &Subscription,
    consumer: Option<&Pending>,
    mistakes: &[FileMistake],
) -> Standing {
    let id = subscription.id();
    let state = operations.states.of(&id);
    let is_open = matches!(&state, Some((states::State::Open, _)));
    let paused = operations.states.paused(&id);
    let ready = ready(paused.as_ref(), state);
    let letters = letters(operations.consume.refuses_dead_letters(&id));
    let mistakes: Vec<String> = mistakes
        .iter()
        .filter_map(|mistake| mistake.of.clone())
        .filter_map(|(object, what)| (object == id).then_some(what))
        .collect();
    let (shares_consumer, own_consumer_reason) =
        match operations.consumers.shape(&subscription.consumer_name()) {
            Shape::Shared => (Some(true), None),
            Shape::Own(reason) => (Some(false), Some(reason)),
            Shape::Elsewhere => (None, None),
        };
    Standing {
        namespace: subscription.namespace.clone(),
        name: subscription.name.clone(),
        sink: subscription.sink.to_string(),
        consumer: subscription.consumer_name(),
        shares_consumer,
        own_consumer_reason,
        ready: ready.status == "True",
        paused,
        conditions: vec![ready, letters, sink(operations, subscription)],
        undelivered: consumer.map(|consumer| consumer.undelivered),
        unsettled: consumer.map(|consumer| consumer.unsettled),
        counted: operations.consume.counted(&id).into(),
        rates: None,
        settled_to: consumer.map(Pending::settled_to),
        kyma_status: kyma::Status::of(subscription, is_open, &mistakes),
    }
}

fn ready(paused: Option<&Paused>, state: Option<(states::State, SystemTime)>) -> Condition {
    use states::State;
    let (state, since) = match state {
        Some((state, since)) => (state, Some(since)),
        None => (State::Opening, None),
    };
    let (status, reason, message) = match (state, paused) {
        (State::Open, Some(paused)) => {
            let message = "nothing is delivered, and what it wants is kept for it";
            ("False", "Paused", format!("{message}: {}", paused.words()))
        }
        (State::Open, None) => ("True", "Open", "it gets what is stored".to_owned()),
        (State::Opening, _) => {
            let message = "its consumer is not there yet; the log says why";
            ("False", "Opening", message.to_owned())
        }
        (State::Unusable(reason), _) => ("False", "Unusable", reason),
        (State::Elsewhere, _) => {
            let message = "this process has doors only; ask one that delivers";
            ("Unknown", "Elsewhere", message.to_owned())
        }
    };
    Condition {
        r#type: "Ready",
        status,
        reason,
        message,
        last_transition_time: since
            .map(|since| humantime::format_rfc3339_millis(since).to_string()),
    }
}

fn sink(operations: &Operations, subscription: &Subscription) -> Condition {
    let (reason, message) = standing::sink(operations, subscription)
        .map_or(("Open", "it takes attempts".to_owned()), |away| away);
    Condition {
        r#type: "SinkAvailable",
        status: if reason == "Open" { "True" } else { "False" },
        reason,
        message,
        last_transition_time: None,
    }
}

fn letters(refuses: bool) -> Condition {
    let (status, reason, message) = if refuses {
        let message =
            "its last dead letter could not be stored; the event stays and is tried again";
        ("False", "Refused", message)
    } else {
        ("True", "Stored", "what cannot be delivered is kept")
    };
    Condition {
        r#type: "DeadLettersStored",
        status,
        reason,
        message: message.to_owned(),
        last_transition_time: None,
    }
}
