//! `/api/v1/events/tail`: events as they are stored, as server-sent events.
//!
//! Nothing is kept for a reader: the log is read from where the reader is, so that a slow one costs
//! no memory and holds up nobody. One that has fallen far behind is told so, and let go.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event as Told, KeepAlive},
    },
    routing::get,
};
use futures_util::stream;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_backbone::{ControlError, jetstream::StoredEvent};
use tidegate_subscription::Filter;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};

use super::{Shapes, Summary, Wanted, filter};
use crate::{admin::problem::Problem, pipeline::Operations};

/// How soon an event is told. To look whether there are more costs the nats-server some 50 us.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Events in hand of a reader: some hundred bytes each.
const IN_HAND_MAX: usize = 200;

/// A reader that is further behind reads slower than comes; what is stored is found by time.
const BEHIND_MAX: u64 = 10_000;

/// Readers at once. Each reads all that is stored, on the thread of this door.
const READERS_MAX: usize = 16;

/// How often a reader is told that it is not forgotten, which also finds out who is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The routes.
pub(super) fn routes(operations: Operations) -> Router {
    let places = Arc::new(Semaphore::new(READERS_MAX));
    Router::new()
        .route("/api/v1/events/tail", get(tail))
        .with_state((operations, places))
}

/// What the routes take and answer.
pub(in crate::admin) fn paths(shapes: &mut Shapes) -> Value {
    let about = "Server-sent events: `stored` with a StoredEvent as its data and its number as its \
                 id; a last one, `end`, with `code`, `detail`, and `next`, the number to go on from.";
    json!({
        "/api/v1/events/tail": {
            "get": {
                "summary": "Events as they are stored",
                "parameters": Shapes::query::<Followed>(),
                "responses": shapes.stream(about),
            },
        },
    })
}

/// Which events.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Followed {
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
    /// From this number on, as the header `Last-Event-ID` from the next; without, those that come.
    from: Option<u64>,
}

/// A reader, and where it is.
struct Reader {
    operations: Operations,
    wanted: Wanted,
    filter: Option<Filter>,
    next: u64,
    in_hand: VecDeque<Summary>,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

async fn tail(
    State((operations, places)): State<(Operations, Arc<Semaphore>)>,
    headers: HeaderMap,
    followed: Result<Query<Followed>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(followed) = followed?;
    let filter = filter(followed.filter.as_deref())?;
    let place = places.try_acquire_owned().map_err(|_| Problem {
        status: StatusCode::TOO_MANY_REQUESTS,
        code: "admin/too-many-tails",
        detail: format!("{READERS_MAX} readers follow already"),
    })?;
    let last_id = headers.get("last-event-id");
    let last_id = last_id.and_then(|id| id.to_str().ok()?.parse::<u64>().ok());
    let from = last_id.map(|id| id.saturating_add(1)).or(followed.from);
    let next = match from {
        Some(from) => from,
        None => operations.log.last_sequence().await? + 1,
    };
    let reader = Reader {
        operations,
        wanted: Wanted {
            r#type: followed.r#type,
            source: followed.source,
            subject: followed.subject,
            id: followed.id,
            filter: followed.filter,
            ..Wanted::default()
        },
        filter,
        next,
        in_hand: VecDeque::new(),
        is_over: false,
        _place: place,
    };
    let told = stream::unfold(reader, Reader::told);
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(told).keep_alive(keep_alive).into_response())
}

impl Reader {
    /// The next that is told, as soon as there is one.
    async fn told(mut self) -> Option<(Result<Told, Infallible>, Self)> {
        loop {
            if let Some(event) = self.in_hand.pop_front() {
                let told = Told::default().id(event.sequence.to_string());
                let told = told.event("stored").data(json!(event).to_string());
                return Some((Ok(told), self));
            }
            if self.is_over {
                return None;
            }
            let (code, detail) = match self.look().await {
                Ok(behind) if behind < BEHIND_MAX => continue,
                Ok(behind) => (
                    "admin/too-slow",
                    format!("{behind} events behind, the limit is {BEHIND_MAX}"),
                ),
                Err(error) => ("admin/log-unavailable", error.to_string()),
            };
            self.is_over = true;
            let end = json!({ "code": code, "detail": detail, "next": self.next });
            let end = Told::default().event("end").data(end.to_string());
            return Some((Ok(end), self));
        }
    }

    /// Takes in hand what has come, if there is something; how far behind the reader is.
    async fn look(&mut self) -> Result<u64, ControlError> {
        let Self {
            operations,
            wanted,
            filter,
            next,
            in_hand,
            ..
        } = self;
        let last = operations.log.last_sequence().await?;
        if last < *next {
            sleep(LOOK_EVERY).await;
            return Ok(0);
        }
        let behind = last - *next;
        if behind >= BEHIND_MAX {
            return Ok(behind);
        }
        let from = *next;
        let see = |stored: StoredEvent| {
            *next = stored.sequence + 1;
            if wanted.wants(stored.event.as_ref().ok(), filter.as_ref()) {
                in_hand.push_back(Summary::of(&stored));
            }
            in_hand.len() < IN_HAND_MAX
        };
        let of = (wanted.source.as_deref(), wanted.r#type.as_deref());
        operations.log.events_from(from, of, see).await?;
        if in_hand.len() < IN_HAND_MAX {
            // What is of other subjects is passed by.
            *next = (*next).max(last + 1);
        }
        Ok(0)
    }
}
