//! Pulling from a durable consumer, and settling.
//!
//! JetStream's pull protocol by hand: requests for so many events, answered by events and, when a
//! request ends early, by a status. What is asked for and not yet here is counted, so that never
//! more is under way than the caller has room for, and so that one request is for many events.

use std::{collections::VecDeque, mem, sync::Arc, time::Duration};

use async_nats::{RequestErrorKind, StatusCode};
use bytes::Bytes;
use bytestring::ByteString;
use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use super::{
    behind::Behind,
    consumers,
    deliveries::{Deliveries, Inbox, Incoming},
    link::NOT_CONNECTED,
    message,
    pin::{self, Pin},
    places::Places,
    reply,
    turns::Turns,
    wire,
};
use crate::{
    ConsumerSpec, ControlError, Delivery, Former, Receipt, Settle, SettleError, Source,
    SourceError, numbered,
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

/// How long the answer to a settlement may take.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a request may wait that only keeps the pin.
const PIN_EXPIRES: Duration = Duration::from_millis(100);

/// The header that says how many events of an ended request will not come.
const PENDING: &str = "Nats-Pending-Messages";

/// How long closing waits for what is still on its way.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// One opening of a durable consumer.
#[derive(Debug)]
pub struct JetstreamSource {
    deliveries: Arc<Deliveries>,
    stream: String,
    name: String,
    former: Vec<Former>,
    /// Of an exclusive consumer.
    pin: Option<Pin>,
    behind: Behind,
    places: Places,
    next: String,
    inbox: Inbox,
    losses: watch::Receiver<u64>,
    /// How many connections were lost before it was opened.
    began_on: u64,
    /// Events that were asked for and have not come.
    outstanding: usize,
    /// Events that have come and were not returned.
    arrived: VecDeque<Incoming>,
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
    pub(super) fn open(
        deliveries: Arc<Deliveries>,
        stream: &str,
        spec: &ConsumerSpec,
        former: Vec<Former>,
        (turns, places): (Turns, Places),
    ) -> Self {
        let name = spec.name.clone();
        let losses = deliveries.losses();
        let began_on = *losses.borrow();
        Self {
            next: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"),
            inbox: deliveries.inbox(),
            began_on,
            losses,
            deliveries,
            stream: stream.to_owned(),
            name,
            former,
            pin: spec.exclusive.then(|| Pin::new(spec.ack_wait)),
            behind: Behind::new(turns),
            places,
            outstanding: 0,
            arrived: VecDeque::new(),
            heard: Instant::now(),
            pause: None,
        }
    }

    /// Takes in what is here already, without waiting.
    async fn take_in(&mut self, max: usize) -> Result<(), SourceError> {
        while self.arrived.len() < max
            && let Some(message) = self.inbox.try_next()
        {
            self.handle(message).await?;
        }
        Ok(())
    }

    async fn handle(&mut self, message: Incoming) -> Result<(), SourceError> {
        self.heard = Instant::now();
        let Some((status, description)) = message.status() else {
            self.outstanding = self.outstanding.saturating_sub(1);
            if let Some(pin) = &mut self.pin {
                pin.learn(message.header(pin::ID).as_deref());
            }
            self.arrived.push_back(message);
            return Ok(());
        };
        if status == StatusCode::IDLE_HEARTBEAT.as_u16() {
            self.behind.searched_all();
            return Ok(());
        }
        match message
            .header(PENDING)
            .and_then(|pending| pending.parse().ok())
        {
            // How many events of a request will not come, if the server says so.
            Some(pending) => self.outstanding = self.outstanding.saturating_sub(pending),
            // It does not say which request it ends: all are asked for anew.
            None => self.outstanding = 0,
        }
        if let Some(pin) = &mut self.pin
            && status == pin::LOST
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
            Next::GoOn if status == StatusCode::NOT_FOUND.as_u16() => self.behind.searched_all(),
            Next::GoOn => {}
            Next::Gone => return Err(self.gone()),
            Next::LookForConsumer => {
                tracing::debug!(consumer = self.name, status, description, "pull refused");
                self.pause = Some(Instant::now() + REFUSED_PAUSE);
                self.look_for_consumer(status).await?;
            }
        }
        Ok(())
    }

    /// After a refusal: an error if the consumer is gone, or if nobody knows.
    async fn look_for_consumer(&self, status: u16) -> Result<(), SourceError> {
        if status != StatusCode::NO_RESPONDERS.as_u16() {
            return Ok(());
        }
        let found = consumers::find(self.deliveries.link(), &self.stream, &self.name).await;
        let found = found.map_err(|error| self.unreachable(error.to_string()))?;
        found.map(drop).ok_or_else(|| self.gone())
    }

    /// What was asked for over a lost connection is not known over the next one. Looked at before
    /// anything is asked for, so that it is not asked for twice.
    fn forget_lost(&mut self) {
        if self.losses.has_changed().unwrap_or(true) || !self.deliveries.is_open() {
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
        let body = body.to_string();
        let sent = self
            .deliveries
            .send(&self.next, self.inbox.subject(), body.as_bytes());
        sent.await.map_err(|error| self.unreachable(error))?;
        if self.outstanding == 0 {
            self.heard = Instant::now();
        }
        self.outstanding += batch;
        Ok(())
    }

    /// How many to ask for, and how.
    fn next_request(&mut self, max: usize) -> Option<(usize, serde_json::Value)> {
        let (batch, is_step) = self.batch(max);
        let Some(pin) = &mut self.pin else {
            let body = request(batch, is_step, REQUEST_EXPIRES);
            return (batch > 0).then_some((batch, body));
        };
        if !pin.is_held() && self.outstanding > 0 {
            // Without the id that the first event brings, a second request would not be served.
            return None;
        }
        let (batch, mut body) = if batch > 0 {
            let expires = REQUEST_EXPIRES.min(pin.every());
            (batch, request(batch, is_step, expires))
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

    /// How many to ask for, and whether that is a step of one that is far behind.
    fn batch(&mut self, max: usize) -> (usize, bool) {
        if !self.behind.is_far() {
            self.behind.end_turn();
            return (wanted(max, self.outstanding + self.arrived.len()), false);
        }
        if self.outstanding > 0 {
            return (0, true);
        }
        self.behind.end_step();
        let room = max.saturating_sub(self.arrived.len());
        if room == 0 {
            self.behind.end_turn();
        }
        match room > 0 && self.behind.take_turn() {
            true => (room.min(self.behind.step()), true),
            false => (0, true),
        }
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
            message = self.inbox.next() => return self.handle(message).await,
            _ = self.losses.changed() => self.outstanding = 0,
            () = self.behind.may_be_its_turn() => {}
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

    fn deliver(&mut self, message: Incoming) -> Option<Delivery<JetstreamReceipt>> {
        let Some(place) = reply::parse(&message.reply) else {
            tracing::warn!(consumer = self.name, "a message came that is no delivery");
            return None;
        };
        self.behind.delivered(&place);
        Some(Delivery {
            event: message::read(wire::headers(&message.head()), message.payload.clone()),
            subject: message.subject,
            sequence: place.sequence,
            attempt: place.attempt,
            number: numbered(message.connection - self.began_on, place.delivery),
            stored_at: place.stored_at,
            receipt: self.receipt(message.reply),
        })
    }

    fn receipt(&self, reply: ByteString) -> JetstreamReceipt {
        JetstreamReceipt {
            deliveries: Arc::clone(&self.deliveries),
            reply,
        }
    }

    fn gone(&self) -> SourceError {
        SourceError::Gone {
            name: self.name.clone(),
            settled_to: self.places.of(&self.name),
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

/// A request for so many, which is answered at once where it is one step of many.
fn request(batch: usize, is_step: bool, expires: Duration) -> serde_json::Value {
    if is_step {
        return json!({ "batch": batch, "no_wait": true });
    }
    json!({
        "batch": batch,
        "expires": nanoseconds(expires),
        "idle_heartbeat": nanoseconds(HEARTBEAT.min(expires / 2)),
    })
}

fn after(status: u16, description: &str) -> Next {
    let status = StatusCode::from_u16(status).unwrap_or_default();
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
                let messages: Vec<Incoming> = self.arrived.drain(..returned).collect();
                let messages = messages.into_iter();
                let deliveries = messages.filter_map(|message| self.deliver(message));
                let deliveries: Vec<_> = deliveries.collect();
                if !deliveries.is_empty() {
                    return Ok(deliveries);
                }
                continue;
            }
            self.forget_lost();
            if !self.deliveries.is_open() {
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
        match consumers::find(self.deliveries.link(), &self.stream, &self.name).await {
            Ok(info) => Ok(info.map_or(0, |info| info.num_ack_pending)),
            Err(error) => Err(error.during(format!("asking for consumer {}", self.name))),
        }
    }

    async fn close(mut self) {
        if !self.deliveries.is_open() {
            return;
        }
        if timeout(CLOSE_TIMEOUT, self.inbox.close()).await.is_err() {
            tracing::debug!(
                consumer = self.name,
                "what is on its way comes after the ack wait"
            );
        }
        while let Some(message) = self.inbox.try_next() {
            if message.status().is_none() {
                self.arrived.push_back(message);
            }
        }
        let at_once = Settle::Retry {
            delay: Duration::ZERO,
        };
        for message in mem::take(&mut self.arrived) {
            if self.receipt(message.reply).settle(at_once).await.is_err() {
                return;
            }
        }
        if self.pin.as_ref().is_some_and(Pin::is_held) {
            // Over another connection: whoever is next finds all handed back.
            timeout(CLOSE_TIMEOUT, self.deliveries.flush()).await.ok();
            consumers::unpin(self.deliveries.link(), &self.stream, &self.name).await;
        }
    }
}

/// How a delivery of JetStream is settled.
#[derive(Debug)]
pub struct JetstreamReceipt {
    deliveries: Arc<Deliveries>,
    reply: ByteString,
}

impl Receipt for JetstreamReceipt {
    async fn settle(&self, settle: Settle) -> Result<(), SettleError> {
        let word = word(settle);
        let sent = self.deliveries.send(&self.reply, "", &word);
        sent.await.map_err(|detail| SettleError { detail })
    }

    async fn settle_surely(&self, settle: Settle) -> Result<(), SettleError> {
        let link = self.deliveries.link();
        if !link.is_connected() {
            return Err(SettleError {
                detail: NOT_CONNECTED.to_owned(),
            });
        }
        let request = link.client().request(self.reply.to_string(), word(settle));
        match timeout(SETTLE_TIMEOUT, request).await {
            Ok(Ok(_)) => Ok(()),
            // The consumer is no more.
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => Ok(()),
            Ok(Err(error)) => Err(SettleError {
                detail: error.to_string(),
            }),
            Err(_) => Err(SettleError {
                detail: format!("not within {SETTLE_TIMEOUT:?}"),
            }),
        }
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
mod tests;
