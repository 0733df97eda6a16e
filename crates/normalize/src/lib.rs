//! Bytes and headers of a source format to CloudEvents: one module per format, pure functions.
//!
//! What is wrong is said here; which HTTP answer that becomes is not.

mod cloudevent;
mod config;
mod error;
mod identity;
mod kyma;
pub mod legacy;
mod trace;

use bytes::Bytes;
use http::HeaderMap;
use tidegate_event::{Event, Leniency};

pub use config::Config;
pub use error::Error;

/// How to read what came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// CloudEvents 1.0 or 0.3 in any mode.
    CloudEvents,
    /// The same with what Kyma's publisher refuses on top.
    KymaPublish,
    /// Kyma's legacy format, one event a request.
    KymaLegacy,
}

/// What came in.
#[derive(Debug)]
pub struct Input<'a> {
    /// How to read it.
    pub format: Format,
    /// Who sent it, as the path says, percent-decoded.
    pub application: Option<&'a str>,
    /// The request's headers.
    pub headers: &'a HeaderMap,
    /// The request's body.
    pub body: Bytes,
    /// What to do with names that no extension may have.
    pub leniency: Leniency,
    /// Most events of a batch.
    pub batch_events_max: usize,
}

/// The events of a request, in order.
#[expect(
    clippy::large_enum_variant,
    reason = "one event is the rule, and a box would cost it"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Normalized {
    /// One event.
    One(Event),
    /// A batch, possibly empty.
    Batch(Vec<Event>),
}

/// Reads a request.
pub fn normalize(input: Input<'_>) -> Result<Normalized, Error> {
    let headers = input.headers;
    let mut normalized = match input.format {
        Format::CloudEvents => cloudevent::read(input)?,
        Format::KymaPublish => {
            let normalized = cloudevent::read(input)?;
            normalized.events().iter().try_for_each(kyma::check)?;
            normalized
        }
        Format::KymaLegacy => {
            let application = input.application.unwrap_or_default();
            legacy::read(application, &input.body).map(Normalized::One)?
        }
    };
    if trace::is_present(headers) {
        normalized
            .events_mut()
            .iter_mut()
            .for_each(|event| trace::take(headers, event));
    }
    Ok(normalized)
}

impl Normalized {
    fn events(&self) -> &[Event] {
        match self {
            Self::One(event) => std::slice::from_ref(event),
            Self::Batch(events) => events,
        }
    }

    fn events_mut(&mut self) -> &mut [Event] {
        match self {
            Self::One(event) => std::slice::from_mut(event),
            Self::Batch(events) => events,
        }
    }
}
