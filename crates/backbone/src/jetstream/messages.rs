//! Events and dead letters as NATS messages, and back.

use std::time::SystemTime;

use async_nats::{HeaderMap, HeaderName, Message};
use bytes::Bytes;
use bytestring::ByteString;
use tidegate_event::{Event, nats};

use crate::{DeadLetter, MessageId, Unreadable, subject};

const MESSAGE_ID: HeaderName = HeaderName::from_static("Nats-Msg-Id");

/// The headers of a stored event.
pub(super) fn headers_of(event: &Event, message_id: Option<&MessageId>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    nats::encode(event, |name, value| {
        headers.insert(header_name(name), value);
    });
    if let Some(MessageId(id)) = message_id {
        headers.insert(MESSAGE_ID, id.as_str());
    }
    headers
}

fn header_name(attribute: &str) -> HeaderName {
    let known = match attribute {
        "specversion" => "ce-specversion",
        "id" => "ce-id",
        "source" => "ce-source",
        "type" => "ce-type",
        "datacontenttype" => "ce-datacontenttype",
        "dataschema" => "ce-dataschema",
        "subject" => "ce-subject",
        "time" => "ce-time",
        "traceparent" => "ce-traceparent",
        "eventtypeversion" => "ce-eventtypeversion",
        other => {
            return format!("ce-{other}").parse().expect("attribute names are [a-z0-9]");
        }
    };
    HeaderName::from_static(known)
}

/// The event of a stored message.
pub(super) fn event_of(message: &Message) -> Result<Event, Unreadable> {
    let empty = HeaderMap::new();
    let headers = message.headers.as_ref().unwrap_or(&empty);
    let pairs = || {
        headers.iter().flat_map(|(name, values)| {
            let name: &str = name.as_ref();
            values.iter().map(move |value| (name, value.as_str()))
        })
    };
    nats::decode(pairs(), message.payload.clone()).map_err(|error| Unreadable {
        reason: error.to_string(),
        headers: pairs().map(|(name, value)| (name.into(), value.into())).collect(),
        payload: message.payload.clone(),
    })
}

/// A dead letter's subject, headers and payload: the message as it was, and why.
pub(super) fn letter(root: &str, letter: &DeadLetter) -> (String, HeaderMap, Bytes) {
    let subject = format!(
        "{root}.{}.{}",
        subject::token(&letter.namespace),
        subject::token(&letter.subscription)
    );
    let (mut headers, payload) = match &letter.event {
        Ok(event) => (headers_of(event, None), event.data.clone().unwrap_or_default()),
        Err(unreadable) => (as_they_were(&unreadable.headers), unreadable.payload.clone()),
    };
    // A repeated burial of the same event is one letter.
    headers.insert(MESSAGE_ID, format!("{}:{}", letter.consumer, letter.sequence));
    let told = [
        ("tidegate-reason", letter.reason.to_owned()),
        ("tidegate-detail", printable(&letter.detail)),
        ("tidegate-attempts", letter.attempts.to_string()),
        ("tidegate-sequence", letter.sequence.to_string()),
        ("tidegate-stored-at", unix_seconds(letter.stored_at)),
        ("tidegate-consumer", letter.consumer.clone()),
        ("tidegate-subscription", format!("{}/{}", letter.namespace, letter.subscription)),
    ];
    for (name, value) in told {
        headers.insert(HeaderName::from_static(name), value);
    }
    (subject, headers, payload)
}

fn as_they_were(pairs: &[(ByteString, ByteString)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        // Control headers would act on the dead-letter stream.
        let control = name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("nats-"));
        if let (false, Ok(name)) = (control, name.parse::<HeaderName>()) {
            headers.append(name, &**value);
        }
    }
    headers
}

/// A header value holds no line break, and a reason need not be long.
fn printable(text: &str) -> String {
    const CHARS_MAX: usize = 500;
    let printable = |char: char| if char.is_ascii_graphic() || char == ' ' { char } else { '?' };
    text.chars().take(CHARS_MAX).map(printable).collect()
}

fn unix_seconds(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:03}", since.as_secs(), since.subsec_millis())
}
