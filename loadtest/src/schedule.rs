//! The open loop: each event has its time, whether or not the one before was answered. What is late
//! counts from that time, so that a slow door hides nothing.

use std::{cell::Cell, net::SocketAddr, time::Duration};

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::alarm::Alarm;

/// Who shares the events, where nothing else is said.
const CONNECTIONS: u32 = 16;

/// Keys that the events have in turn; a multiple of the connections, so that each key has one.
pub(crate) const KEYS: u32 = 256;

/// How long one event may take where another door can be tried.
const PATIENCE: Duration = Duration::from_secs(60);

/// Before another door is tried.
const PAUSE: Duration = Duration::from_millis(10);

/// The part of the events that are due which has to be sent.
const RATE_HELD: f64 = 0.99;

/// Bytes of each event's data.
const BYTES: usize = 1_024;

/// Events at one rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) began: Instant,
    pub(crate) rate: u32,
    pub(crate) events: u32,
}

/// What an event is by its number.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) r#type: String,
    pub(crate) subject: String,
}

/// What is published, and how far that is.
pub(crate) struct Flow {
    /// Each sends every so many-th event, one after the other.
    connections: u32,
    kind: Box<dyn Fn(u32) -> Kind>,
    next: Cell<u32>,
    answered: Cell<u32>,
    until: Cell<u32>,
}

impl Flow {
    pub(crate) fn new(connections: u32, kind: impl Fn(u32) -> Kind + 'static) -> Self {
        Self {
            connections,
            kind: Box::new(kind),
            next: Cell::new(0),
            answered: Cell::new(0),
            until: Cell::new(u32::MAX),
        }
    }

    /// This event and all behind it have not been sent.
    pub(crate) fn next(&self) -> u32 {
        self.next.get()
    }

    /// How many were acknowledged.
    pub(crate) fn answered(&self) -> u32 {
        self.answered.get()
    }

    /// Ends it behind the last event that was sent; none before that one is left out.
    pub(crate) fn end(&self) {
        self.until.set(self.next.get());
    }
}

impl Schedule {
    /// From now on.
    pub(crate) fn new(rate: u32, time: Duration) -> Self {
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        Self {
            began: Instant::now(),
            rate,
            events: rate.saturating_mul(seconds),
        }
    }

    /// When this event is to be sent.
    pub(crate) fn time_of(&self, event: u32) -> Instant {
        self.began + Duration::from_secs(1) * event / self.rate
    }

    /// Which key the event has: those of one are published one after the other.
    pub(crate) fn key_of(event: u32) -> u32 {
        event % KEYS
    }

    /// Fails where more than one of a hundred was not sent when it was due.
    pub(crate) fn held(&self, flow: &Flow) -> anyhow::Result<()> {
        let due = self.began.elapsed().as_secs_f64() * f64::from(self.rate);
        let sent = f64::from(flow.next());
        ensure!(
            sent >= due * RATE_HELD - f64::from(flow.connections),
            "the run is void: {sent} of {due:.0} events were sent in time, the rate is not held"
        );
        Ok(())
    }

    /// Publishes them all, of one type, with their numbers as ids, to the first of the doors. Where
    /// there are several, what one does not take is sent to the next.
    pub(crate) async fn publish(&self, doors: &[Cell<SocketAddr>]) -> anyhow::Result<()> {
        let kind = |event| Kind {
            r#type: "load.scheduled.v1".to_owned(),
            subject: format!("k{}", Self::key_of(event)),
        };
        self.flow(doors, &Flow::new(CONNECTIONS, kind)).await
    }

    /// The same with events that differ, until the flow ends or all are published.
    pub(crate) async fn flow(&self, doors: &[Cell<SocketAddr>], flow: &Flow) -> anyhow::Result<()> {
        let each = (0..flow.connections).map(|connection| self.one(doors, flow, connection));
        futures_util::future::try_join_all(each).await?;
        Ok(())
    }

    async fn one(
        &self,
        doors: &[Cell<SocketAddr>],
        flow: &Flow,
        connection: u32,
    ) -> anyhow::Result<()> {
        let data = format!("{{\"payload\":\"{}\"}}", "x".repeat(BYTES - 14));
        let alarm = Alarm::new()?;
        let mut open = None;
        let mut at = connection as usize;
        let mut event = connection;
        while event < self.events.min(flow.until.get()) {
            alarm.until(self.time_of(event)).await?;
            // It may have ended meanwhile.
            if event >= flow.until.get() {
                break;
            }
            flow.next.set(flow.next.get().max(event + 1));
            let Kind { r#type, subject } = (flow.kind)(event);
            let request = format!(
                "POST /publish HTTP/1.1\r\nhost: loadtest\r\nce-specversion: 1.0\r\nce-id: {event}\r\n\
                 ce-source: loadtest\r\nce-type: {}\r\nce-subject: {}\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{data}",
                r#type,
                subject,
                data.len()
            );
            let began = Instant::now();
            loop {
                let door = doors.get(at % doors.len()).context("no door")?.get();
                let sent = timeout(PATIENCE, send(&mut open, door, &request)).await;
                let Err(error) = sent.context("no answer").flatten() else {
                    break;
                };
                if doors.len() == 1 || began.elapsed() > PATIENCE {
                    return Err(error);
                }
                open = None;
                at += 1;
                sleep(PAUSE).await;
            }
            flow.answered.set(flow.answered.get() + 1);
            event += flow.connections;
        }
        Ok(())
    }
}

/// One request, on the connection that is open or on a new one.
async fn send(open: &mut Option<TcpStream>, door: SocketAddr, request: &str) -> anyhow::Result<()> {
    let stream = match open {
        Some(stream) => stream,
        None => {
            let stream = TcpStream::connect(door).await.context("cannot connect")?;
            stream.set_nodelay(true)?;
            open.insert(stream)
        }
    };
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.windows(4).any(|window| window == b"\r\n\r\n") {
        if stream.read_buf(&mut answer).await? == 0 {
            bail!("the connection was closed");
        }
    }
    if !answer.starts_with(b"HTTP/1.1 204") {
        let text = String::from_utf8_lossy(&answer);
        bail!("the run is void, an answer was not 204: {text}");
    }
    Ok(())
}
