//! One event through every stage: what comes out is what went in.

use tidegate_testkit::Sink;

use crate::harness::{Tidegate, binary, subscription};

const EXACT: &str = r#"{"z":1,"a":123456789012345678901234567890,"m":1.10}"#;

/// Numbers, key order and white space are the sender's; no stage may rewrite them.
#[tokio::test]
async fn json_data_arrives_byte_for_byte_in_every_mode() {
    let function = Sink::start(|_| 204_u16).await;
    let tidegate = Tidegate::up(
        &subscription("all", "/shop", "order.created.v1", &function.url()),
        "",
    )
    .await;
    let structured = format!(
        r#"{{"specversion":"1.0","id":"s","source":"/shop","type":"order.created.v1","data": {EXACT} }}"#
    );
    let batch = format!("[{}]", structured.replace(r#""id":"s""#, r#""id":"b""#));
    let labelled = structured.replace(r#""id":"s""#, r#""id":"l""#);
    for (path, headers, body) in [
        (
            "/publish",
            binary("n", "/shop", "order.created.v1"),
            EXACT.to_owned(),
        ),
        (
            "/events",
            vec![("content-type", "application/cloudevents+json")],
            structured,
        ),
        (
            "/app/events",
            vec![("content-type", "application/cloudevents-batch+json")],
            batch,
        ),
        (
            "/app/v2/events",
            vec![("content-type", "application/json")],
            labelled,
        ),
    ] {
        let answer = tidegate.send("POST", path, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 204, "{path}: {}", answer.text());
    }
    let received = function.received(4).await;
    for request in &received {
        assert_eq!(
            request.body,
            EXACT.as_bytes(),
            "{:?}",
            request.header("ce-id")
        );
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("ce-type"), Some("order.created.v1"));
        assert_eq!(request.header("ce-originaltype"), Some("order.created.v1"));
        assert_eq!(request.header("ce-source"), Some("/shop"));
    }
}

/// The largest body that the doors take goes through every stage, whatever its bytes are.
#[tokio::test]
async fn a_mebibyte_of_random_bytes_arrives_untouched() {
    let function = Sink::start(|_| 200_u16).await;
    let tidegate = Tidegate::up(
        &subscription("all", "/blob", "blob.stored.v1", &function.url()),
        "",
    )
    .await;
    let mut random = fastrand::Rng::with_seed(7);
    let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
        .take(1 << 20)
        .collect();
    let mut headers = binary("1", "/blob", "blob.stored.v1");
    headers.pop();
    headers.push(("content-type", "application/octet-stream"));
    let answer = tidegate.send("POST", "/publish", &headers, &bytes).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let received = function.received(1).await;
    assert!(received[0].body == bytes, "the bytes differ");
    let one_more = [bytes.as_slice(), b"x"].concat();
    let answer = tidegate.send("POST", "/publish", &headers, &one_more).await;
    assert_eq!(answer.status, 413);
}

/// A legacy event is one event, with the sender's own type and source.
#[tokio::test]
async fn a_legacy_event_is_delivered_once() {
    let function = Sink::start(|_| 200_u16).await;
    let exact = "---\napiVersion: eventing.kyma-project.io/v1alpha2\nkind: Subscription\n\
         metadata: { name: exact }\nspec:\n  typeMatching: exact\n  source: \"\"\n  \
         types: [sap.kyma.custom.shop.order.created.v1]\n  sink: ";
    let documents = format!(
        "{}{exact}{}\n",
        subscription("standard", "shop", "order.created.v1", &function.url()),
        function.url()
    );
    let tidegate = Tidegate::up(&documents, "").await;
    let body = r#"{"event-type":"order.created","event-type-version":"v1","event-id":"8954ad1c-78ed-4c58-a639-68bd44031de0","event-time":"2026-04-02T21:37:00Z","data":{"a":1.10}}"#;
    let answer = tidegate
        .send("POST", "/shop/v1/events", &[], body.as_bytes())
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.text(),
        "{\"event-id\":\"8954ad1c-78ed-4c58-a639-68bd44031de0\",\"status\":\"\",\"reason\":\"\"}\n"
    );
    let received = function.received(2).await;
    let mut types: Vec<_> = received
        .iter()
        .map(|request| request.header("ce-type").unwrap())
        .collect();
    types.sort_unstable();
    assert_eq!(
        types,
        ["order.created.v1", "sap.kyma.custom.shop.order.created.v1"]
    );
    assert!(
        received
            .iter()
            .all(|request| request.body == br#"{"a":1.10}"#)
    );
    assert_eq!(
        tidegate
            .metric("tidegate_publish_events_stored_total")
            .await,
        1.0
    );
}

/// A batch with one bad event stores none of it and says which.
#[tokio::test]
async fn a_batch_with_a_bad_event_is_refused_whole() {
    let tidegate = Tidegate::up("", "").await;
    let good = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t.v1"}"#;
    let bad = r#"{"specversion":"1.0","id":"","source":"/s","type":"t.v1"}"#;
    let answer = tidegate
        .send(
            "POST",
            "/events",
            &[("content-type", "application/cloudevents-batch+json")],
            format!("[{good},{bad}]").as_bytes(),
        )
        .await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    assert!(answer.text().contains('1'), "{}", answer.text());
    assert_eq!(
        tidegate
            .metric("tidegate_publish_events_stored_total")
            .await,
        0.0
    );
}

/// A sender that repeats an event does not make it two.
#[tokio::test]
async fn a_repeated_event_is_stored_once_per_application() {
    let function = Sink::start(|_| 200_u16).await;
    let tidegate = Tidegate::up(&subscription("all", "/s", "t.v1", &function.url()), "").await;
    for path in ["/a/events", "/a/events", "/b/events"] {
        let answer = tidegate
            .send("POST", path, &binary("1", "/s", "t.v1"), b"{}")
            .await;
        assert_eq!(answer.status, 204);
    }
    function.received(2).await;
    assert_eq!(
        tidegate
            .metric("tidegate_publish_events_stored_total")
            .await,
        2.0
    );
    assert_eq!(
        tidegate
            .metric("tidegate_publish_events_duplicate_total")
            .await,
        1.0
    );
}
