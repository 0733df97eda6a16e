//! Sinks by script, and attempts at them.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use fastrand::Rng;
use http::StatusCode;
use tidegate_consume::{Attempt, Failure, Health, Verdict};
use tidegate_deliver::{GONE, Outcome, classify};
use tidegate_event::Event;
use tidegate_subscription::Matched;

use crate::{
    plan::TIMEOUT,
    record::{End, Loop, Record, What},
};

/// How a sink is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Well,
    Slow,
    /// Nobody is there.
    Away,
    Hanging,
    Failing,
    /// It answers 429 and says when to come again.
    Busy,
    Gone,
}

impl Mode {
    pub(crate) const ALL: [Self; 7] = [
        Self::Well,
        Self::Slow,
        Self::Away,
        Self::Hanging,
        Self::Failing,
        Self::Busy,
        Self::Gone,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Slow => "slow",
            Self::Away => "away",
            Self::Hanging => "hanging",
            Self::Failing => "failing",
            Self::Busy => "busy",
            Self::Gone => "gone",
        }
    }
}

/// What an event is to a Subscription's sink, whatever the sink's mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    Good,
    /// It is refused.
    Bad,
    /// It is asked for later, and never taken.
    Never,
}

pub(crate) fn nature(subscription: usize, event: u64) -> Nature {
    let mut hasher = DefaultHasher::new();
    (subscription, event).hash(&mut hasher);
    match hasher.finish() % 25 {
        0 => Nature::Bad,
        1 => Nature::Never,
        _ => Nature::Good,
    }
}

#[derive(Debug)]
struct State {
    mode: Mode,
    flaky: f64,
    rng: Rng,
}

/// A sink; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Sink(Arc<Mutex<State>>);

impl Sink {
    pub(crate) fn new(flaky: f64, rng: Rng) -> Self {
        Self(Arc::new(Mutex::new(State {
            mode: Mode::Well,
            flaky,
            rng,
        })))
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.lock().mode = mode;
    }

    pub(crate) fn calm(&self) {
        let mut state = self.lock();
        (state.mode, state.flaky) = (Mode::Well, 0.0);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long it takes, and what it answers: a status and how long it wants to be left alone.
    fn answer(&self, nature: Nature) -> (Duration, Option<(u16, Option<Duration>)>) {
        let mut state = self.lock();
        let millis = match state.mode {
            Mode::Well | Mode::Away | Mode::Failing | Mode::Busy | Mode::Gone => {
                state.rng.u64(0..60)
            }
            Mode::Slow => state.rng.u64(200..4_000),
            Mode::Hanging => u64::MAX,
        };
        let is_flaky = state.rng.f64() < state.flaky;
        let answer = match (state.mode, nature) {
            (Mode::Away | Mode::Hanging, _) => None,
            (Mode::Failing, _) => Some((500, None)),
            (Mode::Gone, _) => Some((410, None)),
            (Mode::Busy, _) => Some((429, Some(Duration::from_secs(state.rng.u64(0..20))))),
            (Mode::Well | Mode::Slow, _) if is_flaky => match state.rng.u8(0..3) {
                0 => Some((500, None)),
                1 => Some((503, None)),
                _ => None,
            },
            (Mode::Well | Mode::Slow, Nature::Good) => Some((200, None)),
            (Mode::Well | Mode::Slow, Nature::Bad) => Some((400, None)),
            (Mode::Well | Mode::Slow, Nature::Never) => Some((409, None)),
        };
        (Duration::from_millis(millis), answer)
    }
}

/// Attempts of one loop.
#[derive(Clone, Debug)]
pub(crate) struct ToSink {
    pub(crate) sink: Sink,
    pub(crate) of: Loop,
    pub(crate) record: Record,
}

/// Tells how an attempt ended, also when its process died.
struct Telling<'a> {
    to: &'a ToSink,
    event: u64,
    end: End,
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        let what = What::Ended(self.to.of, self.event, self.end);
        self.to.record.note(what);
    }
}

impl Attempt for ToSink {
    async fn attempt(&self, event: &Event, _: &Matched) -> Verdict {
        let id: u64 = event.id.parse().unwrap_or(u64::MAX);
        self.record.note(What::Began(self.of, id));
        let mut telling = Telling {
            to: self,
            event: id,
            end: End::Cut,
        };
        let (takes, answer) = self.sink.answer(nature(self.of.subscription, id));
        let is_late = takes > TIMEOUT;
        tokio::time::sleep(takes.min(TIMEOUT)).await;
        let (verdict, end) = match answer {
            None if is_late => (failed("deliver/timeout", Health::Slow, None), End::Failed),
            None => (failed("deliver/connect", Health::Away, None), End::Failed),
            Some((status, after)) => verdict(status, after),
        };
        telling.end = end;
        verdict
    }

    async fn buried(&self, _: &Event, _: &Failure, _: u64) {}
}

fn failed(code: &'static str, health: Health, after: Option<Duration>) -> Verdict {
    Verdict::Retry {
        failure: Failure::new(code, "by script"),
        after,
        health,
    }
}

/// What a status means, by the room whose word it is.
fn verdict(status: u16, after: Option<Duration>) -> (Verdict, End) {
    let number = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    match classify(number, after, Bytes::new()) {
        Outcome::Delivered { .. } => (Verdict::DELIVERED, End::Delivered),
        Outcome::Rejected { failure } => {
            let is_gone = failure.code == GONE;
            let failure = Failure::new(failure.code, failure.detail);
            match is_gone {
                true => (Verdict::Gone { failure }, End::Gone),
                false => (Verdict::Rejected { failure }, End::Rejected),
            }
        }
        Outcome::Retry { failure, after } => {
            let (health, end) = match (status, after) {
                (429, Some(after)) => (Health::Busy, End::Hold(after)),
                (502..=504, _) => (Health::Away, End::Failed),
                (500.., _) => (Health::Failing, End::Failed),
                _ => (Health::Well, End::Later),
            };
            (failed(failure.code, health, after), end)
        }
    }
}
