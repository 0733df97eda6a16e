//! A sink's address, taken apart once.

use http::Uri;

/// The address of a sink.
#[derive(Clone, Debug)]
pub struct Sink {
    pub(crate) uri: Uri,
}

/// An address that no request can be made to.
#[derive(Debug, thiserror::Error)]
#[error("sink {sink}: {reason}")]
pub struct SinkError {
    sink: String,
    reason: String,
}

/// How a sink sees an event, beside what the event says itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// The type, in the place of the event's own.
    pub r#type: Option<&'a str>,
    /// Whether `ce-originaltype` repeats the event's own type, as Kyma's sinks know it.
    pub original_type: bool,
}

impl Sink {
    /// The sink at an http or https address.
    pub fn new(address: &str) -> Result<Self, SinkError> {
        let error = |reason: &str| SinkError {
            sink: address.to_owned(),
            reason: reason.to_owned(),
        };
        let uri: Uri = address.parse().map_err(|_| error("not an address"))?;
        match (uri.scheme_str(), uri.authority()) {
            (Some("http" | "https"), Some(_)) => Ok(Self { uri }),
            _ => Err(error("must be http:// or https:// with a host")),
        }
    }
}
