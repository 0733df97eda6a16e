//! The legacy format of Kyma's publisher, `POST /{application}/v1/events`, to the letter: which
//! documents are taken, in which order they are checked, and the exact bodies of the answers.
//!
//! Kyma publishes each request twice, under two types; here it is one event, under the sender's
//! type. Kyma sends data through a float and a map; here it stays the sender's bytes.

mod refusal;
mod request;
mod time;

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;
use tidegate_event::{Event, Name, validate};

pub use refusal::{Field, Refusal, backend, success};

use crate::{
    identity::{self, Identity},
    kyma,
};
use request::Request;

/// The extension that carries `event-type-version`.
const TYPE_VERSION: &str = "eventtypeversion";

/// The format's name within a derived id.
const FORMAT: &str = "kyma-legacy";

/// The event of a legacy request.
pub(crate) fn read(application: &str, body: &Bytes) -> Result<Event, Refusal> {
    let request = Request::read(body)?;
    let data = request.check()?;
    let r#type = format!("{}.{}", request.event_type, request.event_type_version);
    kyma::check_segments(application, &r#type).map_err(|refusal| Refusal::BadPayload {
        more_info: refusal.to_string(),
    })?;
    let id = if request.event_id.is_empty() {
        identity::derived(&Identity {
            format: FORMAT,
            source: application,
            r#type: &r#type,
            subject: "",
            time: &request.event_time,
            json: data,
        })
        .into()
    } else {
        shared(body, request.event_id)
    };
    let mut event = Event::new(id, application, r#type);
    event.time = Some(shared(body, request.event_time));
    event.datacontenttype = Some(ByteString::from_static("application/json"));
    event.data = Some(body.slice_ref(data));
    let version = shared(body, request.event_type_version);
    event
        .extensions
        .insert(Name::from_static(TYPE_VERSION), version.into());
    // What is left to go wrong is text that no event may carry, such as control characters.
    validate(&event).map_err(|error| Refusal::BadPayload {
        more_info: error.to_string(),
    })?;
    Ok(event)
}

/// Text as a part of the body, when it is one. What had escapes in it is a copy.
fn shared(body: &Bytes, text: Cow<'_, str>) -> ByteString {
    match text {
        Cow::Borrowed(text) => ByteString::try_from(body.slice_ref(text.as_bytes()))
            .unwrap_or_else(|_| ByteString::from(text)),
        Cow::Owned(text) => ByteString::from(text),
    }
}

#[cfg(test)]
mod tests;
