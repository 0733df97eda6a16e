//! Reading the shared consumer, for as long as this process is in charge.

use std::{future::Future, sync::Arc, time::Duration};

use tidegate_backbone::{
    Delivery, Log, Presence as _, Receipt as _, Register, Settle, Source, SourceError,
};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};

use super::{
    entry::{OWNER, Owner},
    hub::{Inner, LOOK, Over, PAUSE, ReceiptOf},
    load::Read,
    moves,
    state::State,
};

/// How many looks go by between two for consumers that nobody reads.
const THOROUGH_EVERY: u32 = 30;

/// How long it may take to register that a process ends.
const END_MAX: Duration = Duration::from_secs(2);

/// How long is waited for what is in hand when another process is to read the rest.
const DRAIN_MAX: Duration = Duration::from_secs(2);
const DRAIN_LOOK: Duration = Duration::from_millis(10);

/// Most members that are on their way to a consumer of their own at once.
const LEAVES_MAX: usize = 32;

/// Why a term ended.
pub(super) enum End {
    Stopped,
    /// Another process reads fewer shards.
    Given,
    Over,
}

/// A term, while it lasts.
pub(super) struct Serving<'a, P> {
    pub(super) term: u64,
    pub(super) shared: String,
    pub(super) read: Read,
    pub(super) presence: &'a mut P,
}

impl<L: Log, R: Register> Inner<L, R> {
    pub(super) async fn serve(
        self: &Arc<Self>,
        serving: Serving<'_, R::Presence>,
        mut source: L::Source,
        mut stop: impl Future<Output = ()> + Unpin,
    ) -> End {
        let Serving {
            term,
            shared,
            mut read,
            presence,
        } = serving;
        let mut progress = ticks((self.config.ack_wait / 3).max(Duration::from_millis(1)));
        let mut look = ticks(LOOK);
        let mut jobs: JoinSet<Result<(), Over>> = JoinSet::new();
        let mut returns: JoinSet<Result<(), Over>> = JoinSet::new();
        let (mut pause_until, mut looks) = (None, 0_u32);
        let end = loop {
            let may_leave = LEAVES_MAX.saturating_sub(jobs.len());
            let next = self.within(term, |state| {
                state.make_room();
                (state.room(), state.next_to_leave(may_leave))
            });
            let Ok((room, leaving)) = next else {
                break End::Over;
            };
            for id in leaving {
                jobs.spawn(moves::leave(Arc::clone(self), term, id));
            }
            let paused = pause_until.is_some_and(|until| Instant::now() < until);
            tokio::select! {
                biased;
                () = &mut stop => break End::Stopped,
                reads = presence.heard() => if read.give(reads) { break End::Given },
                Some(ended) = jobs.join_next() => if is_over(ended) { break End::Over },
                Some(ended) = returns.join_next() => if is_over(ended) { break End::Over },
                _ = progress.tick() => {
                    let receipts = self.within(term, |state| state.receipts()).unwrap_or_default();
                    let signs = receipts.into_iter().map(|receipt| (receipt, Settle::Progress));
                    self.settle(signs.collect()).await;
                }
                _ = look.tick() => {
                    self.count();
                    // An error means that the term is over, which the next round sees.
                    let _over = self.within(term, State::look);
                    if returns.is_empty() {
                        let is_thorough = looks % THOROUGH_EVERY == 0;
                        looks += 1;
                        returns.spawn(moves::look(Arc::clone(self), term, shared.clone(), is_thorough));
                    }
                }
                () = self.work.notified() => {}
                () = sleep_until(pause_until.unwrap_or_else(Instant::now)), if paused => {}
                pulled = source.pull(room), if !paused => match pulled {
                    Ok(deliveries) => self.take(term, deliveries).await,
                    Err(error @ SourceError::Unreachable { .. }) => {
                        tracing::debug!(%error, "pulling pauses");
                        pause_until = Some(Instant::now() + PAUSE);
                    }
                    Err(error) => break self.over(&error),
                },
            }
        };
        jobs.shutdown().await;
        returns.shutdown().await;
        match end {
            End::Stopped => self.hand_back(source).await,
            End::Given => {
                self.drain(term).await;
                self.hand_back(source).await;
            }
            End::Over => {}
        }
        end
    }

    /// The shared consumer is another process's, or was deleted.
    fn over(&self, error: &SourceError) -> End {
        if matches!(error, SourceError::Gone { .. }) {
            self.metrics.consumers_lost.inc();
        }
        End::Over
    }

    async fn take(&self, term: u64, deliveries: Vec<Delivery<ReceiptOf<L>>>) {
        let done = self.within(term, |state| {
            let taken = deliveries.into_iter().map(|delivery| state.take(delivery));
            taken.flatten().collect::<Vec<_>>()
        });
        for receipt in done.unwrap_or_default() {
            if let Err(error) = receipt.settle(Settle::Ack).await {
                tracing::debug!(%error, "a settlement was not sent");
            }
        }
    }

    /// Waits until what is in hand is settled, for a while: what is not comes again to everybody who
    /// wants it.
    async fn drain(&self, term: u64) {
        let until = Instant::now() + DRAIN_MAX;
        while Instant::now() < until
            && let Ok((_, _, in_hand)) = self.within(term, |state| state.counts())
            && in_hand > 0
        {
            sleep(DRAIN_LOOK).await;
        }
    }

    /// In order: all of it comes to whoever is next, at once.
    async fn hand_back(&self, source: L::Source) {
        let receipts = self.with(|state, _| state.receipts()).unwrap_or_default();
        self.end();
        let at_once = Settle::Retry {
            delay: Duration::ZERO,
        };
        let settles = receipts.into_iter().map(|receipt| (receipt, at_once));
        self.settle(settles.collect()).await;
        source.close().await;
        let owner = self.writer.lock().await.owner.clone();
        let Some(owner) = owner else {
            return;
        };
        let ended = Owner {
            process: None,
            ..owner
        };
        let Ok(value) = serde_json::to_string(&ended) else {
            return;
        };
        // If it does not get through, it is as if this process had been lost.
        let written = timeout(END_MAX, self.write_value(OWNER, Some(&value)));
        drop(written.await);
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn is_over(ended: Result<Result<(), Over>, tokio::task::JoinError>) -> bool {
    match ended {
        Ok(Ok(())) => false,
        Ok(Err(Over)) => true,
        Err(error) => {
            // What it was about stays as it is, so all of it begins anew.
            tracing::error!(%error, "a member that was on its way is not any more");
            true
        }
    }
}
