//! The one place where a failure becomes an HTTP answer.

use std::time::Duration;

use http::StatusCode;
use tidegate_backbone::Stored;
use tidegate_identity::Refused;
use tidegate_normalize::legacy;
use tidegate_receive::{Door, EventOutcome, Refusal};

use super::sender::Denied;

/// When a sender may come again after something that passes by itself.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// When a sender may come again after the log was full or away: it takes people, or a restart.
const RETRY_AFTER_OUTAGE: Duration = Duration::from_secs(5);

/// The request is no event, or not a legal one.
pub(super) fn of_input(door: Door, error: &tidegate_normalize::Error) -> Refusal {
    use tidegate_normalize::Error;
    let (status, legacy_body) = match error {
        Error::Event(tidegate_event::Error::BatchTooLarge { .. })
        | Error::TooManyEvents { .. }
        | Error::RepeatsTooMuch { .. } => (StatusCode::PAYLOAD_TOO_LARGE, None),
        Error::MediaType { .. } => (StatusCode::UNSUPPORTED_MEDIA_TYPE, None),
        Error::Legacy(refusal) => (StatusCode::BAD_REQUEST, Some(refusal.body())),
        Error::Event(_)
        | Error::NotAnEvent
        | Error::JsonTooDeep
        | Error::Json { .. }
        | Error::Xml { .. }
        | Error::XmlDeclarations
        | Error::Member { .. }
        | Error::Mapping { .. }
        | Error::NoTopic
        | Error::QualityOfService
        | Error::EmptySegment { .. }
        | Error::PrefixedType { .. }
        | Error::NotJson { .. } => (StatusCode::BAD_REQUEST, None),
    };
    let detail = error.to_string();
    let refusal = refusal(error.code(), status, detail, None);
    Refusal {
        legacy_body,
        ..refusal
    }
    .at(door)
}

/// The event was not stored.
pub(super) fn of_publish(door: Door, error: &tidegate_publish::Error) -> Refusal {
    use tidegate_publish::Error;
    let (status, retry_after) = match error {
        Error::SubjectTooLong(_) => (StatusCode::BAD_REQUEST, None),
        Error::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, None),
        Error::Busy { .. } => (StatusCode::TOO_MANY_REQUESTS, Some(RETRY_AFTER)),
        Error::StorageFull { .. } => (StatusCode::INSUFFICIENT_STORAGE, Some(RETRY_AFTER_OUTAGE)),
        Error::Unreachable { .. } => (StatusCode::SERVICE_UNAVAILABLE, Some(RETRY_AFTER_OUTAGE)),
        Error::Refused(_) => (StatusCode::SERVICE_UNAVAILABLE, Some(RETRY_AFTER_OUTAGE)),
    };
    refusal(error.code(), status, error.to_string(), retry_after).at(door)
}

/// The sender could not prove who it is.
pub(super) fn of_identity(door: Door, refused: Refused) -> Refusal {
    Refusal {
        www_authenticate: refused.www_authenticate,
        ..refusal(
            refused.code,
            refused.status,
            refused.detail.to_owned(),
            refused.retry_after,
        )
    }
    .at(door)
}

/// Nobody who may send without an identity.
pub(super) fn of_stranger(door: Door) -> Refusal {
    let detail = "this address may not send without an identity; see receive.anonymous";
    let status = StatusCode::UNAUTHORIZED;
    refusal("identity/unauthenticated", status, detail.to_owned(), None).at(door)
}

/// The sender may not send this event.
pub(super) fn of_denied(door: Door, denied: Denied) -> Refusal {
    refusal(denied.code, StatusCode::FORBIDDEN, denied.detail, None).at(door)
}

/// The sender has sent more than it may.
pub(super) fn of_quota(door: Door, wait: Duration) -> Refusal {
    let detail = "the application has used up its limits.eventsPerSecond or bytesPerSecond";
    let status = StatusCode::TOO_MANY_REQUESTS;
    refusal(
        "identity/quota-exceeded",
        status,
        detail.to_owned(),
        Some(wait),
    )
    .at(door)
}

fn refusal(
    code: &'static str,
    status: StatusCode,
    detail: String,
    retry_after: Option<Duration>,
) -> Refusal {
    let title = status.canonical_reason().unwrap_or("Refused");
    Refusal {
        code,
        status,
        title,
        detail,
        retry_after,
        www_authenticate: None,
        legacy_body: None,
        events: Vec::new(),
    }
}

/// Some events of a batch were not stored; the first failure gives the status.
pub(super) fn of_batch(
    door: Door,
    results: &[Result<Stored, tidegate_publish::Error>],
) -> Option<Refusal> {
    let first = results.iter().find_map(|result| result.as_ref().err())?;
    let stored = results.iter().filter(|result| result.is_ok()).count();
    let mut refusal = of_publish(door, first);
    refusal.detail = format!("{stored} of {} events are stored: {first}", results.len());
    refusal.events = results
        .iter()
        .enumerate()
        .map(|(index, result)| EventOutcome {
            index,
            stored: result.is_ok(),
            code: result.as_ref().err().map(tidegate_publish::Error::code),
            detail: result.as_ref().err().map(ToString::to_string),
        })
        .collect();
    Some(refusal)
}

/// The legacy door has bodies of its own for what the log does.
trait At {
    fn at(self, door: Door) -> Self;
}

impl At for Refusal {
    fn at(mut self, door: Door) -> Self {
        if door == Door::Legacy && self.legacy_body.is_none() {
            self.legacy_body = Some(legacy::backend(self.status.as_u16(), &self.detail));
        }
        self
    }
}
