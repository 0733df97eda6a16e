//! Programs that another one runs: they say where they listen, and end with it.

use std::{
    io::{Read, Write},
    net::SocketAddr,
    thread,
};

use clap::Args;
use tokio::sync::oneshot;

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Attached {
    /// End when standard input ends, so that nothing outlives who runs this
    #[arg(long)]
    attached: bool,
}

impl Attached {
    /// Comes when it is time to end; never where it is not told.
    pub(crate) async fn end(self) {
        if !self.attached {
            return std::future::pending().await;
        }
        let (ended, end) = oneshot::channel();
        // A thread, since a read of standard input cannot be given up.
        thread::spawn(move || {
            let mut rest = Vec::new();
            std::io::stdin().take(1 << 20).read_to_end(&mut rest).ok();
            ended.send(()).ok();
        });
        end.await.ok();
    }
}

/// The first line that such a program writes.
pub(crate) fn tell(address: SocketAddr) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listens on {address}, process {}", std::process::id())?;
    out.flush()
}
