//! Events and dead letters as NATS messages, and back.
//!
//! The attributes' form in headers is the event crate's NATS binding.

use std::{borrow::Cow, str::FromStr as _};

use async_nats::{HeaderMap, HeaderName};
use bytes::Bytes;
use humantime_serde::re::humantime::format_rfc3339_nanos;
use tidegate_event::Event;

use crate::{Append, DeadLetter, Unreadable};

/// Most bytes of a message's headers: nats-server's limit.
pub(super) const HEADER_BYTES_MAX: usize = 65_535;

/// Room that an event leaves, so that its dead letter fits as well: the longest names, detail and
/// answer with every byte escaped, and numbers make less than 7 KiB.
pub(super) const LETTER_BYTES: usize = 8 * 1024;

/// Most bytes of a dead letter's detail.
const DETAIL_BYTES_MAX: usize = 1_024;

/// Most bytes of a sink's answer that a dead letter tells.
const ANSWER_BYTES_MAX: usize = 512;

/// Most bytes of the reason why a message is no event.
const REASON_BYTES_MAX: usize = 512;

/// What headers begin with.
const FIRST_LINE: &[u8] = b"NATS/1.0\r\n";

/// Room for the headers of an ordinary event, so that they are allocated once.
const LINES_BYTES: usize = 384;

/// A message on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The headers as they are sent, without the empty line at their end.
    lines: Vec<u8>,
    pub(super) payload: Bytes,
}

impl Outgoing {
    fn new(payload: Bytes) -> Self {
        let mut lines = Vec::with_capacity(LINES_BYTES);
        lines.extend_from_slice(FIRST_LINE);
        Self { lines, payload }
    }

    /// An event.
    pub(super) fn event(event: &Event) -> Self {
        let mut outgoing = Self::new(event.data.clone().unwrap_or_default());
        tidegate_event::nats::encode(event, |name, value| outgoing.add(name, value));
        outgoing
    }

    /// An event with its identity.
    pub(super) fn append(append: &Append) -> Self {
        let mut outgoing = Self::event(&append.event);
        if let Some(id) = &append.message_id {
            outgoing.message_id(&id.0);
        }
        outgoing
    }

    /// A dead letter: the event as it is, and why it is one.
    pub(super) fn letter(letter: &DeadLetter) -> Self {
        let mut outgoing = match &letter.event {
            Ok(event) => Self::event(event),
            Err(unreadable) => Self::unreadable(unreadable),
        };
        let mut set = |name, value: &str| outgoing.add(name, value);
        set("tidegate-reason", &escape(letter.reason, DETAIL_BYTES_MAX));
        set("tidegate-detail", &escape(&letter.detail, DETAIL_BYTES_MAX));
        if let Some(answer) = &letter.answer {
            set("tidegate-status", &answer.status.to_string());
            let begin = answer.body.get(..ANSWER_BYTES_MAX).unwrap_or(&answer.body);
            set("tidegate-answer", &escape_bytes(begin));
        }
        set("tidegate-attempts", &letter.attempts.to_string());
        set("tidegate-sequence", &letter.sequence.to_string());
        set(
            "tidegate-stored-at",
            &format_rfc3339_nanos(letter.stored_at).to_string(),
        );
        set("tidegate-consumer", &letter.consumer);
        set(
            "tidegate-subscription",
            &format!("{}/{}", letter.namespace, letter.subscription),
        );
        // One letter for each consumer and event, however often it is buried.
        outgoing.message_id(&format!("{}:{}", letter.consumer, letter.sequence));
        outgoing
    }

    /// Gives it an identity within the duplicate window.
    fn message_id(&mut self, id: &str) {
        self.add("Nats-Msg-Id", id);
    }

    /// The same as one of an atomic batch, counted from 1; the last one commits it.
    pub(super) fn in_batch(&self, batch: &str, sequence: usize, is_last: bool) -> Self {
        let mut outgoing = Self {
            lines: self.lines.clone(),
            payload: self.payload.clone(),
        };
        outgoing.add("Nats-Batch-Id", batch);
        outgoing.add("Nats-Batch-Sequence", &sequence.to_string());
        if is_last {
            outgoing.add("Nats-Batch-Commit", "1");
        }
        outgoing
    }

    /// Bytes of its headers.
    pub(super) fn header_bytes(&self) -> usize {
        self.lines.len() + "\r\n".len()
    }

    /// What it counts for against the server's limit.
    pub(super) fn bytes(&self) -> usize {
        self.header_bytes().saturating_add(self.payload.len())
    }

    /// Writes its headers as they are sent.
    pub(super) fn write_headers(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.lines);
        out.extend_from_slice(b"\r\n");
    }

    /// Its headers as the client library wants them.
    pub(super) fn header_map(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let text = String::from_utf8_lossy(&self.lines);
        for (name, value) in text.lines().filter_map(|line| line.split_once(": ")) {
            let name = HeaderName::from_str(name).expect("legal names were added");
            headers.append(name, value);
        }
        headers
    }

    fn unreadable(unreadable: &Unreadable) -> Self {
        let mut outgoing = Self::new(unreadable.payload.clone());
        for (name, value) in &unreadable.headers {
            // Nobody else's word may steer JetStream, or stand for ours.
            let lower = name.to_ascii_lowercase();
            let name = if lower.starts_with("nats-") || lower.starts_with("tidegate-") {
                Cow::Owned(format!("original-{name}"))
            } else {
                Cow::Borrowed(&**name)
            };
            outgoing.add(&name, value);
        }
        if outgoing.header_bytes() > HEADER_BYTES_MAX - LETTER_BYTES {
            // Too many to stand beside ours. The payload is what counts.
            outgoing = Self::new(unreadable.payload.clone());
        }
        outgoing
    }

    fn add(&mut self, name: &str, value: &str) {
        self.lines.extend_from_slice(name.as_bytes());
        self.lines.extend_from_slice(b": ");
        if value.bytes().any(|byte| matches!(byte, b'\r' | b'\n')) {
            // Bindings escape line breaks, and what came in a header had none.
            let escaped = value.replace(['\r', '\n'], "%0A");
            self.lines.extend_from_slice(escaped.as_bytes());
        } else {
            self.lines.extend_from_slice(value.as_bytes());
        }
        self.lines.extend_from_slice(b"\r\n");
    }
}

/// The event of a message, or what is there in its place.
pub(super) fn read<'a>(
    headers: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    payload: Bytes,
) -> Result<Event, Unreadable> {
    tidegate_event::nats::decode(headers.clone(), payload.clone()).map_err(|error| {
        let headers = headers.map(|(name, value)| (name.into(), value.into()));
        let headers = headers.collect();
        let reason = error.to_string();
        let reason = cut(&reason, REASON_BYTES_MAX).to_owned();
        Unreadable {
            reason,
            headers,
            payload,
        }
    })
}

/// Text as a header takes it: what is not plain ASCII is percent-encoded.
pub(super) fn escape(text: &str, bytes_max: usize) -> String {
    escape_bytes(cut(text, bytes_max).as_bytes())
}

fn escape_bytes(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut escaped = String::with_capacity(bytes.len());
    for &byte in bytes {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("a String takes all that is written");
        }
    }
    escaped
}

fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests;
