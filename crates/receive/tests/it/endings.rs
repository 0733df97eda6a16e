//! How connections end: late heads, idleness, shutdown.

use std::time::Duration;

use tidegate_receive::Config;
use tokio::time::{Instant, sleep};

use crate::support::{Client, Gateway, Script, bare, config, post};

const HEADER_TIMEOUT: Duration = Duration::from_millis(100);

fn impatient() -> Config {
    Config {
        header_timeout: HEADER_TIMEOUT,
        ..config()
    }
}

/// A head that never ends must not hold a connection.
#[tokio::test]
async fn a_head_that_comes_too_slowly_ends_the_connection() {
    let gateway = Gateway::start_with(impatient(), &Script::storing());
    for beginning in [
        "",
        "P",
        "POST /publish HT",
        "POST /publish HTTP/1.1\r\nhost: g\r\n",
    ] {
        let started = Instant::now();
        let mut client = gateway.connect().await;
        client.write(beginning).await;
        assert!(ends(&mut client).await, "{beginning:?}");
        assert!(started.elapsed() >= HEADER_TIMEOUT, "{beginning:?}");
    }
    gateway
        .counted("connections_failed_total{reason=\"header_timeout\"} 4")
        .await;
}

/// Bytes that keep coming do not give a head more time.
#[tokio::test]
async fn a_trickling_head_gets_no_extra_time() {
    let gateway = Gateway::start_with(impatient(), &Script::storing());
    let mut client = gateway.connect().await;
    assert_eq!(client.send(post("/publish", "x")).await.status, 204);
    let mut trickled = Duration::ZERO;
    let started = Instant::now();
    client.write("POST /publish HTTP/1.1\r\nx: ").await;
    let Client(stream) = &mut client;
    while tokio::io::AsyncWriteExt::write_all(stream, b"y")
        .await
        .is_ok()
    {
        trickled = started.elapsed();
        assert!(
            trickled < Duration::from_secs(5),
            "the connection is still open"
        );
        sleep(HEADER_TIMEOUT / 10).await;
    }
    assert!(trickled >= HEADER_TIMEOUT / 2, "{trickled:?}");
}

/// A kept-alive connection may rest longer than a head may take, and is not answered meanwhile.
#[tokio::test]
async fn an_idle_connection_outlives_the_header_timeout() {
    let gateway = Gateway::start_with(impatient(), &Script::storing());
    let mut client = gateway.connect().await;
    assert_eq!(client.send(post("/publish", "x")).await.status, 204);
    sleep(HEADER_TIMEOUT * 3).await;
    assert_eq!(client.send(post("/publish", "x")).await.status, 204);
}

/// A slow answer is not taken for idleness.
#[tokio::test]
async fn a_request_in_flight_outlives_all_deadlines_of_connections() {
    let script = Script::holding();
    let config = Config {
        idle_timeout: HEADER_TIMEOUT,
        ..impatient()
    };
    let gateway = Gateway::start_with(config, &script);
    let mut client = gateway.connect().await;
    client.write(post("/publish", "x")).await;
    script.arrived().await;
    sleep(HEADER_TIMEOUT * 3).await;
    script.release(2);
    assert_eq!(client.reply().await.status, 204);
    assert_eq!(
        client.send(post("/publish", "x")).await.status,
        204,
        "it is still open"
    );
}

/// Connections that nobody uses are given back, without an answer that nobody asked for.
#[tokio::test]
async fn an_idle_connection_ends_after_its_time() {
    let config = Config {
        idle_timeout: HEADER_TIMEOUT,
        ..config()
    };
    let gateway = Gateway::start_with(config, &Script::storing());
    let mut client = gateway.connect().await;
    assert_eq!(client.send(post("/publish", "x")).await.status, 204);
    assert_eq!(client.rest().await, "");
    gateway.counted("tidegate_receive_connections_open 0").await;
    assert!(!gateway.metrics().contains("connections_failed_total{"));
}

/// Shutdown loses no answer: what is in flight finishes, and only then the server ends.
#[tokio::test]
async fn shutdown_finishes_a_slow_request_and_accepts_no_new_connection() {
    let script = Script::holding();
    let mut gateway = Gateway::start(&script);
    let mut idle = gateway.connect().await;
    assert_eq!(idle.send(bare("GET", "/healthz")).await.status, 200);
    let mut slow = gateway.connect().await;
    slow.write(post("/publish", "x")).await;
    script.arrived().await;
    gateway.begin_shutdown();
    assert_eq!(idle.rest().await, "");
    let refused = tokio::net::TcpStream::connect(gateway.address).await;
    assert!(refused.is_err());
    script.release(1);
    let reply = slow.reply().await;
    assert_eq!(reply.status, 204);
    assert_eq!(reply.header("connection"), Some("close"));
    assert_eq!(slow.rest().await, "");
    gateway.ended().await;
}

/// Clients that neither send nor close cannot hold up the end.
#[tokio::test]
async fn shutdown_does_not_wait_for_silent_clients() {
    let mut gateway = Gateway::start(&Script::storing());
    let mut head = gateway.connect().await;
    head.write("POST /publish HTTP/1.1\r\n").await;
    let silent = gateway.connect().await;
    let mut used = gateway.connect().await;
    assert_eq!(used.send(post("/publish", "x")).await.status, 204);
    gateway.begin_shutdown();
    gateway.ended().await;
    drop((head, silent, used));
}

/// Whether the connection ends without an answer, gently or not.
async fn ends(client: &mut Client) -> bool {
    let mut rest = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut client.0, &mut rest);
    let read = tokio::time::timeout(crate::support::BOUND, read).await;
    read.is_ok() && rest.is_empty()
}
