//! CloudEvents in all modes, also a structured one that is labelled as plain JSON: SAP brokers
//! send it so.

use http::header::CONTENT_TYPE;
use tidegate_event::{
    http::{Mode, decode_binary, mode},
    is_json, json,
};

use crate::{Error, Format, Input, Normalized};

/// Longest content type that an error repeats.
const SHOWN_MAX: usize = 100;

pub(crate) fn read(input: Input<'_>) -> Result<Normalized, Error> {
    match mode(input.headers).map_err(|error| of_mode(input.format, error))? {
        Some(Mode::Binary) => Ok(Normalized::One(decode_binary(
            input.headers,
            input.body,
            input.leniency,
        )?)),
        Some(Mode::Structured) => Ok(Normalized::One(json::decode(input.body, input.leniency)?)),
        Some(Mode::Batch) => {
            let batch = json::decode_batch(input.body, input.batch_events_max, input.leniency)?;
            Ok(Normalized::Batch(batch))
        }
        None => labelled_as_json(input),
    }
}

/// No CloudEvents content type and no `ce-specversion`: JSON that says itself that it is an
/// event, or none.
fn labelled_as_json(input: Input<'_>) -> Result<Normalized, Error> {
    let content_type = input.headers.get(CONTENT_TYPE);
    let may_be_json = content_type.is_none_or(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.is_empty() || is_json(value))
    });
    if may_be_json && json::is_event(&input.body) {
        return Ok(Normalized::One(json::decode(input.body, input.leniency)?));
    }
    // Kyma answers 400 to both.
    if may_be_json || input.format == Format::KymaPublish {
        return Err(Error::NotAnEvent);
    }
    let shown = content_type.map_or_else(String::new, |value| {
        String::from_utf8_lossy(value.as_bytes())
            .chars()
            .take(SHOWN_MAX)
            .collect()
    });
    Err(Error::MediaType {
        content_type: shown,
    })
}

fn of_mode(format: Format, error: tidegate_event::Error) -> Error {
    match (format, error) {
        (Format::CloudEvents, tidegate_event::Error::MediaType { value }) => Error::MediaType {
            content_type: value.to_string(),
        },
        (_, error) => Error::Event(error),
    }
}
