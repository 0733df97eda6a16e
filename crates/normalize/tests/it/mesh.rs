//! Event Hub and Event Mesh: attributes in headers, in the body, in the topic.

use tidegate_application::Format;
use tidegate_event::Value;
use tidegate_normalize::Reading;

use crate::{event_of, seen, text};

const HUB: Reading = Reading::As(Format::EventHub);
const HOOK: Reading = Reading::As(Format::EventMeshWebhook);

fn hub_headers<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut headers = vec![
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/s"),
        ("ce-type", "t"),
    ];
    headers.extend(more);
    headers
}

/// Members beside the data become attributes where they can; what cannot costs no event.
#[test]
fn members_of_a_wrapper_are_attributes_as_far_as_they_can() {
    let headers = hub_headers(&[("ce-sapconsumertenant", "header")]);
    let body = br#"{"data":{"a":1},"id":"x","subject":"S","SapConsumerTenant":"body","x-correlation-id":"c",
        "Line_Items":5,"flag":true,"none":null,"list":[1],"kafkaoffset":3,"ingressapp":"me","time":1795443000}"#;
    let event = event_of(HUB, &headers, body);
    assert_eq!(event.id, "1");
    assert_eq!(event.subject.as_deref(), Some("S"));
    assert_eq!(event.time.as_deref(), Some("2026-11-23T14:10:00Z"));
    assert_eq!(event.data.as_deref(), Some(&br#"{"a":1}"#[..]));
    assert_eq!(text(&event, "sapconsumertenant").as_deref(), Some("header"));
    assert_eq!(text(&event, "xsapcorrelationid").as_deref(), Some("c"));
    assert_eq!(event.extensions.get("flag"), Some(&Value::Boolean(true)));
    assert_eq!(event.extensions.iter().count(), 3);
}

/// Headers count more than the body also where the body is an event by itself.
#[test]
fn headers_count_more_than_a_body_that_is_an_event() {
    let body =
        br#"{"specversion":"1.0","id":"body","source":"/b","type":"b","data":{"a":1},"x":"y"}"#;
    for version in [Some(("ce-specversion", "1.0")), None] {
        let mut headers = vec![("content-type", "application/json"), ("ce-id", "header")];
        headers.extend(version);
        let event = event_of(HUB, &headers, body);
        assert_eq!(event.id, "header");
        assert_eq!(event.source, "/b");
        assert_eq!(text(&event, "x").as_deref(), Some("y"));
        assert_eq!(event.data.as_deref(), Some(&br#"{"a":1}"#[..]));
    }
    let event = event_of(HUB, &[("content-type", "application/json")], body);
    assert_eq!(event.id, "body");
}

/// What is no object, or no JSON, or has no data is the data itself.
#[test]
fn other_bodies_of_the_hub_are_data() {
    for (content_type, body) in [
        ("application/json", r#"{"a":1}"#),
        ("application/json", r#"[{"data":1}]"#),
        ("application/json", r#""data""#),
        ("application/json; charset=utf-8", r#"{"a":{"data":1}}"#),
        ("text/plain", r#"{"data":1}"#),
    ] {
        let mut headers = hub_headers(&[]);
        headers[0].1 = content_type;
        let event = event_of(HUB, &headers, body.as_bytes());
        assert_eq!(event.data.as_deref(), Some(body.as_bytes()), "{body}");
        assert_eq!(event.datacontenttype.as_deref(), Some(content_type));
    }
    let null = event_of(HUB, &hub_headers(&[]), br#"{"data":null,"subject":"S"}"#);
    assert_eq!(null.data.as_deref(), Some(&b"null"[..]));
    assert_eq!(null.subject.as_deref(), Some("S"));
    let list = event_of(HUB, &hub_headers(&[]), br#"{"data":1,"subject":["S"]}"#);
    assert_eq!(list.subject, None);
    let empty = event_of(HUB, &hub_headers(&[]), b"");
    assert_eq!(empty.data, None);
}

/// More members than an event may have are data, not attributes.
#[test]
fn an_object_of_many_members_wraps_nothing() {
    let many: String = (0..200).map(|at| format!(",\"m{at}\":1")).collect();
    let body = format!(r#"{{"data":1{many}}}"#);
    let event = event_of(HUB, &hub_headers(&[]), body.as_bytes());
    assert_eq!(event.data.as_deref(), Some(body.as_bytes()));
    assert_eq!(event.extensions.iter().count(), 0);
    let many = many.trim_start_matches(',');
    let old = format!(
        r#"{{"cloudEventsVersion":"0.1","eventID":"1","eventType":"t","source":"s","extensions":{{{many}}}}}"#
    );
    let event = event_of(Reading::Seen, &[], old.as_bytes());
    assert_eq!(event.extensions.iter().count(), 0);
}

/// An event without what makes it one is refused, whatever else it has.
#[test]
fn incomplete_events_of_the_hub_are_refused() {
    for missing in ["ce-id", "ce-source", "ce-type"] {
        let headers: Vec<_> = hub_headers(&[])
            .into_iter()
            .filter(|(name, _)| *name != missing)
            .collect();
        let error = seen(HUB, &headers, br#"{"a":1}"#).unwrap_err();
        assert_eq!(error.code(), "event/missing-attribute", "{missing}");
    }
    let error = seen(HUB, &[("content-type", "application/json")], b"{}").unwrap_err();
    assert_eq!(error.code(), "normalize/not-an-event");
}

/// A record of CAP needs no version, and may name its tenant twice; the attribute counts.
#[test]
fn records_of_cap_are_read_as_they_vary() {
    let headers = [
        ("id", "1"),
        ("source", "/default/cap.shop/1"),
        ("x-sap-cap-effective-topic", "cap.shop.Created.v1"),
        ("x-sap-cap-tenant-id", "topic"),
        ("xsaptenantid", "attribute"),
        ("x-correlation-id", "c"),
        ("time", "2026-11-20 16:00:00"),
    ];
    let event = event_of(Reading::As(Format::KafkaRecord), &headers, b"{}");
    assert_eq!(event.r#type, "cap.shop.Created.v1");
    assert_eq!(event.time.as_deref(), Some("2026-11-20T16:00:00Z"));
    assert_eq!(text(&event, "xsaptenantid").as_deref(), Some("attribute"));
    assert_eq!(text(&event, "xsapcorrelationid").as_deref(), Some("c"));
    assert_eq!(event.extensions.iter().count(), 2);
}

/// A source that is made of a topic holds what a source may hold.
#[test]
fn a_topic_becomes_a_legal_source() {
    for (topic, source, name) in [
        ("corp/s4/prod/ce/a/b/v1", "/corp/s4/prod", "a.b.v1"),
        ("corp/s4 x/50%/ce/a", "/corp/s4%20x/50%25", "a"),
        ("corp/s4/prod/a/b", "/corp/s4/prod", "a.b"),
        ("a/ce/b/ce/c", "/a", "b.ce.c"),
    ] {
        let address = format!("topic:{topic}");
        let headers = [
            ("content-type", "application/json"),
            ("x-address", &address),
        ];
        let event = event_of(HOOK, &headers, b"{\"a\":1}");
        assert_eq!(event.source, source, "{topic}");
        assert_eq!(event.r#type, name, "{topic}");
    }
}

/// The message is the data, in the type that it came in; JSON without the white space around it.
#[test]
fn any_message_of_a_topic_is_data() {
    for (content_type, body, data) in [
        ("application/json", "{\"a\":1}\n", "{\"a\":1}"),
        ("application/json;charset=UTF-8", " [1]\r\n", "[1]"),
        ("text/plain", "x\n", "x\n"),
        ("application/xml", "<a/>\n", "<a/>\n"),
    ] {
        let headers = [
            ("content-type", content_type),
            ("x-address", "topic:a/b/c/ce/d"),
        ];
        let event = event_of(HOOK, &headers, body.as_bytes());
        assert_eq!(
            event.data.as_deref(),
            Some(data.as_bytes()),
            "{content_type}"
        );
        assert_eq!(event.datacontenttype.as_deref(), Some(content_type));
        assert_eq!((event.time, event.subject), (None, None));
    }
}
