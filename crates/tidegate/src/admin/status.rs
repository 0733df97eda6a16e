//! `/api/v1/status`: whether all is well, what flows, what is stuck, and what to do about it.

mod flow;

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    Json, Router,
    extract::{Query, State, rejection::QueryRejection},
    routing::get,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidegate_backbone::{ControlError, Log as _};
use tidegate_subscription::Subscription;
use tokio::sync::watch;

use self::flow::{Counts, Flow};
use super::{
    Scrape,
    openapi::Shapes,
    problem::Problem,
    subscriptions::{self, Standing},
};
use crate::pipeline::{Operations, pauses::Paused};

/// After so long what waits is stuck, unless said otherwise: as long as the longest delay between
/// two attempts.
const STUCK_AFTER: Duration = Duration::from_secs(300);

/// How long what flows is watched, unless said otherwise.
const WATCHED: Duration = Duration::from_secs(1);

/// Nobody waits longer for an answer.
const WATCHED_MAX: Duration = Duration::from_secs(10);

/// For so many Subscriptions the oldest event is looked for, and dead letters are told of. Whoever
/// has more has one cause for all of them.
const STUCK_MAX: usize = 50;

/// Most stored events that are looked at to find the oldest one that a Subscription waits for.
const LOOKED_AT_MAX: usize = 5_000;

/// Most of what is stuck, and most paused Subscriptions, that one answer names: a page of the list
/// of Subscriptions, which has them all.
const NAMED_MAX: usize = 1_000;

#[derive(Clone)]
struct Shared {
    operations: Operations,
    scrape: Scrape,
    draining: watch::Receiver<bool>,
}

/// The routes.
pub(super) fn routes(
    operations: Operations,
    scrape: Scrape,
    draining: watch::Receiver<bool>,
) -> Router {
    Router::new()
        .route("/api/v1/status", get(show))
        .with_state(Shared {
            operations,
            scrape,
            draining,
        })
}

/// What the routes take and answer.
pub(super) fn paths(shapes: &mut Shapes) -> Value {
    let status = shapes.of::<Status>();
    json!({
        "/api/v1/status": {
            "get": {
                "summary": "Whether all is well, what flows, what is stuck, and what to do",
                "parameters": Shapes::query::<Wanted>(),
                "responses": shapes.answers("200", "How it stands.", Some(&status)),
            },
        },
    })
}

/// How to look.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
struct Wanted {
    /// What waits longer is stuck: `5m`, unless said otherwise.
    #[serde(with = "humantime_serde::option")]
    #[schemars(with = "Option<String>")]
    stuck_after: Option<Duration>,
    /// How long what flows is watched: `1s`, unless said otherwise, at most `10s`; `0s` leaves it
    /// out.
    #[serde(with = "humantime_serde::option")]
    #[schemars(with = "Option<String>")]
    watch: Option<Duration>,
}

/// How it stands.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Status {
    /// Whether nothing is stuck and every part is well.
    is_well: bool,
    /// Of the process that answers.
    version: &'static str,
    parts: Vec<Part>,
    /// `null` where it was not wanted.
    flow: Option<Flow>,
    /// What waits for somebody to act, or has waited for long.
    stuck: Vec<Stuck>,
    /// How many more do than the 1,000 that are named.
    stuck_more: usize,
    /// Subscriptions that are paused, and meant to be.
    paused: Vec<Pause>,
    /// How many more are than the 1,000 that are named.
    paused_more: usize,
}

/// A part of the way.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "StatusPart")]
struct Part {
    /// `log`, `doors` or `delivery`.
    name: &'static str,
    is_well: bool,
    message: String,
}

/// A Subscription that is paused.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "StatusPaused")]
struct Pause {
    /// `namespace/name`.
    subscription: String,
    #[serde(flatten)]
    paused: Paused,
    /// For people: by what, and why.
    message: String,
}

/// Something that does not go on.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Stuck {
    /// One word for programs: `NotReady`, `Sink`, `DeadLettersRefused`, `Behind`, `DeadLetters`,
    /// `Document`.
    kind: &'static str,
    /// `namespace/name`; `null` for a document that names none.
    subscription: Option<String>,
    /// Since when, as far as that is known: of what waits, when the oldest was stored.
    since: Option<String>,
    /// How many wait.
    waiting: Option<u64>,
    message: String,
    /// What to do next, for a shell.
    next: String,
}

async fn show(
    State(shared): State<Shared>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Status>, Problem> {
    let Query(wanted) = wanted?;
    let watched = wanted.watch.unwrap_or(WATCHED).min(WATCHED_MAX);
    let flow = match watched {
        Duration::ZERO => None,
        watched => Some(
            Counts::of(&shared.scrape)
                .flow(&shared.scrape, watched)
                .await,
        ),
    };
    let operations = &shared.operations;
    let mut parts = vec![log(operations).await, doors(&shared, flow.as_ref())];
    let is_away = parts.iter().any(|part| part.name == "log" && !part.is_well);
    let mut found = Found {
        stuck_after: wanted.stuck_after.unwrap_or(STUCK_AFTER),
        stuck: Vec::new(),
        paused: Vec::new(),
    };
    // Without the log nothing is known of Subscriptions, and that is all there is to say.
    if !is_away {
        parts.push(found.look(operations).await?);
    }
    let Found { stuck, paused, .. } = found;
    let is_well = stuck.is_empty() && parts.iter().all(|part| part.is_well);
    let (stuck, stuck_more) = named(stuck);
    let (paused, paused_more) = named(paused);
    Ok(Json(Status {
        is_well,
        version: env!("CARGO_PKG_VERSION"),
        parts,
        flow,
        stuck,
        stuck_more,
        paused,
        paused_more,
    }))
}

/// As many as one answer names, and how many more there are.
fn named<T>(mut all: Vec<T>) -> (Vec<T>, usize) {
    let more = all.len().saturating_sub(NAMED_MAX);
    all.truncate(NAMED_MAX);
    (all, more)
}

async fn log(operations: &Operations) -> Part {
    let told = async {
        operations
            .log
            .ready()
            .await
            .map_err(|error| error.to_string())?;
        let last = operations.log.last_sequence().await;
        last.map_err(|error| error.to_string())
    };
    let (is_well, message) = match told.await {
        Ok(last) => (
            true,
            format!("it takes events; the last has the number {last}"),
        ),
        Err(reason) => (false, reason),
    };
    Part {
        name: "log",
        is_well,
        message,
    }
}

fn doors(shared: &Shared, flow: Option<&Flow>) -> Part {
    let full = flow.and_then(|flow| flow.refused.get("publish/storage-full"));
    let (is_well, message) = match full {
        _ if *shared.draining.borrow() => (false, "shutting down"),
        Some(_) => (
            false,
            "events are refused: the log is full (backbone.events.size_max)",
        ),
        None => (true, "open"),
    };
    Part {
        name: "doors",
        is_well,
        message: message.to_owned(),
    }
}

/// What does not go on.
struct Found {
    stuck_after: Duration,
    stuck: Vec<Stuck>,
    paused: Vec<Pause>,
}

impl Found {
    async fn look(&mut self, operations: &Operations) -> Result<Part, Problem> {
        let all = subscriptions::standings(operations).await?;
        let has_letters = operations.log.letters().await?.letters > 0;
        let count = all.len();
        let furthest = furthest(&all);
        for (subscription, standing) in &all {
            let oldest = match furthest.contains(&subscription.id()) {
                true => oldest(operations, subscription, standing.settled_to).await?,
                false => None,
            };
            self.look_at(subscription, standing, oldest);
            if has_letters && self.stuck.len() < STUCK_MAX {
                self.letters(operations, subscription).await?;
            }
        }
        for mistake in operations.states.mistakes() {
            self.stuck.push(Stuck {
                kind: "Document",
                subscription: mistake.of.as_ref().map(|(object, _)| object.clone()),
                since: None,
                waiting: None,
                message: mistake.to_string(),
                next: "mend the document; tidegate check tells whether it is fine".to_owned(),
            });
        }
        let ready = all.iter().filter(|(_, standing)| standing.ready).count();
        let paused = self.paused.len();
        Ok(Part {
            name: "delivery",
            is_well: ready + paused == count,
            message: format!("{ready} of {count} Subscriptions get events, {paused} are paused"),
        })
    }

    fn look_at(
        &mut self,
        subscription: &Subscription,
        standing: &Standing,
        oldest: Option<SystemTime>,
    ) {
        let id = subscription.id();
        let time = |time: SystemTime| humantime::format_rfc3339_millis(time).to_string();
        let mut push = |kind, message: String, next: String| {
            self.stuck.push(Stuck {
                kind,
                subscription: Some(id.clone()),
                since: oldest.map(time),
                waiting: Some(waiting(standing)),
                message,
                next,
            });
        };
        let show = format!("tidegate subscriptions show {id}");
        let mut is_told = false;
        for condition in standing
            .conditions
            .iter()
            .filter(|one| one.status != "True")
        {
            if condition.reason == "Paused"
                && let Some(paused) = &standing.paused
            {
                self.paused.push(Pause {
                    subscription: id,
                    message: paused.words(),
                    paused: paused.clone(),
                });
                return;
            }
            // A sink that fails stays so until enough attempts have succeeded; with nothing to
            // attempt, nothing is stuck.
            let is_idle = matches!(condition.reason, "Failing" | "RetryAfter");
            if is_idle && waiting(standing) == 0 {
                continue;
            }
            let kind = match condition.r#type {
                "SinkAvailable" => "Sink",
                "DeadLettersStored" => "DeadLettersRefused",
                _ => "NotReady",
            };
            let next = match kind {
                "Sink" => format!("mend {}; then: {show}", standing.sink),
                _ => show.clone(),
            };
            push(kind, condition.message.clone(), next);
            is_told = true;
        }
        let age = oldest.and_then(|oldest| oldest.elapsed().ok());
        if !is_told && age.is_some_and(|age| age >= self.stuck_after) {
            push(
                "Behind",
                "its oldest event has waited for long".to_owned(),
                show,
            );
        }
    }

    async fn letters(
        &mut self,
        operations: &Operations,
        subscription: &Subscription,
    ) -> Result<(), ControlError> {
        let (namespace, name) = (&subscription.namespace, &subscription.name);
        let first = operations
            .log
            .letter_from(1, Some((namespace, name)))
            .await?;
        let Some(first) = first else {
            return Ok(());
        };
        let count = operations.log.letter_sizes(namespace, name).await?.len();
        let id = subscription.id();
        self.stuck.push(Stuck {
            kind: "DeadLetters",
            since: Some(humantime::format_rfc3339_millis(first.buried_at).to_string()),
            waiting: u64::try_from(count).ok(),
            message: format!("the oldest: {}: {}", first.reason, first.detail),
            next: format!("tidegate dead-letters list --subscription {id}"),
            subscription: Some(id),
        });
        Ok(())
    }
}

fn waiting(standing: &Standing) -> u64 {
    standing.undelivered.unwrap_or(0) + standing.unsettled.unwrap_or(0)
}

/// Those for which most waits. To find the oldest event of one is to read the log.
fn furthest(all: &[(Arc<Subscription>, Standing)]) -> BTreeSet<String> {
    let mut behind: Vec<(u64, String)> = all
        .iter()
        .map(|(subscription, standing)| (waiting(standing), subscription.id()))
        .filter(|(waiting, _)| *waiting > 0)
        .collect();
    behind.sort_unstable_by(|a, b| b.cmp(a));
    behind.truncate(STUCK_MAX);
    behind.into_iter().map(|(_, id)| id).collect()
}

/// When the oldest event was stored that it has not settled; `None` where that is not among those
/// that are looked at.
async fn oldest(
    operations: &Operations,
    subscription: &Subscription,
    settled_to: Option<u64>,
) -> Result<Option<SystemTime>, ControlError> {
    let Some(settled_to) = settled_to else {
        return Ok(None);
    };
    let (mut oldest, mut looked_at) = (None, 0_usize);
    operations
        .log
        .events_from(settled_to + 1, (None, None), |stored| {
            looked_at += 1;
            let event = stored.event.as_ref();
            if event.is_ok_and(|event| subscription.matches(event).is_some()) {
                oldest = Some(stored.stored_at);
            }
            oldest.is_none() && looked_at < LOOKED_AT_MAX
        })
        .await?;
    Ok(oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer has an end, however many Subscriptions there are, and says what it leaves out.
    #[test]
    fn what_is_named_is_bounded_and_the_rest_is_counted() {
        assert_eq!(named(vec![1, 2]), (vec![1, 2], 0));
        let (all, more) = named(vec![0; NAMED_MAX + 7]);
        assert_eq!((all.len(), more), (NAMED_MAX, 7));
    }
}
