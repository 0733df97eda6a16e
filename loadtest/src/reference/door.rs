//! One request: read, published, answered when JetStream has it.

use std::convert::Infallible;

use http::{HeaderMap, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};

use super::{
    acks::Waiting,
    envelope::Envelope,
    publisher::{Identity, Publisher, header},
};

/// Most bytes of a request's body.
const BODY_BYTES_MAX: usize = 4 << 20;

pub(crate) async fn answer(
    publisher: &Publisher,
    request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let status = match stored(publisher, request).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(status) => status,
    };
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}

async fn stored(publisher: &Publisher, request: Request<Incoming>) -> Result<(), StatusCode> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = body.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?.to_bytes();
    let content_type = head.headers.get(CONTENT_TYPE);
    let content_type = content_type.map_or(&b""[..], |value| value.as_bytes());
    let waiting = if content_type.starts_with(b"application/cloudevents-batch") {
        let events = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
        publish_all(publisher, events)?
    } else if content_type.starts_with(b"application/cloudevents") {
        let event = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
        publish_all(publisher, vec![event])?
    } else {
        publish_binary(publisher, &head.headers, &body)?
    };
    waiting.await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}

fn publish_all(publisher: &Publisher, events: Vec<Envelope<'_>>) -> Result<Waiting, StatusCode> {
    if events.is_empty() || !events.iter().all(Envelope::is_plain) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let waiting = publisher.wait(events.len());
    let waiting = waiting.ok_or(StatusCode::TOO_MANY_REQUESTS)?;
    for event in events {
        let data = event.data.map_or("", |data| data.get());
        let headers = |bytes: &mut Vec<u8>| event.headers(bytes);
        publisher.publish(&waiting, &event.identity(), headers, data.as_bytes());
    }
    Ok(waiting)
}

fn publish_binary(
    publisher: &Publisher,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Waiting, StatusCode> {
    let of = |name: &str| headers.get(name).map_or(&b""[..], |value| value.as_bytes());
    let identity = Identity {
        id: of("ce-id"),
        source: of("ce-source"),
        r#type: of("ce-type"),
    };
    if !identity.is_plain() {
        return Err(StatusCode::BAD_REQUEST);
    }
    let waiting = publisher.wait(1).ok_or(StatusCode::TOO_MANY_REQUESTS)?;
    let attributes = |bytes: &mut Vec<u8>| {
        for (name, value) in headers {
            if name.as_str().starts_with("ce-") || name == CONTENT_TYPE {
                header(bytes, name.as_str().as_bytes(), value.as_bytes());
            }
        }
    };
    publisher.publish(&waiting, &identity, attributes, body);
    Ok(waiting)
}
