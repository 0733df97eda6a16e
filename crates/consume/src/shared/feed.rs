//! The events of one member, from wherever they come now.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tidegate_backbone::{
    ConsumerSpec, ControlError, Delivery, Former, Log, Receipt, Register, Settle, SettleError,
    Source, SourceError,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    Way,
    hub::{Hub, ReceiptOf},
    moves,
    state::{Given, Id, Next, Settles},
    watched::Watch,
};

/// Most that are kept until a return has come to its end.
const KEPT_MAX: usize = 256;

/// Where a Subscription's events come from.
pub struct Feed<L: Log, R: Register>(Kind<L, R>);

enum Kind<L: Log, R: Register> {
    // Apart from the loop that has it: what a loop holds, its task holds several times.
    /// Via a consumer of its own, always.
    Alone(Box<L::Source>),
    Member(Box<Member<L, R>>),
}

type Opening<L> = Pin<Box<dyn Future<Output = Result<<L as Log>::Source, ControlError>> + Send>>;

pub(super) struct Member<L: Log, R: Register> {
    pub(super) hub: Hub<L, R>,
    /// For a consumer of its own.
    pub(super) log: L,
    pub(super) name: Arc<str>,
    pub(super) seat: Option<Seat>,
    pub(super) notify: Arc<Notify>,
    pub(super) term: Watch<u64>,
    pub(super) own: Option<L::Source>,
    /// Up to where all of it was settled when it was gone.
    settled_to: Option<u64>,
    opening: Option<Opening<L>>,
    /// Of its own consumer, until it has returned.
    kept: Vec<Delivery<ReceiptOf<L>>>,
    settles: VecDeque<(Arc<ReceiptOf<L>>, Settle)>,
}

/// As whom it gets events; nobody while another process is in charge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    pub(super) term: u64,
    pub(super) id: Id,
    pub(super) feed: u64,
}

type Deliveries<L, R> = Vec<Delivery<FeedReceipt<L, R>>>;

impl<L: Log, R: Register> fmt::Debug for Feed<L, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}

impl<L: Log, R: Register> Feed<L, R> {
    pub(super) fn alone(source: L::Source) -> Self {
        Self(Kind::Alone(Box::new(source)))
    }

    pub(super) fn member(member: Member<L, R>) -> Self {
        Self(Kind::Member(Box::new(member)))
    }
}

impl<L: Log, R: Register> Member<L, R> {
    pub(super) fn new(
        hub: &Hub<L, R>,
        log: &L,
        name: &str,
        term: Watch<u64>,
        own: Option<L::Source>,
    ) -> Self {
        Self {
            hub: hub.clone(),
            log: log.clone(),
            name: name.into(),
            seat: None,
            notify: Arc::new(Notify::new()),
            term,
            own,
            settled_to: None,
            opening: None,
            kept: Vec::new(),
            settles: VecDeque::new(),
        }
    }

    /// Whether its own consumer brings nothing but what is wanted now.
    pub(super) fn is_narrow(&self) -> bool {
        self.own.as_ref().is_none_or(|own| own.former().is_empty())
    }

    fn lost(&self) -> SourceError {
        SourceError::Lost {
            name: self.name.to_string(),
        }
    }

    async fn pull(&mut self, max: usize) -> Result<Deliveries<L, R>, SourceError> {
        loop {
            while let Some((receipt, settle)) = self.settles.front() {
                if let Err(error) = receipt.settle(*settle).await {
                    tracing::debug!(%error, "a settlement was not sent");
                }
                self.settles.pop_front();
            }
            let Some(Seat { term, id, feed }) = self.seat else {
                self.term.changed().await;
                return Err(self.lost());
            };
            let next = self.hub.0.within(term, |state| {
                let is_away = state.way(id) == Some(Way::Away);
                (state.pull(id, feed, max, Instant::now()), is_away)
            });
            let Ok((next, is_away)) = next else {
                return Err(self.lost());
            };
            match next {
                Next::Lost => return Err(self.lost()),
                Next::Events(given) => {
                    self.let_go_of_own();
                    return Ok(given.into_iter().map(|one| self.given(one)).collect());
                }
                Next::Wait(until) => {
                    self.let_go_of_own();
                    tokio::select! {
                        biased;
                        () = self.notify.notified() => {}
                        () = self.term.changed() => {}
                        () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {}
                    }
                }
                Next::Own if is_away && max > 0 && !self.kept.is_empty() => {
                    // It did not return.
                    let some = self.kept.len().min(max);
                    let kept = self.kept.drain(..some).collect();
                    let events = self.take_own(kept);
                    if !events.is_empty() {
                        return Ok(events);
                    }
                }
                Next::Own => {
                    let events = self.pull_own(max, is_away).await?;
                    if !events.is_empty() {
                        return Ok(events);
                    }
                }
            }
        }
    }

    /// Its own consumer is gone, or will be.
    fn let_go_of_own(&mut self) {
        self.own = None;
        self.opening = None;
        self.kept.clear();
    }

    async fn pull_own(
        &mut self,
        max: usize,
        is_away: bool,
    ) -> Result<Deliveries<L, R>, SourceError> {
        // What was asked for before comes all the same, and has to be known.
        let max = if self.kept.len() < KEPT_MAX { max } else { 0 };
        let Some(own) = &mut self.own else {
            return self.open_own(is_away).await;
        };
        let pulled = tokio::select! {
            biased;
            () = self.notify.notified() => return Ok(Vec::new()),
            () = self.term.changed() => return Ok(Vec::new()),
            pulled = own.pull(max) => pulled,
        };
        match pulled {
            Ok(deliveries) => Ok(self.take_own(deliveries)),
            Err(SourceError::Gone { name, settled_to }) => {
                (self.own, self.settled_to) = (None, settled_to);
                // It may just have returned. If not, and it left before, its consumer is made again.
                let began_here = self.own_from().is_some();
                if is_away && began_here {
                    self.hub.0.metrics.consumers_lost.inc();
                }
                // Whoever took it back to the others deleted it on purpose.
                let hub = self.hub.clone();
                let is_shared = hub.0.is_shared(&name).await;
                let settled_to = settled_to.filter(|_| !is_shared);
                self.settled_to = settled_to;
                if is_away && !began_here {
                    return Err(SourceError::Gone { name, settled_to });
                }
                Ok(Vec::new())
            }
            Err(error @ (SourceError::Lost { .. } | SourceError::Unreachable { .. })) => Err(error),
        }
    }

    fn own_from(&self) -> Option<(ConsumerSpec, u64)> {
        let seat = self.seat?;
        let own = self.hub.0.within(seat.term, |state| {
            let (spec, from) = state.own_of(seat.id)?;
            Some((spec.clone(), from?))
        });
        own.ok().flatten()
    }

    /// Opens its own consumer, which is there already, as a rule.
    async fn open_own(&mut self, is_away: bool) -> Result<Deliveries<L, R>, SourceError> {
        if self.opening.is_none() && is_away {
            let Some((spec, from)) = self.own_from() else {
                return Err(SourceError::Gone {
                    name: self.name.to_string(),
                    settled_to: self.settled_to,
                });
            };
            let log = self.log.clone();
            self.opening = Some(Box::pin(async move {
                match log.consumer(&spec.name).await? {
                    Some(_) => log.open(spec).await,
                    None => moves::make(&log, &spec, from).await,
                }
            }));
        }
        let opened = tokio::select! {
            biased;
            () = self.notify.notified() => return Ok(Vec::new()),
            () = self.term.changed() => return Ok(Vec::new()),
            opened = some(&mut self.opening) => opened,
        };
        self.opening = None;
        match opened {
            Ok(own) => {
                self.own = Some(own);
                Ok(Vec::new())
            }
            Err(error) => Err(SourceError::Unreachable {
                detail: error.to_string(),
            }),
        }
    }

    fn take_own(&mut self, deliveries: Vec<Delivery<ReceiptOf<L>>>) -> Deliveries<L, R> {
        let Some(Seat { term, id, .. }) = self.seat else {
            return Vec::new();
        };
        let mut deliveries = Some(deliveries);
        let own = self.hub.0.within(term, |state| {
            let deliveries = deliveries.take().unwrap_or_default();
            state.take_own(id, deliveries, Instant::now())
        });
        let events = match own {
            Ok(own) => {
                for again in &own.kept {
                    self.kept.retain(|kept| kept.sequence != again.sequence);
                }
                self.kept.extend(own.kept);
                self.settles.extend(own.settle);
                own.events
            }
            // Who is in charge now cannot know of them; they are its own all the same.
            Err(_) => deliveries.unwrap_or_default(),
        };
        let events = events.into_iter();
        events
            .map(|delivery| Delivery {
                event: delivery.event,
                subject: delivery.subject,
                sequence: delivery.sequence,
                number: delivery.number,
                attempt: delivery.attempt,
                stored_at: delivery.stored_at,
                receipt: FeedReceipt(Via::Own(delivery.receipt)),
            })
            .collect()
    }

    fn given(&self, given: Given) -> Delivery<FeedReceipt<L, R>> {
        Delivery {
            event: given.event,
            subject: given.subject,
            sequence: given.sequence,
            // Nothing gets lost on this way.
            number: 0,
            attempt: given.attempt,
            stored_at: given.stored_at,
            receipt: FeedReceipt(Via::Shared(Shared {
                hub: self.hub.clone(),
                name: Arc::clone(&self.name),
                place: given.sequence,
                is_settled: AtomicBool::new(false),
            })),
        }
    }

    async fn close(mut self) {
        let kept = std::mem::take(&mut self.kept);
        for delivery in kept {
            hand_back(&delivery.receipt).await;
        }
        for (receipt, settle) in std::mem::take(&mut self.settles) {
            if let Err(error) = receipt.settle(settle).await {
                tracing::debug!(%error, "a settlement was not sent");
            }
        }
        if let Some(own) = self.own.take() {
            own.close().await;
        }
    }
}

async fn some<T>(future: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn hand_back(receipt: &impl Receipt) {
    let at_once = Settle::Retry {
        delay: Duration::ZERO,
    };
    if let Err(error) = receipt.settle(at_once).await {
        tracing::debug!(%error, "a settlement was not sent");
    }
}

impl<L: Log, R: Register> Drop for Member<L, R> {
    fn drop(&mut self) {
        if let Some(Seat { term, id, feed }) = self.seat {
            // An error means that there is nothing to leave.
            let _over = self.hub.0.within(term, |state| state.detach(id, feed));
        }
    }
}

// === impl Source ===

impl<L: Log, R: Register> Source for Feed<L, R> {
    type Receipt = FeedReceipt<L, R>;

    async fn pull(&mut self, max: usize) -> Result<Deliveries<L, R>, SourceError> {
        match &mut self.0 {
            Kind::Alone(source) => {
                let deliveries = source.pull(max).await?.into_iter();
                Ok(deliveries
                    .map(|delivery| Delivery {
                        event: delivery.event,
                        subject: delivery.subject,
                        sequence: delivery.sequence,
                        number: delivery.number,
                        attempt: delivery.attempt,
                        stored_at: delivery.stored_at,
                        receipt: FeedReceipt(Via::Own(delivery.receipt)),
                    })
                    .collect())
            }
            Kind::Member(member) => member.pull(max).await,
        }
    }

    fn former(&self) -> Vec<Former> {
        match &self.0 {
            Kind::Alone(source) => source.former(),
            Kind::Member(member) => member.own.as_ref().map(Source::former).unwrap_or_default(),
        }
    }

    async fn unsettled(&mut self) -> Result<u64, ControlError> {
        match &mut self.0 {
            Kind::Alone(source) => source.unsettled().await,
            Kind::Member(member) => {
                if let Some(own) = &mut member.own {
                    return own.unsettled().await;
                }
                let open = member.seat.and_then(|seat| {
                    let open = member.hub.0.within(seat.term, |state| state.open(seat.id));
                    open.ok()
                });
                Ok(open.unwrap_or(0))
            }
        }
    }

    async fn close(self) {
        match self.0 {
            Kind::Alone(source) => source.close().await,
            Kind::Member(member) => member.close().await,
        }
    }
}

/// How an event of a feed is settled.
pub struct FeedReceipt<L: Log, R: Register>(Via<L, R>);

enum Via<L: Log, R: Register> {
    Own(ReceiptOf<L>),
    Shared(Shared<L, R>),
}

struct Shared<L: Log, R: Register> {
    hub: Hub<L, R>,
    name: Arc<str>,
    place: u64,
    is_settled: AtomicBool,
}

impl<L: Log, R: Register> Shared<L, R> {
    fn settle(&self, settle: Settle) -> Settles<ReceiptOf<L>> {
        if settle != Settle::Progress {
            self.is_settled.store(true, Ordering::Relaxed);
        }
        let inner = &self.hub.0;
        let settled = inner.with(|state, _| {
            let settles = state.settle(&self.name, self.place, settle, Instant::now());
            let is_waited_for = !settles.is_empty() && state.was_full();
            (settles, is_waited_for)
        });
        let (settles, is_waited_for) = settled.unwrap_or_default();
        if is_waited_for {
            inner.work.notify_one();
        }
        settles
    }
}

impl<L: Log, R: Register> Drop for Shared<L, R> {
    fn drop(&mut self) {
        if !*self.is_settled.get_mut() {
            // As if its time had run out.
            let delay = self.hub.0.config.ack_wait;
            drop(self.settle(Settle::Retry { delay }));
        }
    }
}

impl<L: Log, R: Register> fmt::Debug for FeedReceipt<L, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Via::Own(receipt) => receipt.fmt(f),
            Via::Shared(shared) => f
                .debug_struct("Shared")
                .field("name", &shared.name)
                .field("place", &shared.place)
                .finish_non_exhaustive(),
        }
    }
}

impl<L: Log, R: Register> Receipt for FeedReceipt<L, R> {
    async fn settle(&self, settle: Settle) -> Result<(), SettleError> {
        match &self.0 {
            Via::Own(receipt) => receipt.settle(settle).await,
            Via::Shared(shared) => {
                for (receipt, settle) in shared.settle(settle) {
                    receipt.settle(settle).await?;
                }
                Ok(())
            }
        }
    }

    async fn settle_surely(&self, settle: Settle) -> Result<(), SettleError> {
        match &self.0 {
            Via::Own(receipt) => receipt.settle_surely(settle).await,
            Via::Shared(shared) => {
                for (receipt, settle) in shared.settle(settle) {
                    receipt.settle_surely(settle).await?;
                }
                Ok(())
            }
        }
    }
}
