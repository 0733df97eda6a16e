//! Replays: begun, looked after until they have come to their end, told about.
//!
//! What a replay is for is kept with its consumer, so a restart goes on with it.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroU32,
    sync::Arc,
    time::SystemTime,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_backbone::{ControlError, Log, Pending, jetstream::Jetstream};
use tidegate_consume::{Attempt, Ended, Failure, Replay, ReplayCounts, Verdict};
use tidegate_event::{Event, Name, Value};
use tidegate_subscription::{Filter, Matched, Subscription};
use tokio::sync::{mpsc, oneshot};

use crate::config::Config;

/// What the consumer of a replay is named by.
const PREFIX: &str = "replay-";

/// Says which replay an event is sent by.
const MARK: &str = "replayid";

/// Replays that are told about after their end, the latest.
const ENDED_MAX: usize = 100;

/// Questions that may wait.
const ASKED_MAX: usize = 16;

/// What is wanted of a replay.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(rename = "ReplayWanted")]
pub(crate) struct Wanted {
    /// `namespace/name` of the Subscription that gets the events.
    subscription: String,
    /// From the first event that was stored at this time or later; this or `from`.
    #[serde(default, with = "humantime_serde::option")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    since: Option<SystemTime>,
    /// From the event of this number in the stream.
    from: Option<u64>,
    /// Events that were stored before this time; without it, all until now.
    #[serde(default, with = "humantime_serde::option")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    until: Option<SystemTime>,
    /// A CESQL expression that is true of them.
    filter: Option<String>,
    /// At most so many attempts a second.
    rate: Option<NonZeroU32>,
    /// They are counted and not sent.
    #[serde(default)]
    dry_run: bool,
}

/// How a replay stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Phase {
    Running,
    /// Its Subscription is paused, or gone for the moment.
    Waiting,
    Done,
    Cancelled,
}

/// A replay, and how far it has come.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Replay")]
pub(crate) struct Status {
    name: String,
    subscription: String,
    since: Option<String>,
    from: Option<u64>,
    until: Option<String>,
    /// The last number in the stream that belongs to it.
    last: u64,
    filter: Option<String>,
    rate: Option<NonZeroU32>,
    dry_run: bool,
    phase: Phase,
    /// Events that were there to be looked at when it began, or when Tidegate was started since.
    events: u64,
    /// Events that are still to be looked at; some may come after its end.
    left: u64,
    /// Events that were tried and are to be tried again.
    unsettled: u64,
    /// Events that the sink has taken since it began, or since Tidegate was started.
    delivered: u64,
    /// Attempts since then that failed and are repeated.
    retries: u64,
    /// Events that became dead letters since then.
    dead_letters: u64,
}

impl Wanted {
    pub(crate) fn subscription(&self) -> &str {
        &self.subscription
    }
}

impl Status {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn subscription(&self) -> &str {
        &self.subscription
    }
}

/// Why there is no replay, or not the one that was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("there is no Subscription {0}; `tidegate subscriptions list` shows those there are")]
    NoSubscription(String),
    #[error("{0}")]
    Invalid(String),
    #[error("replay {0} runs for this Subscription; wait for its end, or cancel it")]
    Runs(String),
    #[error("there is no replay {0}; those that ended are forgotten when Tidegate is restarted")]
    Missing(String),
    #[error(transparent)]
    Log(#[from] ControlError),
    #[error("Tidegate is shutting down")]
    Stopping,
}

type Answer<T> = oneshot::Sender<Result<T, Refused>>;

/// A question to the one who looks after replays.
pub(super) enum Ask {
    Begin(Wanted, Answer<Status>),
    List(Answer<Vec<Status>>),
    Cancel(String, Answer<Status>),
}

/// Asks the one who looks after replays.
#[derive(Clone, Debug)]
pub(crate) struct ReplayDoor(mpsc::Sender<Ask>);

impl ReplayDoor {
    pub(super) fn new() -> (Self, mpsc::Receiver<Ask>) {
        let (ask, asked) = mpsc::channel(ASKED_MAX);
        (Self(ask), asked)
    }

    pub(crate) async fn begin(&self, wanted: Wanted) -> Result<Status, Refused> {
        self.ask(|answer| Ask::Begin(wanted, answer)).await
    }

    /// Those that run, and those that have ended: those that began last come first.
    pub(crate) async fn list(&self) -> Result<Vec<Status>, Refused> {
        self.ask(Ask::List).await
    }

    pub(crate) async fn find(&self, name: &str) -> Result<Status, Refused> {
        let all = self.list().await?;
        all.into_iter()
            .find(|status| status.name == name)
            .ok_or_else(|| Refused::Missing(name.to_owned()))
    }

    pub(crate) async fn cancel(&self, name: String) -> Result<Status, Refused> {
        self.ask(|answer| Ask::Cancel(name, answer)).await
    }

    async fn ask<T>(&self, ask: impl FnOnce(Answer<T>) -> Ask) -> Result<T, Refused> {
        let (answer, answered) = oneshot::channel();
        let sent = self.0.send(ask(answer)).await;
        sent.map_err(|_| Refused::Stopping)?;
        answered.await.unwrap_or(Err(Refused::Stopping))
    }
}

/// A replay that a worker delivers.
#[derive(Clone, Debug)]
pub(super) struct Assigned {
    pub(super) replay: Replay,
    pub(super) counts: ReplayCounts,
}

struct Running {
    assigned: Assigned,
    events: u64,
    position: Pending,
    is_waiting: bool,
}

impl Running {
    fn status(&self, phase: Option<Phase>) -> Status {
        let Assigned { replay, counts } = &self.assigned;
        let running = if self.is_waiting {
            Phase::Waiting
        } else {
            Phase::Running
        };
        Status {
            phase: phase.unwrap_or(running),
            events: self.events,
            left: self.position.undelivered,
            unsettled: self.position.unsettled,
            delivered: counts.delivered(),
            retries: counts.retries(),
            dead_letters: counts.dead_letters(),
            name: replay.name.clone(),
            subscription: replay.subscription.clone(),
            since: replay.since.map(shown),
            from: replay.from,
            until: replay.until.map(shown),
            last: replay.last,
            filter: match &replay.filter {
                Some(Filter::Sql(expression)) => Some(expression.source().to_owned()),
                Some(_) | None => None,
            },
            rate: replay.rate,
            dry_run: replay.dry_run,
        }
    }

    fn is_done(&self) -> bool {
        let Pending {
            undelivered,
            unsettled,
            delivered,
            ..
        } = &self.position;
        let Assigned { replay, counts } = &self.assigned;
        let is_read = counts.is_over() || *undelivered == 0 || *delivered >= replay.last;
        is_read && *unsettled == 0
    }
}

/// The replays of one process.
pub(super) struct Replays {
    log: Jetstream,
    config: Arc<Config>,
    running: HashMap<String, Running>,
    ended: VecDeque<Status>,
}

impl Replays {
    pub(super) fn new(log: Jetstream, config: Arc<Config>) -> Self {
        Self {
            log,
            config,
            running: HashMap::new(),
            ended: VecDeque::new(),
        }
    }

    /// Goes on with those that an earlier process has left.
    pub(super) fn resume(&mut self, consumers: &[Pending]) {
        for consumer in consumers.iter().filter(|one| is_replay(&one.name)) {
            let wants = consumer.wants.as_deref().unwrap_or_default();
            match serde_json::from_str(wants) {
                Ok(replay) => self.insert(replay, consumer.clone()),
                Err(error) => tracing::warn!(
                    consumer = consumer.name,
                    %error,
                    "what this replay is for is not understood; delete its consumer"
                ),
            }
        }
    }

    fn insert(&mut self, replay: Replay, position: Pending) {
        let running = Running {
            events: position.undelivered + position.unsettled,
            assigned: Assigned {
                counts: ReplayCounts::new(&replay),
                replay,
            },
            position,
            is_waiting: true,
        };
        self.running
            .insert(running.assigned.replay.name.clone(), running);
    }

    /// That of a Subscription, if there is one.
    pub(super) fn of(&self, subscription: &str) -> Option<Assigned> {
        let mut running = self.running.values();
        let found = running.find(|one| one.assigned.replay.subscription == subscription)?;
        Some(found.assigned.clone())
    }

    pub(super) fn set_waiting(&mut self, name: &str, is_waiting: bool) {
        if let Some(running) = self.running.get_mut(name) {
            running.is_waiting = is_waiting;
        }
    }

    /// Begins one, which a worker has to be told of; its name.
    pub(super) async fn begin(
        &mut self,
        wanted: Wanted,
        subscription: &Subscription,
    ) -> Result<String, Refused> {
        if let Some(runs) = self.of(&wanted.subscription) {
            return Err(Refused::Runs(runs.replay.name));
        }
        let replay = self.replay(wanted).await?;
        let root = self.config.backbone.events_root();
        let spec = replay.spec(&self.config.consume, &root, subscription);
        // It is there from now on, whatever becomes of this process.
        drop(self.log.open(spec).await?);
        let position = self.log.consumer(&replay.name).await?;
        let position = position.ok_or_else(|| Refused::Missing(replay.name.clone()))?;
        let name = replay.name.clone();
        self.insert(replay, position);
        Ok(name)
    }

    async fn replay(&self, wanted: Wanted) -> Result<Replay, Refused> {
        let invalid = |reason: &str| Refused::Invalid(reason.to_owned());
        if wanted.since.is_some() == wanted.from.is_some() {
            return Err(invalid("say since (a time) or from (a place in the log)"));
        }
        if let (Some(since), Some(until)) = (wanted.since, wanted.until)
            && since >= until
        {
            return Err(invalid("until must be later than since"));
        }
        let filter = match wanted.filter.as_deref().map(str::parse) {
            None => None,
            Some(Ok(expression)) => Some(Filter::Sql(expression)),
            Some(Err(error)) => return Err(Refused::Invalid(format!("filter: {error}"))),
        };
        let now = SystemTime::now();
        let time = now.duration_since(SystemTime::UNIX_EPOCH);
        let name = format!(
            "{PREFIX}{}-{:04x}",
            time.map_or(0, |time| time.as_secs()),
            fastrand::u16(..)
        );
        Ok(Replay {
            name,
            subscription: wanted.subscription,
            since: wanted.since,
            from: wanted.from,
            until: wanted.until,
            last: self.log.last_sequence().await?,
            filter,
            rate: wanted.rate,
            dry_run: wanted.dry_run,
        })
    }

    /// Looks how far they have come; those that have ended.
    pub(super) async fn look(&mut self) -> Vec<Status> {
        let mut at_end = Vec::new();
        for (name, running) in &mut self.running {
            match self.log.consumer(name).await {
                Ok(Some(position)) => running.position = position,
                Ok(None) => {
                    at_end.push((name.clone(), Phase::Cancelled));
                    continue;
                }
                Err(error) => {
                    tracing::debug!(replay = name, %error, "where it stands is not known");
                    continue;
                }
            }
            if running.is_done() {
                at_end.push((name.clone(), Phase::Done));
            }
        }
        let mut ended = Vec::new();
        for (name, phase) in at_end {
            match self.end(&name, phase).await {
                Ok(status) => ended.push(status),
                Err(error) => tracing::warn!(replay = name, %error, "not ended yet"),
            }
        }
        ended
    }

    /// Takes one away, with its consumer.
    async fn end(&mut self, name: &str, phase: Phase) -> Result<Status, Refused> {
        if !self.running.contains_key(name) {
            return Err(Refused::Missing(name.to_owned()));
        }
        self.log.remove(name).await?;
        let running = self.running.remove(name);
        let running = running.ok_or_else(|| Refused::Missing(name.to_owned()))?;
        let status = running.status(Some(phase));
        tracing::info!(
            replay = name,
            subscription = status.subscription,
            ?phase,
            delivered = status.delivered,
            dead_letters = status.dead_letters,
            "replay ended"
        );
        self.ended.push_front(status.clone());
        self.ended.truncate(ENDED_MAX);
        Ok(status)
    }

    pub(super) async fn cancel(&mut self, name: &str) -> Result<Status, Refused> {
        self.end(name, Phase::Cancelled).await
    }

    pub(super) fn status(&self, name: &str) -> Result<Status, Refused> {
        let running = self.running.get(name).map(|running| running.status(None));
        running.ok_or_else(|| Refused::Missing(name.to_owned()))
    }

    pub(super) fn list(&self) -> Vec<Status> {
        let running = self.running.values().map(|one| one.status(None));
        let mut all: Vec<Status> = running.chain(self.ended.iter().cloned()).collect();
        // Names begin with the time; and one keeps its place when it ends.
        all.sort_by(|a, b| b.name.cmp(&a.name));
        all
    }
}

fn shown(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// Whether a consumer of this name is one of a replay.
pub(super) fn is_replay(consumer: &str) -> bool {
    consumer.starts_with(PREFIX)
}

/// Attempts of a replay: events say which one sends them, or are not sent at all.
#[derive(Clone, Debug)]
pub(super) struct ReplayAttempt<A> {
    pub(super) attempt: A,
    pub(super) name: Arc<str>,
    pub(super) dry_run: bool,
}

impl<A: Attempt> Attempt for ReplayAttempt<A> {
    async fn attempt(&self, event: &Event, matched: &Matched) -> Verdict {
        if self.dry_run {
            return Verdict::DELIVERED;
        }
        let mut event = event.clone();
        let name = Value::String((*self.name).into());
        event.extensions.insert(Name::from_static(MARK), name);
        self.attempt.attempt(&event, matched).await
    }

    fn ended(&self, ended: &Ended<'_>) {
        if !self.dry_run {
            self.attempt.ended(ended);
        }
    }

    async fn buried(&self, event: &Event, failure: &Failure, letter: u64) {
        self.attempt.buried(event, failure, letter).await;
    }
}
