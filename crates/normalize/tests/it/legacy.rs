//! The legacy door to the letter.

use tidegate_application::Format;
use tidegate_event::Event;
use tidegate_normalize::{Error, Reading};

use crate::read;

fn legacy(body: &str) -> Result<Event, Error> {
    read(
        Reading::As(Format::KymaLegacy),
        Some("shop"),
        &[],
        body.as_bytes(),
    )
    .map(|mut events| events.remove(0))
}

fn refusal(body: &str) -> String {
    match legacy(body) {
        Err(Error::Legacy(refusal)) => refusal.body(),
        other => panic!("{body}: {other:?}"),
    }
}

fn with(members: &str) -> String {
    format!(
        r#"{{"event-type":"order.created","event-type-version":"v1","event-time":"2026-04-02T21:37:00Z","data":{{"a":1}}{members}}}"#
    )
}

/// What Go's decoder says of a text is what the sender reads.
#[test]
fn syntax_errors_are_told_in_gos_words() {
    for (body, text) in [
        (
            "hello",
            "invalid character 'h' looking for beginning of value",
        ),
        ("{", "unexpected EOF"),
        ("{\"a\"", "unexpected EOF"),
        ("{\"a\" 1}", "invalid character '1' after object key"),
        (
            "{\"a\":1 \"b\"}",
            "invalid character '\\\"' after object key:value pair",
        ),
        ("{\"a\":[1 2]}", "invalid character '2' after array element"),
        (
            "{a:1}",
            "invalid character 'a' looking for beginning of object key string",
        ),
        (
            "{\"a\":tru3}",
            "invalid character '3' in literal true (expecting 'e')",
        ),
        ("{\"a\":-x}", "invalid character 'x' in numeric literal"),
        (
            "{\"a\":1.x}",
            "invalid character 'x' after decimal point in numeric literal",
        ),
        (
            "{\"a\":1ex}",
            "invalid character 'x' in exponent of numeric literal",
        ),
        (
            "{\"a\":\"\\x\"}",
            "invalid character 'x' in string escape code",
        ),
        (
            "[]",
            "json: cannot unmarshal array into Go value of type api.PublishRequestV1",
        ),
        (
            "5",
            "json: cannot unmarshal number into Go value of type api.PublishRequestV1",
        ),
        (
            "{\"event-type\":5}",
            "json: cannot unmarshal number into Go struct field PublishRequestV1.event-type of type string",
        ),
        (
            "{\"event-id\":[]}",
            "json: cannot unmarshal array into Go struct field PublishRequestV1.event-id of type string",
        ),
    ] {
        let expected = format!(
            "{{\"status\":400,\"type\":\"bad_payload_syntax\",\"message\":\"Bad payload syntax\",\"moreInfo\":\"{text}\"}}\n"
        );
        assert_eq!(refusal(body), expected, "{body}");
    }
}

/// Names in any case, the last one wins, null is nothing, and what follows the value is ignored.
#[test]
fn requests_are_read_as_go_reads_them() {
    let event = legacy(&with(
        r#","EVENT-TYPE":"Order.Paid","event-id":null,"more":{}"#,
    ))
    .unwrap();
    assert_eq!(event.r#type, "Order.Paid.v1");
    assert!(legacy(&format!("{} garbage", with(""))).is_ok());
    assert_eq!(refusal("null"), refusal("{}"));
}

/// The data is the value's own bytes.
#[test]
fn data_keeps_its_bytes() {
    let exact = r#"{"z":1,"a":123456789012345678901234567890,"m":1.10}"#;
    let event = legacy(&with(&format!(r#","data": {exact} "#))).unwrap();
    assert_eq!(event.data.as_deref(), Some(exact.as_bytes()));
    for taken in ["{}", "[]", "false", "0", "\"x\""] {
        assert!(
            legacy(&with(&format!(r#","data":{taken}"#))).is_ok(),
            "{taken}"
        );
    }
    for missing in ["null", "\"\""] {
        assert!(refusal(&with(&format!(r#","data":{missing}"#))).contains("missing_field"));
    }
}

/// A repeated request is the same event; another one is another.
#[test]
fn derived_ids_tell_occurrences_apart() {
    let id = |members: &str| legacy(&with(members)).unwrap().id;
    assert_eq!(id(""), id(""));
    assert_eq!(
        id(r#","data":{"a":1,"b":2}"#),
        id(r#","data":{"b":2, "a":1}"#)
    );
    for other in [
        r#","data":{"a":2}"#,
        r#","event-time":"2026-04-02T21:37:01Z""#,
        r#","event-type-version":"v2""#,
    ] {
        assert_ne!(id(""), id(other), "{other}");
    }
    // More digits than a double holds: the canonical form would make these one.
    let long = |end: &str| {
        id(&format!(
            r#","data":{{"a":1234567890123456789012345678{end}}}"#
        ))
    };
    assert_ne!(long("90"), long("91"));
}

/// Text that no event can hold is refused, not stored.
#[test]
fn control_characters_are_refused() {
    assert!(refusal(&with(r#","event-type":"a.b\u0000""#)).contains("control characters"));
}

/// Deep nesting costs no stack.
#[test]
fn deep_nesting_is_gos_error() {
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    assert!(refusal(&with(&format!(r#","data":{deep}"#))).contains("exceeded max depth"));
}
