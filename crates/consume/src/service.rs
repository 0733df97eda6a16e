//! The loop.
//!
//! What is held is kept alive by progress acknowledgements, whether it waits or is in an attempt,
//! so that nothing is delivered twice because a Function is slow. A failed event goes back to the
//! log with its delay and leaves its place at once.

mod outcome;

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use fastrand::Rng;
use tidegate_backbone::{ConsumerSpec, Log, Receipt, Settle, Source, SourceError, Start, subject};
use tidegate_event::Event;
use tidegate_subscription::{self as subscription, Matched, Matching, Subscription, TypeInterest};
use tokio::{
    task::{self, JoinSet},
    time::{Instant, MissedTickBehavior, interval, timeout_at},
};

use self::outcome::Outcomes;
use crate::{
    Attempt, Config, Metrics,
    gate::Gate,
    held::{Held, Room},
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
    attempt: A,
    metrics: Handles,
    policy: Policy,
    /// Each has a say in when an attempt may begin.
    paces: Vec<Pace>,
    gate: Gate,
    replay: Option<(Replay, ReplayCounts)>,
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
            policy: Policy::new(&config.retry, &subscription.delivery.retry),
            paces: Vec::new(),
            gate: Gate::default(),
            replay: None,
            config,
            subscription,
            log,
            attempt,
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

    /// The same loop over what a replay reads.
    #[must_use]
    pub fn replaying(mut self, events_root: &str, replay: Replay, counts: ReplayCounts) -> Self {
        self.spec = replay.spec(&self.config, events_root, &self.subscription);
        self.consumer = replay.name.as_str().into();
        self.metrics = counts.handles.clone();
        self.paces.extend(replay.rate.map(Pace::new));
        self.replay = Some((replay, counts));
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
        let Some(source) = self.open(stop.as_mut()).await else {
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
        running.finish(source, grace).await;
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
                () = &mut stop => return None,
                () = tokio::time::sleep(UNREACHABLE_PAUSE) => {}
            }
        }
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
    }
}

/// A loop with what it has in its hands.
struct Running<L: Log, A> {
    service: Service<L, A>,
    window: usize,
    room: Room,
    waiting: VecDeque<(Held<ReceiptOf<L>>, Matched)>,
    attempts: JoinSet<()>,
    under_way: HashMap<task::Id, Held<ReceiptOf<L>>>,
    /// What was wanted before, for events that were stored until then.
    former: Vec<(u64, Vec<Matching>)>,
    /// Nothing more is read.
    is_over: bool,
}

impl<L: Log, A: Attempt> Running<L, A> {
    fn new(service: Service<L, A>) -> Self {
        Self {
            window: usize::try_from(service.subscription.delivery.max_in_flight.get())
                .unwrap_or(usize::MAX),
            room: Room::new(&service.config, &service.subscription),
            is_over: false,
            service,
            waiting: VecDeque::new(),
            attempts: JoinSet::new(),
            under_way: HashMap::new(),
            former: Vec::new(),
        }
    }

    async fn until(
        &mut self,
        mut stop: impl Future<Output = ()> + Unpin,
        mut source: L::Source,
    ) -> Option<L::Source> {
        let mut progress = self.progress_ticks();
        let mut pause_until = None;
        self.remember(&source);
        loop {
            let paced = self.begin_attempts();
            let room = if self.is_over { 0 } else { self.room.left() };
            let paused = pause_until.is_some_and(|until| Instant::now() < until);
            tokio::select! {
                () = &mut stop => return Some(source),
                Some(ended) = self.attempts.join_next_with_id() => self.ended(ended).await,
                pulled = source.pull(room), if room > 0 && !paused => match pulled {
                    Ok(deliveries) => {
                        for delivery in deliveries {
                            self.take(delivery.into()).await;
                        }
                    }
                    Err(SourceError::Gone { .. }) if self.service.replay.is_some() => {
                        // That is how it ends, and how it is cancelled.
                        self.is_over = true;
                    }
                    Err(error @ SourceError::Gone { .. }) => {
                        tracing::warn!(%error, "the consumer is made anew");
                        source = self.service.open(&mut stop).await?;
                        self.remember(&source);
                    }
                    Err(error @ SourceError::Unreachable { .. }) => {
                        tracing::debug!(%error, "pulling pauses");
                        pause_until = Some(Instant::now() + UNREACHABLE_PAUSE);
                    }
                },
                () = sleep_until_some(pause_until), if paused => pause_until = None,
                () = sleep_until_some(paced), if paced.is_some() => {}
                _ = progress.tick() => {
                    self.progress().await;
                    self.narrow().await;
                }
            }
        }
    }

    /// What was wanted before still counts for the events of its time.
    fn remember(&mut self, source: &L::Source) {
        let former = source.former().into_iter();
        let read = former.map(|one| {
            let wishes = one.wants.iter().map(|wants| self.understood(wants));
            (one.until, wishes.collect())
        });
        self.former = read.collect();
    }

    fn understood(&self, wants: &str) -> Matching {
        serde_json::from_str(wants).unwrap_or_else(|error| {
            // Written by a version that this one does not know.
            tracing::warn!(%error, "what was wanted before is not understood");
            self.service.subscription.matching.clone()
        })
    }

    async fn narrow(&mut self) {
        if self.former.is_empty() {
            return;
        }
        match self.service.log.narrow(&self.service.spec).await {
            Ok(true) => self.former.clear(),
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "the consumer is not narrowed yet"),
        }
    }

    /// By what was wanted when it was stored.
    fn matches(&self, sequence: u64, event: &Event) -> Option<Matched> {
        if let Some((replay, _)) = &self.service.replay
            && !replay.wants(event)
        {
            return None;
        }
        let mut former = self.former.iter();
        match former.find(|(until, _)| sequence <= *until) {
            Some((_, wishes)) => wishes.iter().find_map(|wish| wish.matches(event)),
            None => self.service.subscription.matches(event),
        }
    }

    fn progress_ticks(&self) -> tokio::time::Interval {
        let every = self.service.config.ack_wait / 3;
        let mut ticks = interval(every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    /// A delivery: wanted, not wanted, or no event at all.
    async fn take(&mut self, held: Held<ReceiptOf<L>>) {
        if let Some((replay, counts)) = &self.service.replay
            && replay.is_over(held.sequence, held.stored_at)
        {
            counts.set_over();
            self.is_over = true;
            return settle(&*held.receipt, Settle::Ack).await;
        }
        let matched = match &*held.event {
            Ok(event) => self.matches(held.sequence, event),
            // Nothing to match: it becomes a dead letter in the place of an attempt.
            Err(_) => Some(Matched::default()),
        };
        match matched {
            Some(matched) => {
                self.room.enter(held.bytes());
                self.waiting.push_back((held, matched));
            }
            None => {
                self.service.metrics.skipped.inc();
                settle(&*held.receipt, Settle::Ack).await;
            }
        }
        self.count_held();
    }

    /// Begins as many as may be; when the next may be, if it is only time that is missing.
    fn begin_attempts(&mut self) -> Option<Instant> {
        while self.under_way.len() < self.window {
            let paces = self.service.paces.iter().map(Pace::next);
            let waits = paces.chain(self.service.gate.closed_until()).max();
            if !self.waiting.is_empty() && waits > Some(Instant::now()) {
                return waits;
            }
            let (held, matched) = self.waiting.pop_front()?;
            self.service.paces.iter().for_each(Pace::made);
            let outcomes = Outcomes {
                policy: self.service.policy.clone(),
                consumer: Arc::clone(&self.service.consumer),
                subscription: Arc::clone(&self.service.subscription),
                log: self.service.log.clone(),
                metrics: self.service.metrics.clone(),
                gate: self.service.gate.clone(),
                rng: self.service.rng.fork(),
            };
            let attempt = self.service.attempt.clone();
            let task = self
                .attempts
                .spawn(outcomes.see_through(attempt, held.clone(), matched));
            self.under_way.insert(task.id(), held);
        }
        None
    }

    /// An attempt has ended; if it panicked, its event is handed back.
    async fn ended(&mut self, ended: Result<(task::Id, ()), task::JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let Some(held) = self.under_way.remove(&id) else {
            return;
        };
        self.room.leave(held.bytes());
        self.count_held();
        if let Err(error) = ended {
            tracing::error!(subscription = self.service.subscription.id(), %error, "an attempt failed");
            let delay = self.service.policy.backoff_max;
            settle(&*held.receipt, Settle::Retry { delay }).await;
        }
    }

    async fn progress(&self) {
        let waiting = self.waiting.iter().map(|(held, _)| held);
        for held in waiting.chain(self.under_way.values()) {
            settle(&*held.receipt, Settle::Progress).await;
        }
    }

    fn count_held(&self) {
        self.service
            .metrics
            .held
            .set(i64::try_from(self.room.events()).unwrap_or(i64::MAX));
    }

    /// Takes nothing more, hands back what waits, finishes what is under way.
    async fn finish(mut self, source: Option<L::Source>, grace: Duration) {
        let deadline = Instant::now() + grace;
        for (held, _) in std::mem::take(&mut self.waiting) {
            self.room.leave(held.bytes());
            settle(
                &*held.receipt,
                Settle::Retry {
                    delay: Duration::ZERO,
                },
            )
            .await;
        }
        if let Some(source) = source {
            timeout_at(deadline, source.close()).await.ok();
        }
        let mut progress = self.progress_ticks();
        while !self.attempts.is_empty() {
            tokio::select! {
                Some(ended) = self.attempts.join_next_with_id() => self.ended(ended).await,
                _ = progress.tick() => self.progress().await,
                () = tokio::time::sleep_until(deadline) => break,
            }
        }
        self.attempts.shutdown().await;
        for held in self.under_way.values() {
            settle(
                &*held.receipt,
                Settle::Retry {
                    delay: Duration::ZERO,
                },
            )
            .await;
        }
        self.service.metrics.held.set(0);
    }
}

async fn sleep_until_some(until: Option<Instant>) {
    tokio::time::sleep_until(until.unwrap_or_else(Instant::now)).await;
}

/// A settlement that cannot be sent is a second delivery, not a loss.
async fn settle(receipt: &impl Receipt, settle: Settle) {
    if let Err(error) = receipt.settle(settle).await {
        tracing::debug!(%error, "a settlement was not sent");
    }
}
