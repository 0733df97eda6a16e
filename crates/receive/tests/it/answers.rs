//! Refusals of the stages behind, as senders see them, and what is counted.

use std::time::Duration;

use http::StatusCode;
use tidegate_receive::{EventOutcome, Refusal};

use crate::support::{Gateway, Script, bare, post, refusal};

const DOORS: [&str; 4] = ["/publish", "/events", "/a/events", "/a/v2/events"];

/// Every refusal of the stages behind is a problem with its code.
#[tokio::test]
async fn refusals_become_problems() {
    let script = Script::refusing(refusal(StatusCode::BAD_REQUEST, "normalize/some"));
    let gateway = Gateway::start(&script);
    for door in DOORS {
        let reply = gateway.send(post(door, "x")).await;
        let problem = reply.problem(400, "normalize/some");
        assert_eq!(problem["title"], "A title");
        assert_eq!(problem["detail"], "what happened this time");
        assert_eq!(problem.get("events"), None);
        assert_eq!(reply.header("retry-after"), None);
        assert_eq!(reply.header("connection"), None);
    }
}

/// The sender of a batch must learn which events it need not send again.
#[tokio::test]
async fn a_refused_batch_says_what_became_of_each_event() {
    let outcome = |index, code: Option<&'static str>| EventOutcome {
        index,
        stored: code.is_none(),
        code,
        detail: code.map(|_| "full".to_owned()),
    };
    let script = Script::refusing(Refusal {
        events: vec![outcome(0, None), outcome(1, Some("publish/storage-full"))],
        retry_after: Some(Duration::from_millis(1_200)),
        ..refusal(StatusCode::INSUFFICIENT_STORAGE, "publish/storage-full")
    });
    let gateway = Gateway::start(&script);
    let reply = gateway.send(post("/events", "[]")).await;
    assert_eq!(reply.header("retry-after"), Some("2"));
    let problem = reply.problem(507, "publish/storage-full");
    let expected = serde_json::json!([
        {"index": 0, "stored": true},
        {"index": 1, "stored": false, "code": "publish/storage-full", "detail": "full"},
    ]);
    assert_eq!(problem["events"], expected);
}

/// The legacy door answers with exactly the body that it is given.
#[tokio::test]
async fn the_legacy_door_answers_with_the_given_body() {
    let body = "{\"status\":400,\"type\":\"validation_violation\"}\n";
    let script = Script::refusing(Refusal {
        www_authenticate: None,
        legacy_body: Some(body.to_owned()),
        ..refusal(StatusCode::BAD_REQUEST, "normalize/legacy")
    });
    let gateway = Gateway::start(&script);
    let reply = gateway.send(post("/a/v1/events", "x")).await;
    assert_eq!((reply.status, &*reply.body), (400, body));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    // Elsewhere that body has no business.
    gateway
        .send(post("/a/events", "x"))
        .await
        .problem(400, "normalize/legacy");
}

/// Without a body of its own, a refusal keeps the shape that legacy senders parse.
#[tokio::test]
async fn the_legacy_door_keeps_its_shape_for_other_refusals() {
    let script = Script::refusing(Refusal {
        retry_after: Some(Duration::from_secs(5)),
        ..refusal(StatusCode::SERVICE_UNAVAILABLE, "publish/unreachable")
    });
    let gateway = Gateway::start(&script);
    let reply = gateway.send(post("/a/v1/events", "x")).await;
    assert_eq!(reply.status, 503);
    assert_eq!(
        reply.body,
        "{\"status\":503,\"message\":\"what happened this time\"}\n"
    );
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("retry-after"), Some("5"));
}

/// Operators see each answer by door and status, and each refusal by its code.
#[tokio::test]
async fn answers_and_refusals_are_counted() {
    let script = Script::refusing(refusal(StatusCode::TOO_MANY_REQUESTS, "publish/busy"));
    let gateway = Gateway::start(&script);
    gateway.send(post("/publish", "12345")).await;
    gateway.send(post("/a/v1/events", "123")).await;
    gateway.send(bare("GET", "/nowhere")).await;
    for series in [
        "tidegate_receive_requests_total{door=\"publish\",status=\"429\"} 1",
        "tidegate_receive_requests_total{door=\"legacy\",status=\"429\"} 1",
        "tidegate_receive_requests_total{door=\"unknown\",status=\"404\"} 1",
        "tidegate_receive_requests_refused_total{door=\"publish\",code=\"publish/busy\"} 1",
        "tidegate_receive_requests_refused_total{door=\"unknown\",code=\"receive/unknown-path\"} 1",
        "tidegate_receive_duration_seconds_count{door=\"publish\"} 1",
        "tidegate_receive_body_bytes_total 8",
        "tidegate_receive_requests_in_flight 0",
        "tidegate_receive_connections_open 0",
    ] {
        gateway.counted(series).await;
    }
}
