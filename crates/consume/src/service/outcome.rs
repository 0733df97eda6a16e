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

use super::{UNREACHABLE_PAUSE, settle};
use tokio::time::Instant;

use crate::{
    Attempt, Ended, Failure, Follows, Health, Verdict,
    gate::{Gate, Pass},
    held::Held,
    metrics::Handles,
    policy::Policy,
};

/// The reason of what came too late.
const EXPIRED: &str = "consume/expired";

/// Sees events through their attempts and what follows. One for all of a Subscription.
pub(super) struct Outcomes<L, A> {
    pub(super) attempt: Arc<A>,
    pub(super) policy: Policy,
    /// Which consumer gives it up: what a replay buries is no repetition of an earlier letter.
    pub(super) consumer: Arc<str>,
    pub(super) subscription: Arc<Subscription>,
    pub(super) log: L,
    pub(super) metrics: Handles,
    pub(super) gate: Gate,
}

/// What differs from one event to another.
pub(super) struct Terms {
    /// What comes after it in order waits until the log knows that it is done: of two that were
    /// delivered, the first is never repeated after the second.
    pub(super) surely: bool,
    /// A dead letter stops its key: the event stays, and is asked for after so long.
    pub(super) stops: Option<Duration>,
    pub(super) rng: Rng,
}

/// What has become of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Done with it.
    Settled,
    /// It waits in the log for another attempt.
    HandedBack,
    /// It is a dead letter, and waits in the log until that is taken away.
    Stopped {
        /// The letter's place.
        letter: u64,
    },
    /// Nothing was settled and the attempt does not count: nobody is there.
    Stays,
    /// The same where the sink answers and fails. Another event may be one that it takes.
    StaysAside,
}

impl<L: Log, A: Attempt> Outcomes<L, A> {
    /// `health` is what the attempt tells of the sink, if one was made.
    pub(super) async fn see_through<R: Receipt>(
        &self,
        mut terms: Terms,
        held: Held<R>,
        matched: Matched,
        pass: Pass,
        health: &mut Option<Health>,
    ) -> Next {
        let began = Instant::now();
        let mut took = Duration::ZERO;
        let (verdict, excused) = match &*held.event {
            Ok(event) => match self.expiry(event) {
                Some(failure) => (Verdict::Rejected { failure }, false),
                None => {
                    let verdict = self.attempt.attempt(event, &matched).await;
                    took = began.elapsed();
                    self.metrics.attempted(took);
                    let told = verdict.health();
                    *health = Some(told);
                    self.heed(&verdict, &pass);
                    let excused = pass.ended(told, held.sequence);
                    self.tell(&verdict);
                    (verdict, excused)
                }
            },
            Err(unreadable) => {
                let failure = Failure::new("consume/unreadable", &*unreadable.reason);
                (Verdict::Rejected { failure }, false)
            }
        };
        let (reason, failure) = match verdict {
            Verdict::Delivered { status } => {
                self.metrics.delivered(self.age(&held));
                self.done(&terms, &*held.receipt, Settle::Ack).await;
                self.ended(&held, took, status, Follows::Nothing);
                return Next::Settled;
            }
            Verdict::Gone { failure } => {
                self.failed(&held, took, &failure, Follows::Waits { failure: &failure });
                return Next::Stays;
            }
            Verdict::Retry { failure, .. } if self.is_too_old(&held) => {
                (EXPIRED, failure.with_code())
            }
            Verdict::Retry {
                failure, health, ..
            } if excused => {
                self.failed(&held, took, &failure, Follows::Waits { failure: &failure });
                return match health {
                    Health::Away => Next::Stays,
                    Health::Well | Health::Busy | Health::Slow | Health::Failing => {
                        Next::StaysAside
                    }
                };
            }
            Verdict::Retry { failure, .. } if held.attempt >= self.policy.attempts_max => {
                ("consume/attempts-exhausted", failure.with_code())
            }
            Verdict::Retry { failure, after, .. } => {
                let delay = self.retry(&mut terms, &held, &failure, after).await;
                let failure = &failure;
                self.failed(&held, took, failure, Follows::Again { failure, delay });
                return Next::HandedBack;
            }
            Verdict::Rejected { failure } => (failure.code, failure),
        };
        // In a place of its own: it is large, and rare.
        Box::pin(self.give_up(&terms, &held, (reason, took), &failure)).await
    }

    /// Tells of an attempt that the sink has not taken.
    fn failed<R>(&self, held: &Held<R>, took: Duration, failure: &Failure, follows: Follows<'_>) {
        self.ended(held, took, failure.status(), follows);
    }

    fn ended<R>(&self, held: &Held<R>, took: Duration, status: Option<u16>, follows: Follows<'_>) {
        self.attempt.ended(&Ended {
            sequence: held.sequence,
            attempt: held.attempt,
            status,
            took,
            follows,
        });
    }

    async fn done(&self, terms: &Terms, receipt: &impl Receipt, settlement: Settle) {
        if !terms.surely {
            return settle(receipt, settlement).await;
        }
        while let Err(error) = receipt.settle_surely(settlement).await {
            tracing::debug!(%error, "what is next in order waits");
            tokio::time::sleep(UNREACHABLE_PAUSE).await;
        }
    }

    /// What the sink says for itself, and not of this event.
    fn heed(&self, verdict: &Verdict, pass: &Pass) {
        match verdict {
            Verdict::Retry {
                after: Some(after), ..
            } => self.gate.hold(*after),
            Verdict::Gone { failure } => {
                tracing::error!(
                    subscription = self.subscription.id(),
                    sink = %self.subscription.sink,
                    detail = failure.detail,
                    "the sink wants nothing any more; events are kept for it until its \
                     Subscription changes or tidegate starts anew"
                );
                pass.gone();
            }
            Verdict::Retry { after: None, .. }
            | Verdict::Delivered { .. }
            | Verdict::Rejected { .. } => {}
        }
    }

    /// Says why a sink is left alone, once.
    fn tell(&self, verdict: &Verdict) {
        if let Verdict::Retry {
            failure, health, ..
        } = verdict
            && health.is_ill()
            && self.gate.failed(failure)
        {
            tracing::warn!(
                subscription = self.subscription.id(),
                sink = %self.subscription.sink,
                code = failure.code,
                detail = failure.detail,
                "the sink failed too often in a row; it is left alone and probed"
            );
        }
    }

    /// Back to the log, for later; how much later.
    async fn retry<R: Receipt>(
        &self,
        terms: &mut Terms,
        held: &Held<R>,
        failure: &Failure,
        after: Option<Duration>,
    ) -> Duration {
        tracing::debug!(
            subscription = self.subscription.id(),
            sequence = held.sequence,
            attempt = held.attempt,
            code = failure.code,
            detail = failure.detail,
            "the event is tried again later"
        );
        self.metrics.retries.inc();
        let delay = self.policy.delay(held.attempt, after, &mut terms.rng);
        settle(&*held.receipt, Settle::Retry { delay }).await;
        delay
    }

    async fn give_up<R: Receipt>(
        &self,
        terms: &Terms,
        held: &Held<R>,
        (reason, took): (&'static str, Duration),
        failure: &Failure,
    ) -> Next {
        let Some(letter) = self.bury(terms, held, reason, failure).await else {
            let delay = self.pause_of_burial();
            settle(&*held.receipt, Settle::Retry { delay }).await;
            self.failed(held, took, failure, Follows::Again { failure, delay });
            return Next::HandedBack;
        };
        let next = match terms.stops {
            Some(delay) => {
                settle(&*held.receipt, Settle::Retry { delay }).await;
                Next::Stopped { letter }
            }
            None => {
                self.done(terms, &*held.receipt, Settle::Terminate).await;
                Next::Settled
            }
        };
        let follows = Follows::DeadLetter {
            reason,
            failure,
            letter,
        };
        self.failed(held, took, failure, follows);
        if let Ok(event) = &*held.event {
            self.attempt.buried(event, failure, letter).await;
        }
        next
    }

    /// Makes it a dead letter, and says of which place when that is durable.
    async fn bury<R>(
        &self,
        terms: &Terms,
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
                let event = letter.event.as_ref().ok();
                let trace = event.and_then(|event| event.hop).map(|hop| hop.trace());
                tracing::warn!(
                    subscription,
                    sequence = held.sequence,
                    id = event.map(|event| &*event.id),
                    trace,
                    attempts = held.attempt,
                    reason,
                    detail = letter.detail,
                    stops_its_key = terms.stops.is_some(),
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
        let age_max = self.policy.age_max;
        age_max.is_some_and(|age_max| self.age(held) >= age_max)
    }

    /// How long ago it was stored. The clock of the log may be a little ahead.
    fn age<R>(&self, held: &Held<R>) -> Duration {
        let age = self.log.now().duration_since(held.stored_at);
        age.unwrap_or_default()
    }
}
