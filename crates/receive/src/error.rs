//! What the doors refuse by themselves, before anything is understood of the events.

use std::{fmt, time::Duration};

use http::{Method, StatusCode};

/// When to come again after something that passes within moments.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// When to come again after something that takes a restart.
const RETRY_AFTER_RESTART: Duration = Duration::from_secs(5);

/// Most characters of a sender's own text that are given back; every registered method and coding
/// is shorter.
const TEXT_CHARS_MAX: usize = 32;

/// A request that the doors refuse.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the body has {} bytes, the limit is {bytes_max}", AtLeast(*declared, *bytes_max))]
    BodyTooLarge {
        declared: Option<u64>,
        bytes_max: u64,
    },
    #[error("the body was not here within {0:?}")]
    BodyTimeout(Duration),
    #[error("the body ended early")]
    BodyIncomplete(#[source] axum::Error),
    #[error("requests that wait hold too many bytes together, the limit is {bytes_max}")]
    BufferFull { bytes_max: u64 },
    #[error("no answer within {0:?}; the events may be stored")]
    RequestTimeout(Duration),
    #[error("nothing is at this path")]
    UnknownPath,
    #[error("{} is not possible here, the header Allow says what is", cut(.0.as_str()))]
    MethodNotAllowed(Method),
    #[error("the body is encoded as {:?}, only identity is taken", cut(.0))]
    ContentEncoding(String),
    #[error("the topic in the path must be percent-encoded UTF-8 of at most 255 bytes")]
    InvalidTopic,
    #[error("{0}")]
    InvalidHandshake(&'static str),
    #[error("the request has {count} headers, the limit is {count_max}")]
    HeadersTooMany { count: usize, count_max: usize },
    #[error("the headers have {bytes} bytes together, the limit is {bytes_max}")]
    HeadersTooLarge { bytes: u64, bytes_max: u64 },
    #[error("{connections_max} connections are open, which is the limit")]
    ConnectionsFull { connections_max: usize },
    #[error("the gateway is shutting down")]
    ShuttingDown,
    #[error("{0}")]
    NotReady(String),
}

impl Error {
    /// Every code, for the test that each has its page.
    #[cfg(test)]
    pub(crate) const CODES: [&str; 14] = [
        "receive/body-incomplete",
        "receive/body-timeout",
        "receive/body-too-large",
        "receive/buffer-full",
        "receive/connections-full",
        "receive/content-encoding",
        "receive/headers-too-large",
        "receive/invalid-handshake",
        "receive/invalid-topic",
        "receive/method-not-allowed",
        "receive/not-ready",
        "receive/request-timeout",
        "receive/shutting-down",
        "receive/unknown-path",
    ];

    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::BodyTooLarge { .. } => "receive/body-too-large",
            Self::BodyTimeout(_) => "receive/body-timeout",
            Self::BodyIncomplete(_) => "receive/body-incomplete",
            Self::BufferFull { .. } => "receive/buffer-full",
            Self::RequestTimeout(_) => "receive/request-timeout",
            Self::UnknownPath => "receive/unknown-path",
            Self::MethodNotAllowed(_) => "receive/method-not-allowed",
            Self::ContentEncoding(_) => "receive/content-encoding",
            Self::HeadersTooMany { .. } | Self::HeadersTooLarge { .. } => {
                "receive/headers-too-large"
            }
            Self::InvalidTopic => "receive/invalid-topic",
            Self::InvalidHandshake(_) => "receive/invalid-handshake",
            Self::ConnectionsFull { .. } => "receive/connections-full",
            Self::ShuttingDown => "receive/shutting-down",
            Self::NotReady(_) => "receive/not-ready",
        }
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout(_) => StatusCode::REQUEST_TIMEOUT,
            Self::BodyIncomplete(_) | Self::InvalidTopic | Self::InvalidHandshake(_) => {
                StatusCode::BAD_REQUEST
            }
            Self::BufferFull { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::HeadersTooMany { .. } | Self::HeadersTooLarge { .. } => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::RequestTimeout(_)
            | Self::ConnectionsFull { .. }
            | Self::ShuttingDown
            | Self::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What kind of failure this is.
    pub(crate) fn title(&self) -> &'static str {
        match self {
            Self::BodyTooLarge { .. } => "The body is too large",
            Self::BodyTimeout(_) => "The body came too slowly",
            Self::BodyIncomplete(_) => "The body is incomplete",
            Self::BufferFull { .. } => "Too much is being received",
            Self::RequestTimeout(_) => "The request took too long",
            Self::UnknownPath => "Unknown path",
            Self::MethodNotAllowed(_) => "Method not allowed",
            Self::ContentEncoding(_) => "Unsupported content encoding",
            Self::HeadersTooMany { .. } | Self::HeadersTooLarge { .. } => {
                "The headers are too large"
            }
            Self::InvalidTopic => "Invalid topic",
            Self::InvalidHandshake(_) => "Invalid handshake",
            Self::ConnectionsFull { .. } => "Too many connections",
            Self::ShuttingDown => "Shutting down",
            Self::NotReady(_) => "Not ready",
        }
    }

    /// When to come again, where that helps.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::BufferFull { .. } | Self::ConnectionsFull { .. } => Some(RETRY_AFTER),
            Self::RequestTimeout(_) | Self::ShuttingDown | Self::NotReady(_) => {
                Some(RETRY_AFTER_RESTART)
            }
            Self::BodyTooLarge { .. }
            | Self::BodyTimeout(_)
            | Self::BodyIncomplete(_)
            | Self::UnknownPath
            | Self::MethodNotAllowed(_)
            | Self::ContentEncoding(_)
            | Self::InvalidTopic
            | Self::InvalidHandshake(_)
            | Self::HeadersTooMany { .. }
            | Self::HeadersTooLarge { .. } => None,
        }
    }
}

/// The beginning of a sender's own text, enough to know it again.
fn cut(text: &str) -> &str {
    text.char_indices()
        .nth(TEXT_CHARS_MAX)
        .and_then(|(at, _)| text.get(..at))
        .unwrap_or(text)
}

/// A size that was announced, or only that it is above the limit.
struct AtLeast(Option<u64>, u64);

impl fmt::Display for AtLeast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(Some(bytes), _) => write!(f, "{bytes}"),
            Self(None, bytes_max) => write!(f, "more than {bytes_max}"),
        }
    }
}
