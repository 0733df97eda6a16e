//! From an arrival at a door to durable events: normalize, then publish.

mod refusal;

use std::sync::Arc;

use bytestring::ByteString;
use tidegate_backbone::Log;
use tidegate_event::Event;
use tidegate_normalize::{Format, Input, Normalized, normalize};
use tidegate_publish::Publisher;
use tidegate_receive::{Accepted, Arrival, Door, Refusal, SubscribedType};
use tidegate_subscription::{Subscription, subscribed_types};
use tokio::sync::watch;

/// What stands behind the doors of one worker.
#[derive(Clone)]
pub(crate) struct Intake<L> {
    publisher: Publisher<L>,
    log: L,
    subscriptions: watch::Receiver<Arc<Vec<Arc<Subscription>>>>,
    normalize: Arc<tidegate_normalize::Config>,
    batch_events_max: usize,
}

impl<L: Log> Intake<L> {
    pub(crate) fn new(
        publisher: Publisher<L>,
        log: L,
        subscriptions: watch::Receiver<Arc<Vec<Arc<Subscription>>>>,
        normalize: tidegate_normalize::Config,
        batch_events_max: usize,
    ) -> Self {
        Self {
            publisher,
            log,
            subscriptions,
            normalize: Arc::new(normalize),
            batch_events_max,
        }
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
        match refusal::of_batch(door, &results) {
            None => Ok(Accepted { first_id }),
            Some(refusal) => Err(refusal),
        }
    }
}

impl<L: Log> tidegate_receive::Intake for Intake<L> {
    async fn accept(&self, arrival: Arrival) -> Result<Accepted, Refusal> {
        let door = arrival.door;
        let application = arrival.application.as_deref();
        let normalized = normalize(Input {
            format: format_of(door),
            application,
            headers: &arrival.headers,
            body: arrival.body,
            leniency: self.normalize.leniency(application),
            batch_events_max: self.batch_events_max,
        })
        .map_err(|error| refusal::of_input(door, &error))?;
        let application = application.unwrap_or_default();
        match normalized {
            Normalized::One(event) => {
                let first_id = event.id.clone();
                match self.publisher.publish(application, event).await {
                    Ok(_stored) => Ok(Accepted { first_id }),
                    Err(error) => Err(refusal::of_publish(door, &error)),
                }
            }
            Normalized::Batch(events) => self.publish_batch(door, application, events).await,
        }
    }

    fn subscribed(&self, application: &str) -> Vec<SubscribedType> {
        let subscriptions = Arc::clone(&self.subscriptions.borrow());
        subscribed_types(subscriptions.iter().map(Arc::as_ref), application)
            .into_iter()
            .map(|(name, version)| SubscribedType { name, version })
            .collect()
    }

    async fn ready(&self) -> Result<(), String> {
        self.log.ready().await.map_err(|error| error.to_string())
    }
}

fn format_of(door: Door) -> Format {
    match door {
        Door::Publish => Format::KymaPublish,
        Door::Events | Door::ApplicationEvents | Door::ApplicationEventsV2 => Format::CloudEvents,
        Door::Legacy => Format::KymaLegacy,
    }
}
