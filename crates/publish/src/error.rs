//! Why an event is not known to be stored.

use std::time::Duration;

use tidegate_backbone::{AppendError, subject::TooLong};

/// An event that was not stored, or is not known to be.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Source and type together make a longer subject than the log takes.
    #[error("source and type are too long together: {0}")]
    SubjectTooLong(#[from] TooLong),
    /// The event is larger than the log takes.
    #[error("the event has {bytes} bytes with its attributes, the log takes {bytes_max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Too much waits for its acknowledgement already.
    #[error("too many events wait for storage: the limit is {limit}")]
    Busy {
        /// The limit, with its unit.
        limit: String,
    },
    /// The log has no room left.
    #[error("the event log is full: {detail}")]
    StorageFull {
        /// The log's own words.
        detail: String,
    },
    /// No durable acknowledgement within the deadline.
    #[error("not stored within {waited:?}: {last}")]
    Unreachable {
        /// How long it was tried.
        waited: Duration,
        /// The last failure.
        last: AppendError,
    },
    /// The log refused the event.
    #[error("{0}")]
    Refused(AppendError),
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SubjectTooLong(_) => "publish/subject-too-long",
            Self::TooLarge { .. } => "publish/too-large",
            Self::Busy { .. } => "publish/busy",
            Self::StorageFull { .. } => "publish/storage-full",
            Self::Unreachable { .. } => "publish/unreachable",
            Self::Refused(_) => "publish/refused",
        }
    }
}
