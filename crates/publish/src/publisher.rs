//! From an event to its durable acknowledgement.

use std::{sync::Arc, time::Duration};

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
    pub fn publish(
        &self,
        application: &str,
        event: Event,
    ) -> impl Future<Output = Result<Stored, Error>> + Send + use<'_, L> {
        let began = Instant::now();
        // Before there is a future: what is awaited with would be part of it, and of all around it.
        let bytes = event.data_len();
        let prepared = self.admission.enter(1, bytes);
        let prepared =
            prepared.and_then(|permit| Ok((permit, self.append_of(application, event)?)));
        async move {
            let result = match prepared {
                Ok((_permit, append)) => self.append(&append, began + self.deadline).await,
                Err(error) => Err(error),
            };
            self.metrics.settled(bytes, &result, began.elapsed());
            result
        }
    }

    /// Stores the events of one batch, in order, and says of each what became of it. When there
    /// is no room for all of them, none is stored.
    pub async fn publish_all(
        &self,
        application: &str,
        events: Vec<Event>,
    ) -> Vec<Result<Stored, Error>> {
        let began = Instant::now();
        let bytes: Vec<usize> = events.iter().map(Event::data_len).collect();
        let results = match self.admission.enter(events.len(), bytes.iter().sum()) {
            Ok(_permit) => {
                let appends = events
                    .into_iter()
                    .map(|event| self.append_of(application, event))
                    .collect();
                self.append_all(appends, began + self.deadline).await
            }
            Err(busy) => events.iter().map(|_| Err(busy.clone())).collect(),
        };
        let took = began.elapsed();
        for (bytes, result) in bytes.into_iter().zip(&results) {
            self.metrics.settled(bytes, result, took);
        }
        results
    }

    fn append_of(&self, application: &str, event: Event) -> Result<Append, Error> {
        Ok(Append {
            subject: subject::of(&self.subject_root, &event.source, &event.r#type)?,
            message_id: self
                .deduplicate
                .then(|| message_id(application, &event.source, &event.id)),
            event,
        })
    }

    async fn append(&self, append: &Append, deadline: Instant) -> Result<Stored, Error> {
        let mut pause = PAUSE_MIN;
        loop {
            // The log bounds each append by itself: no timer per event here.
            let failure = match self.log.append(append).await {
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

    /// As [`Self::append`], all at once. What no append could be made of is told as it is.
    async fn append_all(
        &self,
        appends: Vec<Result<Append, Error>>,
        deadline: Instant,
    ) -> Vec<Result<Stored, Error>> {
        let mut results = Vec::with_capacity(appends.len());
        let (mut places, mut open) = (Vec::new(), Vec::with_capacity(appends.len()));
        for (place, append) in appends.into_iter().enumerate() {
            results.push(append.map(|append| {
                places.push(place);
                open.push(append);
                None
            }));
        }
        let mut pause = PAUSE_MIN;
        while !open.is_empty() {
            let mut outcomes = Vec::with_capacity(open.len());
            for window in open.chunks(BATCH_WINDOW) {
                outcomes.extend(self.log.append_all(window).await);
            }
            let next = Instant::now() + pause;
            let (mut places_again, mut open_again) = (Vec::new(), Vec::new());
            for ((append, place), outcome) in open.into_iter().zip(places).zip(outcomes) {
                match outcome {
                    Err(failure) if failure.transient() && next < deadline => {
                        self.metrics.retried();
                        places_again.push(place);
                        open_again.push(append);
                    }
                    outcome => {
                        if let Some(result) = results.get_mut(place) {
                            *result = outcome.map(Some).map_err(|failure| self.refusal(failure));
                        }
                    }
                }
            }
            (places, open) = (places_again, open_again);
            if !open.is_empty() {
                tracing::debug!(events = open.len(), "appends repeated inside the request");
                sleep_until(next).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
        let told = |result: Result<Option<Stored>, Error>| {
            result.map(|stored| stored.expect("the loop ends when each has its outcome"))
        };
        results.into_iter().map(told).collect()
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
