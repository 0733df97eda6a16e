//! What happened to events: batches of it are kept in a stream of their own, which deletes the
//! oldest; and events are found in theirs.

use std::time::SystemTime;

use async_nats::Message;
use bytes::Bytes;
use bytestring::ByteString;
use serde::Deserialize;
use tidegate_event::Event;

use super::{
    Drift, EnsureError, Jetstream, Shared,
    link::NOT_CONNECTED,
    look::{From, Look},
    message, reply, streams,
};
use crate::{ControlError, Unreadable, subject};

/// An event as it is stored.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Its place in the log.
    pub sequence: u64,
    /// When it was stored.
    pub stored_at: SystemTime,
    /// Where; see [`crate::subject`].
    pub subject: ByteString,
    /// The event, or what is stored in its place.
    pub event: Result<Event, Unreadable>,
}

/// JetStream's answer to what is published.
#[derive(Deserialize)]
struct Answer {
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    description: String,
}

impl Jetstream {
    /// Makes the stream of what happened to events, or brings it to its configuration.
    pub async fn ensure_history(&self) -> Result<Vec<Drift>, EnsureError> {
        let Shared { link, config, .. } = &*self.shared;
        streams::ensure_history(link, config).await
    }

    /// Keeps a batch. An error is why not.
    pub async fn keep_history(&self, batch: Bytes) -> Result<(), String> {
        let Shared { link, config, .. } = &*self.shared;
        if !link.is_connected() {
            return Err(NOT_CONNECTED.to_owned());
        }
        let request = link.client().request(config.history_subject(), batch);
        let answer = request.await.map_err(|error| error.to_string())?;
        let answer: Answer =
            serde_json::from_slice(&answer.payload).map_err(|error| error.to_string())?;
        match answer.error {
            Some(refusal) => Err(refusal.description),
            None => Ok(()),
        }
    }

    /// Sees the batches that were kept from this time on, oldest first, until it is enough.
    pub async fn history(
        &self,
        since: SystemTime,
        mut wants_more: impl FnMut(&Bytes) -> bool,
    ) -> Result<(), ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        let look = Look {
            action: "looking at what happened to events",
            stream: &config.history.stream,
            filters: &[&config.history_subject()],
            from: From::Time(since),
            headers_only: false,
        };
        look.each(link, |message| wants_more(&message.payload))
            .await
    }

    /// Sees events from this place on, oldest first, until it is enough: those of a source and of a
    /// type, or of any.
    pub async fn events_from(
        &self,
        place: u64,
        of: (Option<&str>, Option<&str>),
        wants_more: impl FnMut(StoredEvent) -> bool,
    ) -> Result<(), ControlError> {
        self.events(From::Place(place), of, wants_more).await
    }

    /// The same from a time on.
    pub async fn events_since(
        &self,
        time: SystemTime,
        of: (Option<&str>, Option<&str>),
        wants_more: impl FnMut(StoredEvent) -> bool,
    ) -> Result<(), ControlError> {
        self.events(From::Time(time), of, wants_more).await
    }

    /// The event of this place.
    pub async fn event(&self, place: u64) -> Result<Option<StoredEvent>, ControlError> {
        let mut found = None;
        self.events_from(place, (None, None), |event| {
            found = Some(event);
            false
        })
        .await?;
        Ok(found.filter(|event| event.sequence == place))
    }

    async fn events(
        &self,
        from: From,
        (source, r#type): (Option<&str>, Option<&str>),
        mut wants_more: impl FnMut(StoredEvent) -> bool,
    ) -> Result<(), ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        let root = config.events_root();
        let filter = match (source, r#type) {
            (Some(source), Some(r#type)) => subject::of(&root, source, r#type),
            (None, Some(r#type)) => subject::any_source(&root, r#type),
            (Some(source), None) => subject::any_type(&root, source),
            (None, None) => Ok(subject::all(&root)),
        };
        let Ok(filter) = filter else {
            // No event can have it.
            return Ok(());
        };
        let look = Look {
            action: "looking for events",
            stream: &config.events.stream,
            filters: &[&filter],
            from,
            headers_only: false,
        };
        look.each(link, |message| match StoredEvent::read(message) {
            Some(event) => wants_more(event),
            None => true,
        })
        .await
    }
}

impl StoredEvent {
    fn read(message: &Message) -> Option<Self> {
        let place = reply::parse(message.reply.as_deref()?)?;
        let headers = message.headers.iter().flat_map(|headers| headers.iter());
        let headers = headers.flat_map(|(name, values)| {
            let name: &str = name.as_ref();
            values.iter().map(move |value| (name, value.as_str()))
        });
        Some(Self {
            sequence: place.sequence,
            stored_at: place.stored_at,
            subject: ByteString::from(message.subject.as_str()),
            event: message::read(headers, message.payload.clone()),
        })
    }
}
