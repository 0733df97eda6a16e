//! What `deliveries` promises, with a far end that is at fault.

use futures_util::FutureExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// A server that says what a test has it say.
struct Far {
    listener: TcpListener,
    /// The connection of deliveries.
    stream: TcpStream,
    _link: TcpStream,
}

/// Lets a client in; what it said is returned as well.
async fn greeted(listener: &TcpListener) -> (TcpStream, String) {
    let (mut stream, _) = listener.accept().await.unwrap();
    stream
        .write_all(b"INFO {\"max_payload\":100}\r\n")
        .await
        .unwrap();
    let said = until(&mut stream, "PING\r\n").await;
    stream.write_all(b"PONG\r\n").await.unwrap();
    (stream, said)
}

/// Reads until this was said.
async fn until(stream: &mut TcpStream, word: &str) -> String {
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).ends_with(word) {
        assert_ne!(stream.read_buf(&mut said).await.unwrap(), 0);
    }
    String::from_utf8(said).unwrap()
}

async fn connected() -> (Arc<Deliveries>, Far) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let config = Config::default();
    let near = async {
        let link = Arc::new(Link::connect(&config, &url, "test").await.unwrap());
        Deliveries::start(link, &config, &url, "test")
            .await
            .unwrap()
    };
    let far = async {
        let (link, _) = greeted(&listener).await;
        let (stream, _) = greeted(&listener).await;
        (link, stream)
    };
    let (deliveries, (link, stream)) = tokio::join!(near, far);
    let far = Far {
        listener,
        stream,
        _link: link,
    };
    (Arc::new(deliveries), far)
}

impl Far {
    async fn send(&mut self, to: &Inbox, payload: &str) {
        let (number, bytes) = (to.number, payload.len());
        let said = format!("MSG {} {number} r.1 {bytes}\r\n{payload}\r\n", to.subject());
        self.stream.write_all(said.as_bytes()).await.unwrap();
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap()
}

/// What is opened while the connection is away is part of the next one, as is what was open.
#[tokio::test]
async fn the_next_connection_has_every_inbox() {
    let (deliveries, mut far) = connected().await;
    let early = deliveries.inbox();
    within(until(
        &mut far.stream,
        &early.arrived.subscribe(early.number),
    ))
    .await;
    let mut losses = deliveries.losses();
    drop(far.stream);
    within(losses.changed()).await.unwrap();
    let late = deliveries.inbox();
    let sent = deliveries.send("a", "", b"").await;
    assert_eq!(sent.unwrap_err(), NOT_CONNECTED);
    let (stream, said) = within(greeted(&far.listener)).await;
    for inbox in [&early, &late] {
        assert!(
            said.contains(&inbox.arrived.subscribe(inbox.number)),
            "{said}"
        );
    }
    far.stream = stream;
    far.send(&late, "event").await;
    let message = within(late.next()).await;
    assert_eq!((&*message.reply, &*message.payload), ("r.1", &b"event"[..]));
    assert!(early.try_next().is_none());
}

/// Nothing that was sent before the end is missed, and nothing after it is kept.
#[tokio::test]
async fn closing_waits_for_what_is_on_its_way() {
    let (deliveries, mut far) = connected().await;
    let inbox = deliveries.inbox();
    let mut closing = Box::pin(inbox.close());
    assert!(closing.as_mut().now_or_never().is_none());
    let end = format!("UNSUB {}\r\nPING\r\n", inbox.number);
    let said = within(until(&mut far.stream, &end)).await;
    assert!(
        said.contains(&inbox.arrived.subscribe(inbox.number)),
        "{said}"
    );
    far.send(&inbox, "late").await;
    // Its own ping of every few seconds is not the one that is waited for.
    assert!(closing.as_mut().now_or_never().is_none());
    far.stream.write_all(b"PONG\r\n").await.unwrap();
    within(closing.as_mut()).await;
    drop(closing);
    assert_eq!(inbox.try_next().unwrap().payload, "late");
    let gone = deliveries.inbox();
    drop(inbox);
    assert_eq!(deliveries.wire.listener().lock().len(), 1);
    drop(gone);
    assert!(deliveries.wire.listener().lock().is_empty());
}

/// What a server sends unasked takes no more memory than was said, and is no reason to end.
#[tokio::test]
async fn an_inbox_is_bounded() {
    let (deliveries, _far) = connected().await;
    let inbox = deliveries.inbox();
    let message = wire::Message {
        subject: inbox.subject(),
        subscription: inbox.number,
        reply: "",
        headers: b"",
        payload: b"",
    };
    let listener = deliveries.wire.listener();
    for _ in 0..WAITING_MAX + 10 {
        listener.hear(message);
    }
    listener.hear(wire::Message {
        subscription: 4_711,
        ..message
    });
    assert_eq!(inbox.arrived.lock().len(), WAITING_MAX);
}

/// Headers are text, whatever came, and the parts are told apart.
#[test]
fn a_message_is_what_came() {
    let incoming = Incoming::new(
        wire::Message {
            subject: "s",
            subscription: 1,
            reply: "r.1",
            headers: b"NATS/1.0 409 Consumer Deleted\r\nx-Y: \xff\r\n\r\n",
            payload: b"\xff\0",
        },
        0,
    );
    assert_eq!(incoming.status(), Some((409, "Consumer Deleted")));
    assert_eq!(incoming.header("X-y"), Some("\u{fffd}".to_owned()));
    assert_eq!(
        (&*incoming.reply, &*incoming.payload),
        ("r.1", &b"\xff\0"[..])
    );
}
