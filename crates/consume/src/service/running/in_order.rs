//! What an ordered Subscription needs beside: knowing all that is unsettled before it begins, and
//! room for keys that can go on.

use std::time::Duration;

use tidegate_backbone::{Log, Settle, Source as _};
use tokio::time::Instant;

use super::{
    AT_ONCE, InHand, Next, ReceiptOf, Running, gathering::Gathering, settle, stopped::Stopped,
};
use crate::{
    Attempt,
    held::Held,
    waiting::{Key, Waiting},
};

/// After so long without an end, the longest lane makes room for others.
const STUCK: Duration = Duration::from_secs(1);

impl<L: Log, A: Attempt> Running<L, A> {
    /// What it has to be in order with.
    pub(super) fn key_of(&self, held: &Held<ReceiptOf<L>>) -> Key {
        let order = self.service.subscription.delivery.order.as_ref();
        let key = match (order, &*held.event) {
            (Some(order), Ok(event)) => order.key_of(event),
            (None, _) | (_, Err(_)) => None,
        };
        key.map_or(Key::Alone(held.sequence), |key| Key::Named(key.into()))
    }

    pub(super) fn knows_any(&self) -> bool {
        matches!(&self.waiting, Waiting::Lanes(lanes) if lanes.known() > 0)
    }

    /// Whether all that is not settled is known here.
    pub(super) async fn gather(&mut self, source: &mut L::Source) {
        let (Some(gathering), Waiting::Lanes(lanes)) = (self.gathering, &self.waiting) else {
            return;
        };
        if !gathering.is_due() || !self.knows_any() {
            return;
        }
        let known = lanes.known();
        let is_all = match source.unsettled().await {
            Ok(unsettled) => usize::try_from(unsettled).is_ok_and(|all| all <= known),
            Err(error) => {
                tracing::debug!(%error, "what waits is not known yet");
                false
            }
        };
        let is_over = is_all && self.find_stopped().await;
        self.gathering = (!is_over).then(|| gathering.again());
    }

    /// Whether nothing can begin, though it might, until there is room for others.
    pub(super) fn needs_room(&self) -> bool {
        let may_begin = self.under_way.len() < self.limit();
        let is_held_up = !self.waiting.is_ready() || self.gathering.is_some();
        matches!(self.waiting, Waiting::Lanes(_)) && is_held_up && may_begin && self.is_full()
    }

    /// Lanes that cannot go on leave room for those that may come.
    pub(super) async fn make_room(&mut self) {
        let is_stuck = self.moved.elapsed() >= STUCK;
        let Waiting::Lanes(lanes) = &mut self.waiting else {
            return;
        };
        let spilt = match self.gathering {
            Some(_) => lanes.spill_latest(),
            None => lanes.spill(!is_stuck),
        };
        for (place, key, InHand { held, .. }) in spilt {
            self.room.leave(held.bytes());
            self.places.remove(&place);
            self.send_back(key, held).await;
        }
    }

    /// It waits in the log until its lane goes on.
    pub(super) async fn send_back(&mut self, key: Key, held: Held<ReceiptOf<L>>) {
        let delay = self.service.config.ack_wait;
        settle(&*held.receipt, Settle::Retry { delay }).await;
        self.excuse(held.sequence);
        if let Waiting::Lanes(lanes) = &mut self.waiting {
            lanes.sent_back(key, held.sequence, held.receipt);
        }
    }

    /// When there is something to do that nothing else tells.
    pub(super) fn wake(&self) -> Option<Instant> {
        let gathering = self.gathering.filter(|_| self.knows_any());
        let stuck = (matches!(self.waiting, Waiting::Lanes(_)) && self.is_full())
            .then(|| self.moved + STUCK)
            .filter(|stuck| *stuck > Instant::now());
        [gathering.map(Gathering::next), stuck, self.stopped.next()]
            .into_iter()
            .flatten()
            .min()
    }

    /// What was begun before another process had the events. That one waits for it.
    pub(super) async fn ended_late(&mut self, next: Next, held: &Held<ReceiptOf<L>>) {
        match next {
            Next::Stays | Next::StaysAside => settle(&*held.receipt, AT_ONCE).await,
            Next::HandedBack | Next::Stopped { .. } | Next::Settled => {}
        }
    }

    /// Another process has the events now.
    pub(super) async fn let_go(&mut self) {
        self.term += 1;
        self.gathering = matches!(self.waiting, Waiting::Lanes(_)).then(Gathering::new);
        self.stopped = Stopped::new();
        let (here, _) = self.waiting.take();
        for InHand { held, .. } in here {
            self.room.leave(held.bytes());
            self.places.remove(&held.sequence);
            settle(&*held.receipt, AT_ONCE).await;
        }
    }
}
