//! The closed loop.

use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
};

use crate::{Mode, Publish};

/// An answer's head; a problem body is cut here.
const ANSWER_BYTES: usize = 8 << 10;

/// How much of it an error repeats.
const SHOWN_BYTES: usize = 600;

/// What to send, and where.
pub(crate) struct Target {
    address: SocketAddr,
    /// The request with a hole for the id.
    before_id: Vec<u8>,
    after_id: Vec<u8>,
    events: u64,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Driven {
    pub(crate) events: u64,
    pub(crate) requests: u64,
    pub(crate) took: Duration,
    /// Microseconds of each request.
    pub(crate) latencies: Vec<u32>,
}

/// The width of every id, so that no length changes.
const ID_WIDTH: usize = 20;

const ID_HOLE: &str = "{id}";

impl Target {
    pub(crate) fn of(arguments: &Publish) -> anyhow::Result<Self> {
        let rest = arguments
            .url
            .strip_prefix("http://")
            .context("--url must begin with http://")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let address = host
            .parse()
            .with_context(|| format!("--url: {host} must be ip:port"))?;
        let data = format!(
            "{{\"payload\":\"{}\"}}",
            "x".repeat(arguments.bytes.saturating_sub(14))
        );
        let event = |id: &str| {
            format!(
                "{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"loadtest\",\"type\":\"load.driven.v1\",\
                 \"datacontenttype\":\"application/json\",\"data\":{data}}}"
            )
        };
        let (headers, body, events) = match arguments.mode {
            Mode::Binary => (
                format!(
                    "ce-specversion: 1.0\r\nce-id: {ID_HOLE}\r\nce-source: loadtest\r\n\
                     ce-type: load.driven.v1\r\ncontent-type: application/json\r\n"
                ),
                data,
                1,
            ),
            Mode::Structured => (
                "content-type: application/cloudevents+json\r\n".to_owned(),
                event(ID_HOLE),
                1,
            ),
            Mode::Batch => {
                // One hole a request: the events of a batch share its id and differ behind it.
                let events: Vec<String> = (0..arguments.batch)
                    .map(|at| event(&format!("{{batch}}-{at}")))
                    .collect();
                let body = format!("[{}]", events.join(","));
                let content_type = "content-type: application/cloudevents-batch+json\r\n";
                (content_type.to_owned(), body, arguments.batch as u64)
            }
        };
        let length = body
            .replace(ID_HOLE, &"0".repeat(ID_WIDTH))
            .replace("{batch}", &"0".repeat(ID_WIDTH))
            .len();
        let request = format!(
            "POST /{path} HTTP/1.1\r\nhost: {host}\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        let (before_id, after_id) = match request.split_once(ID_HOLE) {
            Some((before, after)) => (before.into(), after.into()),
            None => (request.into(), Vec::new()),
        };
        Ok(Self {
            address,
            before_id,
            after_id,
            events,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    fn fill(&self, id: &str, request: &mut Vec<u8>) {
        request.clear();
        if self.after_id.is_empty() {
            let text = String::from_utf8_lossy(&self.before_id).replace("{batch}", id);
            request.extend_from_slice(text.as_bytes());
        } else {
            request.extend_from_slice(&self.before_id);
            request.extend_from_slice(id.as_bytes());
            request.extend_from_slice(&self.after_id);
        }
    }
}

/// Drives for so long and fails on the first answer that is no 2xx.
pub(crate) async fn drive(
    target: &Target,
    connections: usize,
    time: Duration,
) -> anyhow::Result<Driven> {
    let driven = Rc::new(RefCell::new(Driven::default()));
    let began = Instant::now();
    let tasks = LocalSet::new();
    tasks
        .run_until(async {
            let each = (0..connections)
                .map(|connection| one(target, connection, began + time, Rc::clone(&driven)));
            futures_util::future::try_join_all(each).await
        })
        .await?;
    let mut driven = driven.take();
    driven.took = began.elapsed();
    Ok(driven)
}

async fn one(
    target: &Target,
    connection: usize,
    until: Instant,
    driven: Rc<RefCell<Driven>>,
) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(target.address)
        .await
        .context("cannot connect")?;
    stream.set_nodelay(true)?;
    // Ids of different runs must differ, or they would be duplicates.
    let run = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_millis()
        % 10_000_000_000;
    let mut request = Vec::new();
    let mut answer = vec![0; ANSWER_BYTES];
    let mut number = 0_u32;
    while Instant::now() < until {
        let id = format!("{run:010}{connection:04}{number:06}");
        number += 1;
        target.fill(&id, &mut request);
        let began = Instant::now();
        stream.write_all(&request).await?;
        let mut bytes = 0;
        loop {
            let read = stream
                .read(answer.get_mut(bytes..).unwrap_or_default())
                .await?;
            if read == 0 {
                bail!("the connection was closed");
            }
            bytes += read;
            let head = answer.get(..bytes).unwrap_or_default();
            if head.windows(4).any(|window| window == b"\r\n\r\n") {
                break;
            }
        }
        if answer.get(..11) != Some(b"HTTP/1.1 20") {
            let shown = answer.get(..bytes.min(SHOWN_BYTES)).unwrap_or_default();
            let text = String::from_utf8_lossy(shown);
            bail!("the run is void, an answer was not 2xx: {text}");
        }
        let mut driven = driven.borrow_mut();
        driven.requests += 1;
        driven.events += target.events;
        driven
            .latencies
            .push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(())
}
