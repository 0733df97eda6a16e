//! Dead letters, read one after the other, and taken away.

pub(super) mod kept;

use std::{
    collections::{BTreeMap, HashMap},
    time::SystemTime,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use humantime::parse_rfc3339;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_event::Event;

use self::kept::{Kept, LetterSize};
use super::{
    Jetstream, Shared,
    link::{ApiError, Link, MESSAGE_NOT_FOUND},
    message,
};
use crate::{ControlError, LettersOf, Unreadable, subject};

/// JetStream's error code for a sequence number that is not there to delete.
const SEQUENCE_NOT_FOUND: u64 = 10_043;

/// JetStream's error code for a message that cannot be deleted.
const DELETE_FAILED: u64 = 10_057;

/// What a letter's own headers begin with.
const OWN: &str = "tidegate-";

/// A stored dead letter.
#[derive(Clone, Debug)]
pub struct Letter {
    /// Its place among the dead letters.
    pub sequence: u64,
    /// When it became one.
    pub buried_at: SystemTime,
    /// `namespace/name` of the Subscription that gave it up.
    pub subscription: String,
    /// Why: a stable code.
    pub reason: String,
    /// The last failure, for people.
    pub detail: String,
    /// The status of the sink's last answer, if it gave one.
    pub status: Option<u16>,
    /// How the body of that answer begins.
    pub answer: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// The event's place in the event stream.
    pub original_sequence: u64,
    /// When the event was stored.
    pub stored_at: Option<SystemTime>,
    /// The event, byte for byte, or what is stored in its place.
    pub event: Result<Event, Unreadable>,
}

#[derive(Deserialize)]
struct Answer {
    message: Stored,
}

#[derive(Deserialize)]
struct Stored {
    seq: u64,
    time: String,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
}

impl Jetstream {
    /// The first dead letter at this place or after it, of one Subscription (`namespace`, `name`)
    /// or of any.
    pub async fn letter_from(
        &self,
        sequence: u64,
        subscription: Option<(&str, &str)>,
    ) -> Result<Option<Letter>, ControlError> {
        let Shared {
            link,
            config,
            dead_letters_root,
            ..
        } = &*self.shared;
        let subject = match subscription {
            None => Some(subject::all(dead_letters_root)),
            Some((namespace, name)) => self.letters_subject(namespace, name),
        };
        let Some(subject) = subject else {
            return Ok(None);
        };
        next(link, &config.dead_letters.stream, sequence, &subject).await
    }

    /// The dead letter of this place.
    pub async fn letter(&self, sequence: u64) -> Result<Option<Letter>, ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        at(link, &config.dead_letters.stream, sequence).await
    }

    /// What there is of dead letters in all.
    pub async fn letters(&self) -> Result<Kept, ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        kept::all(link, &config.dead_letters.stream).await
    }

    /// How many dead letters each Subscription (`namespace`, `name`) has that has any.
    pub async fn letters_of_each(&self) -> Result<HashMap<(String, String), u64>, ControlError> {
        let Shared {
            link,
            config,
            dead_letters_root,
            ..
        } = &*self.shared;
        kept::of_each(link, &config.dead_letters.stream, dead_letters_root).await
    }

    /// The dead letters of one Subscription, oldest first.
    pub async fn letter_sizes(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Vec<LetterSize>, ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        let stream = &config.dead_letters.stream;
        match self.letters_subject(namespace, name) {
            Some(subject) => kept::of(link, stream, &subject).await,
            None => Ok(Vec::new()),
        }
    }

    /// Deletes the dead letters of one Subscription up to this place; how many.
    pub async fn delete_letters(
        &self,
        namespace: &str,
        name: &str,
        up_to: u64,
    ) -> Result<u64, ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        let stream = &config.dead_letters.stream;
        match self.letters_subject(namespace, name) {
            Some(subject) => kept::delete(link, stream, &subject, up_to).await,
            None => Ok(0),
        }
    }

    /// Where one Subscription's letters are; `None` when none can be.
    fn letters_subject(&self, namespace: &str, name: &str) -> Option<String> {
        subject::of(&self.shared.dead_letters_root, namespace, name).ok()
    }

    /// Takes a dead letter away; `false` when it was not there.
    pub async fn discard(&self, sequence: u64) -> Result<bool, ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        discard(link, &config.dead_letters.stream, sequence).await
    }

    /// Which of these events are kept as dead letters.
    pub(super) async fn letters_among(
        &self,
        of: &LettersOf,
    ) -> Result<BTreeMap<u64, u64>, ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        match self.letters_subject(&of.namespace, &of.subscription) {
            Some(subject) => kept::among(link, &config.dead_letters.stream, &subject, of).await,
            None => Ok(BTreeMap::new()),
        }
    }
}

/// The first letter at this place or after it whose subject is below this one.
async fn next(
    link: &Link,
    stream: &str,
    from: u64,
    subject: &str,
) -> Result<Option<Letter>, ControlError> {
    let asked = json!({ "seq": from.max(1), "next_by_subj": subject });
    get(link, stream, &asked).await
}

/// The letter of this place.
async fn at(link: &Link, stream: &str, sequence: u64) -> Result<Option<Letter>, ControlError> {
    get(link, stream, &json!({ "seq": sequence })).await
}

/// Takes a letter away; `false` when it was not there.
async fn discard(link: &Link, stream: &str, sequence: u64) -> Result<bool, ControlError> {
    match link.delete(stream, sequence).await {
        Ok(()) => Ok(true),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(error.during(format!("deleting dead letter {sequence}"))),
    }
}

async fn get(link: &Link, stream: &str, asked: &Value) -> Result<Option<Letter>, ControlError> {
    let action = "reading a dead letter";
    let answer: Result<Answer, ApiError> =
        link.call(&format!("STREAM.MSG.GET.{stream}"), asked).await;
    match answer {
        Ok(answer) => Letter::read(answer.message)
            .map(Some)
            .ok_or_else(|| ControlError {
                action: action.to_owned(),
                detail: "the answer is not understood".to_owned(),
            }),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error.during(action)),
    }
}

/// Whether a message is not there.
pub(super) fn is_missing(error: &ApiError) -> bool {
    match error {
        ApiError::Refused { code, description } => match *code {
            MESSAGE_NOT_FOUND | SEQUENCE_NOT_FOUND => true,
            // What an empty stream says; other reasons have the same code.
            DELETE_FAILED => description.contains("EOF"),
            _ => false,
        },
        ApiError::Unreachable { .. } | ApiError::Unintelligible { .. } => false,
    }
}

impl Letter {
    fn read(stored: Stored) -> Option<Self> {
        let headers = STANDARD.decode(stored.hdrs).ok()?;
        let headers = String::from_utf8_lossy(&headers);
        let payload = Bytes::from(STANDARD.decode(stored.data).ok()?);
        let mut of_event = Vec::new();
        let mut own = Vec::new();
        for line in headers.lines().skip(1) {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.strip_prefix(' ').unwrap_or(value);
            let lower = name.to_ascii_lowercase();
            if lower.starts_with(OWN) {
                own.push((lower, value.to_owned()));
            } else if !lower.starts_with("nats-") {
                of_event.push((name, value));
            }
        }
        let text = |name: &str| {
            let found = own
                .iter()
                .find(|(own, _)| own.strip_prefix(OWN) == Some(name));
            let value = found.map_or("", |(_, value)| value);
            percent_decode_str(value).decode_utf8_lossy().into_owned()
        };
        Some(Self {
            sequence: stored.seq,
            buried_at: parse_rfc3339(&stored.time).ok()?,
            subscription: text("subscription"),
            reason: text("reason"),
            detail: text("detail"),
            status: text("status").parse().ok(),
            answer: Some(text("answer")).filter(|answer| !answer.is_empty()),
            attempts: text("attempts").parse().unwrap_or(0),
            original_sequence: text("sequence").parse().unwrap_or(0),
            stored_at: parse_rfc3339(&text("stored-at")).ok(),
            event: message::read(of_event.into_iter(), payload),
        })
    }
}
