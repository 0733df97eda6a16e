//! Bytes that are no requests, and requests that break rules.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{BOUND, Gateway, Script, post};

/// Whatever comes, the gateway goes on; nothing of it reaches the stages behind.
#[tokio::test]
async fn garbage_neither_panics_nor_passes() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..300 {
        let mut bytes = match round % 4 {
            0 => Vec::new(),
            1 => b"POST /publish HTTP/1.1\r\n".to_vec(),
            2 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec(),
            _ => b"POST /publish HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
        };
        for _ in 0..64 {
            // An xorshift: the same bytes in every run.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            bytes.push(random.to_le_bytes()[0]);
        }
        let mut client = gateway.connect().await;
        // The gateway may close while this is being sent.
        drop(client.0.write_all(&bytes).await);
        drop(client.0.shutdown().await);
        let mut rest = Vec::new();
        let read = tokio::time::timeout(BOUND, client.0.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "round {round} hangs");
    }
    assert!(script.arrivals().is_empty());
    assert_eq!(gateway.send(post("/publish", "x")).await.status, 204);
    assert!(
        !gateway.metrics().contains("panicked"),
        "{}",
        gateway.metrics()
    );
}

/// Targets that are no paths are refused like any unknown one.
#[tokio::test]
async fn odd_targets_are_refused() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    for line in [
        "OPTIONS * HTTP/1.1",
        "CONNECT gateway:443 HTTP/1.1",
        "GET http://g HTTP/1.1",
    ] {
        let reply = gateway.send(format!("{line}\r\nhost: g\r\n\r\n")).await;
        assert!((400..500).contains(&reply.status), "{line}: {reply:?}");
    }
    let reply = gateway.send(post("http://gateway/publish", "x")).await;
    assert_eq!(reply.status, 204);
    assert!(!gateway.metrics().contains("panicked"));
}

/// A request must have one length: two readings of it let one sender speak for another.
#[tokio::test]
async fn ambiguous_lengths_are_refused() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    for headers in [
        "content-length: 1\r\ncontent-length: 2",
        "content-length: +1",
        "content-length: -1",
        "content-length: 1, 2",
        "content-length: 99999999999999999999999",
        "transfer-encoding: gzip",
        "transfer-encoding: chunked, identity",
    ] {
        let request = format!("POST /publish HTTP/1.1\r\nhost: g\r\n{headers}\r\n\r\nxx");
        let reply = gateway.send(request).await;
        assert!((400..500).contains(&reply.status), "{headers}: {reply:?}");
    }
    assert!(script.arrivals().is_empty());
}

/// A sender that goes away in the middle of a body has sent nothing.
#[tokio::test]
async fn a_body_that_ends_early_is_not_taken() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    for request in [
        "POST /publish HTTP/1.1\r\nhost: g\r\ncontent-length: 10\r\n\r\nabc",
        "POST /publish HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let mut client = gateway.connect().await;
        client.write(request).await;
        client.0.shutdown().await.unwrap();
        let mut rest = Vec::new();
        let read = tokio::time::timeout(BOUND, client.0.read_to_end(&mut rest)).await;
        assert!(read.is_ok());
        let rest = String::from_utf8(rest).unwrap();
        assert!(!rest.starts_with("HTTP/1.1 2"), "{rest}");
    }
    gateway
        .counted("tidegate_receive_requests_in_flight 0")
        .await;
    assert!(script.arrivals().is_empty());
}

/// A client that goes away while it waits leaves nothing behind.
#[tokio::test]
async fn a_client_that_goes_away_is_forgotten() {
    let script = Script::holding();
    let gateway = Gateway::start(&script);
    let mut client = gateway.connect().await;
    client.write(post("/publish", "x")).await;
    script.arrived().await;
    assert!(
        gateway
            .metrics()
            .contains("tidegate_receive_requests_in_flight 1")
    );
    drop(client);
    gateway
        .counted("tidegate_receive_requests_in_flight 0")
        .await;
    gateway.counted("tidegate_receive_connections_open 0").await;
}
