//! The way in: a request's parts, its format, and the events that it holds.

use bytes::Bytes;
use http::HeaderMap;
use tidegate_event::{Event, Leniency};

use crate::{Error, cloudevent, legacy, trace};

/// What a body is to be read as. The door decides, never the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// CloudEvents in any mode, by CloudEvents' rules alone.
    CloudEvents,
    /// CloudEvents in any mode, and Kyma's own rules for types and data on top.
    KymaPublish,
    /// The JSON document of Kyma's legacy door.
    KymaLegacy,
}

/// A request, as it came.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// What the body is to be read as.
    pub format: Format,
    /// The path's application, percent-decoded, where the door has one.
    pub application: Option<&'a str>,
    /// The request's headers.
    pub headers: &'a HeaderMap,
    /// The request's body.
    pub body: Bytes,
    /// How extension names that CloudEvents forbids are handled.
    pub leniency: Leniency,
    /// The most events that a batch may have.
    pub batch_events_max: usize,
}

/// What a request holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalized {
    /// One event, or those of a batch, in order.
    pub events: Vec<Event>,
    /// Whether the sender sent a batch.
    pub batch: bool,
}

/// Reads a request.
pub fn normalize(input: Input<'_>) -> Result<Normalized, Error> {
    let headers = input.headers;
    let mut normalized = match input.format {
        Format::CloudEvents => cloudevent::read(input)?,
        Format::KymaPublish => cloudevent::read_for_kyma(input)?,
        Format::KymaLegacy => Normalized {
            events: vec![legacy::read(
                input.application.unwrap_or_default(),
                &input.body,
            )?],
            batch: false,
        },
    };
    trace::add(headers, &mut normalized.events);
    Ok(normalized)
}
