//! Clients of the TLS listener that do not keep to the rules, and how connections end there.

use std::time::Duration;

use tidegate_receive::Config;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::{
    authority::Files,
    support::{BOUND, Gateway, Script, post},
    tls::{connect, publish},
};

const HTTP1: &[u8] = b"http/1.1";
const HEADER_TIMEOUT: Duration = Duration::from_millis(100);

async fn serves(gateway: &Gateway, files: &Files) {
    let client = files.authority.client(None, &[HTTP1]);
    assert_eq!(publish(gateway, client).await, Ok(204));
}

/// Waits until the gateway ends this connection, in whichever way.
async fn ends(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let read = timeout(BOUND, stream.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "the connection is still open");
}

/// A client that forgets the s in https, and one that sends anything at all, harm nobody.
#[tokio::test]
async fn bytes_that_are_not_tls_end_their_connection_only() {
    let files = Files::new();
    let script = Script::storing();
    let gateway = Gateway::start_with(files.config(), &script);
    let hello = b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00";
    let requests: [&[u8]; 4] = [
        post("/publish", "{}").as_bytes().to_vec().leak(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        hello,
        &[0xff; 64],
    ];
    for bytes in requests {
        let mut stream = TcpStream::connect(gateway.tls_address.unwrap())
            .await
            .unwrap();
        stream.write_all(bytes).await.unwrap();
        ends(&mut stream).await;
    }
    gateway
        .counted("connections_failed_total{reason=\"tls_malformed\"} 4")
        .await;
    assert!(script.arrivals().is_empty());
    serves(&gateway, &files).await;
}

/// A client that goes away in the middle of a handshake leaves nothing behind.
#[tokio::test]
async fn a_handshake_that_breaks_off_is_forgotten() {
    let files = Files::new();
    let gateway = Gateway::start_with(files.config(), &Script::storing());
    let mut stream = TcpStream::connect(gateway.tls_address.unwrap())
        .await
        .unwrap();
    stream.write_all(b"\x16\x03\x01").await.unwrap();
    drop(stream);
    gateway
        .counted("connections_failed_total{reason=\"tls_broken\"} 1")
        .await;
    gateway.counted("tidegate_receive_connections_open 0").await;
}

/// A handshake that never ends must not hold a connection.
#[tokio::test]
async fn a_handshake_that_comes_too_slowly_ends_the_connection() {
    let files = Files::new();
    let config = Config {
        header_timeout: HEADER_TIMEOUT,
        ..files.config()
    };
    let gateway = Gateway::start_with(config, &Script::storing());
    for beginning in [&b""[..], b"\x16", b"\x16\x03\x01\x01\x00\x01"] {
        let started = Instant::now();
        let mut stream = TcpStream::connect(gateway.tls_address.unwrap())
            .await
            .unwrap();
        stream.write_all(beginning).await.unwrap();
        ends(&mut stream).await;
        assert!(started.elapsed() >= HEADER_TIMEOUT);
    }
    gateway
        .counted("connections_failed_total{reason=\"tls_timeout\"} 3")
        .await;
    gateway.counted("tidegate_receive_connections_open 0").await;
}

/// Handshakes cost more than anything else a stranger can ask for, so they count from the start.
#[tokio::test]
async fn connections_in_handshake_count_against_the_limit() {
    let files = Files::new();
    let config = Config {
        connections_max: 2,
        ..files.config()
    };
    let gateway = Gateway::start_with(config, &Script::storing());
    let address = gateway.tls_address.unwrap();
    let silent = [
        TcpStream::connect(address).await.unwrap(),
        TcpStream::connect(address).await.unwrap(),
    ];
    gateway.counted("tidegate_receive_connections_open 2").await;
    let client = files.authority.client(None, &[HTTP1]);
    assert!(connect(&gateway, client).await.is_err());
    // The limit is one for both listeners.
    assert_eq!(gateway.send(post("/publish", "{}")).await.status, 503);
    gateway
        .counted("connections_failed_total{reason=\"refused\"} 2")
        .await;
    drop(silent);
    gateway.counted("tidegate_receive_connections_open 0").await;
    serves(&gateway, &files).await;
}

/// Shutdown loses no answer over TLS either, and waits for nobody who is silent.
#[tokio::test]
async fn shutdown_finishes_what_is_in_flight_and_waits_for_no_handshake() {
    let files = Files::new();
    let script = Script::holding();
    let mut gateway = Gateway::start_with(files.config(), &script);
    let address = gateway.tls_address.unwrap();
    let client = files.authority.client(None, &[HTTP1]);
    let mut slow = connect(&gateway, client).await.unwrap();
    slow.write_all(post("/publish", "{}").as_bytes())
        .await
        .unwrap();
    script.arrived().await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    gateway.counted("tidegate_receive_connections_open 2").await;
    gateway.begin_shutdown();
    ends(&mut silent).await;
    assert!(TcpStream::connect(address).await.is_err());
    script.release(1);
    let mut answer = String::new();
    let read = timeout(BOUND, slow.read_to_string(&mut answer)).await;
    // The end is told, so that nobody can cut an answer short unseen.
    read.expect("an answer in time").unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    gateway.ended().await;
}
