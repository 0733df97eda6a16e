//! Which mode a request is in, what is no event, and what only Kyma's door refuses.

use http::{HeaderMap, StatusCode};
use tidegate_normalize::Format;

use crate::support::{headers, only, request};

const EVENT: &str = r#"{"specversion":"1.0","id":"1","source":"/s","type":"order.created.v1","data":{"z":1,"a":123456789012345678901234567890,"m":1.10}}"#;
const DATA: &str = r#"{"z":1,"a":123456789012345678901234567890,"m":1.10}"#;
const DOORS: [Format; 2] = [Format::CloudEvents, Format::KymaPublish];

fn binary(content_type: Option<&str>) -> HeaderMap {
    let attributes = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/s"),
        ("ce-type", "order.created.v1"),
    ];
    headers(
        attributes
            .into_iter()
            .chain(content_type.map(|media_type| ("content-type", media_type))),
    )
}

fn content_type(media_type: &str) -> HeaderMap {
    headers([("content-type", media_type)])
}

/// The code and the status of a refusal.
fn refused(format: Format, headers: &HeaderMap, body: &str) -> (&'static str, StatusCode) {
    match request(format, None, headers, body.to_owned()) {
        Ok(normalized) => panic!("taken: {normalized:?}"),
        Err(error) => (error.code(), error.status()),
    }
}

/// In each mode the data are the sender's bytes.
#[test]
fn every_mode_is_read_and_its_data_untouched() {
    for format in DOORS {
        let binary = binary(Some("application/json; charset=utf-8"));
        let event = only(request(format, None, &binary, DATA).unwrap());
        assert_eq!(event.data.as_deref(), Some(DATA.as_bytes()));
        for media_type in [
            "application/cloudevents+json",
            "Application/CloudEvents+JSON; Charset=UTF-8",
            "application/json",
            "APPLICATION/JSON;charset=utf-8",
            "application/vnd.sap+json",
        ] {
            let event = only(request(format, None, &content_type(media_type), EVENT).unwrap());
            assert_eq!(event.data.as_deref(), Some(DATA.as_bytes()), "{media_type}");
        }
        let event = only(request(format, None, &HeaderMap::new(), EVENT).unwrap());
        assert_eq!(event.id, "1");
    }
}

/// Events of a batch keep their order, and the trace goes to each.
#[test]
fn a_batch_is_read_in_order() {
    for format in DOORS {
        let batch = format!("[{EVENT},{}]", EVENT.replace(r#""id":"1""#, r#""id":"2""#));
        let mut headers = content_type("application/cloudevents-batch+json");
        headers.insert("x-b3-sampled", "1".parse().unwrap());
        let normalized = request(format, None, &headers, batch).unwrap();
        assert!(normalized.batch);
        let ids: Vec<&str> = normalized.events.iter().map(|event| &*event.id).collect();
        assert_eq!(ids, ["1", "2"]);
        assert!(
            normalized
                .events
                .iter()
                .all(|event| event.extensions.get("b3sampled").is_some())
        );
        let empty = request(format, None, &headers, "[]").unwrap();
        assert!(empty.batch && empty.events.is_empty());
        let four = format!("[{}]", [EVENT; 4].join(","));
        let too_large = ("event/batch-too-large", StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(refused(format, &headers, &four), too_large);
    }
}

/// JSON that is no event is the sender's mistake; another media type is told apart, but not at
/// Kyma's door.
#[test]
fn what_is_no_event_is_refused() {
    let not_an_event = ("normalize/not-an-event", StatusCode::BAD_REQUEST);
    let unsupported = (
        "normalize/unsupported-media-type",
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
    );
    let codec_unsupported = (
        "event/unsupported-media-type",
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
    );
    for (media_type, body, native) in [
        ("application/json", "{\"a\":1}", not_an_event),
        ("application/json", "[]", not_an_event),
        ("application/json", "hello", not_an_event),
        ("application/json", "", not_an_event),
        ("application/problem+json", "{}", not_an_event),
        ("application/xml", "<a/>", unsupported),
        ("text/plain", EVENT, unsupported),
        ("", EVENT, unsupported),
        ("application/cloudevents", EVENT, codec_unsupported),
        ("application/cloudevents+xml", "<event/>", codec_unsupported),
    ] {
        let headers = content_type(media_type);
        assert_eq!(
            refused(Format::CloudEvents, &headers, body),
            native,
            "{media_type} {body}"
        );
        assert_eq!(
            refused(Format::KymaPublish, &headers, body),
            not_an_event,
            "{media_type} {body}"
        );
    }
    for format in DOORS {
        assert_eq!(
            refused(format, &HeaderMap::new(), "{\"a\":1}"),
            not_an_event
        );
        let no_version = headers([
            ("ce-id", "1"),
            ("ce-type", "t"),
            ("content-type", "text/plain"),
        ]);
        assert_eq!(refused(format, &no_version, "hello"), not_an_event);
    }
}

/// A codec's refusal keeps its own code.
#[test]
fn an_illegal_event_is_refused_under_the_codecs_code() {
    let without_id = EVENT.replace(r#""id":"1","#, "");
    for format in DOORS {
        let headers = content_type("application/cloudevents+json");
        let (code, status) = refused(format, &headers, &without_id);
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(code.starts_with("event/"), "{code}");
    }
}

/// Types are no business of the native doors.
#[test]
fn only_kymas_door_refuses_kymas_types() {
    let json = content_type("application/cloudevents+json");
    for (r#type, code) in [
        ("order.created.", "normalize/empty-type-segment"),
        ("sap.kyma.customer.created.v1", "normalize/prefix-type"),
    ] {
        let body = EVENT.replace("order.created.v1", r#type);
        assert_eq!(
            refused(Format::KymaPublish, &json, &body),
            (code, StatusCode::BAD_REQUEST)
        );
        let event = only(request(Format::CloudEvents, None, &json, body.clone()).unwrap());
        assert_eq!(event.r#type, r#type);
        let batch = content_type("application/cloudevents-batch+json");
        let body = format!("[{EVENT},{body}]");
        assert_eq!(refused(Format::KymaPublish, &batch, &body).0, code);
    }
}

/// Kyma stores data within JSON, so it takes none that is called JSON and is not.
#[test]
fn only_kymas_door_reads_data_that_is_declared_json() {
    for (media_type, taken) in [
        (None, false),
        (Some("application/json"), false),
        (Some("Text/JSON; charset=utf-8"), false),
        (Some("application/vnd.sap+json"), true),
        (Some("text/plain"), true),
    ] {
        let headers = binary(media_type);
        if taken {
            assert!(
                request(Format::KymaPublish, None, &headers, "hello").is_ok(),
                "{media_type:?}"
            );
        } else {
            let code = refused(Format::KymaPublish, &headers, "hello").0;
            assert_eq!(code, "normalize/data-not-json", "{media_type:?}");
        }
        let event = only(request(Format::CloudEvents, None, &headers, "hello").unwrap());
        assert_eq!(event.data.as_deref(), Some(&b"hello"[..]));
        let event = only(request(Format::KymaPublish, None, &headers, "").unwrap());
        assert_eq!(event.data, None);
    }
}
