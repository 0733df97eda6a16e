//! What single formats take, mend and refuse, beside the documented cases.

use serde_json::{Value, json};
use tidegate_application::{Application, Format, Mapping, Template};
use tidegate_event::{Event, Leniency};
use tidegate_normalize::{Error, Normalized, Reading};

use crate::Sent;

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

fn app() -> Application {
    Application {
        extension_names: Leniency::Lowercase,
        ..Application::unnamed("sys")
    }
}

fn of(reading: Reading, app: &Application, body: &Value) -> Result<Normalized, Error> {
    let body = body.to_string();
    let sent = Sent {
        reading,
        application: app,
        headers: JSON,
        body: body.as_bytes(),
        topic: None,
    };
    sent.normalized()
}

fn one(reading: Reading, body: &Value) -> Event {
    let normalized = of(reading, &app(), body).unwrap();
    normalized.events.as_slice()[0].clone()
}

fn text(event: &Event, name: &str) -> Option<String> {
    let value = event.extensions.get(name)?;
    Some(value.to_text().to_string())
}

/// Who sent an event, how and when is the gateway's to say; a sender cannot say it in its name.
#[test]
fn the_gateway_says_who_sent_an_event_and_nobody_else() {
    let event = one(
        Reading::Seen,
        &json!({"specversion": "0.2", "id": "1", "source": "/s", "type": "t",
                "time": "2026-11-12 13:00:37", "ingressapp": "other", "ingressrole": "admin"}),
    );
    let said = |name: &str| text(&event, &format!("ingress{name}"));
    assert_eq!(said("app").as_deref(), Some("sys"));
    assert_eq!(said("format").as_deref(), Some("cloudevent"));
    assert_eq!(said("time").as_deref(), Some("1970-01-01T00:00:00.000Z"));
    assert_eq!(said("specver").as_deref(), Some("0.2"));
    assert_eq!(said("timefix").as_deref(), Some("assumed-utc"));
    assert_eq!(said("role"), None);
    assert_eq!(event.time.as_deref(), Some("2026-11-12T13:00:37Z"));
}

/// Names and values that CloudEvents does not know cost the attribute at most.
#[test]
fn attributes_are_mended() {
    let normalized = of(
        Reading::Seen,
        &app(),
        &json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "subject": "",
                "dataschema": "/relative", "time": "13 o'clock", "x-correlation-id": "c",
                "tenantId": "t1", "kafkaoffset": 7, "camelCase": true, "big": 12345678901u64,
                "list": [1], "none": null}),
    )
    .unwrap();
    let event = &normalized.events.as_slice()[0];
    assert_eq!(text(event, "xsapcorrelationid").as_deref(), Some("c"));
    assert_eq!(text(event, "xsaptenantid").as_deref(), Some("t1"));
    assert_eq!(text(event, "camelcase").as_deref(), Some("true"));
    assert_eq!(text(event, "big").as_deref(), Some("12345678901"));
    for gone in ["kafkaoffset", "list", "none"] {
        assert_eq!(text(event, gone), None, "{gone}");
    }
    assert_eq!(
        (&event.subject, &event.dataschema, &event.time),
        (&None, &None, &None)
    );
    assert_eq!(normalized.repairs.len(), 9, "{:?}", normalized.repairs);
}

/// What a sender says under the legal name counts, wherever it stands.
#[test]
fn a_legal_name_counts_more_than_one_renamed_to_it() {
    for body in [
        r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","x-correlationid":"b","xsapcorrelationid":"a"}"#,
        r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","xsapcorrelationid":"a","x-correlationid":"b"}"#,
    ] {
        let app = app();
        let sent = Sent {
            reading: Reading::Seen,
            application: &app,
            headers: JSON,
            body: body.as_bytes(),
            topic: None,
        };
        let event = sent.normalized().unwrap().events.as_slice()[0].clone();
        assert_eq!(
            text(&event, "xsapcorrelationid").as_deref(),
            Some("a"),
            "{body}"
        );
    }
}

/// An epoch number is a time, also in an event that declares itself one.
#[test]
fn numbers_are_times() {
    let event = one(
        Reading::Seen,
        &json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "time": 1795443000}),
    );
    assert_eq!(event.time.as_deref(), Some("2026-11-23T14:10:00Z"));
}

/// A name that stands twice means two things to two readers.
#[test]
fn a_member_that_stands_twice_is_refused() {
    let app = app();
    let cases = [
        (
            Reading::Seen,
            r#"{"specversion":"1.0","id":"1","id":"2","source":"/s","type":"t"}"#,
        ),
        (
            Reading::As(Format::Concur),
            r#"{"topic":"concur.a","topic":"concur.b","eventType":"x"}"#,
        ),
    ];
    for (reading, body) in cases {
        let sent = Sent {
            reading,
            application: &app,
            headers: JSON,
            body: body.as_bytes(),
            topic: None,
        };
        assert!(sent.normalized().is_err(), "{body}");
    }
}

/// Bodies that nest without end are refused before anybody recurses into them.
#[test]
fn deep_nesting_is_refused_by_every_format() {
    let app = app();
    let body = "[".repeat(10_000);
    for reading in [Reading::Publish, Reading::Seen, Reading::As(Format::LeanIx)] {
        let sent = Sent {
            reading,
            application: &app,
            headers: JSON,
            body: body.as_bytes(),
            topic: None,
        };
        let error = sent.normalized().unwrap_err();
        assert_eq!(error.code(), "normalize/json-too-deep");
    }
}

/// Brackets mean nothing in data that is no JSON.
#[test]
fn data_of_another_type_may_hold_any_brackets() {
    let app = app();
    let sent = Sent {
        reading: Reading::Publish,
        application: &app,
        headers: &[
            ("content-type", "application/octet-stream"),
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "s"),
            ("ce-type", "a.b"),
        ],
        body: &[b'['; 10_000],
        topic: None,
    };
    assert!(sent.normalized().is_ok());
}

/// Two equal notifications without a time are two changes, unless somebody says otherwise (D3).
#[test]
fn equal_messages_without_a_time_are_two_events() {
    let body = json!({"resourceType": "A", "eventType": "B", "resourceId": "1"});
    let id = |app: &Application| {
        let normalized = of(Reading::As(Format::CloudAlm), app, &body).unwrap();
        normalized.events.as_slice()[0].id.clone()
    };
    assert_ne!(id(&app()), id(&app()));
    let dedup = Application {
        content_dedup: true,
        ..app()
    };
    assert_eq!(id(&dedup), id(&dedup));
}

/// Alert Notification and LeanIX as the contract describes them.
#[test]
fn alert_notification_and_leanix_are_read() {
    let event = one(
        Reading::As(Format::AlertNotification),
        &json!({"id": "7", "eventType": "HighLoad", "severity": "WARNING", "region": "cf-eu10",
                "eventTimestamp": 1795443000, "resource": {"resourceName": "app"},
                "tags": {"ans:correlationId": "c"}}),
    );
    assert_eq!(event.source, "/cf-eu10/sap.ans/sys");
    assert_eq!(event.r#type, "sap.ans.HighLoad.v1");
    assert_eq!(event.subject.as_deref(), Some("app"));
    assert_eq!(event.time.as_deref(), Some("2026-11-23T14:10:00Z"));
    assert_eq!(text(&event, "xsapseverity").as_deref(), Some("WARNING"));
    assert_eq!(text(&event, "xsapcorrelationid").as_deref(), Some("c"));

    let event = one(
        Reading::As(Format::LeanIx),
        &json!({"id": 42834, "type": "FactSheetCreatedEvent", "createdAt": "2026-11-20T10:00:00Z",
                "workspaceId": "w 1", "factSheet": {"id": "f"}, "transactionSequenceNumber": 905}),
    );
    assert_eq!(event.id, "42834");
    assert_eq!(event.source, "/default/sap.leanix/w%201");
    assert_eq!(event.r#type, "sap.leanix.FactSheetCreatedEvent.v1");
    assert_eq!(event.subject.as_deref(), Some("f"));
    assert_eq!(
        text(&event, "sequence").as_deref(),
        Some("0000000000000000905")
    );
}

/// A mapping reads any JSON, deep in objects and arrays.
#[test]
fn a_mapping_reads_any_json() {
    let template = |text: &str| Some(Template::parse(text).unwrap());
    let app = Application {
        namespace: Some("acme".to_owned()),
        mapping: Some(Mapping {
            id: template("{/meta/id}-{/items/1/no}"),
            r#type: template("acme.{/meta/kind}.v1"),
            source: template("/eu/acme/{/meta/plant}"),
            subject: template("/items/0/no"),
            data: Some("/items/1".to_owned()),
            extensions: [("priority".to_owned(), Template::parse("/a~1b").unwrap())].into(),
            ..Mapping::default()
        }),
        ..app()
    };
    let body = json!({"meta": {"id": "x", "kind": "K", "plant": "P 1"}, "a/b": 3,
                      "items": [{"no": 1}, {"no": 2}]});
    let normalized = of(Reading::Seen, &app, &body).unwrap();
    assert_eq!(normalized.format, Format::GenericJson);
    let event = &normalized.events.as_slice()[0];
    assert_eq!(event.id, "x-2");
    assert_eq!(event.r#type, "acme.K.v1");
    assert_eq!(event.source, "/eu/acme/P%201");
    assert_eq!(event.subject.as_deref(), Some("1"));
    assert_eq!(text(event, "priority").as_deref(), Some("3"));
    assert_eq!(event.data.as_deref(), Some(&br#"{"no":2}"#[..]));

    let error = of(Reading::Seen, &app, &json!({"meta": {}})).unwrap_err();
    assert_eq!(error.code(), "normalize/mapping-without-value");
}

/// A batch above the bound is refused whole.
#[test]
fn a_request_of_too_many_events_is_refused() {
    let event = json!({"type": "t", "id": "1", "data": {}});
    let body = json!({"events": vec![event; 101]});
    let error = of(Reading::As(Format::CustomerDataCloud), &app(), &body).unwrap_err();
    assert_eq!(error.code(), "normalize/too-many-events");
}
