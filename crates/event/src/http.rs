//! The HTTP binding: which mode a request is in, and binary mode both ways.
//!
//! Structured and batched bodies are [`crate::json`]'s. Requests and statuses are the rooms' that
//! speak HTTP.

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;
use http::{
    HeaderMap,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};

use crate::{
    Error, Event, Leniency,
    draft::{Encoding, SPECVERSION, base64},
    error::cut,
    header::{PREFIX, Prefixed, Reader, encode},
    media_type::{essence, value},
};

/// How a request or answer carries events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// One event: attributes are headers, the body is its data.
    Binary,
    /// One event: the body is JSON with all of it.
    Structured,
    /// Any number of events: the body is a JSON array.
    Batch,
}

/// The mode that the headers name, if they name any.
///
/// A CloudEvents media type that is not read here is an error, also with `ce-` headers beside it.
pub fn mode(headers: &HeaderMap) -> Result<Option<Mode>, Error> {
    if let Some(content_type) = single(headers, &CONTENT_TYPE)?
        && let Ok(content_type) = std::str::from_utf8(content_type.as_bytes())
        && let Some(mode) = mode_of(content_type)?
    {
        return Ok(Some(mode));
    }
    Ok(headers
        .contains_key("ce-specversion")
        .then_some(Mode::Binary))
}

fn mode_of(content_type: &str) -> Result<Option<Mode>, Error> {
    const CLOUDEVENTS: &str = "application/cloudevents";
    let Some((head, format)) = essence(content_type).split_at_checked(CLOUDEVENTS.len()) else {
        return Ok(None);
    };
    if !head.eq_ignore_ascii_case(CLOUDEVENTS) {
        return Ok(None);
    }
    let mode = if format.eq_ignore_ascii_case("+json") {
        Mode::Structured
    } else if format.eq_ignore_ascii_case("-batch+json") {
        Mode::Batch
    } else {
        return Err(Error::UnsupportedMediaType {
            media_type: cut(content_type),
        });
    };
    match value(content_type, "charset") {
        Some(charset) if !charset.eq_ignore_ascii_case("utf-8") => Err(Error::UnsupportedCharset {
            charset: cut(charset),
        }),
        Some(_) | None => Ok(Some(mode)),
    }
}

/// Reads an event in binary mode. An empty body is no data.
///
/// `Content-Type` is `datacontenttype` as it stands. Some senders repeat it as
/// `ce-datacontenttype`, which CloudEvents does not know: it is taken when the two do not
/// contradict each other.
pub fn decode_binary(headers: &HeaderMap, body: Bytes, leniency: Leniency) -> Result<Event, Error> {
    let content_type = single(headers, &CONTENT_TYPE)?;
    let mut reader = Reader::new(text_bytes(headers), leniency);
    let mut before: Option<&HeaderName> = None;
    for (header, value) in headers {
        let Some(name) = header.as_str().strip_prefix(PREFIX) else {
            continue;
        };
        // A header's values come one after the other.
        if before.replace(header) == Some(header) {
            return Err(Error::duplicate(name));
        }
        reader.attribute(name, value.as_bytes())?;
    }
    let content_type = content_type
        .map(|value| reader.verbatim("datacontenttype", value.as_bytes()))
        .transpose()?;
    let mut draft = reader.into_draft();
    match (content_type, &draft.datacontenttype) {
        (Some(carried), Some(repeated)) if carried != *repeated => {
            return Err(Error::duplicate("datacontenttype"));
        }
        (Some(carried), _) => draft.datacontenttype = Some(carried),
        (None, _) => {}
    }
    let data = match draft.raise()? {
        Encoding::Identity => body,
        Encoding::Base64 => base64(&body)?,
    };
    draft.finish(Some(data))
}

/// Writes the attributes of an event in binary mode. The body is the event's data.
///
/// The event is one that [`crate::validate`] accepts.
pub fn encode_binary(event: &Event, headers: &mut HeaderMap) {
    let mut set = |name: &'static str, text: &ByteString| {
        headers.insert(HeaderName::from_static(name), header_value(text));
    };
    set("ce-specversion", &ByteString::from_static(SPECVERSION));
    set("ce-id", &event.id);
    set("ce-source", &event.source);
    set("ce-type", &event.r#type);
    let optional = [
        ("ce-dataschema", &event.dataschema),
        ("ce-subject", &event.subject),
        ("ce-time", &event.time),
    ];
    for (name, text) in optional {
        if let Some(text) = text {
            set(name, text);
        }
    }
    for (name, extension) in event.extensions.iter() {
        let name = HeaderName::from_bytes(Prefixed::new(name).as_str().as_bytes())
            .expect("lower-case letters and digits name a header");
        headers.insert(name, header_value(&extension.to_text()));
    }
    if let Some(media_type) = &event.datacontenttype {
        // As it came; a legal one has no control characters.
        let verbatim = HeaderValue::from_maybe_shared(media_type.as_bytes().clone());
        headers.insert(
            CONTENT_TYPE,
            verbatim.unwrap_or_else(|_| header_value(media_type)),
        );
    }
}

/// An encoded value; one that needs no encoding shares the event's memory.
fn header_value(text: &ByteString) -> HeaderValue {
    let bytes = match encode(text) {
        Cow::Borrowed(_) => text.as_bytes().clone(),
        Cow::Owned(encoded) => Bytes::from(encoded),
    };
    HeaderValue::from_maybe_shared(bytes).expect("encoded values are visible ASCII")
}

/// How long the text is that an event takes from these headers.
fn text_bytes(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with(PREFIX) || *name == CONTENT_TYPE)
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum()
}

/// A header that may come once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Error> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    if values.next().is_some() {
        return Err(Error::duplicate(name.as_str()));
    }
    Ok(value)
}
