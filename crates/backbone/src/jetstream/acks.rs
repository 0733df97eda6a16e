//! Who waits for which acknowledgement: a bounded table of slots, one inbox for all of them.
//!
//! No timer, no channel and no map entry per append: a slot, and one sweep for all deadlines. What
//! an acknowledgement says is [`super::answer`]'s, what it means for who waits [`slot`]'s.

mod slot;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::{Instant, MissedTickBehavior, interval};

use self::slot::{Heard, Slot};
use super::answer::Answer;
use crate::AppendError;

/// How often is looked whose time is over: an append waits by so much longer at most.
const SWEEP_INTERVAL: Duration = Duration::from_millis(50);

/// Of a key in hexadecimal: four for the slot, eight for the generation.
const DIGITS: usize = 12;

/// How long each append has a subject of its own on a connection that is new: whether more than one
/// stream answers shows in it.
const TRIAL: Duration = Duration::from_secs(1);

/// How long each append has a subject of its own after one was answered twice.
const DISTRUST: Duration = Duration::from_mins(1);

/// Which slot, and which of its subjects: an answer that comes late meets no later append.
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

#[derive(Debug)]
struct Slots {
    all: Vec<Slot>,
    free: Vec<u16>,
    in_flight: usize,
    /// Until then no subject is used again.
    anew_until: Instant,
}

/// On which subject an append may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// One that was used before will do; the answer may be [`Answer::Unsure`].
    Any,
    New,
}

impl Acks {
    /// Answers are read at subjects below `inbox`.
    pub(super) fn new(inbox: &str, in_flight_max: usize, timeout: Duration) -> Self {
        Self {
            slots: Mutex::new(Slots {
                all: Vec::new(),
                free: Vec::new(),
                in_flight: 0,
                anew_until: Instant::now() + TRIAL,
            }),
            prefix: format!("{inbox}."),
            in_flight_max,
            timeout,
        }
    }

    /// Takes a slot for so many appends, if there is room for them.
    pub(super) fn wait(
        self: &Arc<Self>,
        appends: usize,
        subject: Subject,
    ) -> Result<Waiting, AppendError> {
        let now = Instant::now();
        let deadline = now + self.timeout;
        let busy = AppendError::Busy {
            in_flight_max: self.in_flight_max,
        };
        let mut slots = self.lock();
        if slots.in_flight.saturating_add(appends) > self.in_flight_max {
            return Err(busy);
        }
        let slot = match slots.free.pop() {
            Some(slot) => slot,
            None => slots.grow(deadline).ok_or(busy)?,
        };
        let anew = subject == Subject::New || now < slots.anew_until;
        let generation = slots.get(slot).take(appends, anew, deadline);
        slots.in_flight += appends;
        drop(slots);
        Ok(Waiting {
            acks: Arc::clone(self),
            key: Key { slot, generation },
            appends,
        })
    }

    /// The append of this key is stored, or one of them, as something new.
    pub(super) fn stored(&self, key: Key, place: u64) {
        self.hear(key, |slot| slot.stored(key.generation, place));
    }

    /// Anything else was answered to this key.
    pub(super) fn told(&self, key: Key, answer: Answer) {
        self.hear(key, |slot| slot.told(key.generation, answer));
    }

    fn hear(&self, key: Key, hear: impl FnOnce(&mut Slot) -> Heard) {
        let mut slots = self.lock();
        let Some(slot) = slots.all.get_mut(usize::from(key.slot)) else {
            return;
        };
        let Heard { waker, is_second } = hear(slot);
        let is_news = is_second && slots.distrust();
        drop(slots);
        if let Some(waker) = waker {
            waker.wake();
        }
        if is_news {
            tracing::warn!(
                "an append was answered twice: if this goes on, another stream takes the events too; \
                 each JetStream system needs a domain of its own"
            );
        }
    }

    /// Answers everybody who waits; the next connection has to show again what it is like.
    pub(super) fn lost(&self, error: &AppendError) {
        self.fail(|_| Some(error.clone()));
        let mut slots = self.lock();
        slots.anew_until = slots.anew_until.max(Instant::now() + TRIAL);
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
        let mut slots = self.lock();
        let failed = slots.all.iter_mut().map(|slot| slot.fail(&error));
        let wakers: Vec<_> = failed.filter_map(|heard| heard.waker).collect();
        drop(slots);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        // Every change is complete before anything in it can panic.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As if the connection had shown what it is like.
    #[cfg(test)]
    pub(super) fn end_trial(&self) {
        self.lock().anew_until = Instant::now();
    }

    #[cfg(test)]
    fn in_flight(&self) -> usize {
        self.lock().in_flight
    }
}

impl Slots {
    fn get(&mut self, slot: u16) -> &mut Slot {
        self.all
            .get_mut(usize::from(slot))
            .expect("slots are never taken away")
    }

    fn grow(&mut self, now: Instant) -> Option<u16> {
        let slot = u16::try_from(self.all.len()).ok()?;
        self.all.push(Slot::new(now));
        Some(slot)
    }

    /// Whether that was not known yet.
    fn distrust(&mut self) -> bool {
        let now = Instant::now();
        let is_news = self.anew_until <= now + TRIAL;
        self.anew_until = now + DISTRUST;
        is_news
    }
}

/// Appends that wait under one key; dropping it makes room.
#[derive(Debug)]
pub(super) struct Waiting {
    acks: Arc<Acks>,
    key: Key,
    appends: usize,
}

impl Waiting {
    /// Where the server is to answer.
    pub(super) fn reply(&self) -> String {
        self.key.reply(&self.acks)
    }

    /// The places of those that were stored as something new, in ascending order.
    pub(super) fn places(&self) -> Vec<u64> {
        self.acks.lock().get(self.key.slot).places()
    }
}

// === impl Future for Waiting ===

impl Future for Waiting {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let mut slots = self.acks.lock();
        match slots.get(self.key.slot).answer(context.waker()) {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut slots = self.acks.lock();
        slots.get(self.key.slot).release();
        slots.in_flight -= self.appends;
        slots.free.push(self.key.slot);
    }
}

#[cfg(test)]
mod tests;
