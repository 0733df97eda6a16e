//! What this stage asks of whoever makes attempts.

use std::{future::Future, time::Duration};

use tidegate_event::Event;
use tidegate_subscription::Matched;

/// Makes attempts at one Subscription's sink.
pub trait Attempt: Clone + Send + Sync + 'static {
    /// One attempt. It ends within a bound of its own.
    fn attempt(&self, event: &Event, matched: &Matched) -> impl Future<Output = Verdict> + Send;
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The sink has it.
    Delivered,
    /// It may succeed later.
    Retry {
        /// Why it failed: a stable code.
        code: &'static str,
        /// For people.
        detail: String,
        /// How long the sink asks to be left alone.
        after: Option<Duration>,
    },
    /// It will never succeed.
    Rejected {
        /// Why: a stable code.
        code: &'static str,
        /// For people.
        detail: String,
    },
}
