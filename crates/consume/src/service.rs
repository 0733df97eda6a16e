//! The loop.
//!
//! What is held is kept alive by progress acknowledgements, whether it waits or is in an attempt,
//! so that nothing is delivered twice because a Function is slow. A failed event goes back to the
//! log with its delay and leaves its place at once; one that failed because nobody was there stays
//! in hand, and nothing more is taken until somebody is.

mod outcome;
mod running;

use std::{collections::BTreeSet, future::Future, pin::pin, sync::Arc, time::Duration};

use fastrand::Rng;
use tidegate_backbone::{ConsumerSpec, LettersOf, Log, Receipt, Settle, Source, Start, subject};
use tidegate_subscription::{self as subscription, Subscription, TypeInterest};

use self::running::Running;
use crate::{
    Attempt, Budget, Config, Metrics,
    gate::Gate,
    metrics::Handles,
    pace::Pace,
    policy::Policy,
    replay::{Replay, ReplayCounts},
};

/// Pause before a log that is away is asked again.
const UNREACHABLE_PAUSE: Duration = Duration::from_millis(250);

/// Delivers one Subscription's events.
#[derive(Debug)]
pub struct Service<L, A> {
    config: Config,
    spec: ConsumerSpec,
    /// The name of its consumer.
    consumer: Arc<str>,
    subscription: Arc<Subscription>,
    log: L,
    attempt: Arc<A>,
    metrics: Handles,
    policy: Policy,
    /// Each has a say in when an attempt may begin.
    paces: Vec<Pace>,
    gate: Gate,
    budget: Budget,
    /// In a place of its own: few have one.
    replay: Option<Box<(Replay, ReplayCounts)>>,
    rng: Rng,
}

type ReceiptOf<L> = <<L as Log>::Source as Source>::Receipt;

impl<L: Log, A: Attempt> Service<L, A> {
    /// A loop for `subscription` over the events below `events_root`. `seed` is all of its
    /// randomness; its time is tokio's.
    pub fn new(
        config: Config,
        events_root: &str,
        subscription: Arc<Subscription>,
        log: L,
        attempt: A,
        metrics: &Metrics,
        seed: u64,
    ) -> Self {
        Self {
            spec: spec(&config, events_root, &subscription),
            consumer: subscription.consumer_name().into(),
            metrics: metrics.of(&subscription.id()),
            policy: policy(&config, &subscription),
            paces: Vec::new(),
            gate: Gate::new(&config.breaker),
            budget: Budget::new(config.held_bytes_total_max),
            replay: None,
            config,
            subscription,
            log,
            attempt: Arc::new(attempt),
            rng: Rng::with_seed(seed),
        }
    }

    /// Attempts begin no faster than this lets them.
    #[must_use]
    pub fn paced(mut self, pace: Pace) -> Self {
        self.paces.push(pace);
        self
    }

    /// Its sink's gate is this one, which others share.
    #[must_use]
    pub fn through(mut self, gate: Gate) -> Self {
        self.gate = gate;
        self
    }

    /// What it holds counts in this budget, which others share.
    #[must_use]
    pub fn within(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// The same loop over what a replay reads.
    #[must_use]
    pub fn replaying(mut self, events_root: &str, replay: Replay, counts: ReplayCounts) -> Self {
        self.spec = replay.spec(&self.config, events_root, &self.subscription);
        self.consumer = replay.name.as_str().into();
        self.metrics = counts.handles.clone();
        self.paces.extend(replay.rate.map(Pace::new));
        self.replay = Some(Box::new((replay, counts)));
        self
    }

    /// Delivers until `stop` is ready. Then it takes nothing more, hands back what waits, and
    /// gives attempts under way up to `grace`. Calls `opened` as soon as the log keeps, for this
    /// Subscription, every event that is stored from now on.
    pub async fn run(
        self,
        opened: impl FnOnce() + Send,
        stop: impl Future<Output = ()> + Send,
        grace: Duration,
    ) {
        let mut stop = pin!(stop);
        let Some(source) = Box::pin(self.open(stop.as_mut())).await else {
            return;
        };
        opened();
        if self.subscription.pause {
            // The consumer stands, so that the log keeps what the Subscription wants.
            source.close().await;
            return stop.await;
        }
        let mut running = Running::new(self);
        let source = running.until(stop, source).await;
        Box::pin(running.finish(source, grace)).await;
    }

    /// The dead letters of these events, from this place among them on.
    fn letters_of(&self, events: BTreeSet<u64>, from: u64) -> LettersOf {
        LettersOf {
            consumer: (*self.consumer).to_owned(),
            namespace: self.subscription.namespace.clone(),
            subscription: self.subscription.name.clone(),
            events,
            from,
        }
    }

    /// Opens the consumer, however long the log is away; `None` when stopped meanwhile.
    async fn open(&self, mut stop: impl Future<Output = ()> + Unpin) -> Option<L::Source> {
        loop {
            match self.log.open(self.spec.clone()).await {
                Ok(source) => return Some(source),
                Err(error) => {
                    tracing::warn!(subscription = self.subscription.id(), %error, "not opened yet");
                }
            }
            tokio::select! {
                biased;
                () = &mut stop => return None,
                () = tokio::time::sleep(UNREACHABLE_PAUSE) => {}
            }
        }
    }
}

/// What follows a failed attempt.
fn policy(config: &Config, subscription: &Subscription) -> Policy {
    let policy = Policy::new(&config.retry, &subscription.delivery.retry);
    match subscription.delivery.order {
        // Whoever takes over has to see all that waits before it goes on: it waits no longer than
        // what a process that died has held.
        Some(_) => policy.at_most(config.ack_wait),
        None => policy,
    }
}

/// The subjects that the log is asked for: at least those of the events that a Subscription wants.
pub fn filters(events_root: &str, subscription: &Subscription) -> Vec<String> {
    let mut filters: Vec<String> = subscription
        .interests()
        .into_iter()
        .map(|interest| match (interest.source, interest.r#type) {
            (Some(source), TypeInterest::Exact(r#type)) => subject::of(events_root, source, r#type),
            (None, TypeInterest::Exact(r#type)) => subject::any_source(events_root, r#type),
            (source, TypeInterest::Below(parts)) => subject::below(events_root, source, parts),
            (Some(source), TypeInterest::Any) => subject::any_type(events_root, source),
            (None, TypeInterest::Any) => Ok(subject::all(events_root)),
        })
        // A subject that is too long is one that no event can have.
        .filter_map(Result::ok)
        .collect();
    filters.sort();
    filters.dedup();
    if filters.is_empty() {
        filters.push(subject::all(events_root));
    }
    filters
}

/// The consumer that a Subscription wants.
fn spec(config: &Config, events_root: &str, subscription: &Subscription) -> ConsumerSpec {
    ConsumerSpec {
        name: subscription.consumer_name(),
        description: format!("Subscription {}", subscription.id()),
        filters: filters(events_root, subscription),
        wants: serde_json::to_string(&subscription.matching).ok(),
        start: match subscription.start {
            subscription::Start::New => Start::New,
            subscription::Start::All => Start::All,
            subscription::Start::Since(time) => Start::Since(time),
            subscription::Start::Sequence(sequence) => Start::Sequence(sequence),
        },
        ack_wait: config.ack_wait,
        unsettled_max: config.unsettled_max,
        exclusive: subscription.delivery.order.is_some(),
    }
}

/// A settlement that cannot be sent is a second delivery, not a loss.
async fn settle(receipt: &impl Receipt, settle: Settle) {
    if let Err(error) = receipt.settle(settle).await {
        tracing::debug!(%error, "a settlement was not sent");
    }
}
