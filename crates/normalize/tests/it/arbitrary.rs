//! Bytes and headers of any kind, at every format.

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use tidegate_event::validate;
use tidegate_normalize::Format;

use crate::support::request;

fn header() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let name = prop::sample::select(vec![
        "content-type",
        "ce-specversion",
        "ce-id",
        "ce-source",
        "ce-type",
        "ce-time",
        "ce-datacontenttype",
        "ce-x",
        "traceparent",
        "tracestate",
        "x-b3-flags",
    ]);
    let value = prop_oneof![
        prop::sample::select(vec![
            "1.0",
            "0.3",
            "application/json",
            "application/cloudevents+json",
            "application/cloudevents-batch+json",
            "order.created.v1",
            "/s",
            "2020-04-02T21:37:00Z",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(
            prop_oneof![Just(b'\t'), 0x20..=0x7e_u8, 0x80..=0xff_u8],
            0..12
        ),
    ];
    (name, value)
}

/// Bytes, and pieces of what could be a document.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\\u", "null", "1e400", " ",
            "\"specversion\":\"1.0\"", "\"id\":\"1\"", "\"source\":\"/s\"", "\"type\":\"t.v1\"",
            "\"data\":", "\"data_base64\":\"AA==\"", "\"event-type\":\"a.b\"",
            "\"event-type-version\":\"v1\"", "\"event-time\":\"2020-04-02T21:37:00Z\"",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// No request ends the process, and whatever is taken is a legal event.
    #[test]
    fn any_request_is_refused_or_makes_legal_events(
        pairs in prop::collection::vec(header(), 0..8),
        body in body(),
        application in any::<Option<String>>(),
    ) {
        let headers: HeaderMap = pairs
            .into_iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(&value).unwrap()))
            .collect();
        for format in [Format::CloudEvents, Format::KymaPublish, Format::KymaLegacy] {
            match request(format, application.as_deref(), &headers, body.clone()) {
                Ok(normalized) => for event in &normalized.events {
                    prop_assert_eq!(validate(event), Ok(()));
                },
                Err(error) => {
                    prop_assert!(error.status().is_client_error());
                    prop_assert!(error.code().contains('/'));
                }
            }
        }
    }
}
