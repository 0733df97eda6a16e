//! Pulling from a durable consumer, and settling.
//!
//! JetStream's pull protocol by hand: requests for so many events, answered by events and, when a
//! request ends early, by a status. What is asked for and not yet here is counted, so that never
//! more is under way than the caller has room for, and so that one request is for many events.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use async_nats::{HeaderMap, Message, RequestErrorKind, StatusCode, Subject, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use super::{
    consumers,
    link::{Link, NOT_CONNECTED},
    message,
    pin::{self, Pin},
    reply,
};
use crate::{
    ConsumerSpec, ControlError, Delivery, Former, Receipt, Settle, SettleError, Source, SourceError,
};

/// How long the server keeps a request that it cannot answer. Long, since a consumer without
/// events then costs two messages a minute; short enough that a lost request is no matter.
const REQUEST_EXPIRES: Duration = Duration::from_secs(30);

/// How often the server says that a waiting request is still known.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// After this silence a request is not known any more: two heartbeats are missing.
const SILENCE_MAX: Duration = Duration::from_millis(12_500);

/// How long is waited after a request was refused, so that refusals do not spin.
const REFUSED_PAUSE: Duration = Duration::from_millis(250);

/// How long a settlement may wait for the connection's buffer.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a request may wait that only keeps the pin.
const PIN_EXPIRES: Duration = Duration::from_millis(100);

/// How long closing waits for what is still on its way.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// One opening of a durable consumer.
#[derive(Debug)]
pub struct JetstreamSource {
    link: Arc<Link>,
    stream: String,
    name: String,
    former: Vec<Former>,
    /// Of an exclusive consumer.
    pin: Option<Pin>,
    next: Subject,
    inbox: Subject,
    subscriber: Subscriber,
    losses: watch::Receiver<u64>,
    /// Events that were asked for and have not come.
    outstanding: usize,
    /// Events that have come and were not returned.
    arrived: VecDeque<Message>,
    /// When the server was last heard, or asked.
    heard: Instant,
    /// Until when nothing is asked for.
    pause: Option<Instant>,
}

/// What a message other than an event leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    GoOn,
    /// Nobody answers for the consumer.
    LookForConsumer,
    Gone,
}

impl JetstreamSource {
    pub(super) async fn open(
        link: Arc<Link>,
        stream: &str,
        spec: &ConsumerSpec,
        former: Vec<Former>,
    ) -> Result<Self, ControlError> {
        let name = spec.name.clone();
        let inbox = Subject::from(link.client().new_inbox());
        let losses = link.losses();
        let subscriber = link
            .client()
            .subscribe(inbox.clone())
            .await
            .map_err(|error| ControlError {
                action: format!("opening consumer {name}"),
                detail: error.to_string(),
            })?;
        Ok(Self {
            next: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}").into(),
            link,
            stream: stream.to_owned(),
            name,
            former,
            pin: spec.exclusive.then(|| Pin::new(spec.ack_wait)),
            inbox,
            subscriber,
            losses,
            outstanding: 0,
            arrived: VecDeque::new(),
            heard: Instant::now(),
            pause: None,
        })
    }

    /// Takes in what is here already, without waiting.
    async fn take_in(&mut self, max: usize) -> Result<(), SourceError> {
        while self.arrived.len() < max {
            match self.subscriber.next().now_or_never() {
                Some(Some(message)) => self.handle(message).await?,
                Some(None) => return Err(self.unreachable("the subscription ended")),
                None => break,
            }
        }
        Ok(())
    }

    async fn handle(&mut self, message: Message) -> Result<(), SourceError> {
        self.heard = Instant::now();
        let Some(status) = message.status else {
            self.outstanding = self.outstanding.saturating_sub(1);
            if let Some(pin) = &mut self.pin {
                pin.learn(message.headers.as_ref());
            }
            self.arrived.push_back(message);
            return Ok(());
        };
        if status == StatusCode::IDLE_HEARTBEAT {
            return Ok(());
        }
        let description = message.description.as_deref().unwrap_or_default();
        match pending(message.headers.as_ref()) {
            Some(pending) => self.outstanding = self.outstanding.saturating_sub(pending),
            // It does not say which request it ends: all are asked for anew.
            None => self.outstanding = 0,
        }
        if let Some(pin) = &mut self.pin
            && status.as_u16() == pin::LOST
        {
            self.outstanding = 0;
            return match pin.lose() {
                true => Err(SourceError::Lost {
                    name: self.name.clone(),
                }),
                false => Ok(()),
            };
        }
        match after(status, description) {
            Next::GoOn => {}
            Next::Gone => return Err(self.gone()),
            Next::LookForConsumer => {
                tracing::debug!(consumer = self.name, %status, description, "pull refused");
                self.pause = Some(Instant::now() + REFUSED_PAUSE);
                self.look_for_consumer(status).await?;
            }
        }
        Ok(())
    }

    /// After a refusal: an error if the consumer is gone, or if nobody knows.
    async fn look_for_consumer(&self, status: StatusCode) -> Result<(), SourceError> {
        if status != StatusCode::NO_RESPONDERS {
            return Ok(());
        }
        match consumers::find(&self.link, &self.stream, &self.name).await {
            Ok(None) => Err(self.gone()),
            Ok(Some(_)) => Ok(()),
            Err(error) => Err(self.unreachable(error.to_string())),
        }
    }

    /// What was asked for over a lost connection is not known over the next one. Looked at before
    /// anything is asked for, so that it is not asked for twice.
    fn forget_lost(&mut self) {
        if self.losses.has_changed().unwrap_or(true) || !self.link.is_connected() {
            self.losses.mark_unchanged();
            self.outstanding = 0;
        }
    }

    /// Asks for events when less than half of the room is under way, so that requests are few.
    async fn request(&mut self, max: usize) -> Result<(), SourceError> {
        if self.pause.is_some_and(|until| until > Instant::now()) {
            return Ok(());
        }
        self.pause = None;
        let Some((batch, body)) = self.next_request(max) else {
            return Ok(());
        };
        self.link
            .client()
            .publish_with_reply(
                self.next.clone(),
                self.inbox.clone(),
                body.to_string().into(),
            )
            .await
            .map_err(|error| self.unreachable(error.to_string()))?;
        if self.outstanding == 0 {
            self.heard = Instant::now();
        }
        self.outstanding += batch;
        Ok(())
    }

    /// How many to ask for, and how.
    fn next_request(&mut self, max: usize) -> Option<(usize, serde_json::Value)> {
        let batch = wanted(max, self.outstanding + self.arrived.len());
        let Some(pin) = &mut self.pin else {
            let body = json!({
                "batch": batch,
                "expires": nanoseconds(REQUEST_EXPIRES),
                "idle_heartbeat": nanoseconds(HEARTBEAT),
            });
            return (batch > 0).then_some((batch, body));
        };
        if !pin.is_held() && self.outstanding > 0 {
            // Without the id that the first event brings, a second request would not be served.
            return None;
        }
        let (batch, mut body) = if batch > 0 {
            let expires = REQUEST_EXPIRES.min(pin.every());
            let body = json!({
                "batch": batch,
                "expires": nanoseconds(expires),
                "idle_heartbeat": nanoseconds(HEARTBEAT.min(expires / 2)),
            });
            (batch, body)
        } else if pin.due().is_some_and(|due| due <= Instant::now()) {
            // There is no room, and the pin is to be kept: the price is one event at most.
            (
                1,
                json!({ "batch": 1, "expires": nanoseconds(PIN_EXPIRES) }),
            )
        } else {
            return None;
        };
        pin.ask(&mut body);
        Some((batch, body))
    }

    /// Waits for a message, the loss of the connection, or the end of patience.
    async fn wait(&mut self) -> Result<(), SourceError> {
        let patience = self.heard + SILENCE_MAX;
        let pin = self.pin.as_ref().and_then(Pin::due);
        let until = [self.pause, pin]
            .into_iter()
            .flatten()
            .fold(patience, Instant::min);
        tokio::select! {
            biased;
            message = self.subscriber.next() => match message {
                Some(message) => return self.handle(message).await,
                None => return Err(self.unreachable("the subscription ended")),
            },
            _ = self.losses.changed() => self.outstanding = 0,
            () = sleep_until(until) => {
                if Instant::now() >= patience {
                    tracing::debug!(consumer = self.name, "no heartbeat, pulling anew");
                    self.outstanding = 0;
                    self.heard = Instant::now();
                }
            }
        }
        Ok(())
    }

    fn deliver(&self, message: Message) -> Option<Delivery<JetstreamReceipt>> {
        let Message {
            reply,
            payload,
            headers,
            ..
        } = message;
        let place = reply.as_deref().and_then(reply::parse);
        let (Some(reply), Some(place)) = (reply, place) else {
            tracing::warn!(consumer = self.name, "a message came that is no delivery");
            return None;
        };
        Some(Delivery {
            event: message::read(headers.as_ref(), payload),
            sequence: place.sequence,
            attempt: place.attempt,
            stored_at: place.stored_at,
            receipt: JetstreamReceipt {
                link: Arc::clone(&self.link),
                reply,
            },
        })
    }

    fn gone(&self) -> SourceError {
        SourceError::Gone {
            name: self.name.clone(),
        }
    }

    fn unreachable(&self, detail: impl Into<String>) -> SourceError {
        SourceError::Unreachable {
            detail: detail.into(),
        }
    }
}

/// How many events to ask for, with room for `max` and so many under way.
fn wanted(max: usize, under_way: usize) -> usize {
    if under_way.saturating_mul(2) < max {
        max - under_way
    } else {
        0
    }
}

/// How many events of a request will not come, if the server says so.
fn pending(headers: Option<&HeaderMap>) -> Option<usize> {
    headers?.get("Nats-Pending-Messages")?.as_str().parse().ok()
}

fn after(status: StatusCode, description: &str) -> Next {
    let says = |words: &str| description.to_ascii_lowercase().contains(words);
    if status == StatusCode::REQUEST_TERMINATED {
        return match () {
            () if says("consumer deleted") || says("push based") => Next::Gone,
            () if says("batch completed") => Next::GoOn,
            () => Next::LookForConsumer,
        };
    }
    if status == StatusCode::TIMEOUT || status == StatusCode::NOT_FOUND {
        // It expired; the request is simply repeated.
        return Next::GoOn;
    }
    Next::LookForConsumer
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

// === impl Source ===

impl Source for JetstreamSource {
    type Receipt = JetstreamReceipt;

    async fn pull(&mut self, max: usize) -> Result<Vec<Delivery<JetstreamReceipt>>, SourceError> {
        // What comes though nothing is asked for was asked for before.
        let returned_max = if max == 0 { usize::MAX } else { max };
        loop {
            // No await lies between taking events out and returning them.
            self.take_in(returned_max).await?;
            if !self.arrived.is_empty() {
                let returned = self.arrived.len().min(returned_max);
                let messages: Vec<Message> = self.arrived.drain(..returned).collect();
                let deliveries: Vec<_> = messages
                    .into_iter()
                    .filter_map(|message| self.deliver(message))
                    .collect();
                if !deliveries.is_empty() {
                    return Ok(deliveries);
                }
                continue;
            }
            self.forget_lost();
            if !self.link.is_connected() {
                return Err(self.unreachable(NOT_CONNECTED));
            }
            self.request(max).await?;
            self.wait().await?;
        }
    }

    fn former(&self) -> Vec<Former> {
        self.former.clone()
    }

    async fn unsettled(&mut self) -> Result<u64, ControlError> {
        match consumers::find(&self.link, &self.stream, &self.name).await {
            Ok(info) => Ok(info.map_or(0, |info| info.num_ack_pending)),
            Err(error) => Err(error.during(format!("asking for consumer {}", self.name))),
        }
    }

    async fn close(mut self) {
        if !self.link.is_connected() || self.subscriber.drain().await.is_err() {
            return;
        }
        let rest = async {
            while let Some(message) = self.subscriber.next().await {
                if message.status.is_none() {
                    self.arrived.push_back(message);
                }
            }
        };
        if timeout(CLOSE_TIMEOUT, rest).await.is_err() {
            tracing::debug!(
                consumer = self.name,
                "what is on its way comes after the ack wait"
            );
        }
        for reply in self.arrived.drain(..).filter_map(|message| message.reply) {
            let receipt = JetstreamReceipt {
                link: Arc::clone(&self.link),
                reply,
            };
            if receipt
                .settle(Settle::Retry {
                    delay: Duration::ZERO,
                })
                .await
                .is_err()
            {
                return;
            }
        }
        if self.pin.is_some_and(|pin| pin.is_held()) {
            consumers::unpin(&self.link, &self.stream, &self.name).await;
        }
    }
}

/// How a delivery of JetStream is settled.
#[derive(Debug)]
pub struct JetstreamReceipt {
    link: Arc<Link>,
    reply: Subject,
}

impl Receipt for JetstreamReceipt {
    async fn settle(&self, settle: Settle) -> Result<(), SettleError> {
        if !self.link.is_connected() {
            return Err(SettleError {
                detail: NOT_CONNECTED.to_owned(),
            });
        }
        let sent = self.link.client().publish(self.reply.clone(), word(settle));
        match timeout(SETTLE_TIMEOUT, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(SettleError {
                detail: error.to_string(),
            }),
            Err(_) => Err(late()),
        }
    }

    async fn settle_surely(&self, settle: Settle) -> Result<(), SettleError> {
        if !self.link.is_connected() {
            return Err(SettleError {
                detail: NOT_CONNECTED.to_owned(),
            });
        }
        let answer = self.link.client().request(self.reply.clone(), word(settle));
        match timeout(SETTLE_TIMEOUT, answer).await {
            Ok(Ok(_)) => Ok(()),
            // The consumer is no more.
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => Ok(()),
            Ok(Err(error)) => Err(SettleError {
                detail: error.to_string(),
            }),
            Err(_) => Err(late()),
        }
    }
}

/// What one was not sent, or not answered, within.
fn late() -> SettleError {
    SettleError {
        detail: format!("not within {SETTLE_TIMEOUT:?}"),
    }
}

/// A settlement in JetStream's words.
fn word(settle: Settle) -> Bytes {
    match settle {
        Settle::Ack => Bytes::from_static(b"+ACK"),
        Settle::Retry {
            delay: Duration::ZERO,
        } => Bytes::from_static(b"-NAK"),
        Settle::Retry { delay } => format!(
            "-NAK {{\"delay\":{}}}",
            nanoseconds(delay).min(i64::MAX.unsigned_abs())
        )
        .into(),
        Settle::Terminate => Bytes::from_static(b"+TERM"),
        Settle::Progress => Bytes::from_static(b"+WPI"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One request is for many events, and never more is under way than there is room for.
    #[test]
    fn requests_are_few_and_bounded() {
        assert_eq!(wanted(1, 0), 1);
        assert_eq!(wanted(1, 1), 0);
        assert_eq!(wanted(100, 0), 100);
        assert_eq!(wanted(100, 49), 51);
        assert_eq!(wanted(100, 50), 0);
        // The caller's room has shrunk since.
        assert_eq!(wanted(10, 100), 0);
        for max in 1..50 {
            for under_way in 0..max {
                assert!(under_way + wanted(max, under_way) <= max);
            }
        }
    }

    /// An ended request is repeated at once only when it ended as it should.
    #[test]
    fn statuses_are_told_apart() {
        let ended = StatusCode::REQUEST_TERMINATED;
        assert_eq!(after(StatusCode::TIMEOUT, "Request Timeout"), Next::GoOn);
        assert_eq!(after(StatusCode::NOT_FOUND, "No Messages"), Next::GoOn);
        assert_eq!(after(ended, "Batch Completed"), Next::GoOn);
        assert_eq!(after(ended, "Consumer Deleted"), Next::Gone);
        assert_eq!(after(ended, "Consumer is push based"), Next::Gone);
        assert_eq!(after(ended, "Leadership Change"), Next::LookForConsumer);
        assert_eq!(after(ended, "Exceeded MaxWaiting"), Next::LookForConsumer);
        assert_eq!(after(ended, "Server Shutdown"), Next::LookForConsumer);
        assert_eq!(after(StatusCode::NO_RESPONDERS, ""), Next::LookForConsumer);
    }

    /// The words are JetStream's, to the letter.
    #[test]
    fn settlements_are_jetstreams_words() {
        for (settle, expected) in [
            (Settle::Ack, "+ACK"),
            (Settle::Terminate, "+TERM"),
            (Settle::Progress, "+WPI"),
            (
                Settle::Retry {
                    delay: Duration::ZERO,
                },
                "-NAK",
            ),
            (
                Settle::Retry {
                    delay: Duration::from_millis(1_500),
                },
                "-NAK {\"delay\":1500000000}",
            ),
            (
                Settle::Retry {
                    delay: Duration::MAX,
                },
                "-NAK {\"delay\":9223372036854775807}",
            ),
        ] {
            assert_eq!(word(settle), expected);
        }
    }
}
