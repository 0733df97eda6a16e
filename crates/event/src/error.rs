//! What is wrong with an event, under a stable code.
//!
//! Values are repeated cut short: an error ends in answers and logs. Data is never repeated.

/// Most characters of a name or value that an error repeats: enough to find it again.
const REPEATED_CHARS_MAX: usize = 100;

/// Why bytes and headers are no legal event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A required attribute is not there.
    #[error("the attribute {name} is missing")]
    MissingAttribute {
        /// The attribute.
        name: &'static str,
    },
    /// A value that the attribute's type forbids.
    #[error("the attribute {name} is {value:?}: {reason}")]
    InvalidAttribute {
        /// The attribute, cut after 100 characters.
        name: String,
        /// Its value, cut after 100 characters.
        value: String,
        /// The rule.
        reason: &'static str,
    },
    /// The same attribute, or the same member, twice.
    #[error("the attribute {name} is there more than once")]
    DuplicateAttribute {
        /// The attribute, cut after 100 characters.
        name: String,
    },
    /// A name that no extension attribute may have.
    #[error(
        "{name:?} is no name of an extension attribute: lower-case ASCII letters and digits, at \
         most {bytes_max}, and no reserved name",
        bytes_max = crate::Name::BYTES_MAX
    )]
    InvalidName {
        /// The name, cut after 100 characters.
        name: String,
    },
    /// More extension attributes than an event may have here.
    #[error("the event has more than {extensions_max} extension attributes")]
    TooManyAttributes {
        /// The limit.
        extensions_max: usize,
    },
    /// A version of CloudEvents that is neither 1.0 nor 0.3.
    #[error("specversion is {value:?}, known are \"1.0\" and \"0.3\"")]
    UnknownSpecversion {
        /// The version, cut after 100 characters.
        value: String,
    },
    /// Not JSON.
    #[error("the body is no JSON text: {detail}")]
    InvalidJson {
        /// What the parser says, with line and column.
        detail: String,
    },
    /// The data contradicts what the event says about it.
    #[error("the data is invalid: {reason}")]
    InvalidData {
        /// The rule.
        reason: &'static str,
    },
    /// More events than a batch may have.
    #[error("the batch has more than {events_max} events")]
    BatchTooLarge {
        /// The limit.
        events_max: usize,
    },
    /// JSON, but not of an event's or batch's shape.
    #[error("not an event: {reason}")]
    NotAnEvent {
        /// The rule.
        reason: &'static str,
    },
    /// A CloudEvents media type that is not read here.
    #[error(
        "{media_type:?} is not supported, application/cloudevents+json and \
         application/cloudevents-batch+json are"
    )]
    UnsupportedMediaType {
        /// The `Content-Type`, cut after 100 characters.
        media_type: String,
    },
    /// JSON in something else than UTF-8.
    #[error("the charset {charset:?} is not supported, utf-8 is")]
    UnsupportedCharset {
        /// The parameter's value, cut after 100 characters.
        charset: String,
    },
    /// One event of a batch is wrong.
    #[error("event {index} of the batch: {error}")]
    InBatch {
        /// Its place, from 0.
        index: usize,
        /// What is wrong with it.
        #[source]
        error: Box<Error>,
    },
}

impl Error {
    /// Every code there is.
    pub const CODES: [&str; 12] = [
        "event/batch-too-large",
        "event/duplicate-attribute",
        "event/invalid-attribute",
        "event/invalid-data",
        "event/invalid-json",
        "event/invalid-name",
        "event/missing-attribute",
        "event/not-an-event",
        "event/too-many-attributes",
        "event/unknown-specversion",
        "event/unsupported-charset",
        "event/unsupported-media-type",
    ];

    /// The stable code; in a batch, that of the event's own error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingAttribute { .. } => "event/missing-attribute",
            Self::InvalidAttribute { .. } => "event/invalid-attribute",
            Self::DuplicateAttribute { .. } => "event/duplicate-attribute",
            Self::InvalidName { .. } => "event/invalid-name",
            Self::TooManyAttributes { .. } => "event/too-many-attributes",
            Self::UnknownSpecversion { .. } => "event/unknown-specversion",
            Self::InvalidJson { .. } => "event/invalid-json",
            Self::InvalidData { .. } => "event/invalid-data",
            Self::BatchTooLarge { .. } => "event/batch-too-large",
            Self::NotAnEvent { .. } => "event/not-an-event",
            Self::UnsupportedMediaType { .. } => "event/unsupported-media-type",
            Self::UnsupportedCharset { .. } => "event/unsupported-charset",
            Self::InBatch { error, .. } => error.code(),
        }
    }

    /// Which event of a batch is wrong, from 0.
    pub fn index(&self) -> Option<usize> {
        match self {
            Self::InBatch { index, .. } => Some(*index),
            Self::MissingAttribute { .. }
            | Self::InvalidAttribute { .. }
            | Self::DuplicateAttribute { .. }
            | Self::InvalidName { .. }
            | Self::TooManyAttributes { .. }
            | Self::UnknownSpecversion { .. }
            | Self::InvalidJson { .. }
            | Self::InvalidData { .. }
            | Self::BatchTooLarge { .. }
            | Self::NotAnEvent { .. }
            | Self::UnsupportedMediaType { .. }
            | Self::UnsupportedCharset { .. } => None,
        }
    }

    pub(crate) fn invalid(name: &str, value: &str, reason: &'static str) -> Self {
        Self::InvalidAttribute {
            name: cut(name),
            value: cut(value),
            reason,
        }
    }

    pub(crate) fn duplicate(name: &str) -> Self {
        Self::DuplicateAttribute { name: cut(name) }
    }

    pub(crate) fn in_batch(self, index: usize) -> Self {
        Self::InBatch {
            index,
            error: Box::new(self),
        }
    }
}

/// Text as an error repeats it.
pub(crate) fn cut(text: &str) -> String {
    text.chars().take(REPEATED_CHARS_MAX).collect()
}
