//! From JSON text to events: what each member means.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::{DeserializeSeed as _, Deserializer as _, Error as _, SeqAccess, Visitor};
use serde_json::{Deserializer, error::Category, value::RawValue};

use super::envelope::{Envelope, Seed};
use crate::{
    Error, Event, Leniency, Value,
    draft::{Draft, Encoding, base64},
    media_type::is_json,
};

const BOTH_DATA: Error = Error::InvalidData {
    reason: "data and data_base64 exclude each other",
};

/// Reads one event.
pub fn decode(body: Bytes, leniency: Leniency) -> Result<Event, Error> {
    let text = utf8(body)?;
    let mut refused = None;
    let mut deserializer = Deserializer::from_str(&text);
    let envelope = Seed {
        refused: &mut refused,
    }
    .deserialize(&mut deserializer)
    .and_then(|envelope| deserializer.end().map(|()| envelope))
    .map_err(|error| {
        refused
            .take()
            .unwrap_or_else(|| malformed(&error, "it must be a JSON object"))
    })?;
    event(envelope, &text, leniency)
}

/// Reads a batch, in one pass. An empty one has no events.
pub fn decode_batch(
    body: Bytes,
    events_max: usize,
    leniency: Leniency,
) -> Result<Vec<Event>, Error> {
    let text = utf8(body)?;
    let mut refused = None;
    let mut deserializer = Deserializer::from_str(&text);
    let mut index = None;
    deserializer
        .deserialize_seq(Batch {
            text: &text,
            events_max,
            leniency,
            refused: &mut refused,
            index: &mut index,
        })
        .and_then(|events| deserializer.end().map(|()| events))
        .map_err(|error| match (refused.take(), index) {
            (Some(refused), _) => refused,
            (None, Some(index)) if error.classify() == Category::Data => {
                malformed(&error, "it must be a JSON object").in_batch(index)
            }
            (None, _) => malformed(&error, "it must be a JSON array of events"),
        })
}

fn utf8(body: Bytes) -> Result<ByteString, Error> {
    ByteString::try_from(body).map_err(|error| Error::InvalidJson {
        detail: format!("it is not UTF-8: {error}"),
    })
}

/// What the parser refused: JSON of another shape, or no JSON at all.
fn malformed(error: &serde_json::Error, shape: &'static str) -> Error {
    match error.classify() {
        Category::Data => Error::NotAnEvent { reason: shape },
        Category::Io | Category::Syntax | Category::Eof => Error::InvalidJson {
            detail: error.to_string(),
        },
    }
}

struct Batch<'a> {
    text: &'a ByteString,
    events_max: usize,
    leniency: Leniency,
    /// An error of ours, since serde has no place for it.
    refused: &'a mut Option<Error>,
    /// The event that is being read.
    index: &'a mut Option<usize>,
}

impl<'de> Visitor<'de> for Batch<'_> {
    type Value = Vec<Event>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut events = Vec::new();
        loop {
            let index = events.len();
            *self.index = Some(index);
            let envelope = match elements.next_element_seed(Seed {
                refused: self.refused,
            }) {
                Ok(Some(envelope)) => envelope,
                Ok(None) => return Ok(events),
                Err(error) => {
                    *self.refused = self.refused.take().map(|error| error.in_batch(index));
                    return Err(error);
                }
            };
            let read = if index < self.events_max {
                event(envelope, self.text, self.leniency).map_err(|error| error.in_batch(index))
            } else {
                Err(Error::BatchTooLarge {
                    events_max: self.events_max,
                })
            };
            match read {
                Ok(event) => events.push(event),
                Err(error) => {
                    *self.refused = Some(error);
                    return Err(A::Error::custom("refused"));
                }
            }
        }
    }
}

/// The event of an envelope that was read from `text`.
fn event(envelope: Envelope<'_>, text: &ByteString, leniency: Leniency) -> Result<Event, Error> {
    let mut draft = Draft::default();
    let core = [
        ("specversion", envelope.specversion, &mut draft.specversion),
        ("id", envelope.id, &mut draft.id),
        ("source", envelope.source, &mut draft.source),
        ("type", envelope.r#type, &mut draft.r#type),
        (
            "datacontenttype",
            envelope.datacontenttype,
            &mut draft.datacontenttype,
        ),
        ("dataschema", envelope.dataschema, &mut draft.dataschema),
        ("subject", envelope.subject, &mut draft.subject),
        ("time", envelope.time, &mut draft.time),
    ];
    for (name, raw, slot) in core {
        *slot = match present(raw) {
            Some(raw) => Some(attribute(name, raw, text)?),
            None => None,
        };
    }
    for (name, raw) in envelope.extensions {
        let Some(raw) = present(Some(raw)) else {
            continue;
        };
        let owned = match &name {
            Cow::Borrowed(name) => text.slice_ref(name),
            Cow::Owned(name) => name.as_str().into(),
        };
        // A dropped extension may have any value.
        if let Some(legal) = leniency.name(owned)? {
            draft.extension(legal, extension(&name, raw, text)?)?;
        }
    }
    let encoding = draft.raise()?;
    let data = match (envelope.data, present(envelope.data_base64)) {
        (data, Some(encoded)) => {
            if present(data).is_some() {
                return Err(BOTH_DATA);
            }
            Some(encoded_data(encoded, text)?)
        }
        (Some(data), None) => match encoding {
            Encoding::Identity => data_of(data, &mut draft, text)?,
            Encoding::Base64 => present(Some(data))
                .map(|data| encoded_data(data, text))
                .transpose()?,
        },
        (None, None) => None,
    };
    draft.finish(data)
}

/// The member `data`, by the media type: JSON as it stands, or the text of a string.
fn data_of(raw: &RawValue, draft: &mut Draft, text: &ByteString) -> Result<Option<Bytes>, Error> {
    let json = draft.datacontenttype.as_deref().is_none_or(is_json);
    if json {
        // What the format says an absent media type means here; other bindings have to be told.
        draft
            .datacontenttype
            .get_or_insert(ByteString::from_static("application/json"));
    } else if present(Some(raw)).is_none() {
        return Ok(None);
    } else if raw.get().starts_with('"') {
        let string = string(raw, text).ok_or(Error::InvalidData {
            reason: NO_CHARACTER,
        })?;
        return Ok(Some(string.into_bytes()));
    }
    Ok(Some(text.slice_ref(raw.get()).into_bytes()))
}

fn encoded_data(raw: &RawValue, text: &ByteString) -> Result<Bytes, Error> {
    const REASON: &str = "base64 must stand in a JSON string";
    if !raw.get().starts_with('"') {
        return Err(Error::InvalidData { reason: REASON });
    }
    let string = string(raw, text).ok_or(Error::InvalidData {
        reason: NO_CHARACTER,
    })?;
    base64(string.as_bytes())
}

/// A member that is there and not null.
fn present(raw: Option<&RawValue>) -> Option<&RawValue> {
    raw.filter(|raw| raw.get() != "null")
}

fn attribute(name: &str, raw: &RawValue, text: &ByteString) -> Result<ByteString, Error> {
    let invalid = |reason| Error::invalid(name, raw.get(), reason);
    if !raw.get().starts_with('"') {
        return Err(invalid("it must be a JSON string"));
    }
    string(raw, text).ok_or_else(|| invalid(NO_CHARACTER))
}

fn extension(name: &str, raw: &RawValue, text: &ByteString) -> Result<Value, Error> {
    match raw.get() {
        "true" => Ok(Value::Boolean(true)),
        "false" => Ok(Value::Boolean(false)),
        string if string.starts_with('"') => attribute(name, raw, text).map(Value::String),
        // What JSON calls a number and Rust an integer has no fraction and no exponent.
        number => number.parse().map(Value::Integer).map_err(|_| {
            let reason = "it must be a string, a boolean, or an integer of 32 bits";
            Error::invalid(name, number, reason)
        }),
    }
}

const NO_CHARACTER: &str = "an escape in it stands for no character";

/// The text of a JSON string, sliced from the body unless it has escapes.
fn string(raw: &RawValue, text: &ByteString) -> Option<ByteString> {
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str::<String>(raw.get())
            .ok()
            .map(ByteString::from)
    } else {
        Some(text.slice_ref(inner))
    }
}
