//! CloudEvents of every version and mode, and how a request is known for one.

use tidegate_application::{Application, Format, Mapping, Template};
use tidegate_event::{Leniency, Value};
use tidegate_normalize::Reading;

use crate::{Sent, event_of, seen, system, text};

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const STRUCTURED: &[(&str, &str)] = &[("content-type", "application/cloudevents+json")];

const OLD: &str = r#"{"cloudEventsVersion":"0.1","eventType":"BO.X.Changed","eventID":"a+/=","source":"/s","eventTypeVersion":"1.0","eventTime":"2026-11-12T13:00:37","data":{"KEY":[{"X":"1"}]}}"#;

/// The content type of CloudEvents is older than the names of their attributes.
#[test]
fn version_0_1_comes_under_the_content_type_of_cloudevents_too() {
    let readings = [
        Reading::Seen,
        Reading::As(Format::EventMeshWebhook),
        Reading::As(Format::EventMeshEventsApi),
        Reading::As(Format::CloudEvent),
    ];
    for reading in readings {
        let event = event_of(reading, STRUCTURED, OLD.as_bytes());
        assert_eq!(event.id, "a+/=", "{reading:?}");
        assert_eq!(event.r#type, "BO.X.Changed");
        assert_eq!(event.subject.as_deref(), Some("1"));
        assert_eq!(event.time.as_deref(), Some("2026-11-12T13:00:37Z"));
    }
    let normalized = seen(Reading::Seen, STRUCTURED, OLD.as_bytes()).unwrap();
    assert_eq!(normalized.format, Format::CloudEvent01);
    let batch = format!("[{OLD}]");
    let content_type = [("content-type", "application/cloudevents-batch+json")];
    let event = event_of(Reading::Seen, &content_type, batch.as_bytes());
    assert_eq!(event.id, "a+/=");
}

/// The version of a type keeps its meaning whatever is done with other names.
#[test]
fn the_type_version_of_0_1_has_a_legal_name() {
    for extension_names in [Leniency::Strict, Leniency::Lowercase, Leniency::Drop] {
        let application = Application {
            extension_names,
            ..system()
        };
        let sent = Sent {
            reading: Reading::Seen,
            application: &application,
            headers: JSON,
            body: OLD.as_bytes(),
            topic: None,
        };
        let normalized = sent.normalized().unwrap();
        let event = &normalized.events.as_slice()[0];
        let version = text(event, "eventtypeversion");
        assert_eq!(version.as_deref(), Some("1.0"), "{extension_names:?}");
    }
}

/// What is said in both ways is said in the older one: it is looked for first.
#[test]
fn the_older_names_are_looked_for_first() {
    let body = r#"{"cloudEventsVersion":"0.1","eventID":"old","specversion":"1.0","id":"new","source":"/s","type":"t"}"#;
    for reading in [Reading::Seen, Reading::As(Format::EventMeshWebhook)] {
        let event = event_of(reading, JSON, body.as_bytes());
        assert_eq!(event.id, "old", "{reading:?}");
    }
}

/// Data that says its key twice, or holds more than anybody looks at, costs the subject alone.
#[test]
fn odd_data_of_0_1_costs_no_event() {
    let many: String = (0..11_000).map(|at| format!("\"m{at}\":1,")).collect();
    for data in [
        r#"{"KEY":[{"X":"1"}],"KEY":1}"#.to_owned(),
        r#"{"KEY":[{"X":"1","X":"2"}]}"#.to_owned(),
        r#"{"KEY":[{"X":"1","Y":"2"}]}"#.to_owned(),
        r#"{"KEY":[{"X":"1"},{"X":"2"}]}"#.to_owned(),
        r#"{"KEY":[{"X":null}]}"#.to_owned(),
        r#"{"KEY":[]}"#.to_owned(),
        r#"{"KEY":"1"}"#.to_owned(),
        r#"[1]"#.to_owned(),
        format!("{{{many}\"KEY\":[{{\"X\":\"1\"}}]}}"),
    ] {
        let body = format!(
            r#"{{"cloudEventsVersion":"0.1","eventID":"1","eventType":"t","source":"s","data":{data}}}"#
        );
        let event = event_of(Reading::Seen, JSON, body.as_bytes());
        let shown: String = data.chars().take(60).collect();
        assert_eq!(event.subject, None, "{shown}");
        assert_eq!(event.data.as_deref(), Some(data.as_bytes()), "{shown}");
    }
    let body = r#"{"cloudEventsVersion":"0.1","eventID":{},"eventType":"t","source":"s"}"#;
    let error = seen(Reading::Seen, JSON, body.as_bytes()).unwrap_err();
    assert_eq!(error.code(), "event/missing-attribute");
}

/// Extensions of 0.1 keep their types; what stands beside the bag counts more.
#[test]
fn the_bag_of_0_1_is_unpacked() {
    let body = r#"{"cloudEventsVersion":"0.1","eventID":"1","eventType":"t","source":"s","sapPassport":"out","extensions":{"sappassport":"in","flag":true,"count":3,"list":[1],"none":null}}"#;
    let event = event_of(Reading::Seen, JSON, body.as_bytes());
    assert_eq!(text(&event, "sappassport").as_deref(), Some("out"));
    assert_eq!(event.extensions.get("flag"), Some(&Value::Boolean(true)));
    assert_eq!(event.extensions.get("count"), Some(&Value::Integer(3)));
    assert_eq!(event.extensions.iter().count(), 3);
}

/// A schema that 1.0 does not allow costs the attribute, under its older name too.
#[test]
fn a_schema_that_is_no_uri_is_left_out() {
    for (version, name) in [
        ("1.0", "dataschema"),
        ("0.3", "schemaurl"),
        ("0.2", "schemaurl"),
    ] {
        for (schema, kept) in [
            ("/sap/opu/odata/", false),
            ("", false),
            ("https://host/a b", false),
            ("https://host/%zz", false),
            ("https://host/a", true),
        ] {
            let body = format!(
                r#"{{"specversion":"{version}","id":"1","source":"/s","type":"t","{name}":"{schema}"}}"#
            );
            let event = event_of(Reading::Seen, JSON, body.as_bytes());
            let expected = kept.then_some(schema);
            assert_eq!(event.dataschema.as_deref(), expected, "{version} {schema}");
        }
    }
}

/// A subject is text whatever it was sent as; what has to be there has to be right.
#[test]
fn a_subject_that_is_a_number_is_text() {
    let event =
        |members: &str| format!(r#"{{"specversion":"1.0","source":"/s","type":"t",{members}}}"#);
    for (sent, subject) in [
        ("7", Some("7")),
        ("4711.50", Some("4711.50")),
        ("true", Some("true")),
        ("[7]", None),
        ("null", None),
    ] {
        let body = event(&format!(r#""id":"1","subject":{sent}"#));
        let event = event_of(Reading::Seen, JSON, body.as_bytes());
        assert_eq!(event.subject.as_deref(), subject, "{sent}");
    }
    let error = seen(Reading::Seen, JSON, event(r#""id":1"#).as_bytes()).unwrap_err();
    assert_eq!(error.code(), "event/invalid-attribute");
}

/// A broker that forwards an event may label it as anything.
#[test]
fn an_event_is_known_under_any_content_type() {
    let body = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":1}}"#;
    for label in ["application/octet-stream", "text/plain; charset=utf-8"] {
        let headers = [("content-type", label)];
        for (reading, body) in [
            (Reading::Seen, body),
            (Reading::As(Format::CloudEvent), body),
            (Reading::As(Format::EventMeshWebhook), body),
            (Reading::Seen, OLD),
            (Reading::As(Format::EventMeshWebhook), OLD),
        ] {
            let normalized = seen(reading, &headers, body.as_bytes());
            assert!(normalized.is_ok(), "{label} {reading:?} {normalized:?}");
        }
        let refused = seen(Reading::Publish, &headers, body.as_bytes()).unwrap_err();
        assert_eq!(refused.code(), "normalize/not-an-event");
        let deep = format!(
            r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{}{}}}"#,
            "[".repeat(200),
            "]".repeat(200)
        );
        let refused = seen(Reading::Seen, &headers, deep.as_bytes()).unwrap_err();
        assert_eq!(refused.code(), "normalize/json-too-deep", "{label}");
    }
}

/// A byte order mark is no part of JSON, and no sign of XML.
#[test]
fn a_byte_order_mark_is_skipped() {
    let event = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#;
    let concur = r#"{"id":"1","topic":"concur.a","eventType":"b"}"#;
    for (reading, headers, body) in [
        (Reading::Seen, JSON, event),
        (Reading::Seen, STRUCTURED, event),
        (Reading::Seen, JSON, OLD),
        (Reading::As(Format::Concur), JSON, concur),
        (Reading::As(Format::EventMeshWebhook), JSON, event),
    ] {
        let marked = format!("\u{feff}{body}");
        let event = event_of(reading, headers, marked.as_bytes());
        assert!(event.data.is_none_or(|data| data.starts_with(b"{")));
    }
}

/// What no lower case makes legal is left out and told; the event is worth more.
#[test]
fn names_that_cannot_be_mended_cost_the_attribute() {
    let body = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","my_ext":"a","x-y":"b","Ok":"c","":"d"}"#;
    let normalized = seen(Reading::Seen, JSON, body.as_bytes()).unwrap();
    let event = &crate::bare(&normalized)[0];
    let names: Vec<&str> = event
        .extensions
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["ok"]);
    assert_eq!(normalized.repairs.len(), 4, "{:?}", normalized.repairs);
}

/// Configured, declared, seen, mapped: in this order.
#[test]
fn formats_are_told_apart_in_the_documented_order() {
    let mapped = Application {
        mapping: Some(Mapping {
            r#type: Some(Template::parse("mapped").unwrap()),
            ..Mapping::default()
        }),
        ..system()
    };
    let event = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#;
    let idoc = "<O><IDOC><EDI_DC40><MESTYP>M</MESTYP><IDOCTYP>I</IDOCTYP></EDI_DC40></IDOC></O>";
    let binary: &[(&str, &str)] = &[
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "2"),
        ("ce-source", "/s"),
        ("ce-type", "t"),
    ];
    let cases = [
        (JSON, event, Format::CloudEvent),
        (binary, OLD, Format::CloudEvent),
        (JSON, OLD, Format::CloudEvent01),
        (JSON, idoc, Format::Idoc),
        (JSON, "<cXML><Message><A/></Message></cXML>", Format::Cxml),
        (
            JSON,
            "<x:ExternalEvent xmlns:x='urn:other'/>",
            Format::GenericXml,
        ),
        (
            JSON,
            r#"{"specversion":"1.0","id":"1"}"#,
            Format::GenericJson,
        ),
        (JSON, "[1]", Format::GenericJson),
    ];
    for (headers, body, format) in cases {
        let sent = Sent {
            reading: Reading::Seen,
            application: &mapped,
            headers,
            body: body.as_bytes(),
            topic: None,
        };
        assert_eq!(sent.normalized().unwrap().format, format, "{body}");
        let configured = Application {
            format: Some(Format::GenericJson),
            ..mapped.clone()
        };
        let sent = Sent {
            application: &configured,
            ..sent
        };
        if !body.starts_with('<') {
            let format = sent.normalized().unwrap().format;
            assert_eq!(format, Format::GenericJson, "{body}");
        }
    }
}

/// What nothing is known by is no event, whatever it is labelled; a media type of CloudEvents that
/// nobody here reads is named.
#[test]
fn what_is_known_by_nothing_is_no_event() {
    for (content_type, body) in [
        ("text/plain", "hello"),
        ("application/xml", "<a/>"),
        ("application/json", "{}"),
        ("application/json", "null"),
        ("application/octet-stream", ""),
    ] {
        let headers = [("content-type", content_type)];
        let error = seen(Reading::Seen, &headers, body.as_bytes()).unwrap_err();
        assert_eq!(error.code(), "normalize/not-an-event", "{content_type}");
    }
    let headers = [("content-type", "application/cloudevents+xml")];
    let error = seen(Reading::Seen, &headers, b"<event/>").unwrap_err();
    assert_eq!(error.code(), "normalize/unsupported-media-type");
}

/// Only headers of trace context become attributes, and those of B3 where Kyma takes them.
#[test]
fn other_headers_are_no_attributes() {
    let headers = [
        ("content-type", "application/json"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("tracestate", "a=b"),
        ("x-b3-traceid", "463ac35c9f6413ad48485a3953bb6124"),
        ("x-correlation-id", "c"),
        ("concur-correlationid", "d"),
        ("sappassport", "e"),
    ];
    let body = br#"{"id":"1","topic":"concur.a","eventType":"b"}"#;
    let event = event_of(Reading::As(Format::Concur), &headers, body);
    let names: Vec<&str> = event
        .extensions
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["traceparent", "tracestate"]);
}

/// Where Kyma's publisher wants JSON, data that was hidden in a string is looked at, and what was
/// read as JSON already is not a second time.
#[test]
fn hidden_data_has_to_be_json_too() {
    let not_json = "bm90IGpzb24=";
    let event = |version: &str, members: &str| {
        format!(
            r#"{{"specversion":"{version}","id":"1","source":"s","type":"t.v1","datacontenttype":"application/json",{members}}}"#
        )
    };
    let hidden = event(
        "0.3",
        &format!(r#""datacontentencoding":"base64","data":"{not_json}""#),
    );
    let encoded = event("1.0", &format!(r#""data_base64":"{not_json}""#));
    let plain = event("1.0", r#""data":{"a":[1.10]}"#);
    let read = |body: &str, content_type| {
        let sent = Sent {
            reading: Reading::Publish,
            application: &Application::unnamed("a"),
            headers: &[("content-type", content_type)],
            body: body.as_bytes(),
            topic: None,
        };
        sent.normalized().map(|read| read.events.as_slice().len())
    };
    let (one, batch) = (
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
    );
    assert_eq!(read(&plain, one).unwrap(), 1);
    for bad in [hidden, encoded] {
        let error = read(&bad, one).unwrap_err();
        assert_eq!(error.code(), "normalize/data-not-json", "{bad}");
        let error = read(&format!("[{plain},{bad}]"), batch).unwrap_err();
        assert_eq!(error.code(), "normalize/data-not-json", "{bad}");
    }
}
