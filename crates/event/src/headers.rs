//! What the bindings to HTTP, NATS and Kafka share: attributes as headers, data as the body.

use bytes::Bytes;
use bytestring::ByteString;

use crate::{
    Error, Event, Value,
    draft::{Data, Draft},
    error::Shown,
};

/// Room for the attributes of an ordinary event, so that its buffer is allocated once.
const ATTRIBUTES_BYTES: usize = 384;

/// Reads the parts of an event from attribute names (without the prefix), their header values, and
/// the body. `decode` appends a value's text, or says what is wrong with it.
pub(crate) fn read<'a>(
    attributes: impl Iterator<Item = (&'a str, &'a [u8])>,
    content_type: Option<&[u8]>,
    body: Bytes,
    decode: impl Fn(&[u8], &mut Vec<u8>) -> Result<(), &'static str>,
) -> Result<Draft, Error> {
    // All text goes into one buffer, which the event's attributes then share.
    let mut buffer = Vec::with_capacity(ATTRIBUTES_BYTES);
    let mut entries: Vec<(&'a str, usize)> = Vec::with_capacity(12);
    for (name, value) in attributes {
        decode(value, &mut buffer).map_err(|reason| Error::invalid(name, reason, value))?;
        entries.push((name, buffer.len()));
    }
    let values_end = buffer.len();
    if let Some(content_type) = content_type {
        buffer.extend_from_slice(content_type);
    }
    let buffer = ByteString::try_from(Bytes::from(buffer)).map_err(|_| Error::Invalid {
        attribute: "datacontenttype".to_owned(),
        reason: "must be UTF-8",
        value: Shown::new(content_type.unwrap_or_default()),
    })?;
    let text = |from: usize, to: usize| buffer.slice_ref(buffer.get(from..to).unwrap_or_default());

    let mut draft = Draft::default();
    let mut from = 0;
    for (name, to) in entries {
        let value = text(from, to);
        from = to;
        draft.found(name, Value::String(value))?;
    }
    if content_type.is_some() && draft.datacontenttype.is_none() {
        draft.datacontenttype = Some(text(values_end, buffer.len()));
    }
    if !body.is_empty() {
        draft.data = Data::Bytes(body);
    }
    Ok(draft)
}

/// Calls `header` with each attribute's name (without a prefix) and text, which is to be encoded; not
/// with `datacontenttype`, which the bindings place differently.
pub(crate) fn encode(event: &Event, mut header: impl FnMut(&str, &ByteString)) {
    header("specversion", &ByteString::from_static("1.0"));
    header("id", &event.id);
    header("source", &event.source);
    header("type", &event.r#type);
    let optional = [
        ("dataschema", &event.dataschema),
        ("subject", &event.subject),
        ("time", &event.time),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            header(name, value);
        }
    }
    for (name, value) in event.extensions.iter() {
        header(name.as_str(), &value.to_text());
    }
}
