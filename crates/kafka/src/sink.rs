//! A topic as a sink: one attempt with one event, which ends when the brokers have it.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{FutureRecord, Producer as _},
    util::Timeout,
};
use tidegate_event::{Event, kafka};
use tidegate_subscription::Topic;

use crate::producers::{Key, Producer, Producers};

/// A sink. Clones share its producer.
#[derive(Clone)]
pub struct Sink {
    producers: Producers,
    key: Arc<Key>,
    topic: Arc<Topic>,
    structured: bool,
    current: Arc<Mutex<Option<Arc<Producer>>>>,
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All replicas that are in sync have it.
    Stored,
    /// It may be stored later.
    Retry {
        /// Why it was not.
        failure: Failure,
        /// What it tells of the brokers.
        trouble: Trouble,
    },
    /// It will never be.
    Rejected {
        /// Why.
        failure: Failure,
    },
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A stable code.
    pub code: &'static str,
    /// For people.
    pub detail: String,
}

/// What a failure tells of the brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// They are there; it is about this event's topic.
    Topic,
    /// More waits for them than may.
    Busy,
    /// They are there, and could not store it.
    Failing,
    /// They are not there for us.
    Away,
}

/// Every code of a [`Failure`].
pub const CODES: [&str; 9] = [
    AUTHORIZATION,
    BROKERS,
    CLIENT,
    NO_TOPIC,
    QUEUE_FULL,
    REFUSED,
    TIMEOUT,
    TOO_LARGE,
    TOPIC_NAME,
];

const AUTHORIZATION: &str = "kafka/authorization";
const BROKERS: &str = "kafka/brokers";
const CLIENT: &str = "kafka/client";
const NO_TOPIC: &str = "kafka/no-topic";
const QUEUE_FULL: &str = "kafka/queue-full";
const REFUSED: &str = "kafka/refused";
const TIMEOUT: &str = "kafka/timeout";
const TOO_LARGE: &str = "kafka/too-large";
const TOPIC_NAME: &str = "kafka/topic-name";

impl Sink {
    /// A topic; `folder` is that of the document with its secrets. An attempt waits for `timeout` at
    /// most for a place, and then as long for the brokers.
    pub fn new(producers: &Producers, topic: &Topic, folder: &Path, timeout: Duration) -> Self {
        Self {
            producers: producers.clone(),
            key: Arc::new(Key {
                cluster: topic.cluster.clone(),
                folder: folder.to_owned(),
                timeout,
            }),
            topic: Arc::new(topic.clone()),
            structured: false,
            current: Arc::default(),
        }
    }

    /// It gets events in structured mode.
    #[must_use]
    pub fn structured(mut self) -> Self {
        self.structured = true;
        self
    }

    /// One attempt.
    pub async fn attempt(&self, event: &Event) -> Outcome {
        let began = Instant::now();
        let outcome = self.send(event).await;
        let code = match &outcome {
            Outcome::Stored => "stored",
            Outcome::Retry { failure, .. } | Outcome::Rejected { failure } => failure.code,
        };
        self.producers.metrics().attempted(code, began.elapsed());
        outcome
    }

    async fn send(&self, event: &Event) -> Outcome {
        let topic = match self.topic.name.of(event) {
            Ok(topic) => topic,
            Err(detail) => {
                let code = TOPIC_NAME;
                return Outcome::Rejected {
                    failure: Failure { code, detail },
                };
            }
        };
        let producer = match self.producer() {
            Ok(producer) => producer,
            Err(detail) => {
                let code = CLIENT;
                return Outcome::Retry {
                    failure: Failure { code, detail },
                    trouble: Trouble::Away,
                };
            }
        };
        let key = self.topic.key_of(event);
        let mut headers = OwnedHeaders::new_with_capacity(12);
        let mut header = |name: &str, value: &[u8]| {
            let taken = std::mem::replace(&mut headers, OwnedHeaders::new_with_capacity(0));
            headers = taken.insert(Header {
                key: name,
                value: Some(value),
            });
        };
        let structured;
        let value = if self.structured {
            structured = kafka::encode_structured(event, &mut header);
            Some(&*structured)
        } else {
            kafka::encode_binary(event, &mut header);
            event.data.as_deref()
        };
        let record = FutureRecord {
            topic: &topic,
            partition: None,
            payload: value,
            key: key.as_deref().filter(|key| !key.is_empty()),
            timestamp: None,
            headers: Some(headers),
        };
        let most = Timeout::After(self.key.timeout);
        match producer.client().send(record, most).await {
            Ok(_) => {
                producer.trouble.clear();
                Outcome::Stored
            }
            Err((error, _)) => {
                if producer.client().client().fatal_error().is_some() {
                    // It will never send again: the next attempt has another.
                    self.forget(&producer);
                }
                outcome(&error, producer.trouble.get())
            }
        }
    }

    fn producer(&self) -> Result<Arc<Producer>, String> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let producer = self.producers.of(&self.key, current.as_ref())?;
        *current = Some(Arc::clone(&producer));
        Ok(producer)
    }

    fn forget(&self, producer: &Arc<Producer>) {
        self.producers.forget(&self.key, producer);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current
            .as_ref()
            .is_some_and(|one| Arc::ptr_eq(one, producer))
        {
            *current = None;
        }
    }
}

/// What an error means.
fn outcome(error: &KafkaError, trouble: Option<String>) -> Outcome {
    use RDKafkaErrorCode as Code;
    let of = error.rdkafka_error_code();
    let failure = |code: &'static str| {
        // What is behind a timeout is known to the client as a whole.
        let detail = match (&trouble, code) {
            (Some(trouble), TIMEOUT | BROKERS) => format!("{error}: {trouble}"),
            _ => error.to_string(),
        };
        Failure { code, detail }
    };
    let retry = |code: &'static str, trouble: Trouble| Outcome::Retry {
        failure: failure(code),
        trouble,
    };
    match of {
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge) => {
            Outcome::Rejected {
                failure: failure(TOO_LARGE),
            }
        }
        Some(Code::InvalidTopic) => Outcome::Rejected {
            failure: failure(TOPIC_NAME),
        },
        Some(Code::InvalidRecord | Code::PolicyViolation | Code::InvalidTimestamp) => {
            Outcome::Rejected {
                failure: failure(REFUSED),
            }
        }
        Some(Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition) => {
            retry(NO_TOPIC, Trouble::Topic)
        }
        Some(Code::TopicAuthorizationFailed) => retry(AUTHORIZATION, Trouble::Topic),
        Some(
            Code::ClusterAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::Authentication
            | Code::SSL,
        ) => retry(AUTHORIZATION, Trouble::Away),
        Some(Code::QueueFull) => retry(QUEUE_FULL, Trouble::Busy),
        Some(Code::MessageTimedOut | Code::RequestTimedOut | Code::OperationTimedOut) => {
            retry(TIMEOUT, Trouble::Away)
        }
        Some(
            Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::KafkaStorageError
            | Code::ThrottlingQuotaExceeded,
        ) => retry(REFUSED, Trouble::Failing),
        _ => retry(BROKERS, Trouble::Away),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What no broker will ever take is a dead letter at once; everything else may pass.
    #[test]
    fn errors_mean_what_they_say() {
        let of = |code| outcome(&KafkaError::MessageProduction(code), None);
        for (code, expected) in [
            (RDKafkaErrorCode::MessageSizeTooLarge, TOO_LARGE),
            (RDKafkaErrorCode::InvalidTopic, TOPIC_NAME),
            (RDKafkaErrorCode::InvalidRecord, REFUSED),
        ] {
            let Outcome::Rejected { failure } = of(code) else {
                unreachable!("{code:?} may pass");
            };
            assert_eq!(failure.code, expected);
        }
        for (code, expected, trouble) in [
            (RDKafkaErrorCode::UnknownTopic, NO_TOPIC, Trouble::Topic),
            (RDKafkaErrorCode::QueueFull, QUEUE_FULL, Trouble::Busy),
            (RDKafkaErrorCode::MessageTimedOut, TIMEOUT, Trouble::Away),
            (
                RDKafkaErrorCode::NotEnoughReplicas,
                REFUSED,
                Trouble::Failing,
            ),
            (
                RDKafkaErrorCode::SaslAuthenticationFailed,
                AUTHORIZATION,
                Trouble::Away,
            ),
            (RDKafkaErrorCode::Fatal, BROKERS, Trouble::Away),
        ] {
            let Outcome::Retry {
                failure,
                trouble: found,
            } = of(code)
            else {
                unreachable!("{code:?} may not pass");
            };
            assert_eq!((failure.code, found), (expected, trouble));
            assert!(CODES.contains(&failure.code));
        }
    }
}
