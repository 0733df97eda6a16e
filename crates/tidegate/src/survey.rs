//! A look at the log and at all Subscriptions, now and then, for what nobody counts by the way: how
//! far each is behind, how old its oldest event is, whether its sink takes attempts, and how full
//! the streams are.
//!
//! What it costs follows the clock and the number of Subscriptions, and never the events.

mod credentials;
mod metrics;
mod oldest;
mod watchdog;

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use prometheus_client::registry::Registry;
use tidegate_backbone::{ControlError, Log as _};
use tidegate_consume::{
    Standing,
    shared::{Behind, Unread},
};
use tidegate_subscription::Subscription;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};

use self::{
    credentials::SinkCredentials,
    metrics::{Away, Metrics, Of, Shard, Stream},
    oldest::Oldest,
    watchdog::{Seen, Watchdog},
};
use crate::{
    config::Config,
    pipeline::{Known, Operations, states::State},
};

/// Whoever looks.
pub(crate) struct Survey {
    operations: Operations,
    every: Duration,
    credentials: Option<PathBuf>,
    config: Arc<Config>,
    sink_credentials: SinkCredentials,
    metrics: Metrics,
    oldest: Oldest,
    watchdog: Watchdog,
}

impl Survey {
    pub(crate) fn new(config: &Config, operations: Operations, registry: &mut Registry) -> Self {
        Self {
            operations,
            every: config.telemetry.metrics_interval,
            credentials: config.backbone.credentials_file.clone(),
            config: Arc::new(config.clone()),
            sink_credentials: SinkCredentials::default(),
            metrics: Metrics::register(registry),
            oldest: Oldest::default(),
            watchdog: Watchdog::new(config.telemetry.stalled_after),
        }
    }

    /// Looks again and again, until the process shuts down.
    pub(crate) async fn run(mut self, mut draining: watch::Receiver<bool>) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_over = tokio::select! {
                _ = ticks.tick() => false,
                // An error means that the pipeline is gone, which ends this as well.
                _ = draining.wait_for(|draining| *draining) => true,
            };
            if is_over {
                return;
            }
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let is_ready = self.operations.log.ready().await.is_ok();
        self.metrics.is_ready(is_ready);
        if let Some(at) = self.credentials.as_deref().and_then(credentials::end) {
            self.metrics.credentials_expire(at);
        }
        let subscriptions = Arc::clone(&self.operations.subscriptions.borrow());
        self.look_at_sinks(&subscriptions);
        let ends = self.sink_credentials.look(&subscriptions, &self.config);
        if let Some(ends) = ends.await {
            self.metrics.sink_credentials_expiry.set(ends);
        }
        if let Err(error) = self.look_at_log(&subscriptions).await {
            // A number of before would be taken for one of now.
            self.metrics.forget_log();
            self.operations.waiting.set(HashMap::new());
            tracing::debug!(%error, "how far Subscriptions are behind is not known");
        }
    }

    fn look_at_sinks(&self, subscriptions: &[Arc<Subscription>]) {
        let (mut open, mut available, mut away) = (Vec::new(), Vec::new(), Vec::new());
        let paused = subscriptions.iter();
        let paused = paused.map(|one| (Of::new(&one.id()), flag(one.pause)));
        self.metrics.paused.set(paused);
        for subscription in subscriptions {
            let id = subscription.id();
            let state = self.operations.states.of(&id);
            let is_open = matches!(state, Some((State::Open, _)));
            open.push((Of::new(&id), flag(is_open)));
            let standing = self.operations.gates.standing(&subscription.sink_key());
            let reason = reason(standing);
            available.push((Of::new(&id), flag(reason.is_none())));
            away.extend(reason.map(|reason| (Away::new(&id, reason), 1.0)));
        }
        self.metrics.open.set(open);
        self.metrics.sink_available.set(available);
        self.metrics.sink_away.set(away);
        let mistakes = self.operations.states.mistakes().len();
        self.metrics.mistakes(mistakes);
    }

    async fn look_at_log(
        &mut self,
        subscriptions: &[Arc<Subscription>],
    ) -> Result<(), ControlError> {
        let streams = self.operations.log.usage().await?;
        let behind = self.operations.consumers.behind().await?;
        let names: HashMap<String, String> = subscriptions
            .iter()
            .map(|one| (one.consumer_name(), one.id()))
            .collect();
        let known: Vec<(&str, &Behind)> = behind
            .consumers
            .iter()
            .filter_map(|one| Some((names.get(&one.consumer)?.as_str(), one)))
            .collect();
        let behind_each = known.iter().map(|(_, one)| *one);
        self.oldest.look(&self.operations.log, behind_each).await?;
        self.look_at_letters(subscriptions, &known).await?;
        let rows = |value: fn(&Behind) -> u64| {
            let row = |(id, one): &(&str, &Behind)| (Of::new(id), number(value(one)));
            known.iter().map(row).collect::<Vec<_>>()
        };
        self.metrics.undelivered.set(rows(|one| one.undelivered));
        self.metrics.unsettled.set(rows(|one| one.unsettled));
        let now = self.operations.log.now();
        let ages = known.iter().map(|(id, one)| {
            let age = self.oldest.of(&one.consumer).map(|time| age(now, time));
            (Of::new(id), age.unwrap_or_default().as_secs_f64())
        });
        self.metrics.oldest_age.set(ages.collect::<Vec<_>>());
        let unread = behind.unread.iter();
        let shard = |one: &Unread| Shard { shard: one.shard };
        self.metrics
            .unread
            .set(unread.map(|one| (shard(one), number(one.events))));
        self.watch(&known, &behind.unread, subscriptions).await;
        let rows = |value: fn(&tidegate_backbone::jetstream::Usage) -> Option<u64>| {
            let row = |one| Some((Stream::new(one), number(value(one)?)));
            streams.iter().filter_map(row).collect::<Vec<_>>()
        };
        self.metrics.stream_bytes.set(rows(|one| Some(one.bytes)));
        self.metrics.stream_bytes_max.set(rows(|one| one.bytes_max));
        self.metrics
            .stream_messages
            .set(rows(|one| Some(one.messages)));
        self.metrics
            .stream_consumers
            .set(rows(|one| Some(one.consumers)));
        Ok(())
    }

    /// What waits for each, for whoever tells of it.
    async fn look_at_letters(
        &self,
        subscriptions: &[Arc<Subscription>],
        known: &[(&str, &Behind)],
    ) -> Result<(), ControlError> {
        let letters = self.operations.log.letters_of_each().await?;
        let lags: HashMap<&str, u64> = known
            .iter()
            .map(|(id, one)| (*id, one.undelivered + one.unsettled))
            .collect();
        let waiting = subscriptions.iter().filter_map(|one| {
            let id = one.id();
            let of = (one.namespace.clone(), one.name.clone());
            let known = Known {
                lag: *lags.get(id.as_str())?,
                dead_letters: letters.get(&of).copied().unwrap_or(0),
            };
            Some((id, known))
        });
        self.operations.waiting.set(waiting.collect());
        Ok(())
    }

    /// Whether anybody's events do not come.
    async fn watch(
        &mut self,
        known: &[(&str, &Behind)],
        unread: &[Unread],
        subscriptions: &[Arc<Subscription>],
    ) {
        let waits = |one: &&Arc<Subscription>| {
            let is_open = matches!(self.operations.states.of(&one.id()), Some((State::Open, _)));
            let standing = self.operations.gates.standing(&one.sink_key());
            is_open && !one.pause && reason(standing).is_none()
        };
        let waiting: HashSet<String> = subscriptions
            .iter()
            .filter(waits)
            .map(|one| one.id())
            .collect();
        let own = known.iter().filter(|(id, _)| waiting.contains(*id));
        let own = own.map(|(_, one)| Seen {
            consumer: &one.consumer,
            undelivered: one.undelivered,
            unsettled: one.unsettled,
            place: one.settled_to,
        });
        let shared = unread.iter().map(|one| Seen {
            consumer: &one.consumer,
            undelivered: one.events,
            unsettled: one.in_hand,
            place: one.read_to,
        });
        let found = self.watchdog.look(own.chain(shared), Instant::now());
        for consumer in &found.new {
            let log = &self.operations.log;
            let stepped_down = log.step_down(consumer).await.is_ok();
            tracing::error!(
                consumer,
                stepped_down,
                "the nats-server delivers nothing from this consumer, which has events, though \
                 nothing is in their way; whether it is paused is said by nats consumer info"
            );
        }
        for consumer in &found.over {
            tracing::info!(consumer, "events come from this consumer again");
        }
        let is_stalled = |consumer: &String| flag(found.stalled.contains(consumer));
        let own = known.iter();
        self.metrics
            .stalled
            .set(own.map(|(id, one)| (Of::new(id), is_stalled(&one.consumer))));
        let shared = unread.iter().map(|one| {
            let shard = Shard { shard: one.shard };
            (shard, is_stalled(&one.consumer))
        });
        self.metrics.shared_stalled.set(shared);
    }
}

/// Why a sink gets nothing now; one of a closed set.
fn reason(standing: Standing) -> Option<&'static str> {
    match standing {
        Standing::Open => None,
        Standing::Held => Some("retry_after"),
        Standing::Failing => Some("failing"),
        Standing::Gone => Some("gone"),
        Standing::NotPermitted => Some("not_permitted"),
    }
}

/// The clock of the log may be a little ahead.
fn age(now: SystemTime, time: SystemTime) -> Duration {
    now.duration_since(time).unwrap_or_default()
}

fn flag(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn number(count: u64) -> f64 {
    count as f64
}
