//! What a sink receives.

use std::time::Duration;

use tidegate_deliver::Seen;
use tidegate_event::{Event, Name};
use tidegate_testkit::{Received, Sink};

use crate::{attempt, event};

async fn received(event: &Event, seen: Seen<'_>) -> Received {
    let sink = Sink::start(|_| 204_u16).await;
    attempt(&sink.url(), event, seen, Duration::from_secs(30)).await;
    sink.received(1).await.remove(0)
}

/// A Function of Kyma finds the headers that it knows.
#[tokio::test]
async fn a_sink_of_kyma_finds_its_headers() {
    let mut event = event();
    event.extensions.insert(
        Name::from_static("traceparent"),
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
    );
    let seen = Seen {
        r#type: None,
        original_type: true,
        ..Seen::default()
    };
    let request = received(&event, seen).await;
    assert_eq!(request.line, "POST / HTTP/1.1");
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/shop"),
        ("ce-type", "order.created.v1"),
        ("ce-originaltype", "order.created.v1"),
        ("content-type", "application/json"),
        ("content-length", "10"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert!(
        request
            .header("user-agent")
            .unwrap()
            .starts_with("tidegate/")
    );
    assert_eq!(request.header("ce-time"), None, "a time is not invented");
    assert_eq!(request.body, br#"{"m":1.10}"#);
}

/// An exact Subscription sees the type that it named, and no original one.
#[tokio::test]
async fn a_renamed_type_replaces_the_events_own() {
    let seen = Seen {
        r#type: Some("sap.kyma.custom.shop.order.created.v1"),
        original_type: true,
        ..Seen::default()
    };
    let request = received(&event(), seen).await;
    assert_eq!(
        request.header("ce-type"),
        Some("sap.kyma.custom.shop.order.created.v1")
    );
    assert_eq!(request.header("ce-originaltype"), None);
}

/// Values are percent-encoded once; a value can never become a header of its own.
#[tokio::test]
async fn header_values_are_encoded_once() {
    let mut event = event();
    event.source = "a b%20\"€".into();
    event.subject = Some("100%".into());
    let request = received(&event, Seen::default()).await;
    assert_eq!(request.header("ce-source"), Some("a%20b%2520%22%E2%82%AC"));
    assert_eq!(request.header("ce-subject"), Some("100%25"));
}

/// An event without data has a length and no content type.
#[tokio::test]
async fn an_event_without_data_is_an_empty_body() {
    let request = received(&Event::new("1", "/s", "t"), Seen::default()).await;
    assert_eq!(request.header("content-length"), Some("0"));
    assert_eq!(request.header("content-type"), None);
    assert_eq!(request.body, b"");
}

/// Bytes are bytes.
#[tokio::test]
async fn a_mebibyte_arrives_as_it_is() {
    let mut random = fastrand::Rng::with_seed(3);
    let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
        .take(1 << 20)
        .collect();
    let mut event = event();
    event.datacontenttype = Some("application/octet-stream".into());
    event.data = Some(bytes.clone().into());
    let request = received(&event, Seen::default()).await;
    assert!(request.body == bytes, "the bytes differ");
}
