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
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The sink has it.
    Delivered,
    /// It may succeed later.
    Retry {
        /// Why it failed.
        failure: Failure,
        /// How long the sink asks to be left alone.
        after: Option<Duration>,
    },
    /// It will never succeed.
    Rejected {
        /// Why.
        failure: Failure,
    },
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
