//! What this stage asks of whoever makes attempts.

use std::{future::Future, time::Duration};

use tidegate_backbone::SinkAnswer;
use tidegate_event::Event;
use tidegate_subscription::Matched;

/// Makes attempts at one Subscription's sink.
pub trait Attempt: Clone + Send + Sync + 'static {
    /// One attempt. It ends within a bound of its own.
    fn attempt(&self, event: &Event, matched: &Matched) -> impl Future<Output = Verdict> + Send;

    /// An event has become the dead letter of this place. Ends within a bound of its own.
    fn buried(
        &self,
        event: &Event,
        failure: &Failure,
        letter: u64,
    ) -> impl Future<Output = ()> + Send;

    /// An attempt has ended, and what follows is decided and durable; for whoever tells of it.
    fn ended(&self, _ended: &Ended<'_>) {}
}

/// An attempt, and what it came to.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// The event's place in the log.
    pub sequence: u64,
    /// The how many-th attempt it was, from 1.
    pub attempt: u32,
    /// What the sink answered, if it did.
    pub status: Option<u16>,
    /// How long it took; zero where there was none.
    pub took: Duration,
    /// What it came to.
    pub follows: Follows<'a>,
}

/// What follows an attempt.
#[derive(Clone, Copy, Debug)]
pub enum Follows<'a> {
    /// Nothing: the sink has it.
    Nothing,
    /// Another one.
    Again {
        /// Why.
        failure: &'a Failure,
        /// How much later.
        delay: Duration,
    },
    /// Another one when the sink is there again.
    Waits {
        /// Why.
        failure: &'a Failure,
    },
    /// It is a dead letter.
    DeadLetter {
        /// Why: a stable code.
        reason: &'static str,
        /// The last failure.
        failure: &'a Failure,
        /// The letter's place.
        letter: u64,
    },
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The sink has it.
    Delivered {
        /// Its answer, if it is known.
        status: Option<u16>,
    },
    /// It may succeed later.
    Retry {
        /// Why it failed.
        failure: Failure,
        /// How long the sink asks to be left alone.
        after: Option<Duration>,
        /// What it tells of the sink.
        health: Health,
    },
    /// It will never succeed.
    Rejected {
        /// Why.
        failure: Failure,
    },
    /// The sink wants nothing any more, not this event and no other.
    Gone {
        /// Its words.
        failure: Failure,
    },
}

/// What an attempt tells of a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It is there, whatever it said of this event.
    Well,
    /// It is there, and has too much to do.
    Busy,
    /// It was not done in time.
    Slow,
    /// It failed, maybe because of this event.
    Failing,
    /// Nobody is there who could have looked at the event.
    Away,
}

impl Health {
    /// Whether a sink for which it is always so is down.
    pub(crate) fn is_ill(self) -> bool {
        match self {
            Self::Well | Self::Busy => false,
            Self::Slow | Self::Failing | Self::Away => true,
        }
    }
}

impl Verdict {
    /// The sink has it, whatever it answered.
    pub const DELIVERED: Self = Self::Delivered { status: None };

    /// Why it failed, if it did.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Delivered { .. } => None,
            Self::Retry { failure, .. } | Self::Rejected { failure } | Self::Gone { failure } => {
                Some(failure)
            }
        }
    }

    /// What the sink answered, if it is known.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Delivered { status } => *status,
            Self::Retry { .. } | Self::Rejected { .. } | Self::Gone { .. } => {
                self.failure().and_then(Failure::status)
            }
        }
    }

    /// What it tells of the sink.
    pub(crate) fn health(&self) -> Health {
        match self {
            Self::Delivered { .. } | Self::Rejected { .. } | Self::Gone { .. } => Health::Well,
            Self::Retry { health, .. } => *health,
        }
    }
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A stable code.
    pub code: &'static str,
    /// For people.
    pub detail: String,
    /// What the sink answered, if it did.
    pub answer: Option<SinkAnswer>,
}

impl Failure {
    /// What the sink answered, if it did.
    pub(crate) fn status(&self) -> Option<u16> {
        self.answer.as_ref().map(|answer| answer.status)
    }

    /// One without an answer.
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            answer: None,
        }
    }

    /// Where the code is not the reason, the detail tells it.
    pub(crate) fn with_code(self) -> Self {
        Self {
            detail: format!("{}: {}", self.code, self.detail),
            ..self
        }
    }
}
