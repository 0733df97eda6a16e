//! A nats-server of its own, for scenarios in which it outlives what stands on it.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

const READY_MAX: Duration = Duration::from_secs(20);

pub(crate) struct NatsServer {
    process: Child,
    /// Its files; they go with this.
    folder: TempDir,
    pub(crate) url: String,
}

impl NatsServer {
    /// Starts it with JetStream, on a free port of loopback.
    pub(crate) async fn start(binary: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let process = Command::new(binary)
            .args(["-a", "127.0.0.1", "-p", "-1", "-js", "-sd"])
            .arg(folder.path().join("store"))
            .arg("--ports_file_dir")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", binary.display()))?;
        let mut server = Self {
            process,
            folder,
            url: String::new(),
        };
        let began = Instant::now();
        while server.url.is_empty() {
            if began.elapsed() > READY_MAX {
                bail!("the nats-server tells no port");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            server.url = server.said().unwrap_or_default();
        }
        Ok(server)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Stops it where it is, or lets it go on.
    pub(crate) fn signal(&self, name: &str) -> anyhow::Result<()> {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args([name, &pid]).status()?;
        ensure!(sent.success(), "the nats-server takes no {name}");
        Ok(())
    }

    /// What the server wrote of its ports, once it has.
    fn said(&self) -> Option<String> {
        let files = fs::read_dir(self.folder.path()).ok()?;
        let mut paths = files.filter_map(|file| Some(file.ok()?.path()));
        let file = paths.find(|path| path.extension().is_some_and(|is| is == "ports"))?;
        let said: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
        Some(said.get("nats")?.get(0)?.as_str()?.to_owned())
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
