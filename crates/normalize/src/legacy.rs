//! Kyma's legacy format: `{"event-type", "event-type-version", "event-id", "event-time", "data"}`.
//!
//! The order of checks, the answers and the reading of JSON are those of Kyma's publisher, which
//! is written in Go. One request is one event here; Kyma makes two of it.

mod body;
mod go_json;
mod go_value;

use bytes::Bytes;
use bytestring::ByteString;
use serde_json::value::RawValue;
use tidegate_event::{Event, Name, Value, is_timestamp, validate};

pub use body::{Refusal, backend, body_too_large, success};

use crate::{
    Error,
    identity::{Occurrence, derived_id},
    kyma,
    made::Payload,
};
use go_value::Request;

/// Reads the one event of a request.
pub(crate) fn read(application: &str, body: &Bytes) -> Result<Event, Error> {
    if body.is_empty() {
        return Err(Refusal::syntax("Bad payload syntax").into());
    }
    let request = go_value::request(body).map_err(Refusal::syntax)?;
    let data = check(&request)?;
    let name = format!("{}.{}", request.event_type, request.event_type_version);
    if let Err(Error::EmptySegment { cleaned }) = kyma::check_segments(application, &name) {
        let error = Error::EmptySegment { cleaned };
        return Err(Refusal::syntax(error.to_string()).into());
    }
    let id = if request.event_id.is_empty() {
        let occurrence = Occurrence {
            format: "kyma-legacy",
            source: application,
            r#type: &name,
            subject: "",
            time: &request.event_time,
        };
        let data = body.slice_ref(data.get().as_bytes());
        derived_id(&occurrence, &Payload::Json(data))
    } else {
        request.event_id.clone()
    };
    let mut event = Event::new(id, application, name);
    event.time = Some(request.event_time.as_str().into());
    event.datacontenttype = Some(ByteString::from_static("application/json"));
    event.data = Some(body.slice_ref(data.get().as_bytes()));
    let version = Value::from(request.event_type_version.as_str());
    event
        .extensions
        .insert(Name::from_static("eventtypeversion"), version);
    // Control characters, and sources that are no URI: Kyma stores what nobody can read then.
    validate(&event).map_err(|error| Refusal::syntax(error.to_string()))?;
    Ok(event)
}

/// Kyma's checks in Kyma's order.
fn check<'a>(request: &Request<'a>) -> Result<&'a RawValue, Refusal> {
    let present = |value: &str, field| {
        if value.is_empty() {
            Err(Refusal::missing(field))
        } else {
            Ok(())
        }
    };
    present(&request.event_type, "event-type")?;
    present(&request.event_type_version, "event-type-version")?;
    // Unanchored in Kyma: one such character anywhere is enough.
    if !request
        .event_type_version
        .bytes()
        .any(|byte| byte.is_ascii_alphanumeric())
    {
        return Err(Refusal::invalid("event-type-version"));
    }
    present(&request.event_time, "event-time")?;
    if !is_timestamp(&request.event_time) {
        return Err(Refusal::invalid("event-time"));
    }
    if !request.event_id.is_empty() && !is_uuid(&request.event_id) {
        return Err(Refusal::invalid("event-id"));
    }
    match request.data {
        Some(data) if data.get() != "null" && data.get() != "\"\"" => Ok(data),
        _ => Err(Refusal::missing("data")),
    }
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups
            .iter()
            .all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
