//! What `appends` and `wire` promise, with a far end that is at fault.

use std::{
    pin::pin,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

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
    appends.append("a.b", &message(bytes), Subject::Any).await
}

/// Reads appends and answers each: with what `answer` says to the reply subject and the count of
/// those before.
async fn answering(mut stream: TcpStream, answer: impl Fn(&str, usize) -> String) -> TcpStream {
    let (mut read, mut appends) = (String::new(), 0);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
            return stream;
        }
        read.push_str(std::str::from_utf8(&buffer).unwrap());
        while let Some((_, sent)) = read.split_once("HPUB ") {
            let Some((line, rest)) = sent.split_once("\r\n") else {
                break;
            };
            let reply = line.split(' ').nth(1).unwrap();
            let payload = answer(reply, appends);
            let said = format!("MSG {reply} 1 {}\r\n{payload}\r\n", payload.len());
            stream.write_all(said.as_bytes()).await.unwrap();
            appends += 1;
            read = rest.to_owned();
        }
    }
}

fn stored(sequence: usize) -> String {
    format!(r#"{{"stream":"TIDEGATE_EVENTS","seq":{sequence}}}"#)
}

fn duplicate(sequence: usize) -> String {
    format!(r#"{{"stream":"TIDEGATE_EVENTS","seq":{sequence},"duplicate":true}}"#)
}

/// What is answered as a duplicate on a subject that was used before is asked for again on one that
/// was not, and that answer counts.
#[tokio::test]
async fn an_unsure_append_is_asked_for_on_a_new_subject() {
    let (appends, _listener, stream) = connected().await;
    appends.wire.listener().acks.end_trial();
    let seen = Mutex::new(Vec::new());
    let server = answering(stream, |reply, count| {
        seen.lock().unwrap().push(reply.to_owned());
        match count {
            0 => stored(1),
            1 => duplicate(1),
            _ => stored(2),
        }
    });
    let client = async {
        let first = append(&appends, 1).await;
        assert!(matches!(first, Answer::Stored(stored) if stored.sequence == 1));
        let second = append(&appends, 1).await;
        assert!(matches!(second, Answer::Stored(stored) if stored.sequence == 2));
    };
    tokio::select! {
        () = client => {}
        _ = server => panic!("the client left"),
    }
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[1], seen[2]);
}

/// Messages that are stored together have one subject, and places in their order; one of them that
/// was known already leaves all unsure, and which of them are new is told.
#[tokio::test]
async fn messages_together_have_one_subject() {
    let (appends, _listener, stream) = connected().await;
    let seen = Mutex::new(Vec::new());
    let server = answering(stream, |reply, count| {
        seen.lock().unwrap().push(reply.to_owned());
        match count {
            4 => duplicate(1),
            count => stored(count + 1),
        }
    });
    let together = || async {
        let messages: Vec<_> = (0..3).map(|_| ("a.b", message(1))).collect();
        appends.append_together(&messages).await
    };
    let client = async {
        let Together::Stored(places) = together().await else {
            panic!("they are stored")
        };
        assert_eq!(places, [1, 2, 3]);
        let Together::Unsure { new } = together().await else {
            panic!("one is a duplicate")
        };
        assert_eq!(new, [4, 6]);
    };
    tokio::select! {
        () = client => {}
        _ = server => panic!("the client left"),
    }
    let seen = seen.into_inner().unwrap();
    assert!(seen[..3].iter().all(|reply| *reply == seen[0]));
}

/// Places of a domain are believed as others are, and those of two domains are not of one stream.
#[tokio::test]
async fn a_place_of_another_domain_is_not_believed() {
    let (appends, _listener, stream) = connected().await;
    appends.wire.listener().acks.end_trial();
    let stored = |domain: &str, sequence: usize| {
        format!(r#"{{"stream":"TIDEGATE_EVENTS","domain":"{domain}","seq":{sequence}}}"#)
    };
    let count = AtomicUsize::new(0);
    let server = answering(stream, |_, before| {
        count.store(before + 1, Ordering::Relaxed);
        match before {
            0..3 => stored("hub", before + 1),
            3 => stored("leaf", 1_000),
            _ => stored("hub", 4),
        }
    });
    let client = async {
        let messages: Vec<_> = (0..3).map(|_| ("a.b", message(1))).collect();
        let together = appends.append_together(&messages).await;
        assert!(matches!(together, Together::Stored(places) if places == [1, 2, 3]));
        let answer = append(&appends, 1).await;
        assert!(matches!(answer, Answer::Stored(stored) if stored.sequence == 4));
    };
    tokio::select! {
        () = client => {}
        _ = server => panic!("the client left"),
    }
    assert_eq!(count.into_inner(), 5);
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
