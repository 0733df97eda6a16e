//! Messages to one stream on one connection, each acknowledged.

use std::{cell::RefCell, rc::Rc, time::Duration};

use anyhow::{Context, bail};
use tokio::time::timeout;

use super::acks::{Acks, Waiting};
use crate::wire::{
    Wire,
    frame::{self, is_stored, push_number},
    outbox::Outbox,
};

/// How long nothing may be acknowledged while something waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes that wait to be written; more are refused.
const WAITING_BYTES_MAX: usize = 64 << 20;

pub(crate) struct Publisher {
    outbox: Rc<Outbox>,
    acks: Rc<Acks>,
    /// What the reply subjects begin with; a number follows.
    inbox: String,
    /// What the subjects begin with; source and type follow.
    root: String,
    deduplicate: bool,
    /// The headers of the message that is being written.
    headers: RefCell<Vec<u8>>,
}

impl Publisher {
    /// Connects; the second has to run for acknowledgements to be seen.
    pub(crate) async fn start(
        url: &str,
        stream: &str,
        root: &str,
        deduplicate: bool,
    ) -> anyhow::Result<(Self, impl Future<Output = anyhow::Result<()>> + use<>)> {
        let wire = Wire::connect(url).await?;
        let inbox = format!("_INBOX.reference.{:x}.", fastrand::u64(..));
        let subscribe = format!("SUB {inbox}* 1\r\n");
        wire.outbox
            .append(|bytes| bytes.extend_from_slice(subscribe.as_bytes()));
        let publisher = Self {
            outbox: Rc::clone(&wire.outbox),
            acks: Rc::default(),
            inbox,
            root: format!("{root}."),
            deduplicate,
            headers: RefCell::default(),
        };
        let reading = read(
            wire,
            Rc::clone(&publisher.acks),
            publisher.inbox.len(),
            frame::stored_in(stream),
        );
        Ok((publisher, reading))
    }

    /// Room for this many messages; none where too much waits.
    pub(crate) fn wait(&self, messages: usize) -> Option<Waiting> {
        if self.outbox.waiting() > WAITING_BYTES_MAX {
            return None;
        }
        self.acks.wait(u32::try_from(messages).ok()?)
    }

    /// Sends one message of a request. `headers` writes them, without the id that deduplicates.
    pub(crate) fn publish(
        &self,
        waiting: &Waiting,
        event: &Identity<'_>,
        headers: impl FnOnce(&mut Vec<u8>),
        payload: &[u8],
    ) {
        let mut scratch = self.headers.borrow_mut();
        scratch.clear();
        scratch.extend_from_slice(b"NATS/1.0\r\n");
        if self.deduplicate {
            header(&mut scratch, b"Nats-Msg-Id", event.id);
        }
        headers(&mut scratch);
        scratch.extend_from_slice(b"\r\n");
        self.outbox.append(|bytes| {
            for part in [&b"HPUB "[..], self.root.as_bytes(), event.source, b"."] {
                bytes.extend_from_slice(part);
            }
            bytes.extend_from_slice(event.r#type);
            bytes.push(b' ');
            bytes.extend_from_slice(self.inbox.as_bytes());
            push_number(bytes, waiting.number().into());
            bytes.push(b' ');
            push_number(bytes, scratch.len() as u64);
            bytes.push(b' ');
            push_number(bytes, (scratch.len() + payload.len()) as u64);
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(&scratch);
            bytes.extend_from_slice(payload);
            bytes.extend_from_slice(b"\r\n");
        });
    }
}

/// What an event has to have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'a> {
    pub(crate) id: &'a [u8],
    pub(crate) source: &'a [u8],
    pub(crate) r#type: &'a [u8],
}

impl Identity<'_> {
    /// Whether it can stand in the protocol's lines as it is.
    pub(crate) fn is_plain(&self) -> bool {
        let token = |byte: &u8| byte.is_ascii_graphic() && !b"*>".contains(byte);
        let part = |bytes: &[u8]| !bytes.is_empty() && bytes.iter().all(token);
        part(self.source) && part(self.r#type) && !self.id.is_empty()
    }
}

/// Appends one header.
pub(crate) fn header(bytes: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(b": ");
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(b"\r\n");
}

/// Matches acknowledgements until the connection is lost.
async fn read(
    mut wire: Wire,
    acks: Rc<Acks>,
    inbox_bytes: usize,
    stored: Vec<u8>,
) -> anyhow::Result<()> {
    loop {
        let read = wire.read(|message| {
            let number = message.subject.get(inbox_bytes..).and_then(frame::number);
            let number = number.context("an acknowledgement without a number")?;
            acks.answered(number, is_stored(message.body, &stored));
            Ok(())
        });
        match timeout(PATIENCE, read).await {
            Ok(read) => read?,
            Err(_) if acks.messages() == 0 => {}
            Err(_) => bail!("JetStream acknowledges nothing"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What would break a line of the protocol, or mean something in a subject, is not taken.
    #[test]
    fn only_plain_identities_are_taken() {
        let of = |source: &'static str, r#type: &'static str| Identity {
            id: b"1",
            source: source.as_bytes(),
            r#type: r#type.as_bytes(),
        };
        assert!(of("/default/sap.s4.beh/QE4CLNT200", "order.created.v1").is_plain());
        for (source, r#type) in [
            ("a b", "t"),
            ("", "t"),
            ("s", "t\r\n"),
            ("s", "a.>"),
            ("*", "t"),
        ] {
            assert!(!of(source, r#type).is_plain(), "{source:?} {type:?}");
        }
    }
}
