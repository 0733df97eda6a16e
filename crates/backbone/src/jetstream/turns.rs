//! Who reads an old part of the log for few events in it takes turns, whoever is furthest behind
//! first.
//!
//! To look for the next event of a filter, the server reads whole blocks of the log, and nobody can
//! publish meanwhile. Twenty consumers that did so at once held up all others for seconds. One at a
//! time, in small steps and with pauses, others hardly notice; and since those who are furthest
//! behind go first, they come through the same blocks together, which are read once for all.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// How long one may have its turn: the server is slow, or does not answer at all.
const TURN_MAX: Duration = Duration::from_secs(1);

/// Others have their turn for so many times as long as one took.
const PAUSE: u32 = 3;

/// How long the others wait for one whose turn it is and that does not take it.
const PATIENCE: Duration = Duration::from_millis(100);

/// The turns of one process; clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The last place in the log that anybody has seen.
    head: AtomicU64,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// By place, and in the order in which they came.
    waiting: BTreeMap<(u64, u64), Arc<Notify>>,
    /// Whose turn it is, since when.
    has: Option<(u64, Instant)>,
    /// From when on the next one may have it.
    free_at: Option<Instant>,
    number: u64,
}

/// One that waits for its turn, or has it, until this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Turns,
    place: (u64, u64),
    notify: Arc<Notify>,
    has: bool,
}

impl Turns {
    /// An event of this place in the log has come.
    pub(super) fn seen(&self, place: u64) {
        self.0.head.fetch_max(place, Ordering::Relaxed);
    }

    /// The last place in the log, as far as it is known here.
    pub(super) fn head(&self) -> u64 {
        self.0.head.load(Ordering::Relaxed)
    }

    /// Waits, from here on, for the turn of one that has come to this place.
    pub(super) fn wait(&self, place: u64) -> Turn {
        let notify = Arc::new(Notify::new());
        let mut queue = self.lock();
        queue.number += 1;
        let place = (place, queue.number);
        queue.waiting.insert(place, Arc::clone(&notify));
        Turn {
            turns: self.clone(),
            place,
            notify,
            has: false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Every change is complete before anything in it can panic.
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// From when on this one may have its turn, as far as that is known now.
    fn may_begin(&self, place: (u64, u64), now: Instant) -> Instant {
        let free_at = match (self.has, self.free_at) {
            (Some((_, since)), _) => since + TURN_MAX,
            (None, Some(free_at)) => free_at,
            (None, None) => return now,
        };
        let is_first = self.waiting.first_key_value().map(|(first, _)| *first) == Some(place);
        free_at + if is_first { Duration::ZERO } else { PATIENCE }
    }

    fn call_first(&self) {
        if let Some((_, first)) = self.waiting.first_key_value() {
            first.notify_one();
        }
    }
}

impl Turn {
    pub(super) fn is_taken(&self) -> bool {
        self.has
    }

    /// Whether it is its turn, which is taken if it can be.
    pub(super) fn take(&mut self) -> bool {
        if self.has {
            return true;
        }
        let mut queue = self.turns.lock();
        let now = Instant::now();
        if now < queue.may_begin(self.place, now) {
            return false;
        }
        queue.waiting.remove(&self.place);
        queue.has = Some((self.place.1, now));
        self.has = true;
        true
    }

    /// Waits until it is worth a try to take it; for ever, once it is taken. Cancel-safe.
    pub(super) async fn may_be_taken(&self) {
        if self.has {
            return std::future::pending().await;
        }
        let until = self.turns.lock().may_begin(self.place, Instant::now());
        tokio::select! {
            () = self.notify.notified() => {}
            () = sleep_until(until) => {}
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut queue = self.turns.lock();
        match queue.has {
            Some((number, since)) if self.has && number == self.place.1 => {
                let now = Instant::now();
                queue.has = None;
                queue.free_at = Some(now + (now - since).min(TURN_MAX) * PAUSE);
            }
            // Another one has taken it meanwhile.
            Some(_) | None if self.has => return,
            Some(_) | None => {
                queue.waiting.remove(&self.place);
            }
        }
        queue.call_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever is furthest behind goes first, one at a time, and others have a pause in between.
    #[tokio::test(start_paused = true)]
    async fn those_furthest_behind_go_first_one_at_a_time() {
        let turns = Turns::default();
        let mut late = turns.wait(20);
        assert!(late.take() && late.take());
        let (mut far, mut near) = (turns.wait(5), turns.wait(30));
        assert!(!far.take() && !near.take());
        tokio::time::advance(Duration::from_millis(10)).await;
        drop(late);
        assert!(!far.take(), "it is the pause");
        far.may_be_taken().await;
        assert!(!near.take());
        assert!(!far.take(), "it was called, and the pause is not over");
        far.may_be_taken().await;
        assert!(far.take());
        drop(far);
        near.may_be_taken().await;
        assert!(near.take());
    }

    /// Also by a clock that goes on all the time.
    #[tokio::test]
    async fn the_first_one_has_its_turn_at_once() {
        assert!(Turns::default().wait(1).take());
    }

    /// Nobody waits for ever for one that does not take its turn, or does not end it.
    #[tokio::test(start_paused = true)]
    async fn one_that_does_nothing_holds_nobody_up() {
        let turns = Turns::default();
        let (_idle, mut next) = (turns.wait(1), turns.wait(2));
        drop(turns.wait(0));
        let began = Instant::now();
        while !next.take() {
            next.may_be_taken().await;
        }
        assert!(began.elapsed() <= PATIENCE * 2);
        let mut last = turns.wait(3);
        while !last.take() {
            last.may_be_taken().await;
        }
        drop(next);
        let mut after = turns.wait(3);
        assert!(!after.take(), "it is still the turn of the one before");
    }
}
