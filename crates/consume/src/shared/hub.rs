//! The shared consumer, and who reads it.
//!
//! One process at a time is in charge. Whoever takes over from one that was lost registers itself,
//! makes a new shared consumer where the old one was not settled, and deletes that: from then on the
//! one that was lost gets nothing more, and can register nothing.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tidegate_backbone::{ControlError, Log, Receipt as _, Register, Shard, Source};
use tokio::{sync::Notify, time::sleep};

use super::{
    entry::{OWNER, Owner},
    load::Load,
    moves,
    serving::{End, Serving},
    state::{Limits, Settles, State, Why},
    takeover::Begun,
    watched::{Watch, Watched},
};
use crate::{Config, Metrics, metrics::SharedMetrics};

pub(super) type ReceiptOf<L> = <<L as Log>::Source as Source>::Receipt;

/// Pause before a log that is away is asked again.
pub(super) const PAUSE: Duration = Duration::from_millis(250);

/// How often it is looked whether the process in charge is there, and who may return.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// So long a shard that was given up is not taken again.
const GIVEN_FOR: Duration = Duration::from_secs(4);

/// Many Subscriptions on one consumer. Clones are the same.
pub struct Hub<L: Log, R: Register>(pub(super) Arc<Inner<L, R>>);

impl<L: Log, R: Register> Clone for Hub<L, R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<L: Log, R: Register> std::fmt::Debug for Hub<L, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

pub(super) struct Inner<L: Log, R: Register> {
    pub(super) config: Config,
    pub(super) log: L,
    pub(super) register: R,
    pub(super) shard: Shard,
    pub(super) load: Load,
    pub(super) metrics: SharedMetrics,
    charge: Mutex<Charge<ReceiptOf<L>>>,
    /// Changes when being in charge begins and ends.
    term: Watched<u64>,
    pub(super) writer: tokio::sync::Mutex<Writer>,
    /// There is something to do beside reading.
    pub(super) work: Notify,
    /// Whether another process is in charge.
    pub(super) standby: Watched<bool>,
    /// Up to where all was settled when this process was in charge last.
    pub(super) floor: AtomicU64,
}

struct Charge<R> {
    term: u64,
    state: Option<State<R>>,
}

/// What has to be known to register something.
pub(super) struct Writer {
    /// As which process; nothing may be written without.
    pub(super) owner: Option<Owner>,
    pub(super) revision: u64,
}

/// Somebody else is in charge.
#[derive(Debug)]
pub(super) struct Over;

/// Why something could not be registered.
#[derive(Debug)]
pub(super) enum Unwritten {
    Over,
    /// It never will be.
    Refused,
}

impl<L: Log, R: Register> Hub<L, R> {
    /// A shard over this log, which is a connection of its own, and its register beside it. The
    /// load is that of all shards that a process may read.
    pub fn new(
        config: &Config,
        log: L,
        (shard, register): (Shard, R),
        load: &Load,
        metrics: &Metrics,
    ) -> Self {
        Self(Arc::new(Inner {
            metrics: metrics.shared.clone(),
            shard,
            load: load.clone(),
            config: config.clone(),
            log,
            register,
            charge: Mutex::new(Charge {
                term: 0,
                state: None,
            }),
            term: Watched::new(0),
            writer: tokio::sync::Mutex::new(Writer {
                owner: None,
                revision: 0,
            }),
            work: Notify::new(),
            standby: Watched::new(false),
            floor: AtomicU64::new(0),
        }))
    }

    /// Reads the shared consumer whenever nobody else does, until `stop` is ready. Then all that is
    /// in hand is handed back. `process` is what no other process is called.
    pub async fn run(&self, process: &str, stop: impl Future<Output = ()> + Send) {
        let mut stop = pin!(stop);
        let mut presence = tokio::select! {
            biased;
            () = &mut stop => return,
            presence = self.0.appear(process) => presence,
        };
        let mut is_new = true;
        loop {
            let begun = tokio::select! {
                biased;
                () = &mut stop => break,
                begun = self.0.begin(process, is_new) => begun,
            };
            is_new = false;
            let Begun {
                term,
                source,
                read,
                shared,
            } = match begun {
                Ok(begun) => begun,
                Err(error) => {
                    tracing::warn!(%error, "the shared consumer is not there yet");
                    tokio::select! {
                        biased;
                        () = &mut stop => break,
                        () = sleep(PAUSE) => continue,
                    }
                }
            };
            tracing::info!(consumer = shared, "this process reads the shared consumer");
            let serving = Serving {
                term,
                shared,
                read,
                presence: &mut presence,
            };
            match self.0.serve(serving, source, stop.as_mut()).await {
                End::Stopped => break,
                End::Given => {
                    tracing::info!("another process is to read the shared consumer");
                    tokio::select! {
                        biased;
                        () = &mut stop => break,
                        () = sleep(GIVEN_FOR) => {}
                    }
                }
                End::Over => {
                    tracing::warn!("another process reads the shared consumer, or it is gone");
                    self.0.end();
                }
            }
        }
        drop(presence);
    }

    /// Nobody shares a consumer any more: each member gets one of its own, where it stands.
    pub async fn dissolve(&self, process: &str) -> Result<(), ControlError> {
        let registered = self.0.register.read().await?;
        if !registered.values.contains_key(OWNER) {
            return Ok(());
        }
        let failed = |detail: &str| ControlError {
            action: "giving each Subscription a consumer of its own".to_owned(),
            detail: detail.to_owned(),
        };
        if let Some(Ok(other)) = self.0.other(&registered, process, None).await? {
            return Err(failed(&format!(
                "process {other} shares a consumer; all have the same setting, so stop it first"
            )));
        }
        let presence = self.0.appear(process).await;
        let Begun { term, shared, .. } = self.0.begin(process, true).await?;
        let over = |_| failed("another process shares a consumer");
        let members = self.0.within(term, |state| state.members());
        for (id, name) in members.map_err(over)? {
            self.0
                .within(term, |state| state.let_leave(id, Why::Changed))
                .map_err(over)?;
            let left = moves::leave(Arc::clone(&self.0), term, id).await;
            left.map_err(over)?;
            let written = self.0.write(&name, None).await;
            written.map_err(|_| failed("another process shares a consumer"))?;
        }
        self.0.end();
        self.0.log.remove(&shared).await?;
        let written = self.0.write_value(OWNER, None).await;
        written.map_err(|_| failed("another process shares a consumer"))?;
        drop(presence);
        tracing::info!("each Subscription has a consumer of its own");
        Ok(())
    }
}

impl<L: Log, R: Register> Inner<L, R> {
    // --- What is in hand ---

    fn lock(&self) -> MutexGuard<'_, Charge<ReceiptOf<L>>> {
        self.charge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is in hand, if this process is in charge, and in which term.
    pub(super) fn with<T>(
        &self,
        ask: impl FnOnce(&mut State<ReceiptOf<L>>, u64) -> T,
    ) -> Option<T> {
        let mut charge = self.lock();
        let term = charge.term;
        charge.state.as_mut().map(|state| ask(state, term))
    }

    /// The same, if it still is the same term.
    pub(super) fn within<T>(
        &self,
        term: u64,
        ask: impl FnOnce(&mut State<ReceiptOf<L>>) -> T,
    ) -> Result<T, Over> {
        let mut charge = self.lock();
        let is_same = charge.term == term;
        let state = charge.state.as_mut().filter(|_| is_same);
        state.map(ask).ok_or(Over)
    }

    pub(super) fn term(&self) -> Watch<u64> {
        self.term.watch()
    }

    /// Settles in the log; what is not sent comes again.
    pub(super) async fn settle(&self, settles: Settles<ReceiptOf<L>>) {
        for (receipt, settle) in settles {
            if let Err(error) = receipt.settle(settle).await {
                tracing::debug!(%error, "a settlement was not sent");
            }
        }
    }

    /// Settles what may be settled when something has changed.
    pub(super) async fn settle_within(
        &self,
        term: u64,
        ask: impl FnOnce(&mut State<ReceiptOf<L>>) -> Settles<ReceiptOf<L>>,
    ) -> Result<(), Over> {
        let settles = self.within(term, ask)?;
        self.settle(settles).await;
        self.work.notify_one();
        Ok(())
    }

    pub(super) fn set(&self, state: Option<State<ReceiptOf<L>>>) -> u64 {
        let term = {
            let mut charge = self.lock();
            charge.term += 1;
            charge.state = state;
            charge.term
        };
        self.term.set(term);
        term
    }

    pub(super) fn count(&self) {
        let counts = self.with(|state, _| state.counts());
        let (shared, own, in_hand) = counts.unwrap_or_default();
        self.metrics.set(self.shard.number, shared, own, in_hand);
    }

    /// Not in charge any more.
    pub(super) fn end(&self) {
        if let Some(floor) = self.with(|state, _| state.floor()) {
            self.floor.store(floor, Ordering::Relaxed);
        }
        self.set(None);
        self.count();
    }

    async fn appear(&self, process: &str) -> R::Presence {
        loop {
            match self.register.appear(process).await {
                Ok(presence) => return presence,
                Err(error) => tracing::warn!(%error, "this process is not seen yet"),
            }
            sleep(PAUSE).await;
        }
    }

    pub(super) fn limits(&self) -> Limits {
        let shared = &self.config.shared;
        let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        Limits {
            events_max: size(shared.events_max),
            bytes_max: usize::try_from(shared.bytes_max.as_u64()).unwrap_or(usize::MAX),
            span_max: u64::from(shared.events_max),
            waits_max: size(shared.events_max / 4),
        }
    }
}
