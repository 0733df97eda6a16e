//! What an answer means (Knative data plane §"Retries"; CloudEvents web hook §2.2).

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tidegate_event::Event;

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The sink has it.
    Delivered {
        /// Its status.
        status: StatusCode,
        /// The event that it answered with, where somebody wants it.
        reply: Option<Box<Event>>,
    },
    /// The sink may take it later.
    Retry {
        /// Why it did not.
        failure: Failure,
        /// How long it asks to be left alone.
        after: Option<Duration>,
    },
    /// The sink will never take it.
    Rejected {
        /// Why.
        failure: Failure,
    },
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The stable code.
    pub code: &'static str,
    /// For people.
    pub detail: String,
    /// The sink's answer, if there was one.
    pub answer: Option<Answer>,
}

/// What a sink said of an event that it did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// How its body begins.
    pub body: Bytes,
}

impl Outcome {
    /// The code of the failure, if it is one.
    pub(crate) fn failed(&self) -> Option<&'static str> {
        match self {
            Self::Delivered { .. } => None,
            Self::Retry { failure, .. } | Self::Rejected { failure } => Some(failure.code),
        }
    }
}

/// The code of a sink that wants nothing any more.
pub const GONE: &str = "deliver/gone";

/// Every code of a [`Failure`].
pub(crate) const CODES: [&str; 13] = [
    "deliver/status-retryable",
    "deliver/status-rejected",
    "deliver/redirect",
    "deliver/timeout",
    "deliver/first-byte-timeout",
    "deliver/malformed-reply",
    "deliver/early-answer",
    "deliver/answer-too-long",
    "deliver/egress",
    "deliver/credentials",
    "deliver/connect",
    "deliver/transport",
    GONE,
];

/// What a status means: 2xx delivered; 404, 408, 409, 425, 429 and 5xx may pass; everything else
/// does not. A redirect is not followed: it could turn the request into a GET without the event.
pub fn classify(status: StatusCode, after: Option<Duration>, body: Bytes) -> Outcome {
    let failure = |code| Failure {
        code,
        detail: format!("the sink answered {status}"),
        answer: Some(Answer { status, body }),
    };
    match status.as_u16() {
        200..=299 => Outcome::Delivered {
            status,
            reply: None,
        },
        404 | 408 | 409 | 425 | 429 | 500..=599 => Outcome::Retry {
            failure: failure("deliver/status-retryable"),
            after,
        },
        300..=399 => Outcome::Rejected {
            failure: failure("deliver/redirect"),
        },
        410 => Outcome::Rejected {
            failure: failure(GONE),
        },
        _ => Outcome::Rejected {
            failure: failure("deliver/status-rejected"),
        },
    }
}

/// A failure without an answer: it may pass.
pub(crate) fn without_answer(code: &'static str, detail: String) -> Outcome {
    Outcome::Retry {
        failure: Failure {
            code,
            detail,
            answer: None,
        },
        after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16) -> Outcome {
        classify(StatusCode::from_u16(status).unwrap(), None, Bytes::new())
    }

    /// The table of the Knative data plane; an event must be neither dropped early nor tried
    /// for ever.
    #[test]
    fn statuses_mean_what_the_specifications_say() {
        for status in [200, 202, 204, 299] {
            assert!(matches!(of(status), Outcome::Delivered { .. }), "{status}");
        }
        for status in [404, 408, 409, 425, 429, 500, 503, 599] {
            assert!(matches!(of(status), Outcome::Retry { .. }), "{status}");
        }
        for status in [301, 302, 304, 307, 400, 401, 403, 405, 410, 413, 415, 422] {
            assert!(matches!(of(status), Outcome::Rejected { .. }), "{status}");
        }
    }
}
