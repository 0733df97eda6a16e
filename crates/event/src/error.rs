//! What is wrong with something that should be an event.

use std::fmt;

/// Longest value that an error repeats, in characters: enough to find it, not enough to leak data.
const SHOWN_MAX: usize = 100;

/// Why bytes or attributes are no CloudEvents event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A required attribute is absent.
    #[error("{attribute}: required attribute is missing")]
    Missing {
        /// Which.
        attribute: &'static str,
    },
    /// An attribute has a value that the specification does not allow.
    #[error("{attribute}: {reason}, got {value}")]
    Invalid {
        /// Which.
        attribute: String,
        /// What is wrong.
        reason: &'static str,
        /// The value, cut.
        value: Shown,
    },
    /// An attribute stands twice.
    #[error("{attribute}: stands more than once")]
    Duplicate {
        /// Which.
        attribute: String,
    },
    /// A name that no extension may have.
    #[error("{name}: not a legal attribute name, which is of lower-case letters and digits")]
    Name {
        /// The name, cut.
        name: Shown,
    },
    /// A version of the specification that is not known here.
    #[error("specversion: 1.0 and 0.3 are understood, got {value}")]
    Specversion {
        /// The value, cut.
        value: Shown,
    },
    /// Not a JSON object, or not JSON at all.
    #[error("not a JSON event: {reason}")]
    Json {
        /// What the parser says; it repeats no data.
        reason: String,
    },
    /// `data` or `data_base64` cannot be read.
    #[error("{reason}")]
    Data {
        /// What is wrong.
        reason: &'static str,
    },
    /// A media type of CloudEvents that is not understood here.
    #[error(
        "content type {value} is not understood; application/cloudevents+json and application/cloudevents-batch+json are"
    )]
    MediaType {
        /// The value, cut.
        value: Shown,
    },
    /// More events than a batch may hold.
    #[error("the batch has more than {events_max} events")]
    BatchTooLarge {
        /// The limit.
        events_max: usize,
    },
    /// One event of a batch is wrong.
    #[error("event {index} of the batch: {error}")]
    InBatch {
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        error: Box<Error>,
    },
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "event/missing-attribute",
            Self::Invalid { .. } => "event/invalid-attribute",
            Self::Duplicate { .. } => "event/duplicate-attribute",
            Self::Name { .. } => "event/invalid-attribute-name",
            Self::Specversion { .. } => "event/unknown-specversion",
            Self::Json { .. } => "event/invalid-json",
            Self::Data { .. } => "event/invalid-data",
            Self::MediaType { .. } => "event/unknown-media-type",
            Self::BatchTooLarge { .. } => "event/batch-too-large",
            Self::InBatch { error, .. } => error.code(),
        }
    }

    /// An attribute whose value no rule allows.
    pub fn invalid(attribute: &str, reason: &'static str, value: impl AsRef<[u8]>) -> Self {
        Self::Invalid {
            attribute: Shown::new(attribute).0,
            reason,
            value: Shown::new(value),
        }
    }
}

/// A value as an error shows it: quoted, cut, without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    pub(crate) fn new(value: impl AsRef<[u8]>) -> Self {
        let text = String::from_utf8_lossy(value.as_ref());
        let mut shown: String = text
            .chars()
            .take(SHOWN_MAX)
            .map(|char| if char.is_control() { '\u{fffd}' } else { char })
            .collect();
        if text.chars().nth(SHOWN_MAX).is_some() {
            shown.push('…');
        }
        Self(shown)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}
