//! Ids of events whose senders give none (D2), computed here a second time by the rule.

use sha2::{Digest, Sha256};
use tidegate_application::{Application, Format, Mapping, Template};
use tidegate_normalize::Reading;
use uuid::Uuid;

use crate::{Sent, event_of, system};

/// The rule: format, source, type, subject, time and the hash of the payload, one in a line.
fn derived(parts: [&str; 5], payload: &str) -> String {
    let namespace = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"urn:event-ingress:id:v1");
    let digest = Sha256::digest(payload.as_bytes());
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{}\n{hash}", parts.join("\n"));
    Uuid::new_v5(&namespace, name.as_bytes()).to_string()
}

/// A subject that is made of the message is part of what the id is made of.
#[test]
fn a_derived_id_holds_the_derived_subject() {
    let body = r#"{ "topic":"concur.a", "eventType":"b", "timeStamp":"2026-11-20 10:00:00", "facts":{"id":"F"} }"#;
    let event = event_of(Reading::As(Format::Concur), &[], body.as_bytes());
    let canonical = r#"{"eventType":"b","facts":{"id":"F"},"timeStamp":"2026-11-20 10:00:00","topic":"concur.a"}"#;
    let parts = [
        "concur",
        "/default/sap.concur/sys",
        "sap.concur.a.b.v4",
        "F",
        "2026-11-20T10:00:00Z",
    ];
    assert_eq!(event.id, derived(parts, canonical));
}

/// A document number without a client tells occurrences apart, and is no id by itself: two
/// clients count for themselves.
#[test]
fn a_document_number_without_a_client_is_no_id() {
    let xml = "<O><IDOC><EDI_DC40><DOCNUM>7</DOCNUM><MESTYP>M</MESTYP><IDOCTYP>I</IDOCTYP></EDI_DC40></IDOC></O>";
    let event = event_of(Reading::As(Format::Idoc), &[], xml.as_bytes());
    let parts = ["idoc", "/default/sap.erp/sys", "sap.erp.idoc.M.I", "7", ""];
    assert_eq!(event.id, derived(parts, xml));
    assert_eq!(event.subject.as_deref(), Some("7"));
}

/// A sequence number tells occurrences apart as a time does.
#[test]
fn a_sequence_number_makes_an_id() {
    let body = r#"{"type":"a","workspaceId":"w","transactionSequenceNumber":5}"#;
    let event = event_of(Reading::As(Format::LeanIx), &[], body.as_bytes());
    let parts = ["leanix", "/default/sap.leanix/w", "sap.leanix.a.v1", "", ""];
    let canonical = r#"{"transactionSequenceNumber":5,"type":"a","workspaceId":"w"}"#;
    assert_eq!(event.id, derived(parts, canonical));

    let sequence = Template::parse("/no").unwrap();
    let application = Application {
        namespace: Some("acme".to_owned()),
        mapping: Some(Mapping {
            r#type: Some(Template::parse("t").unwrap()),
            extensions: [("sequence".to_owned(), sequence)].into(),
            ..Mapping::default()
        }),
        ..system()
    };
    let sent = Sent {
        reading: Reading::As(Format::GenericXml),
        application: &application,
        headers: &[],
        body: b"<no>5</no>",
        topic: None,
    };
    let event = sent.normalized().unwrap().events.as_slice()[0].clone();
    let parts = ["generic-xml", "/default/acme/sys", "t", "", ""];
    assert_eq!(event.id, derived(parts, "<no>5</no>"));
}

/// The canonical form of numbers is used as far as it keeps them.
#[test]
fn numbers_are_hashed_in_their_canonical_form() {
    let application = Application {
        mapping: Some(Mapping {
            r#type: Some(Template::parse("t").unwrap()),
            time: Some(Template::parse("/time").unwrap()),
            ..Mapping::default()
        }),
        ..system()
    };
    let id = |body: &str| {
        let sent = Sent {
            reading: Reading::As(Format::GenericJson),
            application: &application,
            headers: &[],
            body: body.as_bytes(),
            topic: None,
        };
        sent.normalized().unwrap().events.as_slice()[0]
            .id
            .to_string()
    };
    let time = "2026-11-20T10:00:00Z";
    for (sent, canonical) in [
        ("[true,false,null,\n 2]", "[true,false,null,2]"),
        ("1.0", "1"),
        ("1e3", "1000"),
        ("-0", "0"),
        ("1234567890123456", "1234567890123456"),
        ("9007199254740992", "9007199254740992"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("1.7976931348623157E308", "1.7976931348623157e+308"),
        ("100000000000000000000000", "1e+23"),
        ("\"\\u00e9\\/\"", "\"é/\""),
    ] {
        let body = format!(r#" {{"time":"{time}" , "n":{sent}}}"#);
        let canonical = format!(r#"{{"n":{canonical},"time":"{time}"}}"#);
        let expected = derived(["generic-json", "sys", "t", "", time], &canonical);
        assert_eq!(id(&body), expected, "{sent}");
    }
    // Digits that a double would lose tell payloads apart.
    let of = |number: &str| id(&format!(r#"{{"time":"{time}","n":{number}}}"#));
    assert_ne!(of("9007199254740993"), of("9007199254740992"));
    assert_ne!(of("0.1"), of("0.10000000000000001"));
}
