//! The NATS binding in binary mode: attributes are headers, the payload is the event's data.
//!
//! Structured mode is not offered: it would wrap the data. No client is known here.

use std::borrow::Cow;

use bytes::Bytes;

use crate::{
    Error, Event, Leniency, Value,
    draft::{Encoding, SPECVERSION, base64},
    header::{self, PREFIX, Prefixed, Reader},
};

/// Room for the attributes of an ordinary event; more costs another buffer.
const TEXT_BYTES: usize = 512;

/// Names every header and its value, which has no line breaks. The payload is the event's data.
///
/// The event is one that [`crate::validate`] accepts.
pub fn encode(event: &Event, mut header: impl FnMut(&str, &str)) {
    header("ce-specversion", SPECVERSION);
    header("ce-id", &header::encode(&event.id));
    header("ce-source", &header::encode(&event.source));
    header("ce-type", &header::encode(&event.r#type));
    let optional = [
        ("ce-datacontenttype", &event.datacontenttype),
        ("ce-dataschema", &event.dataschema),
        ("ce-subject", &event.subject),
        ("ce-time", &event.time),
    ];
    for (name, text) in optional {
        if let Some(text) = text {
            header(name, &header::encode(text));
        }
    }
    for (name, value) in event.extensions.iter() {
        let name = Prefixed::new(name);
        match value {
            Value::String(text) => header(name.as_str(), &header::encode(text)),
            Value::Boolean(_) | Value::Integer(_) => header(name.as_str(), &value.to_text()),
        }
    }
}

/// Reads an event from a message's headers and payload. An empty payload is no data, and headers
/// that are no attributes are passed over.
pub fn decode<'a>(
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    payload: Bytes,
) -> Result<Event, Error> {
    let mut reader = Reader::new(TEXT_BYTES, Leniency::Strict);
    for (header, value) in headers {
        if let Some((prefix, name)) = header.split_at_checked(PREFIX.len())
            && prefix.eq_ignore_ascii_case(PREFIX)
        {
            let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                Cow::Owned(name.to_ascii_lowercase())
            } else {
                Cow::Borrowed(name)
            };
            reader.attribute(&name, value.as_bytes())?;
        }
    }
    let mut draft = reader.into_draft();
    let data = match draft.raise()? {
        Encoding::Identity => payload,
        Encoding::Base64 => base64(&payload)?,
    };
    draft.finish(Some(data))
}
