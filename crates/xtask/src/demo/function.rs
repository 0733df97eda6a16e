//! `tidegate listen` as the Function: what it prints is what has arrived.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::process::Running;

/// Lines that may wait to be shown.
const LINES_MAX: usize = 1_000;

pub(crate) struct Function {
    process: Running,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Function {
    pub(crate) fn start(binary: &Path, address: SocketAddr) -> anyhow::Result<Self> {
        Self::start_after(binary, address, Vec::new())
    }

    /// Starts again after one that had seen these events.
    pub(crate) fn start_after(
        binary: &Path,
        address: SocketAddr,
        seen: Vec<String>,
    ) -> anyhow::Result<Self> {
        let mut process = Running::start(
            Command::new(binary)
                .args(["listen", "--json", "--listen", &address.to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null()),
        )?;
        let output = process
            .child()
            .stdout
            .take()
            .context("the Function's output")?;
        let (sender, lines) = sync_channel(LINES_MAX);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            process,
            lines,
            seen,
        })
    }

    /// Shows what arrives until all of `expected` has.
    pub(crate) fn wait_for(
        &mut self,
        expected: &BTreeSet<String>,
        patience: Duration,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let missing: Vec<_> = expected
                .iter()
                .filter(|id| !self.seen.contains(id))
                .collect();
            if missing.is_empty() {
                return Ok(());
            }
            match self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.show(&line),
                Err(RecvTimeoutError::Timeout) => {
                    bail!("not arrived within {patience:?}: {missing:?}")
                }
                Err(RecvTimeoutError::Disconnected) => bail!("the Function has ended"),
            }
        }
    }

    fn show(&mut self, line: &str) {
        let event: Value = serde_json::from_str(line).unwrap_or_default();
        let of = |name: &str| {
            event
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or("-")
                .to_owned()
        };
        println!("← {}  {}  {}", of("type"), of("id"), of("body"));
        self.seen.push(of("id"));
    }

    /// How many events came more than once.
    pub(crate) fn repeated(&self) -> usize {
        self.seen.len() - self.seen.iter().collect::<BTreeSet<_>>().len()
    }

    /// `kill -9`; what it had seen.
    pub(crate) fn kill(mut self) -> anyhow::Result<Vec<String>> {
        self.process.kill()?;
        Ok(self.seen)
    }

    /// Shows what arrives until somebody ends it.
    pub(crate) fn wait_until_interrupted(mut self) -> anyhow::Result<()> {
        while let Ok(line) = self.lines.recv() {
            self.show(&line);
        }
        Ok(())
    }
}
