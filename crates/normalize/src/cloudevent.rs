//! CloudEvents in any mode, also a structured one that is labelled as plain JSON: SAP's brokers
//! send those.
//!
//! The codec is `event`'s. Decided here: which mode it is, and what is no event at all.

use http::{HeaderMap, header::CONTENT_TYPE};
use tidegate_event as codec;
use tidegate_event::{
    Event,
    http::{Mode, decode_binary, mode},
    json,
};

use crate::{Error, Input, Normalized, go_json, kyma};

/// Characters of a media type that an error repeats, at most, as with the codec's errors.
const MEDIA_TYPE_CHARS_MAX: usize = 100;

/// What is wrong when Kyma's door gets a media type that the native ones answer 415 to.
const NOT_READ: &str =
    "the media type, or its charset, is not one of a CloudEvent that is read here";

/// What is wrong when neither the headers nor the media type name a mode.
const NO_SPECVERSION: &str = "there is no ce-specversion header, and the media type is not one of \
                              a CloudEvent";

/// Reads by CloudEvents' rules alone.
pub(crate) fn read(input: Input<'_>) -> Result<Normalized, Error> {
    let mode = mode_of(&input)?;
    decode(&mode, input)
}

/// Reads by CloudEvents' rules and refuses what Kyma's publisher refuses, with its status.
pub(crate) fn read_for_kyma(input: Input<'_>) -> Result<Normalized, Error> {
    let mode = match mode_of(&input) {
        Err(Error::UnsupportedMediaType { .. }) => Err(Error::NotAnEvent(NO_SPECVERSION)),
        Err(Error::Event(
            codec::Error::UnsupportedMediaType { .. } | codec::Error::UnsupportedCharset { .. },
        )) => Err(Error::NotAnEvent(NOT_READ)),
        mode => mode,
    }?;
    let normalized = decode(&mode, input)?;
    for event in &normalized.events {
        kyma::check(&event.source, &event.r#type)?;
        // Kyma writes binary data into a JSON document; structured data stands in one already.
        if matches!(mode, Mode::Binary) {
            check_data(event)?;
        }
    }
    Ok(normalized)
}

fn decode(mode: &Mode, input: Input<'_>) -> Result<Normalized, Error> {
    let Input {
        headers,
        body,
        leniency,
        batch_events_max,
        ..
    } = input;
    match mode {
        Mode::Binary => decode_binary(headers, body, leniency).map(Normalized::one),
        Mode::Structured => json::decode(body, leniency).map(Normalized::one),
        Mode::Batch => {
            json::decode_batch(body, batch_events_max, leniency).map(|events| Normalized {
                events,
                batch: true,
            })
        }
    }
    .map_err(Error::Event)
}

impl Normalized {
    fn one(event: Event) -> Self {
        Self {
            events: vec![event],
            batch: false,
        }
    }
}

/// The mode that the headers name; without any, a structured event in a body of plain JSON.
fn mode_of(input: &Input<'_>) -> Result<Mode, Error> {
    if let Some(mode) = mode(input.headers)? {
        return Ok(mode);
    }
    let Some(content_type) = input.headers.get(CONTENT_TYPE) else {
        return recognised(input);
    };
    if is_json(essence(content_type.as_bytes())) {
        return recognised(input);
    }
    if has_attributes(input.headers) {
        return Err(Error::NotAnEvent(NO_SPECVERSION));
    }
    let media_type = String::from_utf8_lossy(content_type.as_bytes());
    let media_type = media_type.chars().take(MEDIA_TYPE_CHARS_MAX).collect();
    Err(Error::UnsupportedMediaType { media_type })
}

fn recognised(input: &Input<'_>) -> Result<Mode, Error> {
    if has_attributes(input.headers) {
        Err(Error::NotAnEvent(NO_SPECVERSION))
    } else if json::is_event(&input.body) {
        Ok(Mode::Structured)
    } else {
        Err(Error::NotAnEvent(
            "there is no ce-specversion header, and the body is no JSON object with specversion, \
             id, source and type",
        ))
    }
}

/// Whether a sender meant binary mode.
fn has_attributes(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("ce-"))
}

/// Kyma takes data of these media types, or of none, for JSON.
fn check_data(event: &Event) -> Result<(), Error> {
    let declared = event.datacontenttype.as_ref().is_none_or(|media_type| {
        let essence = essence(media_type.as_bytes());
        essence.eq_ignore_ascii_case(b"application/json")
            || essence.eq_ignore_ascii_case(b"text/json")
    });
    match &event.data {
        Some(data) if declared && !go_json::is_value(data) => {
            Err(Error::DataNotJson { bytes: data.len() })
        }
        Some(_) | None => Ok(()),
    }
}

/// A media type without its parameters.
fn essence(media_type: &[u8]) -> &[u8] {
    media_type
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii()
}

fn is_json(essence: &[u8]) -> bool {
    let suffix = essence.last_chunk::<5>();
    essence.eq_ignore_ascii_case(b"application/json")
        || essence.eq_ignore_ascii_case(b"text/json")
        || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"))
}
