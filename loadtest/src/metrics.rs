//! What a Tidegate says of itself on its admin door.

use std::net::SocketAddr;

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::report::Run;

/// All its metrics.
pub(crate) async fn text(admin: SocketAddr) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(admin).await.context("the admin door")?;
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

/// The value of the first line that begins so.
pub(crate) fn value(text: &str, begins: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(begins))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// What a Tidegate has allocated so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Allocations {
    count: f64,
    grown: f64,
    bytes: f64,
    freed: f64,
}

impl Allocations {
    /// As its metrics say, which only a build that counts has.
    pub(crate) async fn read(admin: SocketAddr) -> anyhow::Result<Self> {
        Self::of(&text(admin).await?).context(
            "this tidegate does not count allocations: build it with `--features count-allocations`",
        )
    }

    fn of(text: &str) -> Option<Self> {
        let of = |name: &str| value(text, &format!("tidegate_process_{name}_total "));
        Some(Self {
            count: of("allocations")?,
            grown: of("reallocations")?,
            bytes: of("allocated_bytes")?,
            freed: of("freed_bytes")?,
        })
    }

    /// Bytes that were asked for and not given back.
    pub(crate) fn in_use(self) -> f64 {
        self.bytes - self.freed
    }

    /// How many more there are now, for each event.
    pub(crate) async fn add(
        self,
        run: &mut Run,
        admin: SocketAddr,
        events: u64,
    ) -> anyhow::Result<()> {
        let now = Self::read(admin).await?;
        let events = events.max(1) as f64;
        run.add(
            "allocations/event, tidegate",
            (now.count - self.count) / events,
        );
        run.add(
            "reallocations/event, tidegate",
            (now.grown - self.grown) / events,
        );
        run.add(
            "bytes allocated/event, tidegate",
            (now.bytes - self.bytes) / events,
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A build that does not count has none of them.
    #[test]
    fn allocations_are_read_where_they_are_counted() {
        let text = "# TYPE tidegate_process_allocations counter\n\
                    tidegate_process_allocations_total 17\n\
                    tidegate_process_reallocations_total 3\n\
                    tidegate_process_allocated_bytes_total 4096\n\
                    tidegate_process_freed_bytes_total 4000\n# EOF\n";
        let read = Allocations::of(text).unwrap();
        assert_eq!([read.count, read.grown, read.in_use()], [17.0, 3.0, 96.0]);
        assert_eq!(Allocations::of("# EOF\n"), None);
    }
}
