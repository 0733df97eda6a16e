//! SAP Event Mesh: its web hooks, its messaging REST API, its CloudEvents API.
//!
//! A message that is no CloudEvent gets its type and source from its topic.

use bytestring::ByteString;
use http::header::CONTENT_TYPE;

use crate::{
    Error, Events, Request, cloudevent, cloudevent_0_1,
    made::{Made, Payload},
    source::segment,
};

/// Between the name of a source and the name of a type.
const CLOUD_EVENTS: &str = "/ce/";

/// Segments of a topic that name its source, where nothing else says it.
const SOURCE_SEGMENTS: usize = 3;

/// A web hook of a queue.
pub(crate) fn read_web_hook(request: &mut Request<'_>) -> Result<Events, Error> {
    if let Some(events) = read_event(request)? {
        return Ok(events);
    }
    let address = request.headers.get("x-address");
    let address = address.and_then(|address| std::str::from_utf8(address.as_bytes()).ok());
    let topic = address
        .and_then(|address| address.trim().strip_prefix("topic:"))
        .map(ToOwned::to_owned);
    message(topic.as_deref(), request)
}

/// A message sent to a topic or queue.
pub(crate) fn read_rest(request: &mut Request<'_>) -> Result<Events, Error> {
    let quality = request.headers.get("x-qos");
    if !quality.is_some_and(|quality| ["0", "1"].iter().any(|known| quality == known)) {
        return Err(Error::QualityOfService);
    }
    if let Some(events) = read_event(request)? {
        return Ok(events);
    }
    let topic = request.topic;
    message(topic, request)
}

/// An event sent to the API for CloudEvents.
pub(crate) fn read_events_api(request: &mut Request<'_>) -> Result<Events, Error> {
    read_event(request)?.ok_or(Error::NotAnEvent)
}

fn read_event(request: &mut Request<'_>) -> Result<Option<Events>, Error> {
    if cloudevent::is_event(request)? {
        return cloudevent::read(request).map(Some);
    }
    if cloudevent_0_1::is_one(&request.body) {
        return cloudevent_0_1::read(request).map(Some);
    }
    Ok(None)
}

fn message(topic: Option<&str>, request: &mut Request<'_>) -> Result<Events, Error> {
    let topic = topic.unwrap_or_default().trim_matches('/');
    let (source, r#type) = named(topic).ok_or(Error::NoTopic)?;
    let content_type = request.headers.get(CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .filter(|value| !value.is_empty());
    let payload = match content_type {
        // Without a content type JSON is what these systems send.
        None if serde_json::from_slice::<serde::de::IgnoredAny>(&request.body).is_ok() => {
            Payload::Json(request.body.clone())
        }
        Some("application/json") => Payload::Json(request.body.clone()),
        other => Payload::Other(request.body.clone(), other.map(ByteString::from)),
    };
    let made = Made {
        id: None,
        source: source.into(),
        r#type: r#type.into(),
        subject: None,
        time: None,
        extensions: Vec::new(),
        payload,
    };
    made.finish(request).map(Events::One)
}

/// Source and type of a topic: what stands before and after `/ce/`; else the first segments and
/// the rest.
fn named(topic: &str) -> Option<(String, String)> {
    let (source, r#type) = match topic.split_once(CLOUD_EVENTS) {
        Some(parts) => parts,
        None => {
            let slashes: Vec<usize> = topic.match_indices('/').map(|(at, _)| at).collect();
            let at = slashes.get(SOURCE_SEGMENTS - 1).or(slashes.last())?;
            (topic.get(..*at)?, topic.get(at + 1..)?)
        }
    };
    if source.is_empty() || r#type.is_empty() {
        return None;
    }
    let source: String = source
        .split('/')
        .flat_map(|one| ["/".to_owned(), segment(one)])
        .collect();
    Some((source, r#type.replace('/', ".")))
}

#[cfg(test)]
mod tests {
    use super::named;

    /// The topics that SAP documents, and those that are too short for them.
    #[test]
    fn topics_name_source_and_type() {
        let cases = [
            (
                "corp/s4/prod/ce/sap/s4/beh/x/v1/X/Changed/v1",
                Some(("/corp/s4/prod", "sap.s4.beh.x.v1.X.Changed.v1")),
            ),
            ("a/b/c/d/e", Some(("/a/b/c", "d.e"))),
            ("a/b/c/d", Some(("/a/b/c", "d"))),
            ("a/b/c", Some(("/a/b", "c"))),
            ("a/b", Some(("/a", "b"))),
            ("a", None),
            ("", None),
            ("a/ce/", None),
        ];
        for (topic, expected) in cases {
            let expected = expected.map(|(source, name)| (source.to_owned(), name.to_owned()));
            assert_eq!(named(topic), expected, "{topic}");
        }
    }
}
