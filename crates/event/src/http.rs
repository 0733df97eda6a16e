//! The HTTP protocol binding: binary mode both ways, and which mode a message is in.
//!
//! The structured and the batch mode are [`crate::json`] with a content type.

use std::borrow::Cow;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_TYPE, Entry},
};

use crate::{Draft, Error, Event, Leniency, headers, mode, percent};

pub use crate::mode::{BATCH, Mode, STRUCTURED};

const PREFIX: &str = "ce-";

/// The mode of a message; `None` when it does not say that it carries events.
pub fn mode(headers: &HeaderMap) -> Result<Option<Mode>, Error> {
    let content_type = headers
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let named = mode::named(content_type)?;
    Ok(named.or_else(|| {
        headers
            .contains_key("ce-specversion")
            .then_some(Mode::Binary)
    }))
}

/// Reads an event in binary mode.
pub fn decode_binary(headers: &HeaderMap, body: Bytes, leniency: Leniency) -> Result<Event, Error> {
    read_binary(headers, body)?.finish(leniency)
}

/// Reads the parts of an event in binary mode, to be judged later.
pub fn read_binary(headers: &HeaderMap, body: Bytes) -> Result<Draft, Error> {
    let attributes = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().strip_prefix(PREFIX)?, value.as_bytes())));
    let mut content_types = headers.get_all(CONTENT_TYPE).iter();
    let content_type = content_types.next();
    if content_types.next().is_some() {
        return Err(Error::Duplicate {
            attribute: "content-type".to_owned(),
        });
    }
    // An empty one says nothing, as an absent one does.
    let content_type = content_type
        .map(HeaderValue::as_bytes)
        .filter(|value| !value.is_empty());
    headers::read(attributes, content_type, body, percent::decode_into)
}

/// Writes the headers of an event in binary mode; the body is `event.data` as it is.
pub fn encode_binary(event: &Event, headers: &mut HeaderMap) {
    headers::encode(event, |name, text| {
        let value = match percent::encode(text) {
            Cow::Borrowed(_) => text.clone().into_bytes(),
            Cow::Owned(encoded) => encoded.into(),
        };
        let value = HeaderValue::from_maybe_shared(value);
        let (Some(name), Ok(value)) = (header_name(name), value) else {
            return; // neither happens: names are [a-z0-9], values printable ASCII
        };
        headers.insert(name, value);
    });
    if let Some(content_type) = &event.datacontenttype
        && let (Entry::Vacant(entry), Ok(value)) = (
            headers.entry(CONTENT_TYPE),
            HeaderValue::from_str(content_type),
        )
    {
        entry.insert(value);
    }
}

fn header_name(attribute: &str) -> Option<HeaderName> {
    let known = match attribute {
        "specversion" => const { HeaderName::from_static("ce-specversion") },
        "id" => const { HeaderName::from_static("ce-id") },
        "source" => const { HeaderName::from_static("ce-source") },
        "type" => const { HeaderName::from_static("ce-type") },
        "dataschema" => const { HeaderName::from_static("ce-dataschema") },
        "subject" => const { HeaderName::from_static("ce-subject") },
        "time" => const { HeaderName::from_static("ce-time") },
        other => return HeaderName::try_from(format!("{PREFIX}{other}")).ok(),
    };
    Some(known)
}
