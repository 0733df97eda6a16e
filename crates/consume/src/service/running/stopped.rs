//! Keys that stopped at a dead letter: the event stays unsettled as long as its letter is kept, so
//! that whoever delivers finds its key as it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tidegate_backbone::{Log, Receipt, Settle};
use tidegate_subscription::OnDeadLetter;
use tokio::{task::JoinSet, time::Instant};

use super::{AT_ONCE, InHand, ReceiptOf, Running, settle};
use crate::{
    Attempt,
    held::Held,
    waiting::{Key, Waiting},
};

/// How often it is looked whether letters are still kept.
const EVERY: Duration = Duration::from_secs(5);

/// A look that takes long comes less often: at most this part of the time is spent on it.
const PART_OF_TIME: u32 = 20;

/// So many that went on are remembered: one of them may be on its way here yet.
const GONE_MAX: usize = 1_024;

/// The events that their keys stopped at, by their places.
#[derive(Debug)]
pub(super) struct Stopped<R> {
    events: BTreeMap<u64, Stop<R>>,
    gone: BTreeSet<u64>,
    look_at: Instant,
    looks: JoinSet<Looked>,
}

#[derive(Debug)]
struct Stop<R> {
    letter: u64,
    key: Key,
    receipt: Arc<R>,
}

/// What a look came to.
#[derive(Debug)]
pub(super) struct Looked {
    took: Duration,
    /// Whose letters were taken away; they are settled.
    gone: Vec<u64>,
}

impl<R> Stopped<R> {
    pub(super) fn new() -> Self {
        Self {
            events: BTreeMap::new(),
            gone: BTreeSet::new(),
            look_at: Instant::now(),
            looks: JoinSet::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn add(&mut self, place: u64, letter: u64, key: Key, receipt: Arc<R>) {
        if self.events.is_empty() {
            self.look_at = Instant::now() + EVERY;
        }
        let stop = Stop {
            letter,
            key,
            receipt,
        };
        self.events.insert(place, stop);
    }

    /// The end of a look; none where none is under way.
    pub(super) async fn looked(&mut self) -> Option<Looked> {
        // One that panicked has found nothing.
        let looked = self.looks.join_next().await?;
        Some(looked.unwrap_or_else(|_| Looked {
            took: EVERY,
            gone: Vec::new(),
        }))
    }

    /// When the next look is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let waits = !self.events.is_empty() && self.looks.is_empty();
        waits.then_some(self.look_at)
    }

    fn remember(&mut self, place: u64) {
        self.gone.insert(place);
        while self.gone.len() > GONE_MAX {
            self.gone.pop_first();
        }
    }
}

impl<L: Log, A: Attempt> Running<L, A> {
    fn stops(&self) -> bool {
        let order = &self.service.subscription.delivery.order;
        order
            .as_ref()
            .is_some_and(|order| order.on_dead_letter == OnDeadLetter::Stop)
    }

    /// Whether this key stops at a dead letter, and then how long its event waits in the log until
    /// it shows itself again: whoever takes over has to see it.
    pub(super) fn stops_at(&self, key: &Key) -> Option<Duration> {
        let stops = self.stops() && matches!(key, Key::Named(_));
        stops.then_some(self.service.config.ack_wait)
    }

    /// Whether it is one that its key stopped at, and what is to do with it is done.
    pub(super) async fn is_stopped(&mut self, held: &Held<ReceiptOf<L>>) -> bool {
        let place = held.sequence;
        if self.stopped.gone.contains(&place) {
            settle(&*held.receipt, Settle::Terminate).await;
            return true;
        }
        let Some(stop) = self.stopped.events.get_mut(&place) else {
            return false;
        };
        stop.receipt = Arc::clone(&held.receipt);
        let key = stop.key.clone();
        self.wait_in_log(key, held).await;
        true
    }

    async fn wait_in_log(&mut self, key: Key, held: &Held<ReceiptOf<L>>) {
        let delay = self.service.config.ack_wait;
        settle(&*held.receipt, Settle::Retry { delay }).await;
        if let Waiting::Lanes(lanes) = &mut self.waiting {
            lanes.stopped(key, held.sequence, Arc::clone(&held.receipt));
        }
    }

    /// Of all that is known here before anything begins, what has a letter already. `false` when
    /// that is not known.
    pub(super) async fn find_stopped(&mut self) -> bool {
        let Waiting::Lanes(lanes) = &self.waiting else {
            return true;
        };
        let keys: BTreeMap<u64, Key> = lanes.places().collect();
        if !self.stops() || keys.is_empty() {
            return true;
        }
        let events = keys.keys().copied().collect();
        let of = self.service.letters_of(events, 1);
        let letters = match self.service.log.letters_of(&of).await {
            Ok(letters) => letters,
            Err(error) => {
                tracing::debug!(%error, "what has a dead letter is not known yet");
                return false;
            }
        };
        for (place, letter) in letters {
            let (Some(key), Waiting::Lanes(lanes)) = (keys.get(&place), &mut self.waiting) else {
                continue;
            };
            if let Some(receipt) = lanes.receipt_in_log(key, place) {
                self.stopped.add(place, letter, key.clone(), receipt);
            } else if let Some(InHand { held, .. }) = lanes.remove(key, place) {
                self.room.leave(held.bytes());
                self.places.remove(&place);
                let receipt = Arc::clone(&held.receipt);
                self.stopped.add(place, letter, key.clone(), receipt);
                self.wait_in_log(key.clone(), &held).await;
            }
        }
        true
    }

    /// Looks whether letters were taken away, when it is time.
    pub(super) fn look(&mut self) {
        if self.stopped.next().is_none_or(|at| at > Instant::now()) {
            return;
        }
        let stops = self.stopped.events.iter();
        let waiting: Vec<_> = stops
            .map(|(place, stop)| (*place, Arc::clone(&stop.receipt)))
            .collect();
        let letters = self.stopped.events.values().map(|stop| stop.letter);
        let from = letters.min().unwrap_or(1);
        let events = waiting.iter().map(|(place, _)| *place).collect();
        let (log, of) = (
            self.service.log.clone(),
            self.service.letters_of(events, from),
        );
        self.stopped.looks.spawn(async move {
            let began = Instant::now();
            let mut gone = Vec::new();
            match log.letters_of(&of).await {
                Ok(kept) => {
                    for (place, receipt) in waiting {
                        // Not before the log knows it: what is next in order begins then.
                        if !kept.contains_key(&place)
                            && receipt.settle_surely(Settle::Terminate).await.is_ok()
                        {
                            gone.push(place);
                        }
                    }
                }
                Err(error) => tracing::debug!(%error, "keys that stopped wait on"),
            }
            Looked {
                took: began.elapsed(),
                gone,
            }
        });
    }

    /// Keys whose letters were taken away go on.
    pub(super) async fn go_on(&mut self, looked: Looked) {
        let pause = EVERY.max(looked.took.saturating_mul(PART_OF_TIME));
        self.stopped.look_at = Instant::now() + pause;
        for place in looked.gone {
            let (Some(stop), Waiting::Lanes(lanes)) =
                (self.stopped.events.remove(&place), &mut self.waiting)
            else {
                continue;
            };
            let called = lanes.gone(&stop.key, place);
            self.stopped.remember(place);
            tracing::info!(
                subscription = self.service.subscription.id(),
                sequence = place,
                letter = stop.letter,
                "its dead letter was taken away; the key goes on"
            );
            for receipt in called {
                settle(&*receipt, AT_ONCE).await;
            }
        }
    }
}
