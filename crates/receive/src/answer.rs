//! Answers: nothing on success, an RFC 9457 problem on failure, the legacy format at its door.

use std::time::Duration;

use axum::{body::Body, response::Response};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use serde::Serialize;

use crate::{Accepted, Door, EventOutcome, Refusal, SubscribedType, error::Error};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The body of a failure, as RFC 9457 has it.
#[derive(Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    events: &'a [EventOutcome],
}

/// The body of a failure at the legacy door.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LegacyProblem<'a> {
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'a str>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    more_info: Option<&'a str>,
}

#[derive(Serialize)]
struct LegacyAccepted<'a> {
    #[serde(rename = "event-id")]
    event_id: &'a str,
    status: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Subscribed<'a> {
    events_info: &'a [SubscribedType],
}

/// Everything is stored.
pub(crate) fn accepted(door: Door, accepted: &Accepted) -> Response {
    match door {
        Door::Publish | Door::Events | Door::ApplicationEvents | Door::ApplicationEventsV2 => {
            status(StatusCode::NO_CONTENT)
        }
        Door::Legacy => {
            let body = LegacyAccepted {
                event_id: &accepted.first_id,
                status: "",
                reason: "",
            };
            with_body(StatusCode::OK, JSON, line_of(&body))
        }
    }
}

/// Not everything is known to be stored.
pub(crate) fn refused(door: Door, refusal: Refusal) -> Response {
    let Refusal {
        code,
        status,
        title,
        detail,
        retry_after,
        legacy_body,
        events,
    } = refusal;
    let mut response = match (door, legacy_body) {
        (Door::Legacy, Some(body)) => with_body(status, JSON, body),
        (Door::Legacy, None) => legacy(status, None, &detail, None),
        (Door::Publish | Door::Events | Door::ApplicationEvents | Door::ApplicationEventsV2, _) => {
            problem(code, status, title, &detail, &events)
        }
    };
    set_retry_after(response.headers_mut(), retry_after);
    response
}

/// The doors themselves refuse.
pub(crate) fn error(door: Option<Door>, error: &Error) -> Response {
    let status = error.status();
    let mut response = match (door, error) {
        (Some(Door::Legacy), Error::BodyTooLarge { .. }) => legacy(
            status,
            Some("request_body_too_large"),
            "Request body too large",
            Some("http: request body too large"),
        ),
        (Some(Door::Legacy), _) => legacy(status, None, &error.to_string(), None),
        (_, _) => problem(error.code(), status, error.title(), &error.to_string(), &[]),
    };
    set_retry_after(response.headers_mut(), error.retry_after());
    response
}

/// What is subscribed of an application.
pub(crate) fn subscribed(types: &[SubscribedType]) -> Response {
    with_body(
        StatusCode::OK,
        JSON,
        line_of(&Subscribed { events_info: types }),
    )
}

/// A status without a body.
pub(crate) fn status(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A path below the legacy door that is none, in the words of Kyma's publisher.
pub(crate) fn legacy_not_found() -> Response {
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    let mut response = with_body(
        StatusCode::NOT_FOUND,
        text,
        "404 page not found\n".to_owned(),
    );
    response.headers_mut().insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// The bytes of an answer to a connection whose request is never read.
pub(crate) fn unread(error: &Error) -> String {
    let status = error.status();
    let body = problem_text(error.code(), status, error.title(), &error.to_string(), &[]);
    let retry_after = error
        .retry_after()
        .map(|after| format!("retry-after: {}\r\n", seconds(after)));
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/problem+json\r\n{}content-length: \
         {}\r\nconnection: close\r\n\r\n{body}",
        retry_after.unwrap_or_default(),
        body.len(),
    )
}

fn problem(
    code: &str,
    status: StatusCode,
    title: &str,
    detail: &str,
    events: &[EventOutcome],
) -> Response {
    with_body(
        status,
        PROBLEM_JSON,
        problem_text(code, status, title, detail, events),
    )
}

fn problem_text(
    code: &str,
    status: StatusCode,
    title: &str,
    detail: &str,
    events: &[EventOutcome],
) -> String {
    let r#type = format!("urn:tidegate:error:{code}");
    line_of(&Problem {
        r#type,
        title,
        status: status.as_u16(),
        detail,
        code,
        events,
    })
}

fn legacy(
    status: StatusCode,
    r#type: Option<&str>,
    message: &str,
    more_info: Option<&str>,
) -> Response {
    let body = LegacyProblem {
        status: status.as_u16(),
        r#type,
        message,
        more_info,
    };
    with_body(status, JSON, line_of(&body))
}

/// One line of JSON.
fn line_of(body: &impl Serialize) -> String {
    let mut line = serde_json::to_string(body).expect("text and numbers are always JSON");
    line.push('\n');
    line
}

fn with_body(status: StatusCode, content_type: HeaderValue, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn set_retry_after(headers: &mut HeaderMap, after: Option<Duration>) {
    if let Some(after) = after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds(after)));
    }
}

/// Whole seconds, rounded up, at least one: zero would mean "at once" to a sender in a loop.
fn seconds(duration: Duration) -> u64 {
    let more = u64::from(duration.subsec_nanos() > 0);
    duration.as_secs().saturating_add(more).max(1)
}

#[cfg(test)]
mod tests;
