//! The open loop: each event has its time, whether or not the one before was answered. What is late
//! counts from that time, so that a slow door hides nothing.

use std::{cell::Cell, net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, sleep_until, timeout},
};

/// Who shares the events.
const CONNECTIONS: u32 = 16;

/// Keys that the events have in turn; a multiple of the connections, so that each key has one.
pub(crate) const KEYS: u32 = 256;

/// How long one event may take where another door can be tried.
const PATIENCE: Duration = Duration::from_secs(60);

/// Before another door is tried.
const PAUSE: Duration = Duration::from_millis(10);

/// Bytes of each event's data.
const BYTES: usize = 1_024;

/// Events of one type at one rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) began: Instant,
    pub(crate) rate: u32,
    pub(crate) events: u32,
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

    /// Publishes them all, with their numbers as ids, to the first of the doors. Where there are
    /// several, what one does not take is sent to the next.
    pub(crate) async fn publish(&self, doors: &[Cell<SocketAddr>]) -> anyhow::Result<()> {
        let each = (0..CONNECTIONS).map(|connection| self.one(doors, connection));
        futures_util::future::try_join_all(each).await?;
        Ok(())
    }

    async fn one(&self, doors: &[Cell<SocketAddr>], connection: u32) -> anyhow::Result<()> {
        let data = format!("{{\"payload\":\"{}\"}}", "x".repeat(BYTES - 14));
        let mut open = None;
        let mut at = connection as usize;
        let mut event = connection;
        while event < self.events {
            sleep_until(self.time_of(event)).await;
            let key = Self::key_of(event);
            let request = format!(
                "POST /publish HTTP/1.1\r\nhost: loadtest\r\nce-specversion: 1.0\r\nce-id: {event}\r\n\
                 ce-source: loadtest\r\nce-type: load.scheduled.v1\r\nce-subject: k{key}\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{data}",
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
            event += CONNECTIONS;
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
