//! Any bytes through the codec: an error, or an event that every binding carries unchanged.

use bytes::Bytes;
use http::HeaderMap;
use tidegate_event::{Event, Leniency, Value, http as binding, json, kafka, nats, validate};

use crate::{Record, Request};

const LENIENCIES: [Leniency; 3] = [Leniency::Strict, Leniency::Lowercase, Leniency::Drop];

/// Most events of a batch.
const BATCH_EVENTS_MAX: usize = 20;

/// Binary mode of HTTP.
pub fn codec_http(input: &[u8]) {
    let request = Request::read(input);
    // Any answer will do, a panic will not.
    drop(binding::mode(&request.headers));
    for leniency in LENIENCIES {
        let decoded = binding::decode_binary(&request.headers, request.body.clone(), leniency);
        decoded.iter().for_each(survives);
    }
}

/// The JSON format, single and batch.
pub fn codec_json(input: &[u8]) {
    let text = Bytes::copy_from_slice(input);
    json::is_event(&text);
    for leniency in LENIENCIES {
        let decoded = json::decode(text.clone(), leniency);
        decoded.iter().for_each(survives);
        if let Ok(events) = json::decode_batch(text.clone(), BATCH_EVENTS_MAX, leniency) {
            assert!(events.len() <= BATCH_EVENTS_MAX);
            let encoded = Bytes::from(json::encode_batch(&events));
            let again = json::decode_batch(encoded, BATCH_EVENTS_MAX, Leniency::Strict);
            assert_eq!(again.as_deref(), Ok(&*events));
        }
    }
}

/// The modes of Kafka.
pub fn codec_kafka(input: &[u8]) {
    let record = Record::read(input);
    let mode = kafka::mode(record.headers());
    for leniency in LENIENCIES {
        let decoded = kafka::decode_binary(record.headers(), record.value.clone(), leniency);
        decoded.iter().for_each(survives);
        if let Ok(event) = &decoded {
            assert_ne!(mode, Ok(None), "what was taken says that it is one");
            assert_eq!(event.hop, kafka::hop(record.headers()));
        }
    }
}

/// Binary mode of NATS.
pub fn codec_nats(input: &[u8]) {
    let request = Request::read(input);
    let headers = request.headers.iter();
    let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let decoded = nats::decode(headers, request.body.clone());
    decoded.iter().for_each(survives);
}

/// The event comes out of each binding as it went in.
pub(crate) fn survives(event: &Event) {
    assert_eq!(validate(event), Ok(()), "what was taken is valid");
    let text = Bytes::from(json::encode(event));
    assert!(json::is_event(&text), "JSON of an event is one");
    // The hop's trace is the header of a message, and no attribute.
    let without_hop = Event {
        hop: None,
        ..event.clone()
    };
    let decoded = json::decode(text, Leniency::Strict);
    assert_eq!(decoded.as_ref(), Ok(&without_hop));

    let payload = event.data.clone().unwrap_or_default();
    let mut headers: Vec<(String, String)> = Vec::new();
    nats::encode(event, |name, value| {
        assert!(!value.bytes().any(|byte| byte.is_ascii_control()), "{name}");
        headers.push((name.to_owned(), value.to_owned()));
    });
    let pairs = headers.iter().map(|(name, value)| (&**name, &**value));
    assert_eq!(nats::decode(pairs, payload.clone()), Ok(as_text(event)));

    survives_kafka(event);

    let mut headers = HeaderMap::new();
    binding::encode_binary(event, &mut headers);
    let decoded = binding::decode_binary(&headers, payload, Leniency::Strict);
    assert_eq!(decoded, Ok(as_text(&without_hop)));
}

fn survives_kafka(event: &Event) {
    let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
    kafka::encode_binary(event, |name, value| {
        headers.push((name.to_owned(), value.to_vec()));
    });
    let pairs = headers
        .iter()
        .map(|(name, value)| (&**name, Some(&**value)));
    let decoded = kafka::decode_binary(pairs, event.data.clone(), Leniency::Strict);
    assert_eq!(decoded, Ok(as_text(event)));

    headers.clear();
    let value = kafka::encode_structured(event, |name, value| {
        headers.push((name.to_owned(), value.to_vec()));
    });
    let pairs = || {
        headers
            .iter()
            .map(|(name, value)| (&**name, Some(&**value)))
    };
    assert_eq!(kafka::mode(pairs()), Ok(Some(kafka::Mode::Structured)));
    let hop = kafka::hop(pairs());
    let decoded = json::decode(Bytes::from(value), Leniency::Strict);
    assert_eq!(
        decoded.map(|decoded| Event { hop, ..decoded }).as_ref(),
        Ok(event)
    );
}

/// Headers know text only.
fn as_text(event: &Event) -> Event {
    let mut event = event.clone();
    for (name, value) in event.clone().extensions.iter() {
        event
            .extensions
            .insert(name.clone(), Value::String(value.to_text()));
    }
    event
}
