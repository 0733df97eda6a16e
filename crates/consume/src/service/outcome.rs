//! What follows an attempt. Nothing is settled before its outcome is durable.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use fastrand::Rng;
use jiff::Timestamp;
use tidegate_backbone::{DeadLetter, Log, Receipt, Settle};
use tidegate_event::{Event, Value};
use tidegate_subscription::{Matched, Subscription};

use super::settle;
use crate::{Attempt, Failure, Verdict, gate::Gate, held::Held, metrics::Handles, policy::Policy};

/// The reason of what came too late.
const EXPIRED: &str = "consume/expired";

/// Sees one event through its attempt and what follows.
pub(super) struct Outcomes<L> {
    pub(super) policy: Policy,
    /// Which consumer gives it up: what a replay buries is no repetition of an earlier letter.
    pub(super) consumer: Arc<str>,
    pub(super) subscription: Arc<Subscription>,
    pub(super) log: L,
    pub(super) metrics: Handles,
    pub(super) gate: Gate,
    pub(super) rng: Rng,
}

impl<L: Log> Outcomes<L> {
    pub(super) async fn see_through<A: Attempt, R: Receipt>(
        mut self,
        attempt: A,
        held: Held<R>,
        matched: Matched,
    ) {
        let verdict = match &*held.event {
            Ok(event) => match self.expiry(event) {
                Some(failure) => Verdict::Rejected { failure },
                None => attempt.attempt(event, &matched).await,
            },
            Err(unreadable) => Verdict::Rejected {
                failure: Failure::new("consume/unreadable", &*unreadable.reason),
            },
        };
        if let Verdict::Retry {
            after: Some(after), ..
        } = &verdict
        {
            // It is the sink that asks, not this event.
            self.gate.close(*after);
        }
        let (reason, failure) = match verdict {
            Verdict::Delivered => {
                self.metrics.delivered.inc();
                return settle(&*held.receipt, Settle::Ack).await;
            }
            Verdict::Retry { failure, .. } if self.is_too_old(&held) => {
                (EXPIRED, failure.with_code())
            }
            Verdict::Retry { failure, .. } if held.attempt >= self.policy.attempts_max => {
                ("consume/attempts-exhausted", failure.with_code())
            }
            Verdict::Retry { failure, after } => {
                tracing::debug!(
                    subscription = self.subscription.id(),
                    sequence = held.sequence,
                    attempt = held.attempt,
                    code = failure.code,
                    detail = failure.detail,
                    "the event is tried again later"
                );
                self.metrics.retries.inc();
                let delay = self.policy.delay(held.attempt, after, &mut self.rng);
                return settle(&*held.receipt, Settle::Retry { delay }).await;
            }
            Verdict::Rejected { failure } => (failure.code, failure),
        };
        let buried = self.bury(&held, reason, &failure).await;
        let settled = match buried {
            Some(_) => Settle::Terminate,
            None => Settle::Retry {
                delay: self.pause_of_burial(),
            },
        };
        settle(&*held.receipt, settled).await;
        if let (Some(letter), Ok(event)) = (buried, &*held.event) {
            attempt.buried(event, &failure, letter).await;
        }
    }

    /// Makes it a dead letter, and says of which place when that is durable.
    async fn bury<R>(
        &self,
        held: &Held<R>,
        reason: &'static str,
        failure: &Failure,
    ) -> Option<u64> {
        let letter = DeadLetter {
            consumer: (*self.consumer).to_owned(),
            namespace: self.subscription.namespace.clone(),
            subscription: self.subscription.name.clone(),
            event: (*held.event).clone(),
            sequence: held.sequence,
            reason,
            detail: failure.detail.clone(),
            answer: failure.answer.clone(),
            attempts: held.attempt,
            stored_at: held.stored_at,
        };
        let subscription = self.subscription.id();
        match self.log.bury(&letter).await {
            Ok(stored) => {
                self.metrics.refused.set(0);
                self.metrics.buried(reason);
                tracing::warn!(
                    subscription,
                    sequence = held.sequence,
                    attempts = held.attempt,
                    reason,
                    detail = letter.detail,
                    "the event is a dead letter now"
                );
                Some(stored.sequence)
            }
            Err(error) => {
                self.metrics.refused.set(1);
                tracing::error!(
                    subscription,
                    sequence = held.sequence,
                    %error,
                    "the dead letter could not be stored; the event stays and is tried again"
                );
                None
            }
        }
    }

    fn pause_of_burial(&self) -> Duration {
        self.policy.backoff_max
    }

    /// Why it is of no use any more, by its own word: the extension `expirytime`.
    fn expiry(&self, event: &Event) -> Option<Failure> {
        let Value::String(text) = event.extensions.get("expirytime")? else {
            return None;
        };
        // What is no time says nothing.
        let end: Timestamp = text.parse().ok()?;
        let now = self.log.now().duration_since(UNIX_EPOCH).ok()?;
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let is_over = end.as_millisecond() <= now;
        is_over.then(|| Failure::new(EXPIRED, format!("its expirytime is {text}")))
    }

    /// Whether the Subscription wants it tried no longer.
    fn is_too_old<R>(&self, held: &Held<R>) -> bool {
        let age = self.log.now().duration_since(held.stored_at);
        let (Some(age_max), Ok(age)) = (self.policy.age_max, age) else {
            return false;
        };
        age >= age_max
    }
}
