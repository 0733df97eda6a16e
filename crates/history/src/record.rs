//! What is told of an event.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Something that happened to an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The event's place in the log.
    pub place: u64,
    /// When.
    pub at: SystemTime,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It was received, and is stored.
    Received {
        /// From which Application; empty where nobody said.
        application: Arc<str>,
        /// It was stored before, and is not a second time.
        duplicate: bool,
    },
    /// A Subscription tried to deliver it, or gave it up.
    Attempted {
        /// `namespace/name`.
        subscription: Arc<str>,
        /// The replay that it was sent by, if it was.
        replay: Option<Arc<str>>,
        /// The how many-th attempt, from 1.
        attempt: u32,
        /// What the sink answered, if it did.
        status: Option<u16>,
        /// How long it took.
        took: Duration,
        /// What it came to.
        outcome: Outcome,
    },
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The sink has it.
    Delivered,
    /// It is tried again after a while.
    Again {
        /// Why.
        reason: Reason,
        /// How much later.
        delay: Duration,
    },
    /// It waits until the sink is there again.
    Waits {
        /// Why.
        reason: Reason,
    },
    /// It is a dead letter.
    DeadLetter {
        /// Why.
        reason: Reason,
        /// The letter's place among the dead letters.
        letter: u64,
    },
}

/// Why something failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// A stable code.
    pub code: Arc<str>,
    /// For people.
    pub detail: String,
}

impl Record {
    /// Whether something went wrong.
    pub(crate) fn is_failure(&self) -> bool {
        match &self.what {
            What::Received { .. } => false,
            What::Attempted { outcome, .. } => *outcome != Outcome::Delivered,
        }
    }
}
