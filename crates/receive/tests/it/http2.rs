//! HTTP/2 without TLS, by prior knowledge: the same doors, the same limits.

use bytes::Bytes;
use bytesize::ByteSize;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidegate_receive::{Config, Door};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::support::{BOUND, Gateway, Script, config};

type Sender = SendRequest<Full<Bytes>>;

async fn connect(gateway: &Gateway) -> Sender {
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let io = TokioIo::new(stream);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let uri = format!("http://gateway{path}");
    Request::post(uri).body(Full::new(body.into())).unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// Many requests on one connection, each through its own door.
#[tokio::test]
async fn requests_on_one_connection_take_their_doors() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    let mut sender = connect(&gateway).await;
    let response = sender.send_request(post("/publish", "a")).await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let response = sender
        .send_request(post("/a/v1/events", "b"))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(text(response).await.contains("\"event-id\":\"id-1\""));
    let response = sender.send_request(post("/nowhere", "c")).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(response.headers().get("connection"), None);
    let doors: Vec<_> = script
        .arrivals()
        .iter()
        .map(|arrival| arrival.door)
        .collect();
    assert_eq!(doors, [Door::Publish, Door::Legacy]);
}

/// One slow request holds up no other, and one refused ends only its own stream.
#[tokio::test]
async fn streams_do_not_wait_for_each_other() {
    let script = Script::holding();
    let config = Config {
        body_bytes_max: ByteSize::kib(100),
        ..config()
    };
    let gateway = Gateway::start_with(config, &script);
    let mut sender = connect(&gateway).await;
    let slow = tokio::spawn(sender.send_request(post("/publish", "slow")));
    script.arrived().await;
    let large = vec![b'x'; 200 << 10];
    let response = sender.send_request(post("/publish", large)).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(text(response).await.contains("receive/body-too-large"));
    let mut headers = post("/publish", "x");
    headers
        .headers_mut()
        .insert("content-encoding", "gzip".parse().unwrap());
    let response = sender.send_request(headers).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    script.release(1);
    let response = timeout(BOUND, slow).await.unwrap().unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
}

/// A large body is taken whole, over many frames.
#[tokio::test]
async fn a_large_body_arrives_whole() {
    let script = Script::storing();
    let gateway = Gateway::start(&script);
    let mut sender = connect(&gateway).await;
    let body: Vec<u8> = (0..1_u32 << 20).map(|at| (at % 251) as u8).collect();
    let response = sender
        .send_request(post("/publish", body.clone()))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert!(script.arrivals().pop().unwrap().body == body);
}

/// The limits are announced, so that a client need not run into them.
#[tokio::test]
async fn limits_of_streams_and_headers_are_announced() {
    let config = Config {
        streams_max: 17,
        header_bytes_max: ByteSize::kib(32),
        ..config()
    };
    let gateway = Gateway::start_with(config, &Script::storing());
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let mut head = [0; 9];
    timeout(BOUND, stream.read_exact(&mut head))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(head[3], 4, "a frame of settings");
    let mut settings = vec![0; usize::from(head[2])];
    stream.read_exact(&mut settings).await.unwrap();
    let setting = |id: u8| {
        let found = settings.chunks(6).find(|setting| setting[..2] == [0, id]);
        found.map(|setting| u32::from_be_bytes(setting[2..].try_into().unwrap()))
    };
    assert_eq!(setting(3), Some(17), "concurrent streams");
    assert_eq!(setting(6), Some((32 + 16) << 10), "header list size");
}

/// Shutdown lets streams finish, too.
#[tokio::test]
async fn shutdown_finishes_streams_in_flight() {
    let script = Script::holding();
    let mut gateway = Gateway::start(&script);
    let mut sender = connect(&gateway).await;
    let slow = tokio::spawn(sender.send_request(post("/publish", "slow")));
    script.arrived().await;
    gateway.begin_shutdown();
    script.release(1);
    let response = timeout(BOUND, slow).await.unwrap().unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    gateway.ended().await;
}

/// A client that never speaks again cannot hold up the end.
#[tokio::test]
async fn shutdown_does_not_wait_for_a_silent_client() {
    let mut gateway = Gateway::start(&Script::storing());
    let mut stream = TcpStream::connect(gateway.address).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    stream.read_u8().await.unwrap();
    gateway.begin_shutdown();
    gateway.ended().await;
    drop(stream);
}
