//! Rules of the Kafka binding that no public case covers.

use bytes::Bytes;
use tidegate_event::{
    Data, Error, Event, Leniency, Name, TraceContext, Value, json,
    kafka::{Mode, decode_binary, encode_binary, encode_structured, hop, key, mode, read_binary},
};

type Header<'a> = (&'a str, Option<&'a [u8]>);

const REQUIRED: [Header<'static>; 4] = [
    ("ce_specversion", Some(b"1.0")),
    ("ce_id", Some(b"1")),
    ("ce_source", Some(b"/s")),
    ("ce_type", Some(b"t")),
];

const TRACE: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn with<'a>(extra: &[Header<'a>]) -> Vec<Header<'a>> {
    let mut headers = REQUIRED.to_vec();
    headers.extend(extra);
    headers
}

fn binary(extra: &[Header<'_>]) -> Result<Event, Error> {
    let value = Some(Bytes::from_static(b"x"));
    decode_binary(with(extra).into_iter(), value, Leniency::Strict)
}

/// Values are text as it is: what HTTP would decode stays.
#[test]
fn header_values_are_verbatim() {
    for text in [
        "Euro € 😀",
        "Euro%20%E2%82%AC",
        "\"quoted\"",
        " a  b ",
        "100%",
    ] {
        let event = binary(&[("ce_subject", Some(text.as_bytes()))]).unwrap();
        assert_eq!(event.subject.as_deref(), Some(text));
    }
}

/// What is no UTF-8 is refused by the name of its attribute; headers of others are not looked into.
#[test]
fn other_than_utf_8_is_refused() {
    for (header, attribute) in [
        ("ce_subject", "subject"),
        ("ce_myext", "myext"),
        ("content-type", "datacontenttype"),
    ] {
        let refused = binary(&[(header, Some(b"a\xff\xfe"))]);
        let Err(Error::Invalid {
            attribute: found,
            reason,
            ..
        }) = refused
        else {
            panic!("{header}: {refused:?}")
        };
        assert_eq!((&*found, reason), (attribute, "must be UTF-8"));
    }
    let event = binary(&[
        ("schema-id", Some(b"\0\xff")),
        ("traceparent", Some(b"\xff")),
    ])
    .unwrap();
    assert!(event.extensions.is_empty() && event.hop.is_none());
}

/// An attribute that stands twice has no meaning, nor has a content type.
#[test]
fn repeated_attributes_are_refused() {
    for header in ["ce_subject", "ce_id", "ce_myext", "content-type"] {
        let twice = [(header, Some(&b"a/b"[..])), (header, Some(&b"a/b"[..]))];
        let refused = binary(&twice);
        assert!(
            matches!(refused, Err(Error::Duplicate { .. })),
            "{header}: {refused:?}"
        );
    }
    let twice: [Header<'_>; 2] = [
        ("content-type", Some(b"application/json")),
        ("Content-Type", Some(b"application/cloudevents+json")),
    ];
    assert!(matches!(
        mode(twice.into_iter()),
        Err(Error::Duplicate { .. })
    ));
    let plain = [twice[0], twice[0]];
    assert_eq!(
        mode(plain.into_iter()),
        Ok(None),
        "a record that is no event"
    );
    assert!(mode(with(&plain).into_iter()).is_err());
}

/// A header without a value is an attribute that is not there; a required one is then missing.
#[test]
fn null_headers_are_absent() {
    let nulls = [
        ("ce_subject", None),
        ("ce_myext", None),
        ("content-type", None),
    ];
    let event = binary(&nulls).unwrap();
    assert_eq!(event, binary(&[]).unwrap());
    assert_eq!(binary(&[("ce_id", None)]).unwrap().id, "1", "no repetition");
    let without = REQUIRED.map(|(name, value)| (name, value.filter(|_| name != "ce_id")));
    let missing = decode_binary(without.into_iter(), None, Leniency::Strict);
    assert_eq!(missing, Err(Error::Missing { attribute: "id" }));
    assert_eq!(mode([("ce_specversion", None)].into_iter()), Ok(None));
    // An empty value is a value.
    assert!(matches!(
        binary(&[("ce_subject", Some(b""))]),
        Err(Error::Invalid { .. })
    ));
}

/// The mode is told by the media type in any case, with parameters; others are refused.
#[test]
fn modes_are_told_apart() {
    let of = |content_type: &str| {
        let headers = [("Content-type", Some(content_type.as_bytes()))];
        mode(headers.into_iter())
    };
    for structured in [
        "application/cloudevents+json",
        "Application/CloudEvents+JSON; Charset=UTF-8",
        "application/cloudevents+json;charset=\"utf-8\"",
    ] {
        assert_eq!(of(structured), Ok(Some(Mode::Structured)), "{structured}");
    }
    let batch = of("application/cloudevents-batch+json");
    assert_eq!(batch, Ok(Some(Mode::Batch)));
    assert_eq!(of("application/json"), Ok(None));
    assert_eq!(of(""), Ok(None));
    for refused in [
        "application/cloudevents+avro",
        "APPLICATION/CLOUDEVENTS+avro",
        "application/cloudevents+json; charset=utf-16",
    ] {
        assert!(
            matches!(of(refused), Err(Error::MediaType { .. })),
            "{refused}"
        );
    }
    assert_eq!(mode(std::iter::empty()), Ok(None));
    assert_eq!(mode(REQUIRED.into_iter()), Ok(Some(Mode::Binary)));
    let structured = [("content-type", Some(&b"application/cloudevents+json"[..]))];
    let both = mode(with(&structured).into_iter());
    assert_eq!(
        both,
        Ok(Some(Mode::Structured)),
        "§3.3.3: headers may stand beside"
    );
    assert_eq!(
        mode([("CE_SpecVersion", Some(&b"1.0"[..]))].into_iter()),
        Ok(Some(Mode::Binary))
    );
    assert_eq!(
        mode([("ce-specversion", Some(&b"1.0"[..]))].into_iter()),
        Ok(None),
        "HTTP's"
    );
}

/// The prefix is read in any case; what is behind it is a name like any other.
#[test]
fn names_are_read_by_their_prefix() {
    let event = binary(&[("CE_subject", Some(b"a")), ("ce-other", Some(b"b"))]).unwrap();
    assert_eq!(event.subject.as_deref(), Some("a"));
    assert!(event.extensions.is_empty());
    let upper: [Header<'_>; 1] = [("ce_myExt", Some(b"a"))];
    assert!(matches!(binary(&upper), Err(Error::Name { .. })));
    let lowered = decode_binary(with(&upper).into_iter(), None, Leniency::Lowercase).unwrap();
    assert_eq!(lowered.extensions.get("myext"), Some(&"a".into()));
}

/// A record without a value is an event without data, as one with an empty value is.
#[test]
fn a_tombstone_is_an_event_without_data() {
    for value in [None, Some(Bytes::new())] {
        let draft = read_binary(REQUIRED.into_iter(), value).unwrap();
        assert!(matches!(draft.data, Data::Absent));
        assert_eq!(draft.finish(Leniency::Strict).unwrap().data, None);
    }
}

/// The hop's trace is the last header of its name, and no attribute.
#[test]
fn the_trace_of_the_hop_is_the_last() {
    let text = std::str::from_utf8(TRACE).unwrap();
    let older = text.replace("-00f0", "-11f0");
    let headers = [
        ("traceparent", Some(older.as_bytes())),
        ("Traceparent", Some(TRACE)),
    ];
    let trace = TraceContext::parse(text);
    let event = binary(&headers).unwrap();
    assert_eq!(event.hop, trace);
    assert!(event.extensions.is_empty());
    assert_eq!(hop(headers.into_iter()), trace);
    let broken = [headers[0], ("traceparent", Some(b"broken"))];
    assert_eq!(hop(broken.into_iter()), None);
    assert_eq!(binary(&broken).unwrap().hop, None);
    let own = binary(&[("ce_traceparent", Some(TRACE))]).unwrap();
    let found = (own.hop, own.extensions.len());
    assert_eq!(found, (None, 1), "the sender's own");
}

/// What is written, to the byte.
#[test]
fn headers_are_written_as_the_binding_names_them() {
    let mut event = Event::new("1", "/ä b", "t");
    event.datacontenttype = Some("text/plain; charset=utf-8".into());
    event.data = Some(Bytes::from_static(b"x"));
    event.hop = TraceContext::parse(std::str::from_utf8(TRACE).unwrap());
    event
        .extensions
        .insert(Name::from_static("anumber"), Value::Integer(-7));
    let mut written = Vec::new();
    encode_binary(&event, |name, value| {
        written.push((name.to_owned(), value.to_vec()))
    });
    let wanted: [(&str, &[u8]); 7] = [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"1"),
        ("ce_source", "/ä b".as_bytes()),
        ("ce_type", b"t"),
        ("ce_anumber", b"-7"),
        ("content-type", b"text/plain; charset=utf-8"),
        ("traceparent", TRACE),
    ];
    assert_eq!(
        written,
        wanted.map(|(name, value)| (name.to_owned(), value.to_vec()))
    );
    written.clear();
    let value = encode_structured(&event, |name, value| {
        written.push((name.to_owned(), value.to_vec()))
    });
    let wanted: [(&str, &[u8]); 2] = [
        (
            "content-type",
            b"application/cloudevents+json; charset=utf-8",
        ),
        ("traceparent", TRACE),
    ];
    assert_eq!(
        written,
        wanted.map(|(name, value)| (name.to_owned(), value.to_vec()))
    );
    assert_eq!(value, json::encode(&event));
}

/// The key is the extension's value as it is; the event keeps it.
#[test]
fn the_key_is_the_partition_key() {
    let mut event = Event::new("1", "/s", "t");
    assert_eq!(key(&event), None);
    for (value, wanted) in [
        (Value::from("Kunde 7 %"), Some("Kunde 7 %")),
        (Value::Integer(7), Some("7")),
        (Value::from(""), None),
    ] {
        event
            .extensions
            .insert(Name::from_static("partitionkey"), value);
        assert_eq!(key(&event).as_deref(), wanted);
        assert_eq!(event.extensions.len(), 1);
    }
}
