//! Rules of the codec that no public case covers.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_event::{
    Error, Event, Leniency,
    http::{Mode, decode_binary, mode},
    json,
};

fn headers(pairs: &[(&str, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

fn binary(extra: &[(&str, &[u8])]) -> Result<Event, Error> {
    let mut pairs: Vec<(&str, &[u8])> = vec![
        ("ce-specversion", b"1.0"),
        ("ce-id", b"1"),
        ("ce-source", b"/s"),
        ("ce-type", b"t"),
    ];
    pairs.retain(|(name, _)| !extra.iter().any(|(other, _)| other == name));
    pairs.extend(extra);
    decode_binary(&headers(&pairs), Bytes::from_static(b"x"), Leniency::Strict)
}

fn structured(members: &str) -> Result<Event, Error> {
    let text = format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t"{members}}}"#);
    json::decode(Bytes::from(text), Leniency::Strict)
}

/// Header values are percent-decoded; what is no UTF-8 then is refused.
#[test]
fn header_values_are_percent_decoded() {
    let event = binary(&[("ce-subject", b"Euro%20%E2%82%AC%20%F0%9F%98%80")]).unwrap();
    assert_eq!(event.subject.as_deref(), Some("Euro € 😀"));
    for value in [&b"%C0%A0"[..], b"\xff\xfe", b"%0A", b"%E2%82"] {
        assert!(binary(&[("ce-subject", value)]).is_err(), "{value:?}");
    }
}

/// An attribute that stands twice has no meaning.
#[test]
fn repeated_attributes_are_refused() {
    assert!(matches!(
        binary(&[("ce-subject", b"a"), ("ce-subject", b"b")]),
        Err(Error::Duplicate { .. })
    ));
    for members in [
        r#","id":"2""#,
        r#","x":"1","x":"2""#,
        r#","subject":null,"subject":"a""#,
    ] {
        assert!(
            matches!(structured(members), Err(Error::Duplicate { .. })),
            "{members}"
        );
    }
}

/// The mode is told by the media type in any case, with parameters; others are refused.
#[test]
fn modes_are_told_apart() {
    let of = |content_type: &str| mode(&headers(&[("content-type", content_type.as_bytes())]));
    assert_eq!(
        of("Application/CloudEvents+JSON; Charset=UTF-8"),
        Ok(Some(Mode::Structured))
    );
    assert_eq!(
        of("application/cloudevents-batch+json"),
        Ok(Some(Mode::Batch))
    );
    assert_eq!(of("application/json"), Ok(None));
    for refused in [
        "application/cloudevents",
        "application/cloudevents+xml",
        "application/cloudevents+json; charset=utf-16",
    ] {
        assert!(of(refused).is_err(), "{refused}");
    }
}

/// Numbers, key order and white space inside come out as they went in.
#[test]
fn json_data_keeps_its_bytes() {
    const EXACT: &str = r#"{"z":1,"a":123456789012345678901234567890,"m":1.10,  "u":"\u00e9" }"#;
    let event = structured(&format!(r#","data": {EXACT} "#)).unwrap();
    assert_eq!(event.data.as_deref(), Some(EXACT.as_bytes()));
    assert_eq!(event.datacontenttype.as_deref(), Some("application/json"));
    let text = String::from_utf8(json::encode(&event)).unwrap();
    assert!(text.contains(&format!("\"data\":{EXACT}")), "{text}");
}

/// What `data` means depends on its content type.
#[test]
fn data_is_read_by_its_content_type() {
    let data = |members: &str| structured(members).unwrap().data.map(|data| data.to_vec());
    assert_eq!(
        data(r#","datacontenttype":"text/plain","data":"a\n\"b\"""#).unwrap(),
        b"a\n\"b\""
    );
    assert_eq!(
        data(r#","datacontenttype":"application/json","data":"text""#).unwrap(),
        b"\"text\""
    );
    assert_eq!(data(r#","datacontenttype":"text/xml","data":null"#), None);
    assert_eq!(data(r#","data":null"#).unwrap(), b"null");
    assert_eq!(
        data(r#","datacontenttype":"a/b","data_base64":"AAH/""#).unwrap(),
        [0, 1, 255]
    );
    assert!(structured(r#","data_base64":"AAH""#).is_err());
    assert!(structured(r#","data_base64":5"#).is_err());
    assert!(structured(r#","data":1,"data_base64":"AAH/""#).is_err());
}

/// Nesting costs no stack, however deep a body can make it.
#[test]
fn deep_nesting_is_no_danger() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let event = structured(&format!(r#","data":{deep}"#)).unwrap();
    assert_eq!(event.data_len(), deep.len());
    assert!(structured(&format!(r#","x":{deep}"#)).is_err());
    assert!(json::decode(Bytes::from("[".repeat(200_000)), Leniency::Strict).is_err());
    assert!(json::decode_batch(Bytes::from("[".repeat(200_000)), 10, Leniency::Strict).is_err());
}

/// A batch is bounded, and a bad event is named.
#[test]
fn batches_are_bounded_and_name_the_bad_event() {
    let good = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#;
    let batch = |text: String| json::decode_batch(Bytes::from(text), 2, Leniency::Strict);
    assert_eq!(batch(format!("[{good},{good}]")).unwrap().len(), 2);
    let error = batch(format!("[{good},{good},{good}]")).unwrap_err();
    assert_eq!(error, Error::BatchTooLarge { events_max: 2 });
    assert!(matches!(
        batch(format!("[{good},{{}}]")),
        Err(Error::InBatch { index: 1, .. })
    ));
    assert!(batch(format!("[{good}] x")).is_err());
}

/// 0.3 becomes 1.0 in binary mode as well.
#[test]
fn version_0_3_is_raised() {
    let event = binary(&[
        ("ce-specversion", b"0.3"),
        ("ce-schemaurl", b"http://s/x"),
        ("ce-datacontentencoding", b"base64"),
    ]);
    assert!(event.is_err(), "x is no base64");
    let event = binary(&[("ce-specversion", b"0.3"), ("ce-schemaurl", b"http://s/x")]).unwrap();
    assert_eq!(event.dataschema.as_deref(), Some("http://s/x"));
    assert!(event.extensions.is_empty());
    for version in [&b"0.2"[..], b"1.1", b""] {
        assert!(matches!(
            binary(&[("ce-specversion", version)]),
            Err(Error::Specversion { .. })
        ));
    }
}

/// An object with more members than any event is refused before it is searched.
#[test]
fn too_many_members_are_refused() {
    let members: String = (0..1_000).map(|at| format!(r#","x{at}":1"#)).collect();
    assert!(structured(&members).is_err());
}
