//! Who waits for which acknowledgement: a bounded table of slots, one inbox for all of them.
//!
//! No timer, no channel and no map entry per append: a slot, and one sweep for all deadlines. What
//! an acknowledgement says is [`super::answer`]'s.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::answer::Answer;
use crate::AppendError;

/// How often is looked whose time is over: an append waits by so much longer at most.
const SWEEP_INTERVAL: Duration = Duration::from_millis(50);

/// Of a key in hexadecimal: four for the slot, eight for the generation.
const DIGITS: usize = 12;

/// Which slot, and which of its uses: an answer that comes late meets no later append.
///
/// No two appends have the same one, though the server would route few reply subjects faster: more
/// than one may answer on a subject, and what answers late must not make another append look stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    slot: u16,
    generation: u32,
}

impl Key {
    /// The reply subject that ends with it.
    fn reply(self, acks: &Acks) -> String {
        let digits = u64::from(self.slot) << 32 | u64::from(self.generation);
        let mut reply = String::with_capacity(acks.prefix.len() + DIGITS);
        reply.push_str(&acks.prefix);
        let places = (0..DIGITS).rev().map(|place| digits >> (4 * place) & 0xf);
        reply.extend(places.filter_map(|digit| char::from_digit(u32::try_from(digit).ok()?, 16)));
        reply
    }

    /// The key of the last token of a reply subject.
    pub(super) fn parse(token: &str) -> Option<Self> {
        let (slot, generation) = token.split_at_checked(4)?;
        Some(Self {
            slot: u16::from_str_radix(slot, 16).ok()?,
            generation: u32::from_str_radix(generation, 16).ok()?,
        })
    }
}

#[derive(Debug)]
pub(super) struct Acks {
    slots: Mutex<Slots>,
    /// What reply subjects begin with.
    prefix: String,
    in_flight_max: usize,
    timeout: Duration,
}

#[derive(Debug, Default)]
struct Slots {
    all: Vec<Slot>,
    free: Vec<u16>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    deadline: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    Free,
    Waiting(Option<Waker>),
    Answered(Answer),
}

impl Acks {
    /// Answers are read at subjects below `inbox`.
    pub(super) fn new(inbox: &str, in_flight_max: usize, timeout: Duration) -> Self {
        Self {
            slots: Mutex::default(),
            prefix: format!("{inbox}."),
            in_flight_max,
            timeout,
        }
    }

    /// Takes a slot, if one is free.
    pub(super) fn wait(self: &Arc<Self>) -> Result<Waiting, AppendError> {
        let deadline = Instant::now() + self.timeout;
        let mut slots = self.lock();
        let slot = match slots.free.pop() {
            Some(slot) => slot,
            None => self.grow(&mut slots, deadline)?,
        };
        let entry = slots.get(slot);
        entry.deadline = deadline;
        entry.state = State::Waiting(None);
        let key = Key {
            slot,
            generation: entry.generation,
        };
        drop(slots);
        Ok(Waiting {
            acks: Arc::clone(self),
            key,
        })
    }

    fn grow(&self, slots: &mut Slots, deadline: Instant) -> Result<u16, AppendError> {
        let busy = AppendError::Busy {
            in_flight_max: self.in_flight_max,
        };
        if slots.all.len() >= self.in_flight_max {
            return Err(busy);
        }
        let slot = u16::try_from(slots.all.len()).map_err(|_| busy)?;
        slots.all.push(Slot {
            generation: 0,
            deadline,
            state: State::Free,
        });
        Ok(slot)
    }

    /// Answers whoever waits under this key, if somebody still does.
    pub(super) fn answer(&self, key: Key, answer: Answer) {
        let mut slots = self.lock();
        let Some(slot) = slots.all.get_mut(usize::from(key.slot)) else {
            return;
        };
        let waker = if slot.generation == key.generation {
            slot.state.answer(answer)
        } else {
            None
        };
        drop(slots);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Answers everybody who waits.
    pub(super) fn fail_all(&self, error: &AppendError) {
        self.fail(|_| Some(error.clone()));
    }

    /// Answers everybody whose time is over, again and again.
    pub(super) async fn keep_time(self: Arc<Self>) {
        let mut ticks = interval(SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.sweep();
        }
    }

    fn sweep(&self) {
        let now = Instant::now();
        let waited = self.timeout;
        self.fail(|deadline| (deadline <= now).then_some(AppendError::TimedOut { waited }));
    }

    fn fail(&self, error: impl Fn(Instant) -> Option<AppendError>) {
        let mut wakers = Vec::new();
        for slot in &mut self.lock().all {
            if let (State::Waiting(_), Some(error)) = (&slot.state, error(slot.deadline)) {
                wakers.extend(slot.state.answer(Answer::Failed(error)));
            }
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    fn release(&self, key: Key) {
        let mut slots = self.lock();
        let entry = slots.get(key.slot);
        entry.generation = entry.generation.wrapping_add(1);
        entry.state = State::Free;
        slots.free.push(key.slot);
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        // Every change is complete before anything in it can panic.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn taken(&self) -> usize {
        let slots = self.lock();
        slots.all.len() - slots.free.len()
    }
}

impl Slots {
    fn get(&mut self, slot: u16) -> &mut Slot {
        self.all
            .get_mut(usize::from(slot))
            .expect("slots are never taken away")
    }
}

impl State {
    fn answer(&mut self, answer: Answer) -> Option<Waker> {
        match self {
            Self::Waiting(waker) => {
                let waker = waker.take();
                *self = Self::Answered(answer);
                waker
            }
            Self::Free | Self::Answered(_) => None,
        }
    }
}

/// One append that waits; dropping it gives its slot back.
#[derive(Debug)]
pub(super) struct Waiting {
    acks: Arc<Acks>,
    key: Key,
}

impl Waiting {
    /// Where the server is to answer.
    pub(super) fn reply(&self) -> String {
        self.key.reply(&self.acks)
    }
}

// === impl Future for Waiting ===

impl Future for Waiting {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let mut slots = self.acks.lock();
        let state = &mut slots.get(self.key.slot).state;
        match state {
            State::Answered(answer) => return Poll::Ready(answer.clone()),
            State::Waiting(Some(waker)) => waker.clone_from(context.waker()),
            State::Waiting(None) | State::Free => {
                *state = State::Waiting(Some(context.waker().clone()));
            }
        }
        Poll::Pending
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.acks.release(self.key);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::Stored;

    const STORED: Answer = Answer::Stored(Stored {
        sequence: 7,
        duplicate: false,
    });

    fn acks(in_flight_max: usize) -> Arc<Acks> {
        Arc::new(Acks::new("inbox", in_flight_max, Duration::from_secs(5)))
    }

    /// Every append gets its own answer.
    #[tokio::test]
    async fn an_answer_reaches_its_append() {
        let acks = acks(4);
        let mut one = acks.wait().unwrap();
        let mut other = acks.wait().unwrap();
        acks.answer(other.key, STORED);
        assert!((&mut one).now_or_never().is_none());
        assert!(matches!(
            (&mut other).now_or_never(),
            Some(Answer::Stored(_))
        ));
    }

    /// A full table refuses, and a dropped append makes room again.
    #[tokio::test]
    async fn slots_are_bounded_and_come_back() {
        let acks = acks(2);
        let one = acks.wait().unwrap();
        let _other = acks.wait().unwrap();
        assert!(matches!(
            acks.wait().unwrap_err(),
            AppendError::Busy { in_flight_max: 2 }
        ));
        drop(one);
        let _again = acks.wait().unwrap();
        assert!(acks.wait().is_err());
        assert_eq!(acks.taken(), 2);
    }

    /// A late acknowledgement does not make a later append look stored.
    #[tokio::test(start_paused = true)]
    async fn a_late_answer_meets_no_other_append() {
        let acks = acks(1);
        let late = acks.wait().unwrap().key;
        let mut now = acks.wait().unwrap();
        assert_eq!(now.key.slot, late.slot);
        acks.answer(late, STORED);
        assert!((&mut now).now_or_never().is_none());
        let late = now.key;
        tokio::time::advance(Duration::from_secs(5)).await;
        acks.sweep();
        assert!((&mut now).now_or_never().is_some());
        drop(now);
        let mut now = acks.wait().unwrap();
        acks.answer(late, STORED);
        assert!((&mut now).now_or_never().is_none());
    }

    /// Whoever else answers on the subject of an append that has its answer is not heard by the next.
    #[tokio::test]
    async fn no_two_appends_have_one_subject() {
        let acks = acks(1);
        let first = acks.wait().unwrap();
        let (key, reply) = (first.key, first.reply());
        let token = reply.rsplit('.').next().unwrap();
        assert_eq!(Key::parse(token), Some(key));
        acks.answer(key, STORED);
        drop(first);
        let mut next = acks.wait().unwrap();
        assert_ne!(next.reply(), reply);
        acks.answer(key, STORED);
        assert!((&mut next).now_or_never().is_none());
    }

    /// No append waits longer than its timeout.
    #[tokio::test(start_paused = true)]
    async fn appends_time_out() {
        let acks = acks(2);
        let mut early = acks.wait().unwrap();
        tokio::time::advance(Duration::from_secs(4)).await;
        let mut late = acks.wait().unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        acks.sweep();
        let answer = (&mut early).now_or_never();
        assert!(
            matches!(answer, Some(Answer::Failed(AppendError::TimedOut { .. }))),
            "{answer:?}"
        );
        assert!((&mut late).now_or_never().is_none());
    }

    /// A lost connection answers all at once, and wakes who waits.
    #[tokio::test]
    async fn a_lost_connection_fails_all() {
        let acks = acks(100);
        let waiting: Vec<_> = (0..100)
            .map(|_| tokio::spawn(acks.wait().unwrap()))
            .collect();
        tokio::task::yield_now().await;
        acks.fail_all(&AppendError::Unreachable {
            detail: "gone".to_owned(),
        });
        for task in waiting {
            let answer = task.await.unwrap();
            assert!(matches!(
                answer,
                Answer::Failed(AppendError::Unreachable { .. })
            ));
        }
        assert_eq!(acks.taken(), 0);
    }

    /// Keys come back from reply subjects, and nothing else is one.
    #[test]
    fn keys_are_one_token() {
        let key = Key {
            slot: 0xfff0,
            generation: 0xdead_beef,
        };
        let reply = key.reply(&acks(1));
        assert_eq!(reply.strip_prefix("inbox.").and_then(Key::parse), Some(key));
        for token in ["", "0", "zzzz00000000", "00001", "0000100000000", "ä000"] {
            assert!(
                Key::parse(token).is_none_or(|key| key.generation != 0),
                "{token}"
            );
        }
    }
}
