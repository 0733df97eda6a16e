//! The connection of deliveries: an inbox for each opened consumer, and what is said to it.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{BufMut as _, Bytes, BytesMut};
use bytestring::ByteString;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout_at},
};

use super::{
    ConnectError,
    link::{Link, NOT_CONNECTED},
    wire::{self, Listener, NotPut, Wire},
};
use crate::Config;

/// Most messages that wait in one inbox. What is asked for is bounded far below; what a server
/// sends beyond is dropped here, and comes again.
const WAITING_MAX: usize = 1 << 16;

/// How long a word may wait for the connection's buffer.
const PUT_TIMEOUT: Duration = Duration::from_secs(5);

/// The connection; what is asked beside it goes over the link.
#[derive(Debug)]
pub(super) struct Deliveries {
    link: Arc<Link>,
    wire: Wire<Inboxes>,
}

/// Gives each message to the inbox that it is for.
#[derive(Debug)]
struct Inboxes {
    open: Mutex<HashMap<u64, Arc<Arrived>>>,
    next: AtomicU64,
    /// Counts connections that were lost.
    losses: watch::Sender<u64>,
}

/// Where the messages of one subscription wait.
#[derive(Debug)]
pub(super) struct Inbox {
    deliveries: Arc<Deliveries>,
    number: u64,
    arrived: Arc<Arrived>,
}

#[derive(Debug)]
struct Arrived {
    subject: String,
    messages: Mutex<VecDeque<Incoming>>,
    came: Notify,
}

/// A message that has come.
#[derive(Debug)]
pub(super) struct Incoming {
    /// Where it was published.
    pub(super) subject: ByteString,
    /// Where its answer goes; empty where none is wanted.
    pub(super) reply: ByteString,
    /// Its headers as they came, with their first line.
    head: Bytes,
    pub(super) payload: Bytes,
    /// How many connections were lost before.
    pub(super) connection: u64,
}

impl Deliveries {
    pub(super) async fn start(
        link: Arc<Link>,
        config: &Config,
        url: &str,
        name: &str,
    ) -> Result<Self, ConnectError> {
        let inboxes = Inboxes {
            open: Mutex::default(),
            next: AtomicU64::new(1),
            losses: watch::Sender::new(0),
        };
        Ok(Self {
            link,
            wire: Wire::start(config, url, format!("{name}-deliver"), inboxes).await?,
        })
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    pub(super) fn is_open(&self) -> bool {
        self.wire.is_open()
    }

    /// Changes whenever the connection is lost.
    pub(super) fn losses(&self) -> watch::Receiver<u64> {
        self.wire.listener().losses.subscribe()
    }

    /// An inbox for whatever is sent to its subject.
    pub(super) fn inbox(self: &Arc<Self>) -> Inbox {
        let inboxes = self.wire.listener();
        let number = inboxes.next.fetch_add(1, Ordering::Relaxed);
        let arrived = Arc::new(Arrived {
            subject: self.link.client().new_inbox(),
            messages: Mutex::default(),
            came: Notify::new(),
        });
        let subscribe = arrived.subscribe(number);
        inboxes.lock().insert(number, Arc::clone(&arrived));
        // Where there is no connection, the next one begins with it.
        self.wire.say(&subscribe);
        Inbox {
            deliveries: Arc::clone(self),
            number,
            arrived,
        }
    }

    /// Waits until the server has read all that was put before. Never ends when the connection is
    /// lost meanwhile.
    pub(super) async fn flush(&self) {
        self.wire.flush().await;
    }

    /// Puts a word on its way, with a subject for the answer or an empty one. Waits a while when
    /// there is no room.
    pub(super) async fn send(
        &self,
        subject: &str,
        reply: &str,
        payload: &[u8],
    ) -> Result<(), String> {
        let mut deadline = None;
        loop {
            let emptied = self.wire.emptied();
            let write = |frames: &mut Vec<u8>| wire::publish_plain(subject, reply, payload, frames);
            match self.wire.put(write) {
                Ok(()) => return Ok(()),
                Err(NotPut::Closed) => return Err(NOT_CONNECTED.to_owned()),
                Err(NotPut::Full) => {
                    let until = *deadline.get_or_insert_with(|| Instant::now() + PUT_TIMEOUT);
                    let emptied = timeout_at(until, emptied).await;
                    emptied.map_err(|_| format!("not within {PUT_TIMEOUT:?}"))?;
                }
            }
        }
    }
}

// === impl Inbox ===

impl Inbox {
    pub(super) fn subject(&self) -> &str {
        &self.arrived.subject
    }

    /// What is here already.
    pub(super) fn try_next(&self) -> Option<Incoming> {
        self.arrived.lock().pop_front()
    }

    /// Waits for the next.
    pub(super) async fn next(&self) -> Incoming {
        loop {
            let came = self.arrived.came.notified();
            if let Some(message) = self.try_next() {
                return message;
            }
            came.await;
        }
    }

    /// Takes nothing more in, and waits until all that is on its way has come. Never ends when the
    /// connection is lost meanwhile.
    pub(super) async fn close(&self) {
        self.unsubscribe();
        self.deliveries.flush().await;
    }

    fn unsubscribe(&self) {
        self.deliveries
            .wire
            .say(&format!("UNSUB {}\r\n", self.number));
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let inboxes = self.deliveries.wire.listener();
        inboxes.lock().remove(&self.number);
        self.unsubscribe();
    }
}

impl Arrived {
    fn subscribe(&self, number: u64) -> String {
        format!("SUB {} {number}\r\n", self.subject)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Incoming>> {
        // Every change is complete before anything in it can panic.
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inboxes {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Arrived>>> {
        // Every change is complete before anything in it can panic.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Listener for Inboxes ===

impl Listener for Inboxes {
    fn subscriptions(&self) -> String {
        let open = self.lock();
        let lines = open.iter().map(|(number, one)| one.subscribe(*number));
        lines.collect()
    }

    fn hear(&self, message: wire::Message<'_>) {
        let Some(arrived) = self.lock().get(&message.subscription).map(Arc::clone) else {
            return;
        };
        let mut messages = arrived.lock();
        if messages.len() >= WAITING_MAX {
            tracing::warn!(subject = message.subject, "more came than was asked for");
            return;
        }
        messages.push_back(Incoming::new(message, *self.losses.borrow()));
        drop(messages);
        arrived.came.notify_one();
    }

    fn lost(&self) {
        self.losses.send_modify(|losses| *losses += 1);
    }
}

// === impl Incoming ===

impl Incoming {
    /// Copied out of what was read, so that an event that is held for long holds nothing else.
    fn new(message: wire::Message<'_>, connection: u64) -> Self {
        let wire::Message {
            subject,
            reply,
            headers,
            payload,
            ..
        } = message;
        let bytes = subject.len() + reply.len() + headers.len() + payload.len();
        let mut all = BytesMut::with_capacity(bytes);
        all.put_slice(subject.as_bytes());
        all.put_slice(reply.as_bytes());
        all.put_slice(headers);
        all.put_slice(payload);
        let mut all = all.freeze();
        let mut text = |bytes: usize| {
            let text = ByteString::try_from(all.split_to(bytes));
            text.expect("it was text before it was copied")
        };
        Self {
            subject: text(subject.len()),
            reply: text(reply.len()),
            head: all.split_to(headers.len()),
            payload: all,
            connection,
        }
    }

    /// The status and what is said to it, where it has one instead of an event.
    pub(super) fn status(&self) -> Option<(u16, &str)> {
        wire::status(&self.head)
    }

    /// Its headers, for [`wire::headers`].
    pub(super) fn head(&self) -> Cow<'_, str> {
        match str::from_utf8(&self.head) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(&self.head),
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<String> {
        let head = self.head();
        let mut headers = wire::headers(&head);
        let value = headers
            .find(|(found, _)| found.eq_ignore_ascii_case(name))?
            .1;
        Some(value.to_owned())
    }
}

#[cfg(test)]
mod tests;
