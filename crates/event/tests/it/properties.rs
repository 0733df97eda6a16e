//! Any valid event survives every binding, and nothing makes the codec panic.

use bytes::Bytes;
use bytestring::ByteString;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::{collection::vec, option, prelude::*};
use tidegate_event::{
    Event, Leniency, Name, TraceContext, Value,
    http::{Mode, decode_binary, encode_binary},
    json, kafka, nats, validate,
};

use crate::vectors;

fn text() -> impl Strategy<Value = ByteString> {
    "[ -~äß€😀\"%\\\\]{1,20}".prop_map(ByteString::from)
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Boolean),
        any::<i32>().prop_map(Value::Integer),
        text().prop_map(Value::String),
    ]
}

fn data() -> impl Strategy<Value = (Option<&'static str>, Vec<u8>)> {
    let json = prop_oneof![
        Just(br#"{"z":1,"a":123456789012345678901234567890,"m":1.10}"#.to_vec()),
        Just(b" {} ".to_vec()),
        Just(b"not json".to_vec()),
        Just(b"\"text\"".to_vec()),
        Just(b"null".to_vec()),
    ];
    prop_oneof![
        json.prop_map(|data| (Some("application/json"), data)),
        vec(any::<u8>(), 0..40).prop_map(|data| (Some("application/octet-stream"), data)),
        vec(any::<u8>(), 0..40)
            .prop_map(|data| (Some("application/vnd.x+json; charset=utf-8"), data)),
        "\\PC{0,20}".prop_map(|data| (Some("text/plain"), data.into_bytes())),
        vec(any::<u8>(), 0..40).prop_map(|data| (None, data)),
    ]
}

prop_compose! {
    fn event()(
        id in text(), r#type in text(), subject in option::of(text()),
        source in "[a-zA-Z0-9/:.#? äß\">|-]{0,20}[a-z]",
        time in option::of(Just("2018-04-05T17:31:00.123456789+01:00")),
        dataschema in option::of(Just("https://cloudevents.io/schema%20x")),
        extensions in vec(("[a-z0-9]{1,12}", value()), 0..5),
        (content_type, data) in data(),
    ) -> Event {
        let mut event = Event::new(id, source.trim_start_matches(':').to_owned(), r#type);
        event.subject = subject;
        event.time = time.map(Into::into);
        event.dataschema = dataschema.map(Into::into);
        event.datacontenttype = content_type.map(Into::into);
        event.data = Some(Bytes::from(data)).filter(|data| !data.is_empty());
        for (name, value) in extensions {
            if let Some(name) = Name::new(name) {
                event.extensions.insert(name, value);
            }
        }
        event
    }
}

fn hop() -> impl Strategy<Value = Option<TraceContext>> {
    let ids = option::of((any::<[u8; 16]>(), any::<[u8; 8]>(), any::<bool>()));
    ids.prop_map(|ids| {
        let (trace, span, is_sampled) = ids?;
        let hop = TraceContext::new(trace, span, is_sampled);
        hop.is_legal().then_some(hop)
    })
}

/// As it comes out of headers: extension values are text there.
fn through_headers(mut event: Event) -> Event {
    let extensions: Vec<_> = event
        .extensions
        .iter()
        .map(|(name, value)| (name.clone(), value.to_text()))
        .collect();
    for (name, value) in extensions {
        event.extensions.insert(name, Value::String(value));
    }
    event
}

proptest! {
    /// HTTP binary mode.
    #[test]
    fn events_survive_http_headers(event in event()) {
        prop_assert_eq!(validate(&event), Ok(()));
        let mut headers = HeaderMap::new();
        encode_binary(&event, &mut headers);
        prop_assert!(headers.values().all(|value| value.to_str().is_ok()));
        let body = event.data.clone().unwrap_or_default();
        let decoded = decode_binary(&headers, body, Leniency::Strict).unwrap();
        prop_assert_eq!(decoded, through_headers(event));
    }

    /// NATS binary mode, with the trace of the hop; a value can never end its header line.
    #[test]
    fn events_survive_nats_headers(event in event(), hop in hop()) {
        let event = Event { hop, ..event };
        let mut headers: Vec<(String, String)> = Vec::new();
        nats::encode(&event, |name, value| headers.push((name.to_owned(), value.to_owned())));
        prop_assert!(headers.iter().all(|(_, value)| value.bytes().all(|byte| byte.is_ascii_graphic())));
        let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let decoded = nats::decode(pairs, event.data.clone().unwrap_or_default()).unwrap();
        let hop = event.hop;
        prop_assert_eq!(decoded, Event { hop, ..through_headers(event) });
    }

    /// Kafka binary mode, with the trace of the hop; text stays as it is.
    #[test]
    fn events_survive_kafka_headers(event in event(), hop in hop()) {
        let event = Event { hop, ..event };
        let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
        kafka::encode_binary(&event, |name, value| headers.push((name.to_owned(), value.to_vec())));
        let value = |name: &str| headers.iter().find(|(have, _)| have == name).map(|(_, value)| &**value);
        prop_assert_eq!(value("ce_id"), Some(&**event.id.as_bytes()));
        prop_assert_eq!(value("ce_subject"), event.subject.as_ref().map(|text| &**text.as_bytes()));
        let pairs = || headers.iter().map(|(name, value)| (&**name, Some(&**value)));
        prop_assert_eq!(kafka::mode(pairs()), Ok(Some(Mode::Binary)));
        let decoded = kafka::decode_binary(pairs(), event.data.clone(), Leniency::Strict).unwrap();
        prop_assert_eq!(decoded, through_headers(event));
    }

    /// Kafka structured mode: the same, and values keep their types.
    #[test]
    fn events_survive_kafka_values(event in event(), hop in hop()) {
        let event = Event { hop, ..event };
        let mut headers: Vec<(String, Vec<u8>)> = Vec::new();
        let value = kafka::encode_structured(&event, |name, value| {
            headers.push((name.to_owned(), value.to_vec()));
        });
        let pairs = || headers.iter().map(|(name, value)| (&**name, Some(&**value)));
        prop_assert_eq!(kafka::mode(pairs()), Ok(Some(Mode::Structured)));
        let decoded = json::decode(Bytes::from(value), Leniency::Strict).unwrap();
        prop_assert_eq!(Event { hop: kafka::hop(pairs()), ..decoded }, event);
    }

    /// The JSON format, single and batch.
    #[test]
    fn events_survive_json(event in event()) {
        let text = Bytes::from(json::encode(&event));
        prop_assert!(json::is_event(&text));
        prop_assert_eq!(&json::decode(text, Leniency::Strict).unwrap(), &event);
        let batch = Bytes::from(json::encode_batch(&[event.clone(), event.clone()]));
        let decoded = json::decode_batch(batch, 2, Leniency::Strict).unwrap();
        prop_assert_eq!(decoded, vec![event.clone(), event]);
    }

    /// Bytes from anywhere are an event or an error.
    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        json::is_event(&bytes);
        drop(json::decode(bytes.clone(), Leniency::Drop));
        drop(json::decode_batch(bytes, 3, Leniency::Lowercase));
    }

    /// Text that looks like an event is an event or an error, and an event is a valid one.
    #[test]
    fn what_is_decoded_is_valid(text in r#"\{("(specversion|id|source|type|data|x|time)":("1.0"|"a\\n"|1|null|\{\}|"2018-04-05T17:31:00Z"),?){0,9}\}"#) {
        if let Ok(event) = json::decode(Bytes::from(text), Leniency::Strict) {
            prop_assert_eq!(validate(&event), Ok(()));
        }
    }

    /// Headers from anywhere are an event or an error.
    #[test]
    fn arbitrary_headers_never_panic(pairs in vec(("(ce-)?[a-z0-9_-]{1,8}", vec(any::<u8>(), 0..20)), 0..8)) {
        let mut headers = HeaderMap::new();
        headers.insert("ce-specversion", HeaderValue::from_static("1.0"));
        for (name, value) in pairs {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(&value)) {
                headers.append(name, value);
            }
        }
        if let Ok(event) = decode_binary(&headers, Bytes::new(), Leniency::Drop) {
            prop_assert_eq!(validate(&event), Ok(()));
        }
    }

    /// Records from anywhere are an event, none, or an error.
    #[test]
    fn arbitrary_records_never_panic(
        pairs in vec(("(ce_|CE_|content-type|traceparent)?\\PC{0,6}", option::of(vec(any::<u8>(), 0..20))), 0..8),
        value in option::of(vec(any::<u8>(), 0..20)),
    ) {
        let required = [("ce_specversion", "1.0"), ("ce_id", "1"), ("ce_source", "/s"), ("ce_type", "t")];
        let required = required.map(|(name, value)| (name, Some(value.as_bytes())));
        let headers = || {
            let pairs = pairs.iter().map(|(name, value)| (&**name, value.as_deref()));
            required.into_iter().chain(pairs)
        };
        drop(kafka::mode(headers()));
        if let Ok(event) = kafka::decode_binary(headers(), value.map(Bytes::from), Leniency::Drop) {
            prop_assert_eq!(validate(&event), Ok(()));
        }
    }

    /// What is written in structured mode is what the public schema describes. Sources that are
    /// URI references by the letter only: the schema knows no other.
    #[test]
    fn structured_events_obey_the_schema(mut event in event()) {
        let Some(folder) = vectors("cloudevents-spec") else { return Ok(()) };
        event.source = "/plain/source".into();
        let schema = std::fs::read(folder.join("cloudevents.json")).unwrap();
        let schema: serde_json::Value = serde_json::from_slice(&schema).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&json::encode(&event)).unwrap();
        let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
        prop_assert!(errors.is_empty(), "{:?}", errors);
    }
}
