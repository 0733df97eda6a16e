//! From a request at a door to durable events: who sends, what it means, may they, publish.
#![expect(
    clippy::result_large_err,
    reason = "a refusal is the rare case, and moved once"
)]

mod refusal;
mod sender;
mod traced;

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
use tidegate_telemetry::spans::Tracer;
use tokio::sync::watch;

pub(crate) use self::sender::Sender;
use self::traced::{Received, Traced};
use crate::{
    applications::{Known, Member},
    metrics::Metrics,
    pipeline::{Readiness, journal},
};

/// What stands behind the doors of one worker.
#[derive(Clone)]
pub(crate) struct Intake<L> {
    publisher: Publisher<L>,
    readiness: Readiness,
    subscriptions: watch::Receiver<Arc<Vec<Arc<Subscription>>>>,
    applications: Known,
    batch_events_max: usize,
    metrics: Metrics,
    journal: Journal,
    tracer: Tracer,
    /// Who sends without an identity.
    nobody: Arc<Member>,
}

/// A sender that may go on to its body.
pub(crate) struct Pass {
    door: Door,
    topic: Option<String>,
    headers: HeaderMap,
    sender: Sender,
    traced: Option<Traced>,
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
        readiness: Readiness,
        subscriptions: watch::Receiver<Arc<Vec<Arc<Subscription>>>>,
        applications: Known,
        normalize: &tidegate_normalize::Config,
        batch_events_max: usize,
        metrics: Metrics,
    ) -> Self {
        Self {
            publisher,
            readiness,
            subscriptions,
            applications,
            batch_events_max,
            metrics,
            journal: Journal::default(),
            tracer: Tracer::default(),
            nobody: Arc::new(Member::nobody(normalize.extension_names)),
        }
    }

    /// Notes which events have come from whom.
    pub(crate) fn noting(self, journal: Journal) -> Self {
        Self { journal, ..self }
    }

    /// Records spans.
    pub(crate) fn traced_by(self, tracer: Tracer) -> Self {
        Self { tracer, ..self }
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
            place: None,
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
            traced: _,
        } = pass;
        let bytes = body.len();
        let sender = sender.proven_by(&body, door)?;
        let meant = Meant {
            door,
            topic: topic.as_deref(),
            headers: &headers,
            sender: &sender,
        };
        // How many there are is not known then.
        let refused = |_: &Refusal| sender.has_sent(0, 1);
        let normalized = self.events(meant, body).inspect_err(refused)?;
        let events = normalized.events.as_slice().len();
        sender.quota().charge(events, bytes, Instant::now());
        Ok((sender, normalized.events))
    }

    /// Stores the events of a request, and tells of them.
    async fn store(
        &self,
        door: Door,
        sender: &Sender,
        mut events: Events,
        traced: Option<Traced>,
    ) -> Result<Accepted, Refusal> {
        let spans = traced.and_then(|one| one.received(&self.tracer, events.as_mut_slice()));
        match events {
            Events::One(event) => self.store_one(door, sender, event, spans).await,
            Events::Batch(events) => Box::pin(self.store_batch(door, sender, events, spans)).await,
        }
    }

    async fn store_one(
        &self,
        door: Door,
        sender: &Sender,
        event: Event,
        spans: Option<Received>,
    ) -> Result<Accepted, Refusal> {
        let first_id = event.id.clone();
        let application = &sender.application().name;
        let result = self.publisher.publish(application, event).await;
        let accepted = match &result {
            Ok(stored) => {
                journal::received(&self.journal, application, stored);
                sender.has_sent(1, 0);
                Ok(Accepted {
                    first_id,
                    events: 1,
                    status: None,
                })
            }
            Err(error) => {
                sender.has_sent(0, 1);
                Err(refusal::of_publish(door, error))
            }
        };
        if let Some(spans) = spans {
            spans.ended(&self.tracer, &[result], accepted.as_ref().err());
        }
        accepted
    }

    async fn store_batch(
        &self,
        door: Door,
        sender: &Sender,
        events: Vec<Event>,
        spans: Option<Received>,
    ) -> Result<Accepted, Refusal> {
        let first_id = events
            .first()
            .map_or_else(ByteString::new, |event| event.id.clone());
        let application = &sender.application().name;
        let results = self.publisher.publish_all(application, events).await;
        let stored = results.iter().flatten().count();
        sender.has_sent(stored, results.len() - stored);
        for stored in results.iter().flatten() {
            journal::received(&self.journal, application, stored);
        }
        let refusal = refusal::of_batch(door, &results);
        if let Some(spans) = spans {
            spans.ended(&self.tracer, &results, refusal.as_ref());
        }
        match refusal {
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
        let traced = Traced::of(&self.tracer, head.door, &head.headers);
        let directory = Arc::clone(&self.applications.borrow());
        let sender = match Sender::of(&head, &directory, &self.nobody).await {
            Ok(sender) => match sender.quota().wait(Instant::now()) {
                Some(wait) => {
                    sender.has_sent(0, 1);
                    Err(refusal::of_quota(head.door, wait))
                }
                None => Ok(sender),
            },
            Err(refusal) => Err(refusal),
        };
        let sender = sender.inspect_err(|refusal| {
            if let Some(traced) = traced {
                traced.refused(&self.tracer, refusal);
            }
        })?;
        Ok(Admitted {
            body_bytes_max: sender.application().limits.body_bytes_max,
            pass: Pass {
                door: head.door,
                topic: head.topic,
                headers: head.headers,
                sender,
                traced,
            },
        })
    }

    fn accept(
        &self,
        pass: Pass,
        body: Bytes,
    ) -> impl Future<Output = Result<Accepted, Refusal>> + Send {
        let (door, traced) = (pass.door, pass.traced);
        let taken = self.taken(pass, body);
        // In a place of its own: it is large, and what waits for it would be moved with it.
        Box::pin(async move {
            let (sender, events) = taken.inspect_err(|refusal| {
                if let Some(traced) = traced {
                    traced.refused(&self.tracer, refusal);
                }
            })?;
            let accepted = self.store(door, &sender, events, traced).await?;
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
        self.readiness.borrow().clone()
    }
}
