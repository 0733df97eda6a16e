//! How a message carries events, and what its content type says of that: the same in HTTP and Kafka.

use crate::{Error, error::Shown};

/// The content type of the structured mode.
pub const STRUCTURED: &str = "application/cloudevents+json";

/// The content type of the batch mode.
pub const BATCH: &str = "application/cloudevents-batch+json";

/// How a message carries events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Attributes as headers, data as the body.
    Binary,
    /// One event as JSON.
    Structured,
    /// A JSON array of events.
    Batch,
}

/// The mode that a content type names; `None` when it is not one of CloudEvents.
pub(crate) fn named(content_type: &[u8]) -> Result<Option<Mode>, Error> {
    let essence = content_type
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();
    let essence = essence.trim_ascii();
    let mode = if essence.eq_ignore_ascii_case(STRUCTURED.as_bytes()) {
        Mode::Structured
    } else if essence.eq_ignore_ascii_case(BATCH.as_bytes()) {
        Mode::Batch
    } else if starts_with_ignoring_case(essence, b"application/cloudevents") {
        return Err(Error::MediaType {
            value: Shown::new(content_type),
        });
    } else {
        return Ok(None);
    };
    match charset(content_type) {
        Some(charset) if !charset.eq_ignore_ascii_case(b"utf-8") => Err(Error::MediaType {
            value: Shown::new(content_type),
        }),
        _ => Ok(Some(mode)),
    }
}

fn starts_with_ignoring_case(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn charset(content_type: &[u8]) -> Option<&[u8]> {
    content_type
        .split(|byte| *byte == b';')
        .skip(1)
        .map(<[u8]>::trim_ascii)
        .find(|parameter| starts_with_ignoring_case(parameter, b"charset="))
        .and_then(|parameter| parameter.get(b"charset=".len()..))
        .map(|value| {
            value
                .strip_prefix(b"\"")
                .and_then(|v| v.strip_suffix(b"\""))
                .unwrap_or(value)
        })
}
