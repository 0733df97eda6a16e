use bytes::Bytes;
use proptest::prelude::*;
use tidegate_event::Value;

use super::*;

const TIME: &str = "2020-04-02T21:37:00Z";
const ID: &str = "8954ad1c-78ed-4c58-a639-68bd44031de0";

fn read_text(text: &str) -> Result<Event, Refusal> {
    read("test-app", &Bytes::copy_from_slice(text.as_bytes()))
}

/// A legal document with one member replaced (or taken away, by an empty value).
fn document(name: &str, value: &str) -> String {
    let members = [
        ("event-type", "\"order.created\""),
        ("event-type-version", "\"v1\""),
        ("event-id", "\"8954ad1c-78ed-4c58-a639-68bd44031de0\""),
        ("event-time", "\"2020-04-02T21:37:00Z\""),
        ("data", r#"{"k":"v"}"#),
    ];
    let members: Vec<String> = members
        .iter()
        .map(|(have, text)| (have, if *have == name { value } else { text }))
        .filter(|(_, text)| !text.is_empty())
        .map(|(have, text)| format!("\"{have}\":{text}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn more_info(text: &str) -> String {
    match read_text(text) {
        Err(Refusal::BadPayload { more_info }) => more_info,
        other => panic!("{text}: {other:?}"),
    }
}

/// One event, with the sender's names and the data's own bytes.
#[test]
fn a_document_becomes_one_event() {
    let text = r#"{"event-type":"Account.Root.Updated","event-type-version":"v1",
        "event-id":"8954AD1C-78ed-4c58-a639-68bd44031de0","event-time":"2020-04-02T21:37:00.10+02:00",
        "data" : {"z":1, "a":123456789012345678901234567890,"m":1.10} , "other":[]} garbage"#;
    let event = read_text(text).unwrap();
    assert_eq!(event.id, "8954AD1C-78ed-4c58-a639-68bd44031de0");
    assert_eq!(event.source, "test-app");
    assert_eq!(event.r#type, "Account.Root.Updated.v1");
    assert_eq!(event.time.as_deref(), Some("2020-04-02T21:37:00.10+02:00"));
    assert_eq!(event.datacontenttype.as_deref(), Some("application/json"));
    assert_eq!(event.extensions.len(), 1);
    assert_eq!(
        event.extensions.get("eventtypeversion"),
        Some(&Value::from("v1"))
    );
    let data = br#"{"z":1, "a":123456789012345678901234567890,"m":1.10}"#;
    assert_eq!(event.data.as_deref(), Some(&data[..]));
}

/// Of several mistakes Kyma names the first in this order.
#[test]
fn members_are_checked_in_kymas_order() {
    use Field::{Data, EventId, EventTime, EventType, EventTypeVersion};
    use Refusal::{InvalidField, MissingField};
    let mut text = r#"{"event-id":"x","data":""}"#.to_owned();
    let mut add = |member: &str| {
        text = text.replacen('{', &format!("{{{member},"), 1);
        text.clone()
    };
    for (member, expected) in [
        ("\"a\":0", MissingField(EventType)),
        ("\"event-type\":\"order\"", MissingField(EventTypeVersion)),
        (
            "\"event-type-version\":\"-\"",
            InvalidField(EventTypeVersion),
        ),
    ] {
        assert_eq!(read_text(&add(member)), Err(expected), "{member}");
    }
    text = text.replace("\"-\"", "\"v-1!\"");
    assert_eq!(read_text(&text), Err(MissingField(EventTime)));
    text = text.replacen('{', "{\"event-time\":\"yesterday\",", 1);
    assert_eq!(read_text(&text), Err(InvalidField(EventTime)));
    text = text.replace("yesterday", TIME);
    assert_eq!(read_text(&text), Err(InvalidField(EventId)));
    text = text.replace("\"x\"", &format!("\"{ID}\""));
    assert_eq!(read_text(&text), Err(MissingField(Data)));
}

/// Absent, null and empty are one to Kyma; every other value is data.
#[test]
fn only_absent_null_and_the_empty_string_are_no_data() {
    for value in ["", "null", "\"\""] {
        let missing = Err(Refusal::MissingField(Field::Data));
        assert_eq!(read_text(&document("data", value)), missing, "{value}");
    }
    for value in ["{}", "[]", "false", "0", "\" \"", "1e400", "\"\\ud800\""] {
        let event = read_text(&document("data", value)).unwrap();
        assert_eq!(event.data.as_deref(), Some(value.as_bytes()), "{value}");
    }
}

/// Go's JSON: names in any case, the last of several counts, null changes no text.
#[test]
fn members_are_read_by_gos_rules() {
    let event = read_text(&format!(
        r#"{{"EVENT-TYPE":"a","event-type":"b","Event-Type":null,"event-type-ver{s}ion":"v\u0032",
            "event-time":"{TIME}","DATA":1,"data":2,"event-type ":5}}"#,
        s = '\u{17f}'
    ))
    .unwrap();
    assert_eq!(event.r#type, "b.v2");
    assert_eq!(event.data.as_deref(), Some(&b"2"[..]));
    let forgotten = document("data", "1,\"data\":null");
    assert_eq!(
        read_text(&forgotten),
        Err(Refusal::MissingField(Field::Data))
    );
}

/// The texts of Go's decoder, of which the first mistake counts and syntax before all.
#[test]
fn values_of_another_type_are_named_as_go_names_them() {
    for (text, expected) in [
        ("", "Bad payload syntax"),
        ("  ", "EOF"),
        ("{\"event-type\":5", "unexpected EOF"),
        (
            "[]",
            "json: cannot unmarshal array into Go value of type api.PublishRequestV1",
        ),
        (
            "\"a\" b",
            "json: cannot unmarshal string into Go value of type api.PublishRequestV1",
        ),
        (
            "12x",
            "json: cannot unmarshal number into Go value of type api.PublishRequestV1",
        ),
        (
            "true",
            "json: cannot unmarshal bool into Go value of type api.PublishRequestV1",
        ),
        (
            "{\"event-type\":5,\"event-id\":{}}",
            "json: cannot unmarshal number into Go struct field PublishRequestV1.event-type of type string",
        ),
        (
            "{\"Event-ID\":{},\"event-type\":5}",
            "json: cannot unmarshal object into Go struct field PublishRequestV1.event-id of type string",
        ),
        (
            "{\"event-time\":[1]}",
            "json: cannot unmarshal array into Go struct field PublishRequestV1.event-time of type string",
        ),
        (
            "{\"event-type-version\":false}",
            "json: cannot unmarshal bool into Go struct field PublishRequestV1.event-type-version of type string",
        ),
    ] {
        assert_eq!(more_info(text), expected, "{text}");
    }
    assert_eq!(
        read_text("null"),
        Err(Refusal::MissingField(Field::EventType))
    );
}

/// Only UUIDs, in either case, are taken for ids.
#[test]
fn ids_of_another_form_are_refused() {
    for id in [
        "8954ad1c-78ed-4c58-a639-68bd44031de",
        "8954ad1c-78ed-4c58-a639-68bd44031de0-",
        "8954ad1c78ed4c58a63968bd44031de0",
        "{8954ad1c-78ed-4c58-a639-68bd44031de0}",
        "8954ad1g-78ed-4c58-a639-68bd44031de0",
        " ",
    ] {
        let refused = read_text(&document("event-id", &format!("\"{id}\"")));
        assert_eq!(refused, Err(Refusal::InvalidField(Field::EventId)), "{id}");
    }
}

/// Text that no event may carry is the sender's mistake, not ours.
#[test]
fn control_characters_are_refused_as_bad_payload() {
    for (name, value) in [
        ("event-type", "\"a\\u0000b\""),
        ("event-type-version", "\"v1\\n\""),
    ] {
        let info = more_info(&document(name, value));
        assert!(!info.is_empty(), "{name}");
    }
}

/// A segment that Kyma's cleaning would empty, in the type or the application.
#[test]
fn empty_segments_are_refused_in_kymas_words() {
    let words = "event type cannot have empty segments after cleaning: ";
    let info = more_info(&document("event-type", "\"order..created\""));
    assert_eq!(info, format!("{words}kyma.test-app.order..created.v1"));
    let body = Bytes::from(document("", ""));
    for application in ["...", "", "*"] {
        let more_info = format!("{words}kyma..order.created.v1");
        assert_eq!(
            read(application, &body),
            Err(Refusal::BadPayload { more_info })
        );
    }
}

/// A retry has the same id as the first try; another change has another.
#[test]
fn an_id_is_derived_when_there_is_none() {
    let without = |data: &str| {
        read_text(&document("event-id", "").replace("\"v\"", data))
            .unwrap()
            .id
    };
    let empty = read_text(&document("event-id", "\"\"")).unwrap().id;
    assert_eq!(without("\"v\""), empty);
    assert_eq!(empty.len(), 36);
    assert_ne!(without("\"w\""), empty);
}

proptest! {
    /// One byte more or another one in the data is another event; the same request never is.
    #[test]
    fn derived_ids_follow_the_data(one in "[a-z0-9]{1,20}", other in "[a-z0-9]{1,20}") {
        let id = |text: &str| read_text(&document("event-id", "").replace("\"v\"", &format!("\"{text}\""))).unwrap().id;
        prop_assert_eq!(id(&one), id(&one));
        prop_assert_eq!(id(&one) == id(&other), one == other);
    }
}
