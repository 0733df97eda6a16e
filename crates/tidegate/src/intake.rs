//! From a request at a door to durable events: who sends, what it means, may they, publish.
#![expect(
    clippy::result_large_err,
    reason = "a refusal is the rare case, and moved once"
)]

mod refusal;
mod sender;

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use bytestring::ByteString;
use http::HeaderMap;
use jiff::Timestamp;
use tidegate_backbone::Log;
use tidegate_event::Event;
use tidegate_history::Journal;
use tidegate_normalize::{Events, Input, Normalized, normalize};
use tidegate_publish::Publisher;
use tidegate_receive::{Accepted, Admitted, Door, Head, Refusal, SubscribedType};
use tidegate_subscription::{Subscription, subscribed_types};
use tokio::sync::watch;

use self::sender::Sender;
use crate::{
    applications::{Known, Member},
    metrics::Metrics,
    pipeline::journal,
};

/// What stands behind the doors of one worker.
#[derive(Clone)]
pub(crate) struct Intake<L> {
    publisher: Publisher<L>,
    log: L,
    subscriptions: watch::Receiver<Arc<Vec<Arc<Subscription>>>>,
    applications: Known,
    batch_events_max: usize,
    metrics: Metrics,
    journal: Journal,
    /// Who sends without an identity.
    nobody: Arc<Member>,
}

/// A sender that may go on to its body.
pub(crate) struct Pass {
    door: Door,
    topic: Option<String>,
    headers: HeaderMap,
    sender: Sender,
}

/// A request whose sender is known as well as it ever will be.
struct Meant<'a> {
    door: Door,
    topic: Option<&'a str>,
    headers: &'a HeaderMap,
    sender: &'a Sender,
}

impl<L: Log> Intake<L> {
    pub(crate) fn new(
        publisher: Publisher<L>,
        log: L,
        subscriptions: watch::Receiver<Arc<Vec<Arc<Subscription>>>>,
        applications: Known,
        normalize: &tidegate_normalize::Config,
        batch_events_max: usize,
        metrics: Metrics,
    ) -> Self {
        Self {
            publisher,
            log,
            subscriptions,
            applications,
            batch_events_max,
            metrics,
            journal: Journal::default(),
            nobody: Arc::new(Member::nobody(normalize.extension_names)),
        }
    }

    /// Notes which events have come from whom.
    pub(crate) fn noting(self, journal: Journal) -> Self {
        Self { journal, ..self }
    }

    /// The events of a request, if its sender may send them.
    fn events(&self, request: Meant<'_>, body: Bytes) -> Result<Normalized, Refusal> {
        let Meant {
            door,
            topic,
            headers,
            sender,
        } = request;
        let application = sender.application();
        let own_max = application.limits.batch_events_max;
        let normalized = normalize(Input {
            reading: sender::reading(door, application),
            application,
            proven: sender.is_known(),
            headers,
            body,
            topic,
            batch_events_max: own_max.unwrap_or(usize::MAX).min(self.batch_events_max),
            received_at: Timestamp::now(),
        })
        .map_err(|error| refusal::of_input(door, &error))?;
        self.metrics.repaired(&normalized.repairs);
        let directory = self.applications.borrow();
        for event in normalized.events.as_slice() {
            sender
                .may_send(event, normalized.format, &directory)
                .map_err(|denied| refusal::of_denied(door, denied))?;
        }
        Ok(normalized)
    }

    /// Whose events they are, and which.
    fn taken(&self, pass: Pass, body: Bytes) -> Result<(Sender, Events), Refusal> {
        let Pass {
            door,
            topic,
            headers,
            sender,
        } = pass;
        let bytes = body.len();
        let sender = sender.proven_by(&body, door)?;
        let meant = Meant {
            door,
            topic: topic.as_deref(),
            headers: &headers,
            sender: &sender,
        };
        let normalized = self.events(meant, body)?;
        let events = normalized.events.as_slice().len();
        sender.quota().charge(events, bytes, Instant::now());
        Ok((sender, normalized.events))
    }

    async fn publish_batch(
        &self,
        door: Door,
        application: &str,
        events: Vec<Event>,
    ) -> Result<Accepted, Refusal> {
        let first_id = events
            .first()
            .map_or_else(ByteString::new, |event| event.id.clone());
        let results = self.publisher.publish_all(application, events).await;
        for stored in results.iter().flatten() {
            journal::received(&self.journal, application, stored);
        }
        match refusal::of_batch(door, &results) {
            None => Ok(Accepted {
                first_id,
                events: results.len(),
                status: None,
            }),
            Some(refusal) => Err(refusal),
        }
    }
}

impl<L: Log> tidegate_receive::Intake for Intake<L> {
    type Pass = Pass;

    async fn admit(&self, head: Head) -> Result<Admitted<Pass>, Refusal> {
        let directory = Arc::clone(&self.applications.borrow());
        let sender = Sender::of(&head, &directory, &self.nobody).await?;
        if let Some(wait) = sender.quota().wait(Instant::now()) {
            return Err(refusal::of_quota(head.door, wait));
        }
        Ok(Admitted {
            body_bytes_max: sender.application().limits.body_bytes_max,
            pass: Pass {
                door: head.door,
                topic: head.topic,
                headers: head.headers,
                sender,
            },
        })
    }

    fn accept(
        &self,
        pass: Pass,
        body: Bytes,
    ) -> impl Future<Output = Result<Accepted, Refusal>> + Send {
        let door = pass.door;
        let taken = self.taken(pass, body);
        // In a place of its own: it is large, and what waits for it would be moved with it.
        Box::pin(async move {
            let (sender, events) = taken?;
            let accepted = match events {
                Events::One(event) => {
                    let first_id = event.id.clone();
                    let name = &sender.application().name;
                    match self.publisher.publish(name, event).await {
                        Ok(stored) => {
                            journal::received(&self.journal, name, &stored);
                            Accepted {
                                first_id,
                                events: 1,
                                status: None,
                            }
                        }
                        Err(error) => return Err(refusal::of_publish(door, &error)),
                    }
                }
                Events::Batch(events) => {
                    let name = &sender.application().name;
                    Box::pin(self.publish_batch(door, name, events)).await?
                }
            };
            Ok(Accepted {
                status: sender::status(door, sender.application()),
                ..accepted
            })
        })
    }

    async fn subscribed(&self, head: Head) -> Result<Vec<SubscribedType>, Refusal> {
        let directory = Arc::clone(&self.applications.borrow());
        let application = head.application.clone().unwrap_or_default();
        Sender::of(&head, &directory, &self.nobody).await?;
        let subscriptions = Arc::clone(&self.subscriptions.borrow());
        let types = subscribed_types(subscriptions.iter().map(Arc::as_ref), &application);
        Ok(types
            .into_iter()
            .map(|(name, version)| SubscribedType { name, version })
            .collect())
    }

    async fn ready(&self) -> Result<(), String> {
        self.log.ready().await.map_err(|error| error.to_string())
    }
}
