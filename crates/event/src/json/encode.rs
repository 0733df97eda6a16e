//! From events to JSON text. Data that is JSON stands in it as it is.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::value::RawValue;

use crate::{Event, Value, draft::SPECVERSION, media_type::is_json};

/// Room for names, quotes and a few attributes; more costs another buffer.
const ENVELOPE_BYTES: usize = 512;

/// Writes one event.
///
/// The event is one that [`crate::validate`] accepts.
pub fn encode(event: &Event) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENVELOPE_BYTES + event.data_len());
    write(event, &mut out);
    out
}

/// Writes a batch.
///
/// The events are ones that [`crate::validate`] accepts.
pub fn encode_batch(events: &[Event]) -> Vec<u8> {
    let bytes = events
        .iter()
        .map(|event| ENVELOPE_BYTES + event.data_len())
        .sum();
    let mut out = Vec::with_capacity(bytes);
    out.push(b'[');
    for (at, event) in events.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(event, &mut out);
    }
    out.push(b']');
    out
}

fn write(event: &Event, out: &mut Vec<u8>) {
    out.push(b'{');
    member(out, "specversion");
    string(out, SPECVERSION);
    let attributes = [
        ("id", Some(&event.id)),
        ("source", Some(&event.source)),
        ("type", Some(&event.r#type)),
        ("datacontenttype", event.datacontenttype.as_ref()),
        ("dataschema", event.dataschema.as_ref()),
        ("subject", event.subject.as_ref()),
        ("time", event.time.as_ref()),
    ];
    for (name, text) in attributes {
        if let Some(text) = text {
            next_member(out, name);
            string(out, text);
        }
    }
    for (name, value) in event.extensions.iter() {
        next_member(out, name.as_str());
        match value {
            Value::Boolean(_) | Value::Integer(_) => {
                out.extend_from_slice(value.to_text().as_bytes())
            }
            Value::String(text) => string(out, text),
        }
    }
    if let Some(bytes) = event.data.as_deref().filter(|bytes| !bytes.is_empty()) {
        data(out, event.datacontenttype.as_deref(), bytes);
    }
    out.push(b'}');
}

/// The one of the three forms of which a reader gets the same bytes back.
fn data(out: &mut Vec<u8>, media_type: Option<&str>, bytes: &[u8]) {
    let json = media_type.map(is_json);
    if json == Some(true) && is_bare_json(bytes) {
        next_member(out, "data");
        out.extend_from_slice(bytes);
    } else if json == Some(false)
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        next_member(out, "data");
        string(out, text);
    } else {
        // Without a media type a reader would take `data` for JSON.
        next_member(out, "data_base64");
        string(out, &BASE64_STANDARD.encode(bytes));
    }
}

/// JSON without white space around it, which would be lost.
fn is_bare_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(bytes).is_ok_and(|raw| raw.get().len() == bytes.len())
}

fn next_member(out: &mut Vec<u8>, name: &str) {
    out.push(b',');
    member(out, name);
}

fn member(out: &mut Vec<u8>, name: &str) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("text can be written to memory");
}
