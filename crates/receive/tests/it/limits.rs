//! What does not fit is refused, before it costs anything.

use std::time::Duration;

use bytesize::ByteSize;
use tidegate_receive::Config;

use crate::support::{Gateway, Script, config, post};

const BODY_BYTES_MAX: usize = 1_000;

fn small() -> Config {
    Config {
        body_bytes_max: ByteSize::b(BODY_BYTES_MAX as u64),
        ..config()
    }
}

/// The announced size decides; the sender learns it without sending the body.
#[tokio::test]
async fn an_announced_body_above_the_limit_is_refused_unread() {
    let script = Script::storing();
    let gateway = Gateway::start_with(small(), &script);
    let mut client = gateway.connect().await;
    let head = "POST /publish HTTP/1.1\r\nhost: g\r\ncontent-length: ";
    let reply = client.send(format!("{head}1001\r\n\r\n")).await;
    let problem = reply.problem(413, "receive/body-too-large");
    assert_eq!(
        problem["detail"],
        "the body has 1001 bytes, the limit is 1000"
    );
    assert_eq!(reply.header("connection"), Some("close"));
    let reply = gateway
        .send(format!("{head}9223372036854775807\r\n\r\n"))
        .await;
    assert_eq!(reply.status, 413);
    assert!(script.arrivals().is_empty());
}

/// The limit itself still fits, announced or not.
#[tokio::test]
async fn a_body_of_exactly_the_limit_is_taken() {
    let script = Script::storing();
    let gateway = Gateway::start_with(small(), &script);
    let body = "x".repeat(BODY_BYTES_MAX);
    assert_eq!(gateway.send(post("/publish", &body)).await.status, 204);
    assert_eq!(
        gateway
            .send(chunked("/publish", BODY_BYTES_MAX))
            .await
            .status,
        204
    );
    assert!(
        script
            .arrivals()
            .iter()
            .all(|arrival| arrival.body.len() == BODY_BYTES_MAX)
    );
}

/// A body that does not announce its size ends at the limit.
#[tokio::test]
async fn a_chunked_body_is_cut_at_the_limit() {
    let script = Script::storing();
    let gateway = Gateway::start_with(small(), &script);
    let mut client = gateway.connect().await;
    let reply = client.send(chunked("/publish", BODY_BYTES_MAX + 1)).await;
    let problem = reply.problem(413, "receive/body-too-large");
    assert_eq!(
        problem["detail"],
        "the body has more than 1000 bytes, the limit is 1000"
    );
    assert_eq!(client.rest().await, "");
    // One that never ends is answered as well.
    let mut client = gateway.connect().await;
    client
        .write("POST /events HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    for _ in 0..=BODY_BYTES_MAX / 100 {
        client.write(format!("64\r\n{}\r\n", "x".repeat(100))).await;
    }
    client.reply().await.problem(413, "receive/body-too-large");
    assert!(script.arrivals().is_empty());
}

/// A sender that writes everything before it reads must still see why it was refused, not a reset.
#[tokio::test]
async fn the_refusal_reaches_a_sender_that_is_still_sending() {
    let gateway = Gateway::start_with(small(), &Script::storing());
    let body = "x".repeat(4 << 20);
    for request in [post("/publish", &body), post("/nowhere", &body)] {
        let mut client = gateway.connect().await;
        let reply = client.send(request).await;
        assert!([413, 404].contains(&reply.status));
        assert_eq!(client.rest().await, "");
    }
}

/// The legacy door keeps Kyma's body for it.
#[tokio::test]
async fn the_legacy_door_says_too_large_in_kymas_words() {
    let gateway = Gateway::start_with(small(), &Script::storing());
    let reply = gateway
        .send(post("/a/v1/events", &"x".repeat(BODY_BYTES_MAX + 1)))
        .await;
    assert_eq!(reply.status, 413);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(
        reply.body,
        "{\"status\":413,\"type\":\"request_body_too_large\",\"message\":\"Request body too \
         large\",\"moreInfo\":\"http: request body too large\"}\n"
    );
}

/// All bodies together are bounded, and the room of an answered one is free again.
#[tokio::test]
async fn bodies_that_wait_are_bounded_together() {
    let script = Script::holding();
    let config = Config {
        buffer_bytes_max: ByteSize::b(BODY_BYTES_MAX as u64),
        ..small()
    };
    let gateway = Gateway::start_with(config, &script);
    let mut first = gateway.connect().await;
    first.write(post("/publish", &"x".repeat(800))).await;
    script.arrived().await;
    let reply = gateway.send(post("/publish", &"x".repeat(201))).await;
    reply.problem(429, "receive/buffer-full");
    assert_eq!(reply.header("retry-after"), Some("1"));
    let reply = gateway.send(post("/a/v1/events", &"x".repeat(201))).await;
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (429, Some("1"))
    );
    assert!(
        reply.body.starts_with("{\"status\":429,\"message\":\""),
        "{reply:?}"
    );
    script.release(2);
    assert_eq!(first.reply().await.status, 204);
    assert_eq!(
        gateway
            .send(post("/publish", &"x".repeat(1_000)))
            .await
            .status,
        204
    );
}

/// Announcing a body takes no room from others; only bytes that came do.
#[tokio::test]
async fn an_announced_body_takes_no_room() {
    let config = Config {
        buffer_bytes_max: ByteSize::b(BODY_BYTES_MAX as u64),
        ..small()
    };
    let gateway = Gateway::start_with(config, &Script::storing());
    let mut slow = gateway.connect().await;
    slow.write("POST /publish HTTP/1.1\r\nhost: g\r\ncontent-length: 1000\r\n\r\nx")
        .await;
    assert_eq!(
        gateway
            .send(post("/publish", &"x".repeat(900)))
            .await
            .status,
        204
    );
}

/// Too many or too large headers never reach the stages behind.
#[tokio::test]
async fn headers_are_bounded_in_number_and_size() {
    let script = Script::storing();
    let config = Config {
        header_count_max: 10,
        header_bytes_max: ByteSize::kib(8),
        ..config()
    };
    let gateway = Gateway::start_with(config, &script);
    let with = |headers: &str| {
        format!("POST /publish HTTP/1.1\r\nhost: g\r\ncontent-length: 1\r\n{headers}\r\nx")
    };
    assert_eq!(gateway.send(with(&"a: b\r\n".repeat(8))).await.status, 204);
    let reply = gateway.send(with(&"a: b\r\n".repeat(9))).await;
    let problem = reply.problem(431, "receive/headers-too-large");
    assert_eq!(
        problem["detail"],
        "the request has 11 headers, the limit is 10"
    );
    let large = |bytes: usize| format!("a: {}\r\n", "b".repeat(bytes));
    assert_eq!(gateway.send(with(&large(8_000))).await.status, 204);
    gateway
        .send(with(&large(8_200)))
        .await
        .problem(431, "receive/headers-too-large");
    assert_eq!(script.arrivals().len(), 2);
    // Far above the limits the parser itself gives up.
    for headers in [large(40_000), "a: b\r\n".repeat(200)] {
        let mut client = gateway.connect().await;
        let reply = client.send(with(&headers)).await;
        assert_eq!(reply.status, 431);
        assert_eq!(client.rest().await, "");
    }
    gateway
        .counted("connections_failed_total{reason=\"headers_too_large\"} 2")
        .await;
    assert_eq!(script.arrivals().len(), 2);
}

/// More headers than the parser's own default can be allowed.
#[tokio::test]
async fn the_number_of_headers_can_be_raised() {
    let config = Config {
        header_count_max: 300,
        ..config()
    };
    let gateway = Gateway::start_with(config, &Script::storing());
    let headers = "a: b\r\n".repeat(290);
    let request = format!("POST /publish HTTP/1.1\r\nhost: g\r\n{headers}\r\n");
    assert_eq!(gateway.send(request).await.status, 204);
}

/// Compressed bodies would be stored as something else than the sender meant.
#[tokio::test]
async fn encoded_bodies_are_refused() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    let with = |encoding: &str| {
        format!(
            "POST /publish HTTP/1.1\r\nhost: g\r\ncontent-length: 1\r\n\
             content-encoding: {encoding}\r\n\r\nx"
        )
    };
    for encoding in ["gzip", "identity, br", "x"] {
        let reply = gateway.send(with(encoding)).await;
        reply.problem(415, "receive/content-encoding");
        assert_eq!(reply.header("accept-encoding"), Some("identity"));
    }
    assert!(script.arrivals().is_empty());
    assert_eq!(gateway.send(with("Identity")).await.status, 204);
}

/// A slow body ends with its request's time, at every door in its own words.
#[tokio::test]
async fn a_body_that_comes_too_slowly_is_answered_408() {
    let script = Script::storing();
    let config = Config {
        request_timeout: Duration::from_millis(50),
        ..config()
    };
    let gateway = Gateway::start_with(config, &script);
    let head = "HTTP/1.1\r\nhost: g\r\ncontent-length: 10\r\n\r\nx";
    let mut client = gateway.connect().await;
    let reply = client.send(format!("POST /publish {head}")).await;
    reply.problem(408, "receive/body-timeout");
    assert_eq!(reply.header("connection"), Some("close"));
    let reply = gateway.send(format!("POST /a/v1/events {head}")).await;
    assert_eq!(reply.status, 408);
    assert!(
        reply.body.starts_with("{\"status\":408,\"message\":\""),
        "{reply:?}"
    );
    assert!(script.arrivals().is_empty());
}

/// A request that nobody answers is ended, and may be sent again on the same connection.
#[tokio::test]
async fn a_request_that_takes_too_long_is_answered_503() {
    let script = Script::holding();
    let config = Config {
        request_timeout: Duration::from_millis(50),
        ..config()
    };
    let gateway = Gateway::start_with(config, &script);
    let mut client = gateway.connect().await;
    for _ in 0..2 {
        let reply = client.send(post("/publish", "x")).await;
        reply.problem(503, "receive/request-timeout");
        assert!(reply.header("retry-after").is_some());
    }
    assert_eq!(script.arrivals().len(), 2);
}

/// A connection above the limit learns why, and one that ends makes room.
#[tokio::test]
async fn connections_are_bounded() {
    let config = Config {
        connections_max: 2,
        ..config()
    };
    let gateway = Gateway::start_with(config, &Script::storing());
    let mut first = gateway.connect().await;
    assert_eq!(first.send(post("/publish", "x")).await.status, 204);
    let mut second = gateway.connect().await;
    assert_eq!(second.send(post("/publish", "x")).await.status, 204);
    let mut third = gateway.connect().await;
    let reply = third.send(post("/publish", "x")).await;
    reply.problem(503, "receive/connections-full");
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(third.rest().await, "");
    gateway
        .counted("connections_failed_total{reason=\"refused\"} 1")
        .await;
    assert_eq!(second.send(post("/publish", "x")).await.status, 204);
    drop(first);
    gateway.counted("tidegate_receive_connections_open 1").await;
    assert_eq!(gateway.send(post("/publish", "x")).await.status, 204);
}

fn chunked(path: &str, bytes: usize) -> String {
    let body = "x".repeat(bytes);
    format!(
        "POST {path} HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n\
         {bytes:x}\r\n{body}\r\n0\r\n\r\n"
    )
}
