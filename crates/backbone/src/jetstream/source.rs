//! Pulling: JetStream's pull protocol, with exactly as many events under way as there is room
//! for.
//!
//! A request asks for a number of events and stays at the server until they came, or it expired.
//! `requests` is what is still expected; it is forgotten when the connection was lost or the
//! server has gone silent, and asked for anew.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use async_nats::{Client, Message, StatusCode, SubscribeError, Subscriber};
use futures_util::{FutureExt, StreamExt};
use tokio::{sync::watch, time::Instant};

use super::{Jetstream, messages};
use crate::{Delivery, Receipt, Settle, SettleError, Source, SourceError};

/// How long a request stays at the server.
const REQUEST_EXPIRES: Duration = Duration::from_secs(30);

/// How often the server tells of an idle request that it still has it.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// After this silence the server has forgotten our requests.
const SILENCE_MAX: Duration = Duration::from_secs(11);

/// Pause after a request that the server could not serve, so that it is not asked in a spin.
const REFUSED_PAUSE: Duration = Duration::from_millis(250);

/// The events of one durable consumer.
#[derive(Debug)]
pub struct JetstreamSource {
    log: Jetstream,
    consumer: String,
    next_subject: String,
    inbox: String,
    answers: Subscriber,
    requests: VecDeque<Request>,
    next_request: u64,
    arrived: VecDeque<Message>,
    connections: watch::Receiver<u64>,
    heard: Instant,
    /// Not before then is asked again.
    pause_until: Option<Instant>,
}

#[derive(Debug)]
struct Request {
    number: u64,
    expected: usize,
}

/// How one delivery is settled: by a message to its reply subject.
#[derive(Debug)]
pub struct JetstreamReceipt {
    client: Client,
    reply: async_nats::Subject,
}

impl JetstreamSource {
    pub(super) async fn open(
        log: Jetstream,
        stream: &str,
        consumer: String,
    ) -> Result<Self, SubscribeError> {
        let inbox = log.0.client.new_inbox();
        let answers = log.0.client.subscribe(format!("{inbox}.*")).await?;
        let mut connections = log.0.connections.clone();
        connections.mark_unchanged();
        Ok(Self {
            next_subject: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"),
            log,
            consumer,
            inbox,
            answers,
            requests: VecDeque::new(),
            next_request: 0,
            arrived: VecDeque::new(),
            connections,
            heard: Instant::now(),
            pause_until: None,
        })
    }

    fn expected(&self) -> usize {
        self.requests.iter().map(|request| request.expected).sum()
    }

    /// Asks for more when less than half of the room is under way: not a request an event.
    async fn ask(&mut self, room: usize) -> Result<(), SourceError> {
        let expected = self.expected();
        let paused = self.pause_until.is_some_and(|until| Instant::now() < until);
        if paused || room == 0 || expected.saturating_mul(2) > room || expected >= room {
            return Ok(());
        }
        let batch = room - expected;
        let number = self.next_request;
        let body = format!(
            "{{\"batch\":{batch},\"expires\":{},\"idle_heartbeat\":{}}}",
            REQUEST_EXPIRES.as_nanos(),
            HEARTBEAT.as_nanos()
        );
        let reply = format!("{}.{number}", self.inbox);
        self.log
            .0
            .client
            .publish_with_reply(self.next_subject.clone(), reply, body.into())
            .await
            .map_err(|error| SourceError::Unreachable { detail: error.to_string() })?;
        self.next_request += 1;
        self.requests.push_back(Request { number, expected: batch });
        self.heard = Instant::now();
        Ok(())
    }

    /// Takes an answer to a request: an event, or a status.
    fn take(&mut self, message: Message) -> Result<(), SourceError> {
        self.heard = Instant::now();
        let number = message.subject.rsplit('.').next().and_then(|token| token.parse::<u64>().ok());
        let request = self.requests.iter().position(|request| Some(request.number) == number);
        match message.status {
            None => {
                if let Some(request) = request.and_then(|at| self.requests.get_mut(at)) {
                    request.expected = request.expected.saturating_sub(1);
                }
                self.requests.retain(|request| request.expected > 0);
                self.arrived.push_back(message);
                return Ok(());
            }
            Some(StatusCode::IDLE_HEARTBEAT) => return Ok(()),
            Some(_) => {}
        }
        // Every other status ends its request.
        if let Some(request) = request {
            self.requests.remove(request);
        }
        let description = message.description.unwrap_or_default().to_ascii_lowercase();
        if description.contains("consumer deleted") || description.contains("push based") {
            return Err(SourceError::Gone { name: self.consumer.clone() });
        }
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            // The consumer's server is not there, or the consumer is not: asking again tells.
            self.pause_until = Some(Instant::now() + REFUSED_PAUSE);
            return Err(SourceError::Unreachable { detail: "nobody serves the consumer".to_owned() });
        }
        if message.status != Some(StatusCode::TIMEOUT) {
            tracing::debug!(consumer = self.consumer, description, "a pull request ended early");
            self.pause_until = Some(Instant::now() + REFUSED_PAUSE);
        }
        Ok(())
    }

    fn forget_requests(&mut self) {
        self.requests.clear();
        self.heard = Instant::now();
    }

    fn deliveries(&mut self, max: usize) -> Vec<Delivery<JetstreamReceipt>> {
        let count = self.arrived.len().min(max);
        let client = &self.log.0.client;
        self.arrived
            .drain(..count)
            .filter_map(|message| {
                let delivery = delivery(client, &message);
                if delivery.is_none() {
                    tracing::warn!("a message without a JetStream reply subject was ignored");
                }
                delivery
            })
            .collect()
    }
}

impl Source for JetstreamSource {
    type Receipt = JetstreamReceipt;

    async fn pull(&mut self, max: usize) -> Result<Vec<Delivery<JetstreamReceipt>>, SourceError> {
        loop {
            // What is here already, without waiting.
            while let Some(Some(message)) = self.answers.next().now_or_never() {
                self.take(message)?;
            }
            self.ask(max.saturating_sub(self.arrived.len())).await?;
            if !self.arrived.is_empty() {
                return Ok(self.deliveries(max));
            }
            let wake = self.pause_until.take_if(|until| *until > Instant::now());
            let wake = wake.unwrap_or(self.heard + SILENCE_MAX);
            tokio::select! {
                message = self.answers.next() => match message {
                    Some(message) => self.take(message)?,
                    None => return Err(SourceError::Unreachable {
                        detail: "the connection was closed".to_owned(),
                    }),
                },
                changed = self.connections.changed() => match changed {
                    // The server forgot what a lost connection had asked for.
                    Ok(()) => self.forget_requests(),
                    Err(_) => return Err(SourceError::Unreachable {
                        detail: "the connection was closed".to_owned(),
                    }),
                },
                () = tokio::time::sleep_until(wake) => {
                    if self.heard.elapsed() >= SILENCE_MAX {
                        tracing::debug!(consumer = self.consumer, "no heartbeat, asking anew");
                        self.forget_requests();
                    }
                }
            }
        }
    }

    async fn close(mut self) {
        // Unsubscribing ends the requests; what came until then is handed back.
        if self.answers.unsubscribe().await.is_err() {
            return;
        }
        while let Some(message) = self.answers.next().await {
            if message.status.is_none() {
                self.arrived.push_back(message);
            }
        }
        for delivery in self.deliveries(usize::MAX) {
            if let Err(error) = delivery.receipt.settle(Settle::Retry { delay: Duration::ZERO }).await
            {
                tracing::debug!(%error, "an event comes again after its ack wait");
            }
        }
    }
}

impl Receipt for JetstreamReceipt {
    async fn settle(&self, settle: Settle) -> Result<(), SettleError> {
        let payload = match settle {
            Settle::Ack => "+ACK".into(),
            Settle::Retry { delay } if delay.is_zero() => "-NAK".into(),
            Settle::Retry { delay } => format!("-NAK {{\"delay\":{}}}", delay.as_nanos()).into(),
            Settle::Terminate => "+TERM".into(),
            Settle::Progress => "+WPI".into(),
        };
        self.client
            .publish(self.reply.clone(), payload)
            .await
            .map_err(|error| SettleError { detail: error.to_string() })
    }
}

fn delivery(client: &Client, message: &Message) -> Option<Delivery<JetstreamReceipt>> {
    let reply = message.reply.clone()?;
    let place = Place::parse(&reply)?;
    Some(Delivery {
        event: messages::event_of(message),
        sequence: place.sequence,
        attempt: place.attempt,
        stored_at: place.stored_at,
        receipt: JetstreamReceipt { client: client.clone(), reply },
    })
}

/// What the reply subject of a delivery says.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    attempt: u32,
    sequence: u64,
    stored_at: SystemTime,
}

impl Place {
    /// `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<…>.<nanoseconds>.<pending>`, or the
    /// same with domain and account before the stream and, possibly, a token at the end.
    fn parse(reply: &str) -> Option<Self> {
        let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
        let from = match tokens.len() {
            7 => 2,
            9.. => 4,
            _ => return None,
        };
        let number = |at: usize| tokens.get(from + at)?.parse::<u64>().ok();
        Some(Self {
            attempt: u32::try_from(number(0)?).unwrap_or(u32::MAX),
            sequence: number(1)?,
            stored_at: SystemTime::UNIX_EPOCH + Duration::from_nanos(number(3)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both forms of the reply subject are in use, by server version and account setup.
    #[test]
    fn reply_subjects_are_read_in_both_forms() {
        let place = Place {
            attempt: 3,
            sequence: 42,
            stored_at: SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_000_000),
        };
        for reply in [
            "$JS.ACK.S.C.3.42.7.1700000000000000000.5",
            "$JS.ACK.hub.ACC.S.C.3.42.7.1700000000000000000.5",
            "$JS.ACK._.ACC.S.C.3.42.7.1700000000000000000.5.token",
        ] {
            assert_eq!(Place::parse(reply).as_ref(), Some(&place), "{reply}");
        }
        for reply in ["", "$JS.ACK", "$JS.ACK.S.C.3.42.7", "_INBOX.1", "$JS.ACK.S.C.x.42.7.1.5"] {
            assert_eq!(Place::parse(reply), None, "{reply}");
        }
    }
}
