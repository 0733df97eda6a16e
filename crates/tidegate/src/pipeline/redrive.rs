//! A dead letter, sent again to the Subscription that gave it up, or to another sink.

use std::{sync::Arc, time::Instant};

use tidegate_backbone::jetstream::{Jetstream, Letter};
use tidegate_consume::{Attempt as _, Ended, Follows, Verdict};
use tidegate_deliver::Client;
use tidegate_event::{Event, Name, Value};
use tidegate_history::Journal;
use tidegate_publish::Publisher;
use tidegate_subscription::{Delivery, Matching, Start, Subscription};
use tidegate_telemetry::spans::Tracer;
use tokio::sync::watch;
use url::Url;

use super::{attempt::SinkAttempt, journal::Told, worker::Subscriptions};
use crate::{config::Config, kafka::Kafka};

/// Says how often an event was sent again.
const COUNT: &str = "redrivecount";

/// Sends dead letters again.
#[derive(Clone, Debug)]
pub(crate) struct Redrive {
    pub(super) client: Client,
    pub(super) kafka: Kafka,
    pub(super) publisher: Publisher<Jetstream>,
    pub(super) subscriptions: watch::Receiver<Subscriptions>,
    pub(super) config: Arc<Config>,
    pub(super) journal: Journal,
    pub(super) tracer: Tracer,
}

/// Why a letter was not sent, or not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRedriven {
    /// Nobody says where it goes.
    #[error("there is no Subscription {subscription} now: name a sink")]
    NoSubscription {
        /// Whose letter it is.
        subscription: String,
    },
    /// There is nothing to send.
    #[error("what is stored is no event: {reason}")]
    NoEvent {
        /// What is wrong with it.
        reason: String,
    },
    /// The sink did not take it.
    #[error("{code}: {detail}")]
    NotTaken {
        /// A stable code.
        code: &'static str,
        /// For people.
        detail: String,
    },
}

impl Redrive {
    /// One attempt. The letter stays where it is.
    pub(crate) async fn attempt(
        &self,
        letter: &Letter,
        sink: Option<Url>,
    ) -> Result<(), NotRedriven> {
        let event = letter
            .event
            .as_ref()
            .map_err(|unreadable| NotRedriven::NoEvent {
                reason: unreadable.reason.clone(),
            })?;
        let subscription = self.subscription(&letter.subscription, sink)?;
        let not_taken = |code, detail| NotRedriven::NotTaken { code, detail };
        // Not by the name of the one that goes elsewhere.
        let told = Told::redriven(&letter.subscription, &self.journal);
        let (client, publisher) = (&self.client, &self.publisher);
        let told = (told, &self.tracer);
        let attempt = SinkAttempt::new(
            (client, &self.kafka),
            publisher,
            &subscription,
            &self.config,
            told,
        )
        .map_err(|error| not_taken("deliver/connect", error.to_string()))?;
        // What it wants now may be something else; it was given up by it all the same.
        let matched = subscription.matches(event).unwrap_or_default();
        let began = Instant::now();
        let verdict = attempt.attempt(&counted(event), &matched).await;
        let ended = |status, follows| {
            attempt.ended(&Ended {
                sequence: letter.original_sequence,
                attempt: letter.attempts.saturating_add(1),
                status,
                took: began.elapsed(),
                follows,
            });
        };
        match verdict {
            Verdict::Delivered { status } => {
                ended(status, Follows::Nothing);
                Ok(())
            }
            Verdict::Retry { failure, .. }
            | Verdict::Rejected { failure }
            | Verdict::Gone { failure } => {
                let status = failure.answer.as_ref().map(|answer| answer.status);
                let follows = Follows::DeadLetter {
                    reason: failure.code,
                    failure: &failure,
                    letter: letter.sequence,
                };
                ended(status, follows);
                Err(not_taken(failure.code, failure.detail))
            }
        }
    }

    fn subscription(&self, id: &str, sink: Option<Url>) -> Result<Subscription, NotRedriven> {
        let running = self.subscriptions.borrow();
        let own = running.iter().find(|one| one.id() == id);
        let Some(sink) = sink else {
            return own
                .map(|own| (**own).clone())
                .ok_or_else(|| NotRedriven::NoSubscription {
                    subscription: id.to_owned(),
                });
        };
        // Header fields may hold what only the Subscription's own sink may know.
        Ok(Subscription {
            namespace: String::new(),
            name: id.to_owned(),
            sink,
            matching: own.map_or(Matching::Filters(Vec::new()), |own| own.matching.clone()),
            delivery: Delivery {
                original_type: own.is_some_and(|own| own.delivery.original_type),
                ..Delivery::default()
            },
            start: Start::New,
            pause: false,
        })
    }
}

fn counted(event: &Event) -> Event {
    let mut event = event.clone();
    let before = event.extensions.get(COUNT).map(Value::to_text);
    let before: i32 = before.and_then(|text| text.parse().ok()).unwrap_or(0);
    event.extensions.insert(
        Name::from_static(COUNT),
        Value::Integer(before.saturating_add(1)),
    );
    event
}
