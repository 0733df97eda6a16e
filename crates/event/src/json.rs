//! The JSON event format, single and batch.
//!
//! The envelope is borrowed from the buffer; data is taken as raw JSON text and put back the same
//! way, so that numbers, key order and white space stay what they were.

use std::{borrow::Cow, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use bytestring::ByteString;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::{
    Error, Event, Leniency, Value,
    draft::{Data, Draft, Loose, base64, is_json},
};

/// Most members of one event. Real ones have about ten; the bound keeps the search for repeated
/// names cheap whatever comes in.
const MEMBERS_MAX: usize = 128;

/// Reads one event.
pub fn decode(json: Bytes, leniency: Leniency) -> Result<Event, Error> {
    read(&json)?.finish(leniency)
}

/// Reads the members of one event, to be judged later.
pub fn read(json: &Bytes) -> Result<Draft, Error> {
    let members: Members<'_> = serde_json::from_slice(json).map_err(not_json)?;
    draft(json, members)
}

/// Reads a batch of at most `events_max` events: all of them, or the first that is wrong.
pub fn decode_batch(
    json: Bytes,
    events_max: usize,
    leniency: Leniency,
) -> Result<Vec<Event>, Error> {
    decode_batch_with(json, events_max, |draft| draft.finish(leniency))
}

/// The same, with a judge of one's own for each event.
pub fn decode_batch_with(
    json: Bytes,
    events_max: usize,
    mut finish: impl FnMut(Draft) -> Result<Event, Error>,
) -> Result<Vec<Event>, Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(&json);
    let batch = deserializer
        .deserialize_seq(BatchVisitor { events_max })
        .and_then(|batch| deserializer.end().map(|()| batch))
        .map_err(not_json)?;
    if batch.len() > events_max {
        return Err(Error::BatchTooLarge { events_max });
    }
    batch
        .into_iter()
        .enumerate()
        .map(|(index, members)| {
            members
                .ok_or_else(|| Error::Json {
                    reason: "must be an object".to_owned(),
                })
                .and_then(|members| draft(&json, members))
                .and_then(&mut finish)
                .map_err(|error| Error::InBatch {
                    index,
                    error: Box::new(error),
                })
        })
        .collect()
}

/// Whether this is a JSON object that says of itself that it is an event: some brokers label
/// structured events `application/json`.
pub fn is_event(json: &[u8]) -> bool {
    if json.trim_ascii_start().first() != Some(&b'{') {
        return false;
    }
    serde_json::from_slice::<Members<'_>>(json).is_ok_and(|members| {
        ["specversion", "id", "source", "type"]
            .iter()
            .all(|wanted| members.0.iter().any(|(name, _)| name == wanted))
    })
}

fn not_json(error: serde_json::Error) -> Error {
    Error::Json {
        reason: error.to_string(),
    }
}

fn draft(json: &Bytes, members: Members<'_>) -> Result<Draft, Error> {
    let mut draft = Draft::default();
    let (mut data, mut data_base64) = (None, None);
    for (at, (name, value)) in members.0.iter().enumerate() {
        let earlier = members.0.get(..at).unwrap_or_default();
        if earlier.iter().any(|(have, _)| have == name) {
            return Err(Error::Duplicate {
                attribute: name.to_string(),
            });
        }
        let raw = value.get();
        match &**name {
            "data" => data = Some(raw),
            _ if raw == "null" => {}
            "data_base64" => data_base64 = Some(raw),
            name => attribute(&mut draft, json, name, raw)?,
        }
    }
    draft.data = match (data, data_base64) {
        (None, None) => Data::Absent,
        (Some(data), None) => Data::Json(json.slice_ref(data.as_bytes())),
        (None | Some("null"), Some(encoded)) => Data::Bytes(from_base64(encoded)?),
        (Some(_), Some(_)) => {
            return Err(Error::Data {
                reason: "data and data_base64 exclude each other",
            });
        }
    };
    Ok(draft)
}

fn from_base64(raw: &str) -> Result<Bytes, Error> {
    let Ok(text) = serde_json::from_str::<Text<'_>>(raw) else {
        return Err(Error::Data {
            reason: "data_base64: must be a string",
        });
    };
    base64(text.0.as_bytes())
}

fn attribute(draft: &mut Draft, json: &Bytes, name: &str, raw: &str) -> Result<(), Error> {
    let shared = |text: Cow<'_, str>| match text {
        // What stands in the buffer is shared with it.
        Cow::Borrowed(text) => ByteString::try_from(json.slice_ref(text.as_bytes()))
            .unwrap_or_else(|_| ByteString::from(text)),
        Cow::Owned(text) => ByteString::from(text),
    };
    let value = match raw.as_bytes().first() {
        Some(b'"') => {
            let text: Text<'_> = serde_json::from_str(raw).map_err(not_json)?;
            Value::String(shared(text.0))
        }
        Some(b't') => Value::Boolean(true),
        Some(b'f') => Value::Boolean(false),
        _ => match raw.parse() {
            Ok(number) => Value::Integer(number),
            Err(_) => {
                let text = shared(Cow::Borrowed(raw));
                draft.extensions.push((name.into(), Loose::Json(text)));
                return Ok(());
            }
        },
    };
    draft.found(name, value)
}

/// Writes one event.
pub fn encode(event: &Event) -> Vec<u8> {
    let mut json = Vec::with_capacity(256 + event.data_len());
    write(event, &mut json);
    json
}

/// Writes a batch.
pub fn encode_batch<'a>(events: impl IntoIterator<Item = &'a Event>) -> Vec<u8> {
    let mut json = vec![b'['];
    for (at, event) in events.into_iter().enumerate() {
        if at > 0 {
            json.push(b',');
        }
        write(event, &mut json);
    }
    json.push(b']');
    json
}

fn write(event: &Event, json: &mut Vec<u8>) {
    json.extend_from_slice(br#"{"specversion":"1.0""#);
    let core = [
        ("id", Some(&event.id)),
        ("source", Some(&event.source)),
        ("type", Some(&event.r#type)),
        ("datacontenttype", event.datacontenttype.as_ref()),
        ("dataschema", event.dataschema.as_ref()),
        ("subject", event.subject.as_ref()),
        ("time", event.time.as_ref()),
    ];
    for (name, value) in core {
        if let Some(value) = value {
            write_name(name, json);
            write_string(value, json);
        }
    }
    for (name, value) in event.extensions.iter() {
        write_name(name.as_str(), json);
        match value {
            Value::Boolean(_) | Value::Integer(_) => {
                json.extend_from_slice(value.to_text().as_bytes());
            }
            Value::String(text) => write_string(text, json),
        }
    }
    if let Some(data) = &event.data {
        write_data(event.datacontenttype.as_deref(), data, json);
    }
    json.push(b'}');
}

fn write_data(content_type: Option<&str>, data: &[u8], json: &mut Vec<u8>) {
    // Only in a form that the reader takes for exactly these bytes.
    let json_text = content_type.is_some_and(is_json);
    if json_text && is_bare_json(data) {
        write_name("data", json);
        json.extend_from_slice(data);
        return;
    }
    let text = std::str::from_utf8(data)
        .ok()
        .filter(|_| content_type.is_some() && !json_text);
    match text {
        Some(text) => {
            write_name("data", json);
            write_string(text, json);
        }
        None => {
            write_name("data_base64", json);
            write_string(&STANDARD.encode(data), json);
        }
    }
}

/// Whether this is a JSON value without white space around it, which a reader would not keep.
fn is_bare_json(data: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(data).is_ok_and(|raw| raw.get().len() == data.len())
}

fn write_name(name: &str, json: &mut Vec<u8>) {
    json.extend_from_slice(b",\"");
    json.extend_from_slice(name.as_bytes());
    json.extend_from_slice(b"\":");
}

fn write_string(text: &str, json: &mut Vec<u8>) {
    serde_json::to_writer(json, text).expect("text into memory cannot fail");
}

/// The members of an object, in order, borrowed where they hold no escapes.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(12);
        while let Some((name, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            if members.len() == MEMBERS_MAX {
                return Err(A::Error::custom(format_args!(
                    "more than {MEMBERS_MAX} members"
                )));
            }
            members.push((name.0, value));
        }
        Ok(Members(members))
    }
}

/// The events of a batch; `None` for an element that is no object. One more than the bound at
/// most, which tells that there are too many.
struct BatchVisitor {
    events_max: usize,
}

impl<'de> Visitor<'de> for BatchVisitor {
    type Value = Vec<Option<Members<'de>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut batch = Vec::new();
        while let Some(element) = seq.next_element::<Element<'de>>()? {
            batch.push(element.0);
            if batch.len() > self.events_max {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                break;
            }
        }
        Ok(batch)
    }
}

struct Element<'a>(Option<Members<'a>>);

impl<'de> Deserialize<'de> for Element<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElementVisitor).map(Self)
    }
}

/// In one pass: what is an object shows when it is met.
struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Option<Members<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        MembersVisitor.visit_map(map).map(Some)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Text, borrowed when it holds no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}
