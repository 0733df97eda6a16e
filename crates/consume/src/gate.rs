//! Whether a sink takes attempts now: what it asks for itself, and what its failures tell.
//!
//! One gate for a sink, shared by the Subscriptions that name it. `Retry-After` and `410` are the
//! sink's own word; the breaker is what is concluded where it says nothing.

mod breaker;
mod places;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{Notify, futures::OwnedNotified},
    time::Instant,
};

pub(crate) use self::places::Guest;
use self::{breaker::Breaker, places::Places};
use crate::{Failure, Health, Pace, config};

/// A sink's gate. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told when somebody may pass who could not.
    changed: Arc<Notify>,
    places: Arc<Places>,
}

#[derive(Debug)]
struct State {
    /// Until when the sink asked to be left alone.
    held_until: Option<Instant>,
    /// The sink wants nothing any more.
    is_gone: bool,
    permission: Permission,
    /// How often it was to be asked again: an answer to an earlier attempt does not count.
    asked: u64,
    breaker: Breaker,
    /// How it failed last.
    failure: Option<String>,
    /// Whether it was told that it fails.
    is_told: bool,
}

/// What the sink said when it was asked for its permission.
#[derive(Debug)]
enum Permission {
    /// It is not asked.
    Needless,
    /// It has not given it.
    Missing,
    /// It has, for as many as this allows.
    Given(Option<Pace>),
}

/// Leave for one attempt. What came of it is told by [`Pass::ended`]; dropped, it tells nothing.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Gate,
    phase: u64,
    asked: u64,
    is_over: bool,
}

/// Why nobody passes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Not before this.
    Until(Instant),
    /// Not before something changes.
    Change,
}

/// How a sink's gate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It takes attempts.
    Open,
    /// It asked to be left alone for a while.
    Held,
    /// It fails; it is probed until it does not.
    Failing,
    /// It answered 410: it wants nothing any more.
    Gone,
    /// It was asked for its permission and has not given it.
    NotPermitted,
}

impl Gate {
    /// A gate that is open, of a sink with any number of places.
    pub fn new(config: &config::Breaker) -> Self {
        Self::with(config, NonZeroUsize::MAX)
    }

    fn with(config: &config::Breaker, places: NonZeroUsize) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                held_until: None,
                is_gone: false,
                permission: Permission::Needless,
                asked: 0,
                breaker: Breaker::new(config.clone()),
                failure: None,
                is_told: false,
            }),
            changed: Arc::default(),
            places: Arc::new(Places::new(places)),
        }))
    }

    /// Comes to deliver.
    pub(crate) fn enter(&self) -> Guest {
        Guest::of(&self.0.places)
    }

    /// Leave for an attempt, or why there is none.
    pub(crate) fn pass(&self) -> Result<Pass, Wait> {
        let mut state = self.lock();
        state.wait().map_or(Ok(()), Err)?;
        let now = Instant::now();
        let granted = state.granted();
        if let Some(next) = granted.as_ref().map(Pace::next).filter(|next| *next > now) {
            return Err(Wait::Until(next));
        }
        let phase = state.breaker.begin(now)?;
        if let Some(granted) = granted {
            granted.made();
        }
        Ok(Pass {
            gate: self.clone(),
            phase,
            asked: state.asked,
            is_over: false,
        })
    }

    /// How many events are worth having in hand for it: a probe, and another for the case that
    /// it is the event that fails.
    pub(crate) fn room(&self) -> usize {
        let mut state = self.lock();
        match state.wait() {
            Some(_) => 0,
            None => state.breaker.allowed().saturating_mul(2),
        }
    }

    /// Until when the sink asked to be left alone, if it did.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        match self.lock().wait() {
            Some(Wait::Until(until)) => Some(until),
            Some(Wait::Change) | None => None,
        }
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        let mut state = self.lock();
        match state.wait() {
            Some(Wait::Change) if state.is_gone => Standing::Gone,
            Some(Wait::Change) => Standing::NotPermitted,
            Some(Wait::Until(_)) => Standing::Held,
            None if state.breaker.is_failing() => Standing::Failing,
            None => Standing::Open,
        }
    }

    /// Becomes ready when somebody may pass who could not before, counted from this call.
    pub(crate) fn changed(&self) -> OwnedNotified {
        Arc::clone(&self.0.changed).notified_owned()
    }

    /// The sink asks to be left alone for so long. A longer wish that was made before stays.
    pub(crate) fn hold(&self, for_so_long: Duration) {
        let until = Instant::now() + for_so_long;
        let mut state = self.lock();
        state.held_until = Some(state.held_until.map_or(until, |before| before.max(until)));
    }

    /// It failed so. `true` the first time since it is left alone.
    pub(crate) fn failed(&self, failure: &Failure) -> bool {
        let mut state = self.lock();
        state.failure = Some(format!("{}: {}", failure.code, failure.detail));
        let is_new = !state.breaker.is_closed() && !state.is_told;
        state.is_told |= is_new;
        is_new
    }

    /// Nobody passes until the sink has given its permission, unless it has already.
    pub fn needs_permission(&self) {
        let mut state = self.lock();
        if matches!(state.permission, Permission::Needless) {
            state.permission = Permission::Missing;
        }
    }

    /// The sink gives its permission: one request in this time, or any number.
    pub fn permitted(&self, every: Option<Duration>) {
        self.lock().permission = Permission::Given(every.map(Pace::every));
        self.0.changed.notify_waiters();
    }

    /// The sink does not give its permission, or no longer.
    pub fn forbidden(&self) {
        self.lock().permission = Permission::Missing;
    }

    /// The sink is asked again, whatever it said.
    pub fn ask_again(&self) {
        let mut state = self.lock();
        state.asked += 1;
        let was_gone = std::mem::take(&mut state.is_gone);
        drop(state);
        if was_gone {
            self.0.changed.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

impl State {
    fn granted(&self) -> Option<Pace> {
        match &self.permission {
            Permission::Given(pace) => pace.clone(),
            Permission::Needless | Permission::Missing => None,
        }
    }

    fn wait(&mut self) -> Option<Wait> {
        if self.is_gone || matches!(self.permission, Permission::Missing) {
            return Some(Wait::Change);
        }
        if self.held_until.is_some_and(|until| until <= Instant::now()) {
            self.held_until = None;
        }
        self.held_until.map(Wait::Until)
    }
}

impl Pass {
    /// The sink wants nothing any more, unless it was to be asked again since.
    pub(crate) fn gone(&self) {
        let mut state = self.gate.lock();
        if state.asked == self.asked {
            state.is_gone = true;
        }
    }

    /// What the attempt told of the sink. `true` when the sink's failing is no fault of the event:
    /// the attempt does not count for it.
    pub(crate) fn ended(mut self, health: Health, event: u64) -> bool {
        self.is_over = true;
        let mut state = self.gate.lock();
        let was_closed = state.breaker.is_closed();
        let now = Instant::now();
        let excused = state.breaker.ended(self.phase, health, event, now);
        let is_closed = state.breaker.is_closed();
        if is_closed {
            state.is_told = false;
        }
        drop(state);
        if !(was_closed && is_closed) {
            self.gate.0.changed.notify_waiters();
        }
        excused
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.is_over {
            self.gate.lock().breaker.forget(self.phase);
            self.gate.0.changed.notify_waiters();
        }
    }
}

/// The gates of all sinks, by address.
#[derive(Clone, Debug)]
pub struct Gates {
    config: config::Breaker,
    places: NonZeroUsize,
    all: Arc<Mutex<HashMap<String, Weak<Shared>>>>,
}

impl Gates {
    /// None yet.
    pub fn new(config: &config::Breaker) -> Self {
        Self {
            config: config.clone(),
            places: NonZeroUsize::MAX,
            all: Arc::default(),
        }
    }

    /// Each sink takes so many attempts at once, which its Subscriptions share.
    #[must_use]
    pub fn with_places(mut self, places: NonZeroUsize) -> Self {
        self.places = places;
        self
    }

    /// That of the sink at this address.
    pub fn of(&self, sink: &str) -> Gate {
        let mut gates = lock(&self.all);
        if let Some(known) = gates.get(sink).and_then(Weak::upgrade) {
            return Gate(known);
        }
        // Those that nobody delivers through any more.
        gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = Gate::with(&self.config, self.places);
        gates.insert(sink.to_owned(), Arc::downgrade(&gate.0));
        gate
    }

    /// How the sink at this address failed last.
    pub fn failure(&self, sink: &str) -> Option<String> {
        let known = lock(&self.all).get(sink).and_then(Weak::upgrade)?;
        Gate(known).lock().failure.clone()
    }

    /// How the gate of the sink at this address stands.
    pub fn standing(&self, sink: &str) -> Standing {
        let known = lock(&self.all).get(sink).and_then(Weak::upgrade);
        known.map_or(Standing::Open, |known| Gate(known).standing())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is complete before anything in it can panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
