//! From an event to its durable acknowledgement.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use tidegate_backbone::{Append, AppendError, Log, Stored, subject};
use tidegate_event::Event;
use tokio::time::{Instant, sleep_until};

use crate::{Admission, Config, Error, Metrics, message_id};

/// Events of one batch that are under way at once. More buys nothing: JetStream's cost per event
/// is flat from about this many outstanding publishes on.
const BATCH_WINDOW: usize = 512;

/// Pauses between tries inside a request: short enough to use a server's return at once, growing
/// so that a long outage costs little.
const PAUSE_MIN: Duration = Duration::from_millis(25);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Publishes events into a log. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Publisher<L> {
    log: L,
    subject_root: Arc<str>,
    deadline: Duration,
    deduplicate: bool,
    admission: Admission,
    metrics: Metrics,
}

impl<L: Log> Publisher<L> {
    /// A publisher under `subject_root`. Publishers that share an `admission` share its bound.
    pub fn new(
        config: &Config,
        log: L,
        subject_root: &str,
        admission: Admission,
        metrics: Metrics,
    ) -> Self {
        Self {
            log,
            subject_root: subject_root.into(),
            deadline: config.deadline,
            deduplicate: config.deduplicate,
            admission,
            metrics,
        }
    }

    /// Stores one event. `application` is who sent it, empty when nobody said.
    pub async fn publish(&self, application: &str, event: Event) -> Result<Stored, Error> {
        let began = Instant::now();
        let result = match self.admission.enter(1, event.data_len()) {
            Ok(_permit) => self.append(application, event, began + self.deadline).await,
            Err(busy) => Err(busy),
        };
        self.metrics.settled(&result, began.elapsed());
        result
    }

    /// Stores the events of one batch, in order, and says of each what became of it. When there
    /// is no room for all of them, none is stored.
    pub async fn publish_all(
        &self,
        application: &str,
        events: Vec<Event>,
    ) -> Vec<Result<Stored, Error>> {
        let began = Instant::now();
        let bytes = events.iter().map(Event::data_len).sum();
        let results = match self.admission.enter(events.len(), bytes) {
            Ok(_permit) => {
                stream::iter(events)
                    .map(|event| self.append(application, event, began + self.deadline))
                    .buffered(BATCH_WINDOW)
                    .collect()
                    .await
            }
            Err(busy) => events.iter().map(|_| Err(busy.clone())).collect::<Vec<_>>(),
        };
        let took = began.elapsed();
        for result in &results {
            self.metrics.settled(result, took);
        }
        results
    }

    async fn append(
        &self,
        application: &str,
        event: Event,
        deadline: Instant,
    ) -> Result<Stored, Error> {
        let append = Append {
            subject: subject::of(&self.subject_root, &event.source, &event.r#type)?,
            message_id: self
                .deduplicate
                .then(|| message_id(application, &event.source, &event.id)),
            event,
        };
        let mut pause = PAUSE_MIN;
        loop {
            // The log bounds each append by itself: no timer per event here.
            let failure = match self.log.append(&append).await {
                Ok(stored) => return Ok(stored),
                Err(failure) => failure,
            };
            let next = Instant::now() + pause;
            if !failure.transient() || next >= deadline {
                return Err(self.refusal(failure));
            }
            tracing::debug!(error = %failure, "append repeated inside the request");
            self.metrics.retried();
            sleep_until(next).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn refusal(&self, failure: AppendError) -> Error {
        match failure {
            AppendError::Full { detail } => Error::StorageFull { detail },
            AppendError::TooLarge { bytes, bytes_max } => Error::TooLarge { bytes, bytes_max },
            AppendError::Busy { in_flight_max } => Error::Busy {
                limit: format!("{in_flight_max} events on one connection"),
            },
            last @ (AppendError::Unreachable { .. } | AppendError::TimedOut { .. }) => {
                Error::Unreachable {
                    waited: self.deadline,
                    last,
                }
            }
            refused @ AppendError::Refused { .. } => Error::Refused(refused),
        }
    }
}

#[cfg(test)]
mod tests;
