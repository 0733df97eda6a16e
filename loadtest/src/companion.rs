//! This program once more, as a process of its own: a sink or a reference whose CPU is counted apart.

use std::{
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    thread,
};

use anyhow::Context;
use serde::de::DeserializeOwned;

use crate::exchange::Connection;

pub(crate) struct Companion {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Companion {
    /// Starts it; it ends with this.
    pub(crate) fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(arguments)
            .arg("--attached")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a companion")?;
        let mut said = BufReader::new(process.stdout.take().context("a companion's output")?);
        let mut line = String::new();
        said.read_line(&mut line)?;
        // Nobody reads the rest, and a full pipe would stop it.
        thread::spawn(move || io::copy(&mut said, &mut io::sink()));
        let address = line.strip_prefix("listens on ");
        let address = address.and_then(|rest| rest.split(',').next()?.parse().ok());
        let Some(address) = address else {
            process.kill().ok();
            process.wait().ok();
            anyhow::bail!("{arguments:?} did not start");
        };
        Ok(Self { process, address })
    }

    /// A sink on a free port.
    pub(crate) fn sink() -> anyhow::Result<Self> {
        Self::start(&["sink", "--listen", "127.0.0.1:0"])
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Asks a companion.
pub(crate) async fn ask<T: DeserializeOwned>(
    connection: &mut Connection,
    path: &str,
) -> anyhow::Result<T> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: loadtest\r\n\r\n");
    let answer = connection.exchange(request.as_bytes()).await?;
    Ok(serde_json::from_slice(answer)?)
}
