//! Appends that wait for their acknowledgement.
//!
//! One inbox for all of them; the slot number stands in the reply subject. One sweep looks at
//! all deadlines, so that an append costs no timer; a lost connection fails all of them at once.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::{Client, HeaderMap, Message, StatusCode, SubscribeError};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};

use super::Jetstream;
use crate::{AppendError, Stored};

/// How late a deadline may be noticed.
const SWEEP_EVERY: Duration = Duration::from_millis(50);

/// JetStream's error codes that mean: no room. 10002 account limits, 10023 and 10047 server
/// resources, 10077 the stream's own limits and a full disk.
const FULL: [u64; 4] = [10_002, 10_023, 10_047, 10_077];

/// JetStream's error codes that pass by themselves: 10008 and 10009 no leader or a cluster that
/// is not ready, 10039 not enabled for the account yet, 10076 not enabled.
const PASSING: [u64; 4] = [10_008, 10_009, 10_039, 10_076];

/// The message is above the stream's limit.
const TOO_LARGE: u64 = 10_054;

/// What nats-server adds to a message on the wire beside headers and payload.
const FRAMING_BYTES: usize = 512;

type Answer = Result<Stored, AppendError>;

/// The table of waiting appends. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Acks {
    table: Arc<Mutex<Table>>,
    timeout: Duration,
}

#[derive(Debug)]
struct Table {
    inbox: String,
    slots: Vec<Slot>,
    free: Vec<usize>,
}

#[derive(Debug, Default)]
struct Slot {
    /// Tells a late acknowledgement from one for the slot's present append.
    generation: u32,
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<Answer>,
    deadline: Instant,
}

/// The place of one append; given back when dropped.
struct Ticket<'a> {
    acks: &'a Acks,
    slot: usize,
    generation: u32,
    reply: String,
    answer: oneshot::Receiver<Answer>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.acks.lock().release(self.slot, self.generation);
    }
}

impl Acks {
    pub(super) fn new(in_flight_max: usize, timeout: Duration) -> Self {
        let slots = std::iter::repeat_with(Slot::default).take(in_flight_max).collect();
        let table = Table { inbox: String::new(), slots, free: (0..in_flight_max).rev().collect() };
        Self { table: Arc::new(Mutex::new(table)), timeout }
    }

    /// Begins to listen for acknowledgements.
    pub(super) async fn start(
        &self,
        client: &Client,
    ) -> Result<Vec<JoinHandle<()>>, SubscribeError> {
        let inbox = client.new_inbox();
        let mut answers = client.subscribe(format!("{inbox}.*")).await?;
        self.lock().inbox = inbox;
        let listen = {
            let acks = self.clone();
            async move {
                while let Some(message) = answers.next().await {
                    acks.answered(&message);
                }
                acks.fail_all("the connection was closed");
            }
        };
        let sweep = {
            let acks = self.clone();
            async move {
                let mut ticks = interval(SWEEP_EVERY);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    ticks.tick().await;
                    acks.sweep();
                }
            }
        };
        Ok(vec![tokio::spawn(listen), tokio::spawn(sweep)])
    }

    /// Fails every waiting append: its message may be stored or not.
    pub(super) fn fail_all(&self, detail: &str) {
        self.end(|_| true, || AppendError::Unreachable { detail: detail.to_owned() });
    }

    fn sweep(&self) {
        let now = Instant::now();
        let waited = self.timeout;
        self.end(|waiting| waiting.deadline <= now, || AppendError::TimedOut { waited });
    }

    fn end(&self, which: impl Fn(&Waiting) -> bool, error: impl Fn() -> AppendError) {
        let mut table = self.lock();
        if table.free.len() == table.slots.len() {
            return;
        }
        for slot in &mut table.slots {
            if let Some(waiting) = slot.waiting.take_if(|waiting| which(waiting)) {
                // Nobody waits any longer: the ticket's drop gives the slot back.
                let _ = waiting.answer.send(Err(error()));
            }
        }
    }

    fn answered(&self, message: &Message) {
        let Some((slot, generation)) = message.subject.rsplit('.').next().and_then(place) else {
            return;
        };
        let mut table = self.lock();
        let Some(slot) = table.slots.get_mut(slot).filter(|slot| slot.generation == generation)
        else {
            return;
        };
        if let Some(waiting) = slot.waiting.take() {
            let _ = waiting.answer.send(answer(message));
        }
    }

    fn enter(&self) -> Result<Ticket<'_>, AppendError> {
        let mut table = self.lock();
        let in_flight_max = table.slots.len();
        let slot = table.free.pop().ok_or(AppendError::Busy { in_flight_max })?;
        let (sender, answer) = oneshot::channel();
        let deadline = Instant::now() + self.timeout;
        let entry = table.slots.get_mut(slot).expect("free holds numbers of slots");
        entry.generation = entry.generation.wrapping_add(1);
        entry.waiting = Some(Waiting { answer: sender, deadline });
        let generation = entry.generation;
        let reply = format!("{}.{slot:x}_{generation:x}", table.inbox);
        drop(table);
        Ok(Ticket { acks: self, slot, generation, reply, answer })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // No code that holds the lock can panic halfway through a change.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn release(&mut self, slot: usize, generation: u32) {
        if let Some(entry) = self.slots.get_mut(slot).filter(|slot| slot.generation == generation) {
            entry.waiting = None;
            self.free.push(slot);
        }
    }
}

/// The slot and its generation in the last token of a reply subject.
fn place(token: &str) -> Option<(usize, u32)> {
    let (slot, generation) = token.split_once('_')?;
    Some((usize::from_str_radix(slot, 16).ok()?, u32::from_str_radix(generation, 16).ok()?))
}

#[derive(Deserialize)]
struct PubAck<'a> {
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
    #[serde(borrow)]
    error: Option<ApiError<'a>>,
}

#[derive(Deserialize)]
struct ApiError<'a> {
    #[serde(default)]
    err_code: u64,
    #[serde(default, borrow)]
    description: std::borrow::Cow<'a, str>,
}

fn answer(message: &Message) -> Answer {
    if message.status == Some(StatusCode::NO_RESPONDERS) {
        let detail = "no stream takes this subject".to_owned();
        return Err(AppendError::Unreachable { detail });
    }
    match serde_json::from_slice::<PubAck<'_>>(&message.payload) {
        Ok(PubAck { error: None, seq: 0, .. }) | Err(_) => {
            let detail = "an answer that is no acknowledgement".to_owned();
            Err(AppendError::Refused { code: 0, detail })
        }
        Ok(PubAck { error: None, seq, duplicate }) => Ok(Stored { sequence: seq, duplicate }),
        Ok(PubAck { error: Some(error), .. }) => {
            let detail = error.description.into_owned();
            Err(match error.err_code {
                code if FULL.contains(&code) => AppendError::Full { detail },
                code if PASSING.contains(&code) => AppendError::Unreachable { detail },
                TOO_LARGE => AppendError::TooLarge { bytes: 0, bytes_max: 0 },
                code => AppendError::Refused { code, detail },
            })
        }
    }
}

impl Jetstream {
    /// Publishes one message and waits for its durable acknowledgement.
    pub(super) async fn publish(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Answer {
        let client = &self.0.client;
        if !self.connected() {
            // Never into the client's buffer: nobody would know when, or whether, it goes out.
            let detail = "not connected to nats-server".to_owned();
            return Err(AppendError::Unreachable { detail });
        }
        let bytes = payload.len() + header_bytes(&headers) + FRAMING_BYTES;
        let bytes_max = client.max_payload();
        if bytes > bytes_max {
            // nats-server would close the connection, and with it everybody else's appends.
            return Err(AppendError::TooLarge { bytes, bytes_max });
        }
        let mut ticket = self.0.acks.enter()?;
        let reply = std::mem::take(&mut ticket.reply);
        let sent = client.publish_with_reply_and_headers(subject, reply, headers, payload);
        let answered = async {
            if let Err(error) = sent.await {
                return Err(AppendError::Unreachable { detail: error.to_string() });
            }
            (&mut ticket.answer).await.unwrap_or_else(|_| {
                Err(AppendError::Unreachable { detail: "the connection was closed".to_owned() })
            })
        };
        let answer = answered.await;
        match answer {
            Err(AppendError::TooLarge { .. }) => Err(AppendError::TooLarge { bytes, bytes_max }),
            answer => answer,
        }
    }
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .flat_map(|(name, values)| {
            let name: &str = name.as_ref();
            values.iter().map(|value| name.len() + value.as_str().len() + 4)
        })
        .sum()
}
