//! A loop with what it has in its hands.

mod gathering;
mod in_order;
mod stopped;
mod wishes;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    future::Future,
    sync::Arc,
    time::Duration,
};

use tidegate_backbone::{Log, Settle, Source, SourceError, Start};
use tidegate_subscription::{Matched, Matching};
use tokio::{
    task::{self, JoinSet},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout_at},
};

use self::{gathering::Gathering, stopped::Stopped};
use super::{
    ReceiptOf, Service, UNREACHABLE_PAUSE,
    outcome::{Next, Outcomes, Terms},
    settle,
};
use crate::{
    Attempt,
    attempt::Health,
    gate::{Guest, Pass, Wait},
    held::{Held, Room},
    pace::Pace,
    waiting::{Key, Waiting},
    window::{Begun, Window},
};

/// Hands back for at once.
const AT_ONCE: Settle = Settle::Retry {
    delay: Duration::ZERO,
};

/// One that waits or is under way.
#[derive(Debug)]
struct InHand<R> {
    held: Held<R>,
    matched: Matched,
    key: Key,
}

pub(super) struct Running<L: Log, A> {
    service: Service<L, A>,
    outcomes: Arc<Outcomes<L, A>>,
    window: Window,
    /// At the sink, whose places are shared.
    guest: Guest,
    room: Room,
    waiting: Waiting<InHand<ReceiptOf<L>>, ReceiptOf<L>>,
    /// Of an ordered Subscription, until all that waits is known.
    gathering: Option<Gathering>,
    /// Of an ordered Subscription, where its keys stopped.
    stopped: Stopped<ReceiptOf<L>>,
    /// How often the events were lost to another process: what was begun before is nobody's here.
    term: u64,
    /// When an attempt ended last.
    moved: Instant,
    attempts: JoinSet<Ended>,
    /// Which attempt is which event's.
    tasks: HashMap<task::Id, u64>,
    /// By place in the log.
    under_way: BTreeMap<u64, UnderWay<ReceiptOf<L>>>,
    /// The places of all that is in hand: what comes again meanwhile is the same event.
    places: BTreeSet<u64>,
    /// By place: attempts that failed because the sink did; they do not count.
    excused: BTreeMap<u64, u32>,
    /// What was wanted before, for events that were stored until then.
    former: Vec<(u64, Vec<Matching>)>,
    /// Nothing more is read.
    is_over: bool,
}

#[derive(Debug)]
struct UnderWay<R> {
    in_hand: InHand<R>,
    begun: Begun,
    term: u64,
}

/// How an attempt ended.
struct Ended {
    next: Next,
    /// What it told of the sink; nothing if none was made.
    health: Option<Health>,
}

impl<L: Log, A: Attempt> Running<L, A> {
    pub(super) fn new(service: Service<L, A>) -> Self {
        let is_ordered = service.subscription.delivery.order.is_some();
        Self {
            window: Window::of(&service.subscription.delivery),
            guest: service.gate.enter(),
            room: Room::new(&service.config, service.budget.clone()),
            is_over: false,
            outcomes: Arc::new(Outcomes {
                attempt: Arc::clone(&service.attempt),
                policy: service.policy.clone(),
                consumer: Arc::clone(&service.consumer),
                subscription: Arc::clone(&service.subscription),
                log: service.log.clone(),
                metrics: service.metrics.clone(),
                gate: service.gate.clone(),
            }),
            service,
            waiting: Waiting::new(is_ordered),
            gathering: is_ordered.then(Gathering::new),
            stopped: Stopped::new(),
            term: 0,
            moved: Instant::now(),
            attempts: JoinSet::new(),
            tasks: HashMap::new(),
            under_way: BTreeMap::new(),
            places: BTreeSet::new(),
            excused: BTreeMap::new(),
            former: Vec::new(),
        }
    }

    pub(super) async fn until(
        &mut self,
        mut stop: impl Future<Output = ()> + Unpin,
        mut source: L::Source,
    ) -> Option<L::Source> {
        let mut progress = self.progress_ticks();
        let mut pause_until = None;
        self.remember(&source);
        loop {
            let gate_changed = self.service.gate.changed();
            // What is rare is in a place of its own: thousands of loops wait most of the time.
            if self.gathering.is_some() {
                Box::pin(self.gather(&mut source)).await;
            }
            if self.needs_room() {
                Box::pin(self.make_room()).await;
            }
            self.look();
            self.guest.set_busy(self.is_busy());
            let until = [self.begin_attempts(), self.wake()]
                .into_iter()
                .flatten()
                .min();
            let room = self.room_left();
            self.room.ask(room);
            self.count();
            let paused = pause_until.is_some_and(|until| Instant::now() < until);
            // In this order, so that a run can be repeated.
            tokio::select! {
                biased;
                () = &mut stop => return Some(source),
                _ = progress.tick() => {
                    self.progress().await;
                    Box::pin(self.narrow()).await;
                }
                Some(ended) = self.attempts.join_next_with_id() => {
                    self.ended(ended).await;
                    // Those that ended with it, before all else is looked at again.
                    while let Some(ended) = self.attempts.try_join_next_with_id() {
                        self.ended(ended).await;
                    }
                }
                Some(looked) = self.stopped.looked() => Box::pin(self.go_on(looked)).await,
                () = gate_changed => {}
                () = sleep_until_some(pause_until), if paused => pause_until = None,
                () = sleep_until_some(until), if until.is_some() => {}
                pulled = source.pull(room), if !paused && !self.is_over => match pulled {
                    Ok(deliveries) => {
                        for delivery in deliveries {
                            self.take(delivery.into()).await;
                        }
                    }
                    Err(SourceError::Gone { .. }) if self.service.replay.is_some() => {
                        // That is how it ends, and how it is cancelled.
                        self.is_over = true;
                    }
                    Err(error @ (SourceError::Gone { .. } | SourceError::Lost { .. })) => {
                        source = Box::pin(self.open_anew(&error, &mut stop)).await?;
                    }
                    Err(error @ SourceError::Unreachable { .. }) => {
                        tracing::debug!(%error, "pulling pauses");
                        pause_until = Some(Instant::now() + UNREACHABLE_PAUSE);
                    }
                },
            }
        }
    }

    /// Its consumer is gone, or its events are another process's.
    async fn open_anew(
        &mut self,
        error: &SourceError,
        stop: impl Future<Output = ()> + Unpin,
    ) -> Option<L::Source> {
        let is_ordered = self.service.subscription.delivery.order.is_some();
        match error {
            SourceError::Gone {
                settled_to: Some(place),
                ..
            } => {
                tracing::warn!(%error, place, "the consumer is made anew, behind this place");
                self.service.metrics.consumers_lost.inc();
                self.service.spec.start = Start::Sequence(place + 1);
            }
            // It has only just been made, or its events come with those of others now.
            SourceError::Gone {
                settled_to: None, ..
            } => tracing::debug!(%error, "it is opened anew"),
            SourceError::Lost { .. } | SourceError::Unreachable { .. } => {
                tracing::debug!(%error, "this one waits to be the next");
            }
        }
        // Of an ordered one, nothing that waited in the log comes from a new consumer.
        if is_ordered || matches!(error, SourceError::Lost { .. }) {
            self.let_go().await;
        }
        let source = self.service.open(stop).await?;
        self.remember(&source);
        Some(source)
    }

    fn progress_ticks(&self) -> tokio::time::Interval {
        let every = self.service.config.ack_wait / 3;
        let mut ticks = interval(every.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }

    /// Whether it has use for places at the sink: who waits for its rate leaves them to others.
    fn is_busy(&self) -> bool {
        !self.under_way.is_empty() || (self.waiting.is_ready() && self.paced().is_none())
    }

    /// Until when its rate, or one that it shares, lets nothing begin.
    fn paced(&self) -> Option<Instant> {
        let next = self.service.paces.iter().map(Pace::next).max();
        next.filter(|next| *next > Instant::now())
    }

    /// How many attempts there may be at once.
    fn limit(&self) -> usize {
        self.window.limit_of(self.guest.share())
    }

    /// How many more events may come: none for a sink that takes none.
    fn room_left(&self) -> usize {
        let aside = self.waiting.aside();
        let room = self.room.left(self.limit(), aside);
        match self.gathering {
            Some(one) if one.is_quiet() && self.knows_any() => 0,
            // Nothing begins before all is known, so the sink does not matter yet.
            Some(_) => room,
            None => {
                let untried = self.room.events() - aside;
                room.min(self.service.gate.room().saturating_sub(untried))
            }
        }
    }

    /// A delivery: wanted, not wanted, or no event at all.
    async fn take(&mut self, mut held: Held<ReceiptOf<L>>) {
        if self.places.contains(&held.sequence) {
            // A sign of life was late. What is in hand is settled, by whichever receipt.
            return;
        }
        if self.is_stopped(&held).await {
            return;
        }
        if let Some((replay, counts)) = self.service.replay.as_deref()
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
                let excused = self.excused.get(&held.sequence);
                held.attempt = held.attempt.saturating_sub(excused.copied().unwrap_or(0));
                let key = self.key_of(&held);
                let place = held.sequence;
                self.room.enter(held.bytes());
                self.places.insert(place);
                let in_hand = InHand {
                    held,
                    matched,
                    key: key.clone(),
                };
                self.waiting.push(key, place, in_hand);
            }
            None => {
                self.service.metrics.skipped.inc();
                settle(&*held.receipt, Settle::Ack).await;
            }
        }
    }

    /// Begins as many as may be; when the next may be, if that is known.
    fn begin_attempts(&mut self) -> Option<Instant> {
        if self.gathering.is_some() {
            return None;
        }
        while self.under_way.len() < self.limit() && self.waiting.is_ready() {
            if let Some(until) = self.paced() {
                return Some(until);
            }
            let pass = match self.service.gate.pass() {
                Ok(pass) => pass,
                Err(Wait::Until(until)) => return Some(until),
                Err(Wait::Change) => return None,
            };
            let in_hand = self.waiting.pop()?;
            self.service.paces.iter().for_each(Pace::made);
            self.begin(pass, in_hand);
        }
        // With nothing to do, an end of the sink's own wish is not missed either.
        self.service.gate.held_until()
    }

    fn begin(&mut self, pass: Pass, in_hand: InHand<ReceiptOf<L>>) {
        let outcomes = Arc::clone(&self.outcomes);
        let terms = Terms {
            surely: matches!(in_hand.key, Key::Named(_)),
            stops: self.stops_at(&in_hand.key),
            rng: self.service.rng.fork(),
        };
        let begun = Window::begin(self.under_way.len());
        let (of, matched) = (in_hand.held.clone(), in_hand.matched.clone());
        // Boxed, since it is large and a task's future is moved about ten times before it runs.
        let task = self.attempts.spawn(Box::pin(async move {
            let mut health = None;
            let seen = outcomes.see_through(terms, of, matched, pass, &mut health);
            let next = seen.await;
            Ended { next, health }
        }));
        let place = in_hand.held.sequence;
        self.tasks.insert(task.id(), place);
        let under_way = UnderWay {
            in_hand,
            begun,
            term: self.term,
        };
        self.under_way.insert(place, under_way);
    }

    /// An attempt has ended; if it panicked, its event is handed back.
    async fn ended(&mut self, ended: Result<(task::Id, Ended), task::JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let place = self.tasks.remove(&id);
        let Some(UnderWay {
            in_hand,
            begun,
            term,
        }) = place.and_then(|place| self.under_way.remove(&place))
        else {
            return;
        };
        self.moved = Instant::now();
        let InHand { held, key, .. } = &in_hand;
        let (place, key) = (held.sequence, key.clone());
        let next = match ended {
            Ok((_, ended)) => {
                if let Some(health) = ended.health {
                    self.window.ended(begun, health);
                }
                ended.next
            }
            Err(error) => {
                let subscription = self.service.subscription.id();
                tracing::error!(subscription, %error, "an attempt failed");
                let delay = self.service.policy.backoff_max;
                settle(&*held.receipt, Settle::Retry { delay }).await;
                Next::HandedBack
            }
        };
        match next {
            next if term != self.term => self.ended_late(next, held).await,
            Next::Stays => return self.waiting.put_back(key, place, in_hand),
            Next::StaysAside if self.is_full() => {
                let delay = self.service.policy.backoff_max;
                settle(&*held.receipt, Settle::Retry { delay }).await;
                self.waiting
                    .handed_back(key, place, Arc::clone(&held.receipt));
                self.excuse(place);
            }
            Next::StaysAside => return self.waiting.put_aside(key, place, in_hand),
            Next::HandedBack => {
                self.waiting
                    .handed_back(key, place, Arc::clone(&held.receipt));
            }
            Next::Stopped { letter } => {
                let receipt = Arc::clone(&held.receipt);
                self.waiting
                    .handed_back(key.clone(), place, Arc::clone(&receipt));
                self.stopped.add(place, letter, key, receipt);
            }
            Next::Settled => {
                self.excused.remove(&place);
                for receipt in self.waiting.settled(&key) {
                    settle(&*receipt, AT_ONCE).await;
                }
            }
        }
        self.room.leave(held.bytes());
        self.places.remove(&place);
    }

    /// Nothing more could be taken if all stayed that were tried.
    fn is_full(&self) -> bool {
        self.room.left(self.limit(), self.waiting.aside()) == 0
    }

    fn excuse(&mut self, place: u64) {
        *self.excused.entry(place).or_insert(0) += 1;
        // Other processes may have settled the oldest.
        let most = usize::try_from(self.service.config.unsettled_max).unwrap_or(usize::MAX);
        while self.excused.len() > most {
            self.excused.pop_first();
        }
    }

    async fn progress(&self) {
        let waiting = self.waiting.iter();
        let under_way = self.under_way.values().map(|one| &one.in_hand);
        for InHand { held, .. } in waiting.chain(under_way) {
            settle(&*held.receipt, Settle::Progress).await;
        }
    }

    fn count(&self) {
        let metrics = &self.service.metrics;
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        metrics.held.set(number(self.room.events()));
        metrics.window.set(number(self.limit()));
        metrics.stopped.set(number(self.stopped.len()));
    }

    /// Takes nothing more, hands back what waits, finishes what is under way.
    pub(super) async fn finish(mut self, source: Option<L::Source>, grace: Duration) {
        let deadline = Instant::now() + grace;
        self.hand_back().await;
        if let Some(source) = source {
            timeout_at(deadline, source.close()).await.ok();
        }
        let mut progress = self.progress_ticks();
        while !self.attempts.is_empty() {
            tokio::select! {
                biased;
                Some(ended) = self.attempts.join_next_with_id() => {
                    self.ended(ended).await;
                    self.hand_back().await;
                }
                _ = progress.tick() => self.progress().await,
                () = sleep_until(deadline) => break,
            }
        }
        self.attempts.shutdown().await;
        for UnderWay { in_hand, .. } in self.under_way.values() {
            settle(&*in_hand.held.receipt, AT_ONCE).await;
        }
        self.service.metrics.held.set(0);
        self.service.metrics.stopped.set(0);
    }

    /// What waits, for whoever comes next.
    async fn hand_back(&mut self) {
        let (here, in_log) = self.waiting.take();
        for InHand { held, .. } in here {
            self.room.leave(held.bytes());
            settle(&*held.receipt, AT_ONCE).await;
        }
        for receipt in in_log {
            settle(&*receipt, AT_ONCE).await;
        }
    }
}

async fn sleep_until_some(until: Option<Instant>) {
    sleep_until(until.unwrap_or_else(Instant::now)).await;
}
