//! What follows an attempt. Nothing is settled before its outcome is durable.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use tidegate_backbone::{DeadLetter, Log, Receipt, Settle};
use tidegate_subscription::{Matched, Subscription};

use super::settle;
use crate::{Attempt, Verdict, held::Held, metrics::Handles, policy::Policy};

/// Sees one event through its attempt and what follows.
pub(super) struct Outcomes<L> {
    pub(super) policy: Policy,
    pub(super) subscription: Arc<Subscription>,
    pub(super) log: L,
    pub(super) metrics: Handles,
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
            Ok(event) => attempt.attempt(event, &matched).await,
            Err(unreadable) => Verdict::Rejected {
                code: "consume/unreadable",
                detail: unreadable.reason.clone(),
            },
        };
        let settled = match verdict {
            Verdict::Delivered => {
                self.metrics.delivered.inc();
                Settle::Ack
            }
            Verdict::Retry {
                code,
                detail,
                after,
            } if held.attempt < self.policy.attempts_max && !self.is_too_old(&held) => {
                tracing::debug!(
                    subscription = self.subscription.id(),
                    sequence = held.sequence,
                    attempt = held.attempt,
                    code,
                    detail,
                    "the event is tried again later"
                );
                self.metrics.retries.inc();
                Settle::Retry {
                    delay: self.policy.delay(held.attempt, after, &mut self.rng),
                }
            }
            Verdict::Retry { code, detail, .. } => {
                let detail = format!("{code}: {detail}");
                let reason = if self.is_too_old(&held) {
                    "consume/too-old"
                } else {
                    "consume/attempts-exhausted"
                };
                self.bury(&held, reason, detail).await
            }
            Verdict::Rejected { code, detail } => self.bury(&held, code, detail).await,
        };
        settle(&*held.receipt, settled).await;
    }

    /// Makes it a dead letter; only when that is durable is it settled.
    async fn bury<R>(&self, held: &Held<R>, reason: &'static str, detail: String) -> Settle {
        let letter = DeadLetter {
            consumer: self.subscription.consumer_name(),
            namespace: self.subscription.namespace.clone(),
            subscription: self.subscription.name.clone(),
            event: (*held.event).clone(),
            sequence: held.sequence,
            reason,
            detail,
            attempts: held.attempt,
            stored_at: held.stored_at,
        };
        let subscription = self.subscription.id();
        match self.log.bury(&letter).await {
            Ok(_) => {
                self.metrics.buried(reason);
                tracing::warn!(
                    subscription,
                    sequence = held.sequence,
                    attempts = held.attempt,
                    reason,
                    detail = letter.detail,
                    "the event is a dead letter now"
                );
                Settle::Terminate
            }
            Err(error) => {
                tracing::error!(
                    subscription,
                    sequence = held.sequence,
                    %error,
                    "the dead letter could not be stored; the event stays and is tried again"
                );
                Settle::Retry {
                    delay: self.pause_of_burial(),
                }
            }
        }
    }

    fn pause_of_burial(&self) -> Duration {
        self.policy.backoff_max
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
