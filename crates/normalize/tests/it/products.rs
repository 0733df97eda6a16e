//! Web hooks of products that know no CloudEvents, and any JSON by a mapping.

use tidegate_application::{Application, Format, Mapping, Template};
use tidegate_event::Event;
use tidegate_normalize::{Error, Normalized, Reading};

use crate::{Sent, bare, event_of, seen, system, text};

fn read(format: Format, body: &str) -> Event {
    event_of(
        Reading::As(format),
        &[("content-type", "application/json")],
        body.as_bytes(),
    )
}

fn mapped(mapping: Mapping, format: Format, body: &str) -> Result<Normalized, Error> {
    let application = Application {
        mapping: Some(mapping),
        ..system()
    };
    let sent = Sent {
        reading: Reading::As(format),
        application: &application,
        headers: &[],
        body: body.as_bytes(),
        topic: None,
    };
    sent.normalized()
}

fn template(text: &str) -> Option<Template> {
    Some(Template::parse(text).unwrap())
}

/// The whole body is the value that was sent, not the white space around it.
#[test]
fn white_space_around_a_body_is_no_data() {
    for (format, body) in [
        (
            Format::Concur,
            r#"{"id":"1","topic":"concur.a","eventType":"b"}"#,
        ),
        (Format::AlertNotification, r#"{"id":"1","eventType":"b"}"#),
        (Format::CloudAlm, r#"{"resourceType":"a","eventType":"b"}"#),
        (Format::LeanIx, r#"{"id":1,"type":"a","workspaceId":"b"}"#),
    ] {
        let event = read(format, &format!("\r\n {body}\n\n"));
        assert_eq!(event.data.as_deref(), Some(body.as_bytes()), "{body}");
    }
    let mapping = Mapping {
        r#type: template("t"),
        ..Mapping::default()
    };
    let normalized = mapped(mapping, Format::GenericJson, " {\"a\": 1}\n").unwrap();
    let data = &normalized.events.as_slice()[0].data;
    assert_eq!(data.as_deref(), Some(&b"{\"a\": 1}"[..]));
}

/// Concur names topics in two ways; other beginnings are part of the topic.
#[test]
fn topics_of_concur_lose_their_known_beginnings() {
    for (topic, name) in [
        ("public.concur.user.provisioning", "user.provisioning"),
        ("concur.request", "request"),
        ("public.concur.profile.identity", "profile.identity"),
        ("public.other", "public.other"),
        ("other", "other"),
    ] {
        let body = format!(r#"{{"id":"1","topic":"{topic}","eventType":"e.f"}}"#);
        let event = read(Format::Concur, &body);
        assert_eq!(event.r#type, format!("sap.concur.{name}.e.f.v4"));
    }
}

/// The first of several keys that is there is the subject; a time that no calendar has is none.
#[test]
fn events_of_concur_are_read_as_they_vary() {
    let of = |facts: &str, more: &str| {
        let body = format!(
            r#"{{"id":"updated-1-24681","topic":"concur.a","eventType":"b","facts":{facts}{more}}}"#
        );
        read(Format::Concur, &body)
    };
    for (facts, more, subject) in [
        (r#"{"reportId":"r","id":"i","userId":"u"}"#, "", Some("r")),
        (r#"{"reportId":null,"id":"i","userId":"u"}"#, "", Some("i")),
        (r#"{"provisionId":"p","userId":"u"}"#, "", Some("p")),
        (r#"{"userId":7}"#, "", Some("7")),
        ("{}", r#","subtopic":"s""#, Some("s")),
        ("null", r#","subtopic":"s""#, Some("s")),
        ("[]", r#","subtopic":null"#, None),
    ] {
        assert_eq!(of(facts, more).subject.as_deref(), subject, "{facts}");
    }
    let event = of(
        r#"{"companyId":"c/ü 1"}"#,
        r#","timeStamp":"2026-13-02T13:35:19.928Z","correlationId":null"#,
    );
    assert_eq!(event.id, "updated-1-24681");
    assert_eq!(event.time, None);
    assert_eq!(event.source, "/default/sap.concur/c%2F%C3%BC%201");
    assert_eq!(event.extensions.iter().count(), 0);
}

/// Text of a message that no attribute may have costs the attribute, not the event.
#[test]
fn illegal_text_costs_the_attribute() {
    let body =
        br#"{"id":"1","eventType":"e","severity":"a\nb","resource":{"resourceName":"x\ty"}}"#;
    let reading = Reading::As(Format::AlertNotification);
    let normalized = seen(reading, &[], body).unwrap();
    let event = &bare(&normalized)[0];
    assert_eq!(event.subject, None);
    assert_eq!(event.extensions.iter().count(), 0);
    assert_eq!(normalized.repairs.len(), 2, "{:?}", normalized.repairs);
    let refused = seen(reading, &[], br#"{"id":"1\u0000","eventType":"e"}"#).unwrap_err();
    assert_eq!(refused.code(), "event/invalid-attribute");
}

/// Alert Notification gives seconds or milliseconds, and a region or none.
#[test]
fn alerts_are_read_as_they_vary() {
    for (sent, time) in [
        ("1795443000", "2026-11-23T14:10:00Z"),
        ("1795443000120", "2026-11-23T14:10:00.120Z"),
        ("\"1795443000\"", "2026-11-23T14:10:00Z"),
    ] {
        let body = format!(r#"{{"id":"1","eventType":"e","eventTimestamp":{sent},"tags":null}}"#);
        let event = read(Format::AlertNotification, &body);
        assert_eq!(event.time.as_deref(), Some(time));
        assert_eq!(event.source, "/default/sap.ans/sys");
    }
}

/// Several events of one request are all taken or none; each is read for itself.
#[test]
fn events_of_customer_data_cloud_are_all_taken_or_none() {
    let reading = Reading::As(Format::CustomerDataCloud);
    let body = r#"{"nonce":"n","timestamp":5,"events":[
        {"type":"a","id":"1","timestamp":1795443000,"version":"2.1","apiKey":"k/1","callId":7,"data":{"uid":"u","uid":"v"}},
        {"type":"b","id":2,"version":3,"data":null},
        {"type":"c","id":"3"}]}"#;
    let events = bare(&seen(reading, &[], body.as_bytes()).unwrap());
    let found: Vec<_> = events
        .iter()
        .map(|event| (&*event.id, &*event.r#type, &*event.source))
        .collect();
    let expected = [
        ("1", "sap.cdc.a.v2", "/default/sap.cdc/k%2F1"),
        ("2", "sap.cdc.b.v3", "/default/sap.cdc/sys"),
        ("3", "sap.cdc.c.v1", "/default/sap.cdc/sys"),
    ];
    assert_eq!(found, expected);
    assert_eq!(text(&events[0], "xsapcallid").as_deref(), Some("7"));
    assert_eq!(events[0].subject, None);
    for wrong in [
        r#"{"events":[{"type":"a","id":"1","data":{}},{"id":"2","data":{}}]}"#,
        r#"{"events":[{"type":"a","id":"1","data":{}},7]}"#,
        r#"{"events":{}}"#,
        r#"{"events":"my secret"}"#,
        r#"{}"#,
        r#""my secret""#,
        "",
    ] {
        let error = seen(reading, &[], wrong.as_bytes()).unwrap_err();
        assert!(error.code().starts_with("normalize/"), "{wrong}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

/// A customer may rewrite what LeanIX sends, to anything; then the mapping reads it.
#[test]
fn what_leanix_does_not_send_is_read_by_the_mapping() {
    for body in [
        r#"{"kind":"k","type":"x"}"#,
        r#"[{"kind":"k"}]"#,
        r#"{"a":1,"a":2}"#,
    ] {
        let mapping = Mapping {
            r#type: template("acme.v1"),
            ..Mapping::default()
        };
        let normalized = mapped(mapping, Format::LeanIx, body).unwrap();
        assert_eq!(normalized.format, Format::GenericJson, "{body}");
        assert_eq!(bare(&normalized)[0].r#type, "acme.v1", "{body}");
    }
    let error = seen(Reading::As(Format::LeanIx), &[], b"[1]").unwrap_err();
    assert_eq!(error.code(), "normalize/invalid-json");
}

/// Pointers are RFC 6901's, to the letter.
#[test]
fn pointers_are_read_to_the_letter() {
    let body = r#"{"a":["x","y"],"":"e","~1":"t","c":{"%d":5.50,"n":null,"b":false}}"#;
    let find = |path: &str| {
        let mapping = Mapping {
            r#type: template("t"),
            subject: template(path),
            ..Mapping::default()
        };
        let normalized = mapped(mapping, Format::GenericJson, body).unwrap();
        let subject = normalized.events.as_slice()[0].subject.clone();
        subject.map(|subject| subject.to_string())
    };
    for (path, found) in [
        ("/a/1", Some("y")),
        ("/a/01", None),
        ("/a/+1", None),
        ("/a/-", None),
        ("/a/2", None),
        ("/a", None),
        ("/", Some("e")),
        ("/~01", Some("t")),
        ("/c/%d", Some("5.50")),
        ("/c/n", None),
        ("/c/b", Some("false")),
        ("/c/b/x", None),
    ] {
        assert_eq!(find(path).as_deref(), found, "{path}");
    }
}
