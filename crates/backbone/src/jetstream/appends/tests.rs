//! What `appends` and `wire` promise, with a far end that is at fault.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::join_all};
use tidegate_event::Event;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};

use super::*;
use crate::AppendError;

/// From so many bytes on who comes waits.
const FRAMES_BYTES_MAX: usize = 1 << 20;

const TIMEOUT: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(20);

/// Lets a client in.
async fn greeted(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(b"INFO {}\r\n").await.unwrap();
    let mut greeting = Vec::new();
    while !greeting.ends_with(b"PING\r\n") {
        assert_ne!(stream.read_buf(&mut greeting).await.unwrap(), 0);
    }
    stream.write_all(b"PONG\r\n").await.unwrap();
    stream
}

async fn connected() -> (Appends, TcpListener, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let config = Config {
        append_timeout: TIMEOUT,
        ..Config::default()
    };
    let (appends, stream) = tokio::join!(
        Appends::start(&config, &url, "test", "_INBOX.t".to_owned()),
        greeted(&listener)
    );
    (appends.unwrap(), listener, stream)
}

fn message(bytes: usize) -> Outgoing {
    let mut event = Event::new("1", "/s", "t");
    event.data = Some(Bytes::from(vec![b'x'; bytes]));
    Outgoing::event(&event)
}

async fn append(appends: &Appends, bytes: usize) -> Answer {
    match appends.send("a.b", &message(bytes)).await {
        Ok(waiting) => waiting.await,
        Err(answer) => answer,
    }
}

/// A server that reads nothing costs each append its time, and a bounded buffer.
#[tokio::test]
async fn who_finds_no_room_waits_no_longer_than_an_append_may() {
    let (appends, _listener, _stream) = connected().await;
    let began = Instant::now();
    // More than the sockets' buffers and ours take together.
    let mut sent = pin!(join_all((0..60).map(|_| append(&appends, 900 << 10))));
    assert!(sent.as_mut().now_or_never().is_none());
    let waiting = appends.wire.waiting();
    assert!(waiting <= FRAMES_BYTES_MAX + (1 << 20), "{waiting}");
    for answer in timeout(PATIENCE, sent).await.unwrap() {
        let is_late = matches!(answer, Answer::Failed(AppendError::TimedOut { .. }));
        assert!(is_late, "{answer:?}");
    }
    assert!(began.elapsed() >= TIMEOUT);
}

/// What waits when the server ends the connection is answered at once, and the next connection is
/// used when it stands.
#[tokio::test]
async fn a_lost_connection_answers_and_is_made_anew() {
    let (appends, listener, mut stream) = connected().await;
    let faults = async {
        let error = b"-ERR 'Stale Connection'\r\n";
        stream.write_all(error).await.unwrap();
        drop(stream);
    };
    let (answer, ()) = tokio::join!(append(&appends, 1), faults);
    let is_lost = matches!(answer, Answer::Failed(AppendError::Unreachable { .. }));
    assert!(is_lost, "{answer:?}");
    let mut next = timeout(PATIENCE, greeted(&listener)).await.unwrap();
    while !appends.is_open() {
        tokio::task::yield_now().await;
    }
    let server = async {
        let mut read = Vec::new();
        while !read.windows(4).any(|part| part == b"\r\n\r\n") {
            assert_ne!(next.read_buf(&mut read).await.unwrap(), 0);
        }
        let text = String::from_utf8(read).unwrap();
        let (_, sent) = text.split_once("HPUB ").unwrap();
        let reply = sent.split(' ').nth(1).unwrap();
        let acknowledgement = r#"{"stream":"TIDEGATE_EVENTS", "seq":7}"#;
        let length = acknowledgement.len();
        let said = format!("MSG {reply} 1 {length}\r\n{acknowledgement}\r\n");
        next.write_all(said.as_bytes()).await.unwrap();
        next
    };
    let (answer, _next) = timeout(PATIENCE, async {
        tokio::join!(append(&appends, 1), server)
    })
    .await
    .unwrap();
    let Answer::Stored(stored) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(stored.sequence, 7);
}

/// A large message needs no moment in which nothing waits, which might never come.
#[tokio::test]
async fn a_large_message_is_taken_as_soon_as_a_small_one() {
    let (appends, _listener, _stream) = connected().await;
    let put = |bytes| {
        let write = |frames: &mut Vec<u8>| wire::publish("a.b", "r", &message(bytes), frames);
        appends.wire.put(write).is_ok()
    };
    assert!(put(FRAMES_BYTES_MAX / 2));
    assert!(put(FRAMES_BYTES_MAX));
    assert!(!put(1));
}
