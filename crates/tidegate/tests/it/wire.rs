//! Requests that are wrong on the wire, at the doors of the real process.

use std::time::Duration;

use tidegate_testkit::Sink;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::harness::{PATIENCE, Tidegate, binary, subscription};

const HEAD: &str = "POST /publish HTTP/1.1\r\nhost: g\r\nce-specversion: 1.0\r\nce-id: bad\r\n\
                    ce-source: /shop\r\nce-type: order.v1\r\ncontent-type: application/json\r\n";

/// A body that does not come is waited for so long.
const CONFIGURATION: &str = "receive: { request_timeout: 2s }\npublish: { deadline: 1s }\n";

/// Writes what the gateway takes of it, and reads its answer meanwhile.
async fn answer(tidegate: &Tidegate, request: String) -> String {
    let stream = TcpStream::connect(tidegate.receive).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let writer = tokio::spawn(async move {
        // The gateway may have seen enough before the end.
        drop(writing.write_all(request.as_bytes()).await);
        writing
    });
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    let read = async {
        while let Ok(count @ 1..) = reading.read(&mut part).await {
            answer.extend_from_slice(&part[..count]);
            if answer.windows(4).any(|four| four == b"\r\n\r\n") {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, read)
        .await
        .expect("an answer");
    writer.abort();
    String::from_utf8(answer).unwrap()
}

/// Nothing that is wrong on the wire reaches a Function, and none of it keeps a place.
#[tokio::test]
async fn hostile_heads_and_slow_bodies_are_refused_and_nothing_is_stored() {
    let sink = Sink::start(|_| 204_u16).await;
    let all = subscription("all", "/shop", "order.v1", &sink.url());
    let tidegate = Tidegate::up(&all, CONFIGURATION).await;
    let with = |header: &str| format!("{HEAD}{header}content-length: 2\r\n\r\n{{}}");
    for (attack, request, status) in [
        (
            "a million tiny headers",
            with(&"a: b\r\n".repeat(1_000_000)),
            431,
        ),
        (
            "a hundred and one headers",
            with(&"a: b\r\n".repeat(101)),
            431,
        ),
        (
            "a header of 100 KB",
            with(&format!("ce-x: {}\r\n", "x".repeat(100_000))),
            431,
        ),
        (
            "a carriage return in a value",
            with("ce-subject: a\rb\r\n"),
            400,
        ),
        ("a line feed in a name", with("ce-sub\nject: a\r\n"), 400),
        ("a zero byte in a value", with("ce-subject: a\0b\r\n"), 400),
        ("a folded value", with("ce-subject: a\r\n b\r\n"), 400),
        (
            "an escaped line break",
            with("ce-subject: a%0D%0Ace-type:b\r\n"),
            400,
        ),
        ("an escaped zero", with("ce-subject: a%00b\r\n"), 400),
        (
            "a body that does not come",
            format!("{HEAD}content-length: 10\r\n\r\n{{"),
            408,
        ),
    ] {
        let answer = answer(&tidegate, request).await;
        let line = format!("HTTP/1.1 {status}");
        assert!(answer.starts_with(&line), "{attack}: {answer}");
    }
    let headers = binary("good", "/shop", "order.v1");
    let answer = tidegate.send("POST", "/publish", &headers, b"{}").await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let received = sink.received(1).await;
    assert_eq!(received[0].header("ce-id"), Some("good"));
    tokio::time::timeout(PATIENCE, async {
        while tidegate.metric("tidegate_receive_requests_in_flight").await > 0.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("no request keeps its place");
}
