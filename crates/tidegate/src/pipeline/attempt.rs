//! One attempt at a Subscription's sink: what `consume` asks, answered by `deliver`.

use std::{borrow::Cow, path::Path, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytestring::ByteString;
use tidegate_backbone::{SinkAnswer, jetstream::Jetstream};
use tidegate_consume::{Attempt, Ended, Failure, Gate, Health, Verdict};
use tidegate_deliver::{self as deliver, Batches, Client, Granted, Outcome, Seen, Sink};
use tidegate_event::{Event, Name, Value};
use tidegate_publish::Publisher;
use tidegate_subscription::{Format, Matched, Subscription};
use tidegate_telemetry::{
    spans::{Begun, Kind, Tracer, What},
    trace,
};

use super::{journal::Told, reply::Replies};
use crate::{
    config::Config,
    kafka::{Kafka, TopicSink},
};

/// The status that Knative tells of a failure without an answer.
const NO_ANSWER: i32 = 500;

/// From a refusal to the next question, at first and at last.
const ASK_AGAIN: Duration = Duration::from_secs(1);
const ASK_AGAIN_MAX: Duration = Duration::from_secs(60);

/// Attempts at one sink.
#[derive(Clone, Debug)]
pub(super) struct SinkAttempt {
    way: Way,
    /// Which speaks to the sink for dead letters too, with the usual TLS.
    usual: Client,
    original_type: bool,
    timeout: Duration,
    replies: Option<Replies<Jetstream>>,
    dead_letter: Option<DeadLetterSink>,
    told: Told,
    tracer: Tracer,
    /// What its spans are called, and whose they are.
    named: Named,
}

/// How events get to the sink.
#[derive(Clone, Debug)]
enum Way {
    /// Each in a request.
    Http(Client, Sink),
    /// Several in a request.
    Batches(Batches, Client, Sink),
    /// Each as a record.
    Topic(TopicSink),
}

/// In spans.
#[derive(Clone, Debug)]
struct Named {
    span: ByteString,
    subscription: ByteString,
    host: ByteString,
}

/// Where a Subscription's dead letters go.
#[derive(Clone, Debug)]
struct DeadLetterSink {
    sink: Sink,
    /// The address of the sink that did not take them.
    refused_by: String,
    log: Jetstream,
}

impl SinkAttempt {
    pub(super) fn new(
        (usual, kafka): (&Client, &Kafka),
        publisher: &Publisher<Jetstream>,
        subscription: &Subscription,
        config: &Config,
        (told, tracer): (Told, &Tracer),
    ) -> anyhow::Result<Self> {
        let delivery = &subscription.delivery;
        let folder = config.secrets_folder(&subscription.namespace);
        let timeout = delivery.timeout.unwrap_or(config.deliver.timeout);
        let replies = Replies::of(subscription, publisher);
        let way = match &delivery.topic {
            Some(topic) => Way::Topic(kafka.sink(subscription, topic, &folder)?),
            None => Way::http(
                (usual, subscription),
                (&folder, timeout),
                replies.is_some(),
                tracer,
            )?,
        };
        Ok(Self {
            way,
            usual: usual.clone(),
            original_type: delivery.original_type,
            timeout,
            replies,
            dead_letter: None,
            told,
            tracer: tracer.clone(),
            named: Named::of(subscription),
        })
    }

    /// Asks the sink for its permission until it has given it.
    pub(super) async fn ask(self, subscription: Arc<Subscription>, gate: Gate) {
        let Some(webhook) = &subscription.delivery.webhook else {
            return;
        };
        // No document has a topic that is asked.
        let (Way::Http(client, sink) | Way::Batches(_, client, sink)) = &self.way else {
            return;
        };
        let mut pause = ASK_AGAIN;
        loop {
            let (subscription, address) = (subscription.id(), &subscription.sink);
            match client.ask(sink, webhook).await {
                Ok(Granted { every }) => {
                    let most = every.map(|every| format!("one in {every:?}"));
                    let most = most.as_deref().unwrap_or("any number");
                    tracing::info!(subscription, sink = %address, most, "the sink permits requests");
                    return gate.permitted(every);
                }
                Err(reason) => {
                    gate.forbidden();
                    tracing::warn!(
                        subscription,
                        sink = %address,
                        reason,
                        "the sink does not permit requests; events wait, and it is asked again"
                    );
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(ASK_AGAIN_MAX);
        }
    }

    /// Dead letters go to the Subscription's sink for them, if it has one; those that are taken
    /// there are not kept in the log.
    pub(super) fn with_dead_letters(
        mut self,
        subscription: &Subscription,
        log: &Jetstream,
    ) -> anyhow::Result<Self> {
        let sink = subscription.delivery.dead_letter.sink.as_ref();
        self.dead_letter = match sink {
            None => None,
            Some(sink) => Some(DeadLetterSink {
                sink: Sink::new(sink.as_str())?,
                refused_by: subscription.sink.to_string(),
                log: log.clone(),
            }),
        };
        Ok(self)
    }
}

impl Way {
    fn http(
        (usual, subscription): (&Client, &Subscription),
        (folder, timeout): (&Path, Duration),
        replies: bool,
        tracer: &Tracer,
    ) -> anyhow::Result<Self> {
        let delivery = &subscription.delivery;
        let headers = delivery.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
        let mut sink = Sink::new(subscription.sink.as_str())?.with_headers(headers)?;
        if let Some(auth) = &delivery.auth {
            sink = sink.with_auth(auth, folder);
        }
        if !delivery.signing.is_empty() {
            sink = sink.signed(&delivery.signing, folder, &subscription.id());
        }
        if let Some(webhook) = &delivery.webhook {
            sink = sink.permitting(webhook);
        }
        if replies {
            sink = sink.replying();
        }
        let client = if delivery.tls.is_usual() {
            usual.clone()
        } else {
            usual.with_tls(&delivery.tls, folder)
        };
        Ok(match delivery.format {
            Format::Binary => Self::Http(client, sink),
            Format::Structured => Self::Http(client, sink.structured()),
            Format::Batch { size, wait } => {
                let size = usize::try_from(size.get()).unwrap_or(usize::MAX);
                let (of, to) = (client.clone(), sink.clone());
                let batches = Batches::new(of, to, (size, wait), timeout, tracer.clone());
                // In the handshake nothing is in any format.
                Self::Batches(batches, client, sink)
            }
        })
    }
}

impl Named {
    fn of(subscription: &Subscription) -> Self {
        let id = subscription.id();
        let host = subscription.sink.host_str().unwrap_or_default();
        Self {
            span: format!("deliver {id}").into(),
            subscription: id.into(),
            host: host.into(),
        }
    }
}

impl SinkAttempt {
    /// One attempt, in the span that begins with it.
    async fn sent(&self, event: &Event, matched: &Matched, begun: Option<&Begun>) -> Verdict {
        let seen = Seen {
            r#type: matched.r#type.as_deref(),
            original_type: self.original_type,
            span: begun.map(Begun::context),
        };
        let outcome = match &self.way {
            Way::Batches(batches, ..) => batches.attempt(event, seen).await,
            Way::Http(client, sink) => client.attempt(sink, event, seen, self.timeout).await,
            Way::Topic(topic) => return topic.attempt(&in_span(event, seen)).await,
        };
        match outcome {
            Outcome::Delivered { status, reply } => {
                let published = match (reply, &self.replies) {
                    (Some(reply), Some(replies)) => replies.publish(event, *reply).await,
                    (None, _) | (_, None) => Verdict::DELIVERED,
                };
                match published {
                    Verdict::Delivered { .. } => Verdict::Delivered {
                        status: Some(status.as_u16()),
                    },
                    other @ (Verdict::Retry { .. }
                    | Verdict::Rejected { .. }
                    | Verdict::Gone { .. }) => other,
                }
            }
            Outcome::Retry { failure, after } => Verdict::Retry {
                health: health(&failure),
                failure: told(failure),
                after,
            },
            Outcome::Rejected { failure } if failure.code == deliver::GONE => Verdict::Gone {
                failure: told(failure),
            },
            Outcome::Rejected { failure } => Verdict::Rejected {
                failure: told(failure),
            },
        }
    }

    /// What the span of an attempt tells.
    fn what(&self, event: &Event, verdict: &Verdict) -> What {
        let Named {
            span,
            subscription,
            host,
        } = &self.named;
        let mut attributes = vec![
            ("messaging.system", "nats".into()),
            ("messaging.operation.name", "deliver".into()),
            ("messaging.operation.type", "process".into()),
            ("messaging.consumer.group.name", subscription.into()),
            ("http.request.method", "POST".into()),
            ("server.address", host.into()),
            ("cloudevents.event_id", (&event.id).into()),
            ("cloudevents.event_source", (&event.source).into()),
            ("cloudevents.event_type", (&event.r#type).into()),
        ];
        if let Some(status) = verdict.status() {
            attributes.push(("http.response.status_code", status.into()));
        }
        What {
            name: span.clone(),
            kind: Kind::Client,
            attributes,
            links: Vec::new(),
        }
    }
}

impl Attempt for SinkAttempt {
    async fn attempt(&self, event: &Event, matched: &Matched) -> Verdict {
        let begun = self.tracer.begin(trace::parent_of(event));
        let verdict = self.sent(event, matched, begun.as_ref()).await;
        if let Some(begun) = begun {
            let failed = verdict.failure().map(|failure| failure.code);
            self.tracer
                .end(begun, failed, || self.what(event, &verdict));
        }
        verdict
    }

    fn ended(&self, ended: &Ended<'_>) {
        self.told.ended(ended);
    }

    async fn buried(&self, event: &Event, failure: &Failure, letter: u64) {
        let Some(DeadLetterSink {
            sink,
            refused_by,
            log,
        }) = &self.dead_letter
        else {
            return;
        };
        let event = with_error(event, failure, refused_by);
        let seen = Seen::default();
        match self.usual.attempt(sink, &event, seen, self.timeout).await {
            Outcome::Delivered { .. } => {
                // What is not taken away is there twice, and lost nowhere.
                if let Err(error) = log.discard(letter).await {
                    tracing::warn!(letter, %error, "a dead letter that was sent on is still kept");
                }
            }
            Outcome::Retry { failure, .. } | Outcome::Rejected { failure } => tracing::warn!(
                letter,
                code = failure.code,
                detail = failure.detail,
                "the sink for dead letters did not take it; it is kept"
            ),
        }
    }
}

/// The event under the span of its attempt.
fn in_span<'a>(event: &'a Event, seen: Seen<'_>) -> Cow<'a, Event> {
    match seen.span {
        None => Cow::Borrowed(event),
        span => {
            let mut event = event.clone();
            event.hop = span;
            Cow::Owned(event)
        }
    }
}

/// What a failure that may pass tells of the sink. A gateway that answers in the place of a sink
/// says 502, 503 or 504; any other answer is by somebody who saw the event.
fn health(failure: &deliver::Failure) -> Health {
    let status = failure.answer.as_ref().map(|answer| answer.status.as_u16());
    match status {
        Some(429) => Health::Busy,
        Some(502..=504) => Health::Away,
        Some(500..) => Health::Failing,
        Some(_) => Health::Well,
        None => match failure.code {
            "deliver/timeout" | "deliver/first-byte-timeout" => Health::Slow,
            // It may have broken because of the event.
            "deliver/transport" | "deliver/early-answer" | "deliver/answer-too-long" => {
                Health::Failing
            }
            _ => Health::Away,
        },
    }
}

fn told(failure: deliver::Failure) -> Failure {
    Failure {
        code: failure.code,
        detail: failure.detail,
        answer: failure.answer.map(|answer| SinkAnswer {
            status: answer.status.as_u16(),
            body: answer.body,
        }),
    }
}

/// The event with the extensions that Knative adds to what goes to a dead letter sink.
fn with_error(event: &Event, failure: &Failure, refused_by: &str) -> Event {
    let mut event = event.clone();
    let (status, data) = match &failure.answer {
        Some(SinkAnswer { status, body }) => (i32::from(*status), STANDARD.encode(body)),
        None => (NO_ANSWER, STANDARD.encode(&failure.detail)),
    };
    for (name, value) in [
        ("knativeerrordest", Value::String(refused_by.into())),
        ("knativeerrorcode", Value::Integer(status)),
        ("knativeerrordata", Value::String(data.into())),
    ] {
        event.extensions.insert(Name::from_static(name), value);
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Knative's own data plane says it, base64 and all.
    #[test]
    fn errors_are_told_as_knative_does() {
        let event = Event::new("1", "/s", "t");
        let mut failure = Failure::new("deliver/connect", "refused");
        let text = |event: &Event, name: &str| event.extensions.get(name).map(Value::to_text);
        let told = with_error(&event, &failure, "http://f/");
        let found = ["dest", "code", "data"]
            .map(|part| text(&told, &format!("knativeerror{part}")).unwrap());
        assert_eq!(found, ["http://f/", "500", "cmVmdXNlZA=="]);
        failure.answer = Some(SinkAnswer {
            status: 422,
            body: (&b"no\n"[..]).into(),
        });
        let told = with_error(&event, &failure, "http://f/");
        assert_eq!(text(&told, "knativeerrorcode").unwrap(), "422");
        assert_eq!(text(&told, "knativeerrordata").unwrap(), "bm8K");
    }
}
