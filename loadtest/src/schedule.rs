//! The open loop: each event has its time, whether or not the one before was answered. What is late
//! counts from that time, so that a slow door hides nothing.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep_until},
};

/// Who shares the events.
const CONNECTIONS: u32 = 16;

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

    /// Publishes them all, with their numbers as ids.
    pub(crate) async fn publish(&self, door: SocketAddr) -> anyhow::Result<()> {
        let each = (0..CONNECTIONS).map(|connection| self.one(door, connection));
        futures_util::future::try_join_all(each).await?;
        Ok(())
    }

    async fn one(&self, door: SocketAddr, connection: u32) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(door).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        let data = format!("{{\"payload\":\"{}\"}}", "x".repeat(BYTES - 14));
        let mut answer = Vec::new();
        let mut event = connection;
        while event < self.events {
            sleep_until(self.time_of(event)).await;
            let request = format!(
                "POST /publish HTTP/1.1\r\nhost: {door}\r\nce-specversion: 1.0\r\nce-id: {event}\r\n\
                 ce-source: loadtest\r\nce-type: load.scheduled.v1\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\n\r\n{data}",
                data.len()
            );
            stream.write_all(request.as_bytes()).await?;
            answer.clear();
            while !answer.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut answer).await? == 0 {
                    bail!("the connection was closed");
                }
            }
            if !answer.starts_with(b"HTTP/1.1 204") {
                let text = String::from_utf8_lossy(&answer);
                bail!("the run is void, an answer was not 204: {text}");
            }
            event += CONNECTIONS;
        }
        Ok(())
    }
}
