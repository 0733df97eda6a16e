//! Which connection a request goes over, and which is closed instead.

use std::{io::Read as _, io::Write as _, net, sync::mpsc, thread, time::Duration};

use futures_util::future::join_all;
use tidegate_deliver::{Client, Config, Outcome, Seen, Sink};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use crate::{client, code, event, to};

/// How the body of each request ends.
const END: &[u8] = br#"{"m":1.10}"#;

const OK: &str = "HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n";

/// What a sink does with a request that it has read.
#[derive(Clone, Copy)]
enum Then {
    Answer(&'static str),
    AnswerAndClose(&'static str),
    Close,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    connections: usize,
    open: usize,
    requests: usize,
}

/// A sink that counts; it closes nothing of its own accord.
struct Counting {
    url: String,
    counts: watch::Receiver<Counts>,
    task: JoinHandle<()>,
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Counting {
    /// `then` is asked with the number of the request, and answered when so many came.
    async fn start(at_once: usize, then: impl Fn(usize) -> Then + Copy + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (count, counts) = watch::channel(Counts::default());
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let count = count.clone();
                tokio::spawn(async move {
                    count.send_modify(|counts| {
                        counts.connections += 1;
                        counts.open += 1;
                    });
                    serve(stream, &count, at_once, then).await;
                    count.send_modify(|counts| counts.open -= 1);
                });
            }
        });
        Self { url, counts, task }
    }

    fn now(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Waits until so many connections are open.
    async fn open(&self, count: usize) {
        let reached = self.counts.clone();
        let reached = async {
            { reached }
                .wait_for(|counts| counts.open == count)
                .await
                .is_ok()
        };
        let reached = tokio::time::timeout(Duration::from_secs(60), reached).await;
        assert!(matches!(reached, Ok(true)), "{:?}", self.now());
    }
}

async fn serve(
    mut stream: TcpStream,
    count: &watch::Sender<Counts>,
    at_once: usize,
    then: impl Fn(usize) -> Then,
) {
    while request(&mut stream).await {
        count.send_modify(|counts| counts.requests += 1);
        let number = count.borrow().requests;
        let whole = number.div_ceil(at_once) * at_once;
        let mut counts = count.subscribe();
        counts.wait_for(|now| now.requests >= whole).await.unwrap();
        let (Then::Answer(answer) | Then::AnswerAndClose(answer)) = then(number) else {
            return;
        };
        if stream.write_all(answer.as_bytes()).await.is_err()
            || matches!(then(number), Then::AnswerAndClose(_))
        {
            return;
        }
    }
}

/// Reads a request; none, where the connection is closed.
async fn request(stream: &mut TcpStream) -> bool {
    let mut read = Vec::new();
    while !read.ends_with(END) {
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return false;
        }
    }
    true
}

async fn attempt(client: &Client, sink: &Sink) -> Outcome {
    let timeout = Duration::from_secs(30);
    client
        .attempt(sink, &event(), Seen::default(), timeout)
        .await
}

/// Two attempts, one after the other: their codes, and what the sink counted.
async fn two(config: &Config, first: Then) -> ([&'static str; 2], Counts) {
    let then = move |number| if number == 1 { first } else { Then::Answer(OK) };
    let sink = Counting::start(1, then).await;
    let (client, to) = (client(config), to(&sink.url));
    let outcomes = [attempt(&client, &to).await, attempt(&client, &to).await];
    (outcomes.each_ref().map(code), sink.now())
}

/// What was answered properly, in whatever form, leaves a connection that is used again.
#[tokio::test]
async fn a_connection_is_used_again() {
    for (answer, expected) in [
        (OK, "delivered"),
        ("HTTP/1.1 204 x\r\n\r\n", "delivered"),
        (
            "HTTP/1.1 200 x\r\ncontent-length: 4\r\n\r\ngood",
            "delivered",
        ),
        (
            "HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n",
            "delivered",
        ),
        (
            "HTTP/1.1 422 x\r\ncontent-length: 3\r\n\r\nbad",
            "deliver/status-rejected",
        ),
    ] {
        let (codes, counts) = two(&Config::default(), Then::Answer(answer)).await;
        assert_eq!(codes, [expected, "delivered"], "{answer:?}");
        assert_eq!((counts.connections, counts.requests), (1, 2), "{answer:?}");
    }
}

/// Where an answer did not end, or ended the connection, the next request has another: it could
/// read the rest of what was said to the one before.
#[tokio::test]
async fn a_connection_that_is_not_through_is_not_used_again() {
    let config = Config {
        response_bytes_max: bytesize::ByteSize::b(10),
        ..Config::default()
    };
    let long = "HTTP/1.1 200 x\r\ncontent-length: 20\r\n\r\n01234567890123456789";
    let refusal = "HTTP/1.1 422 x\r\ncontent-length: 20\r\n\r\n01234567890123456789";
    let cut_off = "HTTP/1.1 200 x\r\ncontent-length: 10\r\n\r\nhalf";
    let last = "HTTP/1.1 200 x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let old = "HTTP/1.0 200 x\r\ncontent-length: 0\r\n\r\n";
    for (then, expected) in [
        (Then::Answer(long), "deliver/answer-too-long"),
        (Then::Answer(refusal), "deliver/status-rejected"),
        (Then::AnswerAndClose(cut_off), "deliver/transport"),
        (Then::Answer(last), "delivered"),
        (Then::Answer(old), "delivered"),
    ] {
        let (codes, counts) = two(&config, then).await;
        assert_eq!(codes, [expected, "delivered"]);
        assert_eq!((counts.connections, counts.requests), (2, 2), "{expected}");
    }
}

/// A sink that closes instead of answering may have the event: whether it gets it again is not
/// decided here.
#[tokio::test]
async fn what_a_sink_has_read_is_not_sent_again() {
    let then = |number| match number {
        1 => Then::Answer(OK),
        _ => Then::Close,
    };
    let sink = Counting::start(1, then).await;
    let (client, to) = (client(&Config::default()), to(&sink.url));
    assert_eq!(code(&attempt(&client, &to).await), "delivered");
    assert_eq!(code(&attempt(&client, &to).await), "deliver/transport");
    let counts = sink.now();
    assert_eq!((counts.connections, counts.requests), (1, 2));
}

/// A sink may close what is idle at any time; the event that finds it closed goes over another
/// connection, once.
#[tokio::test]
async fn a_connection_that_was_closed_while_idle_costs_no_attempt() {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = to(&format!("http://{}/", listener.local_addr().unwrap()));
    let (idle, is_idle) = mpsc::sync_channel(1);
    let (closed, is_closed) = mpsc::sync_channel(1);
    // On a thread of its own: the client, which waits for it, notices nothing meanwhile.
    let sink = thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut read = Vec::new();
            while !read.ends_with(END) {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                read.extend_from_slice(&byte);
            }
            stream.write_all(OK.as_bytes()).unwrap();
            is_idle.recv().unwrap();
            drop(stream);
            closed.send(()).unwrap();
        }
    });
    let client = client(&Config::default());
    assert_eq!(code(&attempt(&client, &to).await), "delivered");
    idle.send(()).unwrap();
    is_closed.recv().unwrap();
    // The runtime hears of it; who uses the connection goes first.
    tokio::task::yield_now().await;
    assert_eq!(code(&attempt(&client, &to).await), "delivered");
    idle.send(()).unwrap();
    sink.join().unwrap();
}

/// So many are kept as the configuration says, and no longer than it says.
#[tokio::test]
async fn idle_connections_are_bounded_in_number_and_time() {
    let config = Config {
        idle_connections_max: 2,
        ..Config::default()
    };
    let sink = Counting::start(5, |_| Then::Answer(OK)).await;
    let (client_of_two, to_sink) = (client(&config), to(&sink.url));
    for connections in [5, 8] {
        join_all((0..5).map(|_| attempt(&client_of_two, &to_sink))).await;
        sink.open(2).await;
        assert_eq!(sink.now().connections, connections);
    }
    drop((client_of_two, to_sink));
    sink.open(0).await;

    let config = Config {
        idle_timeout: Duration::from_millis(50),
        ..Config::default()
    };
    let (client, to) = (client(&config), to(&sink.url));
    for connections in [13, 18] {
        join_all((0..5).map(|_| attempt(&client, &to))).await;
        sink.open(0).await;
        assert_eq!(sink.now().connections, connections);
    }
}

/// What the sink's name means is asked again after a while.
#[tokio::test]
async fn a_connection_is_not_used_beyond_its_age() {
    let config = Config {
        connection_age_max: Duration::from_nanos(1),
        ..Config::default()
    };
    let (codes, counts) = two(&config, Then::Answer(OK)).await;
    assert_eq!(codes, ["delivered"; 2]);
    assert_eq!(counts.connections, 2);
}

/// A sink that lets nobody else in still takes one event after the other.
#[tokio::test]
async fn who_waits_for_a_new_connection_gets_the_first_that_is_free() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    // Room for one that is not accepted; the system leaves the next without an answer.
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let config = Config {
        connect_timeout: Duration::from_secs(60),
        ..Config::default()
    };
    let (client, to) = (client(&config), to(&format!("http://{address}/")));
    let sink = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(request(&mut stream).await);
        let _in_the_way = TcpStream::connect(address).await.unwrap();
        let second = attempt(&client, &to);
        let answers = async {
            for _ in 0..2 {
                stream.write_all(OK.as_bytes()).await.unwrap();
                assert!(request(&mut stream).await);
            }
            stream.write_all(OK.as_bytes()).await.unwrap();
        };
        tokio::join!(second, answers).0
    };
    let first = async {
        assert_eq!(code(&attempt(&client, &to).await), "delivered");
        attempt(&client, &to).await
    };
    let (first, second) = tokio::join!(first, sink);
    assert_eq!([code(&first), code(&second)], ["delivered"; 2]);
}
