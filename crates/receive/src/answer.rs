//! Answers: nothing on success, an RFC 9457 problem on failure; at doors whose senders read
//! another form, that one.

mod xml;

use std::time::Duration;

use axum::{body::Body, response::Response};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Serialize;

use crate::{Accepted, Door, EventOutcome, Refusal, SubscribedType, error::Error};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const XML: HeaderValue = HeaderValue::from_static("text/xml; charset=utf-8");
/// As cXML's own documents write it.
const XML_UPPER: HeaderValue = HeaderValue::from_static("text/xml; charset=UTF-8");

/// When to come again after a body that came too slowly.
const RETRY_AFTER_SLOW: Duration = Duration::from_secs(1);

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
        Door::Publish
        | Door::Events
        | Door::ApplicationEvents
        | Door::ApplicationEventsV2
        | Door::EventMeshRest
        | Door::EventMeshEventsApi => status(StatusCode::NO_CONTENT),
        Door::Legacy => {
            let body = LegacyAccepted {
                event_id: &accepted.first_id,
                status: "",
                reason: "",
            };
            with_body(StatusCode::OK, JSON, line_of(&body))
        }
        Door::EventHub | Door::EventMeshWebhook | Door::WebHook(_) => {
            status(accepted.status.unwrap_or(StatusCode::OK))
        }
        Door::SuccessFactors => with_body(StatusCode::OK, XML, xml::soap_accepted()),
        Door::Idoc => with_body(StatusCode::OK, XML, xml::idoc_accepted(accepted)),
        Door::Cxml => {
            let body = xml::cxml(StatusCode::OK, "OK", "");
            with_body(StatusCode::OK, XML_UPPER, body)
        }
    }
}

/// Not everything is known to be stored.
pub(crate) fn refused(door: Door, refusal: Refusal) -> Response {
    let failure = Failure {
        code: refusal.code,
        status: refusal.status,
        title: refusal.title,
        detail: &refusal.detail,
        events: &refusal.events,
    };
    let mut response = match (door, refusal.legacy_body) {
        (Door::Legacy, Some(body)) => with_body(refusal.status, JSON, body),
        (_, _) => failure.at(Some(door)),
    };
    let headers = response.headers_mut();
    if let Some(challenge) = refusal.www_authenticate {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    set_retry_after(headers, refusal.retry_after);
    response
}

/// A failure, as every form of answer tells it.
struct Failure<'a> {
    code: &'a str,
    status: StatusCode,
    title: &'a str,
    detail: &'a str,
    events: &'a [EventOutcome],
}

impl Failure<'_> {
    /// In the form that the door's senders read.
    fn at(&self, door: Option<Door>) -> Response {
        let Self {
            code,
            status,
            title,
            detail,
            events,
        } = self;
        match door {
            Some(Door::Legacy) => legacy(*status, None, detail, None),
            Some(Door::SuccessFactors) => {
                with_body(*status, XML, xml::soap_fault(*status, code, detail))
            }
            Some(Door::Idoc) => with_body(*status, XML, xml::idoc_refused(code, detail)),
            Some(Door::Cxml) => {
                let body = xml::cxml(*status, title, &format!("{detail} ({code})"));
                with_body(*status, XML_UPPER, body)
            }
            Some(
                Door::Publish
                | Door::Events
                | Door::ApplicationEvents
                | Door::ApplicationEventsV2
                | Door::EventHub
                | Door::EventMeshWebhook
                | Door::EventMeshRest
                | Door::EventMeshEventsApi
                | Door::WebHook(_),
            )
            | None => problem(code, *status, title, detail, events),
        }
    }
}

/// The doors themselves refuse.
pub(crate) fn error(door: Option<Door>, error: &Error) -> Response {
    let (mut status, mut retry_after) = (error.status(), error.retry_after());
    if status == StatusCode::REQUEST_TIMEOUT && door.is_some_and(Door::is_impatient) {
        status = StatusCode::SERVICE_UNAVAILABLE;
        retry_after = Some(RETRY_AFTER_SLOW);
    }
    let mut response = match (door, error) {
        (Some(Door::Legacy), Error::BodyTooLarge { .. }) => legacy(
            status,
            Some("request_body_too_large"),
            "Request body too large",
            Some("http: request body too large"),
        ),
        (_, _) => {
            let failure = Failure {
                code: error.code(),
                status,
                title: error.title(),
                detail: &error.to_string(),
                events: &[],
            };
            failure.at(door)
        }
    };
    set_retry_after(response.headers_mut(), retry_after);
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
