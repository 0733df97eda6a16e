//! A sink that costs next to nothing: HTTP/1.1 by hand, a 204 for every request, one thread.
//!
//! A GET is answered with what came so far, as JSON; `GET /reset` begins anew. Events that say when
//! they were to be sent (`ce-loadtime`) are counted with the time that they took.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use bytes::{Buf, BytesMut};
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::spawn_local,
    time::{interval, sleep},
};

use crate::{
    attached,
    exchange::{end_of_head, field},
    histogram::Histogram,
    listen,
    wire::frame::number,
};

/// Connections at once; more are closed again.
const CONNECTIONS_MAX: usize = 8_192;

/// Most bytes of a head and a body.
const HEAD_BYTES_MAX: usize = 64 << 10;
const BODY_BYTES_MAX: usize = 16 << 20;

const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

#[derive(Clone, Debug, Args)]
pub(crate) struct Sink {
    /// Where it listens; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// Milliseconds before each answer
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=3_600_000))]
    delay: u64,
    #[command(flatten)]
    attached: attached::Attached,
}

/// What came so far.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Came {
    pub(crate) requests: u64,
    /// Those of them that said when they were to be sent.
    pub(crate) timed: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
}

#[derive(Default)]
struct State {
    requests: Cell<u64>,
    latencies: RefCell<Histogram>,
    delay: Duration,
}

/// Answers until the end, and prints each second how many came while some do.
pub(crate) async fn run(arguments: &Sink) -> anyhow::Result<()> {
    let (address, listeners) = listen::listeners(arguments.listen, 1)
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let listener = listeners.into_iter().next().context("no listener")?;
    let listener = TcpListener::from_std(listener)?;
    let state = Rc::new(State {
        delay: Duration::from_millis(arguments.delay),
        ..State::default()
    });
    attached::tell(address)?;
    tokio::select! {
        ended = accept(&listener, &state) => ended,
        () = say(&state) => Ok(()),
        () = arguments.attached.end() => Ok(()),
    }
}

async fn say(state: &State) {
    let mut seconds = interval(Duration::from_secs(1));
    let mut last = 0;
    loop {
        seconds.tick().await;
        let now = state.requests.get();
        if now > last {
            println!("{} requests/s, {now} in all", now - last);
        }
        // After a reset there are fewer.
        last = now;
    }
}

async fn accept(listener: &TcpListener, state: &Rc<State>) -> anyhow::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        if Rc::strong_count(state) > CONNECTIONS_MAX {
            continue;
        }
        stream.set_nodelay(true)?;
        let state = Rc::clone(state);
        spawn_local(async move {
            // A sender that goes away has its reasons.
            serve(stream, &state).await.ok();
        });
    }
}

async fn serve(mut stream: TcpStream, state: &State) -> anyhow::Result<()> {
    let mut buffer = BytesMut::with_capacity(16 << 10);
    loop {
        let Some(end) = end_of_head(&buffer) else {
            anyhow::ensure!(buffer.len() <= HEAD_BYTES_MAX, "a head that does not end");
            buffer.reserve(8 << 10);
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let head = buffer.get(..end).unwrap_or_default();
        if head.starts_with(b"GET ") {
            let answer = told(state, head.starts_with(b"GET /reset "));
            buffer.advance(end);
            stream.write_all(&answer).await?;
            continue;
        }
        let length = field(head, "content-length").and_then(number).unwrap_or(0);
        let length = usize::try_from(length)?;
        anyhow::ensure!(length <= BODY_BYTES_MAX, "a body that is too long");
        let time = field(head, "ce-loadtime").and_then(number);
        while buffer.len() < end + length {
            buffer.reserve(end + length - buffer.len());
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        buffer.advance(end + length);
        state.came(time);
        if !state.delay.is_zero() {
            sleep(state.delay).await;
        }
        stream.write_all(ANSWER).await?;
    }
}

impl State {
    fn came(&self, time: Option<u64>) {
        self.requests.set(self.requests.get() + 1);
        let Some(time) = time else { return };
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        self.latencies.borrow_mut().add(now.saturating_sub(time));
    }
}

/// What came so far, as an answer.
fn told(state: &State, is_reset: bool) -> Vec<u8> {
    let latencies = state.latencies.borrow();
    let came = Came {
        requests: state.requests.get(),
        timed: latencies.count(),
        p50_ms: latencies.millis(0.5),
        p99_ms: latencies.millis(0.99),
        p999_ms: latencies.millis(0.999),
    };
    drop(latencies);
    if is_reset {
        state.requests.set(0);
        state.latencies.take();
    }
    let body = serde_json::to_string(&came).unwrap_or_default();
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}");
    format!("{head}\r\n\r\n{body}").into_bytes()
}
