//! What is told to the history: who sent an event, and what each attempt came to.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use tidegate_backbone::{Stored, jetstream::Jetstream};
use tidegate_consume::{Ended, Failure, Follows};
use tidegate_history::{Journal, Keep, Outcome, Reason, Record, What};
use tidegate_subscription::Subscription;
use tokio::{sync::oneshot, task::JoinHandle};

/// What sends a dead letter again, in the place of a replay's name.
pub(crate) const REDRIVE: &str = "redrive";

/// Batches go to the log.
struct InLog(Jetstream);

impl Keep for InLog {
    async fn keep(&self, batch: Bytes) -> Result<(), String> {
        self.0.keep_history(batch).await
    }
}

/// An event has come from this Application.
pub(crate) fn received(journal: &Journal, application: &str, stored: &Stored) {
    if journal.is_on() {
        journal.note(Record {
            place: stored.sequence,
            at: SystemTime::now(),
            what: What::Received {
                application: application.into(),
                duplicate: stored.duplicate,
            },
        });
    }
}

/// Keeps what is noted.
pub(super) struct History {
    task: JoinHandle<()>,
    /// Ends it when it is dropped.
    ends: oneshot::Sender<()>,
}

impl History {
    pub(super) fn start(journal: &Journal, log: &Jetstream) -> Self {
        let (ends, ended) = oneshot::channel::<()>();
        let stop = async move { drop(ended.await) };
        let (journal, log) = (journal.clone(), InLog(log.clone()));
        let task = tokio::spawn(async move { journal.run(&log, stop).await });
        Self { task, ends }
    }

    /// Keeps what waits.
    pub(super) async fn end(self) {
        drop(self.ends);
        // An error means that it ended by a panic: nothing more is kept.
        self.task.await.ok();
    }
}

/// Tells of one Subscription's attempts.
#[derive(Clone, Debug)]
pub(super) struct Told {
    journal: Journal,
    subscription: Arc<str>,
    replay: Option<Arc<str>>,
}

impl Told {
    pub(super) fn of(subscription: &Subscription, journal: &Journal) -> Self {
        Self {
            journal: journal.clone(),
            subscription: subscription.id().into(),
            replay: None,
        }
    }

    /// A dead letter of this Subscription that is sent again.
    pub(super) fn redriven(subscription: &str, journal: &Journal) -> Self {
        Self {
            journal: journal.clone(),
            subscription: subscription.into(),
            replay: Some(REDRIVE.into()),
        }
    }

    /// What a replay sends.
    pub(super) fn by(self, replay: &str) -> Self {
        Self {
            replay: Some(replay.into()),
            ..self
        }
    }

    pub(super) fn ended(&self, ended: &Ended<'_>) {
        if !self.journal.is_on() {
            return;
        }
        self.journal.note(Record {
            place: ended.sequence,
            at: SystemTime::now(),
            what: What::Attempted {
                subscription: Arc::clone(&self.subscription),
                replay: self.replay.clone(),
                attempt: ended.attempt,
                status: ended.status,
                took: ended.took,
                outcome: outcome(ended.follows),
            },
        });
    }
}

fn outcome(follows: Follows<'_>) -> Outcome {
    let reason = |code: &str, failure: &Failure| Reason {
        code: code.into(),
        detail: failure.detail.clone(),
    };
    match follows {
        Follows::Nothing => Outcome::Delivered,
        Follows::Again { failure, delay } => Outcome::Again {
            reason: reason(failure.code, failure),
            delay,
        },
        Follows::Waits { failure } => Outcome::Waits {
            reason: reason(failure.code, failure),
        },
        Follows::DeadLetter {
            reason: code,
            failure,
            letter,
        } => Outcome::DeadLetter {
            reason: reason(code, failure),
            letter,
        },
    }
}
