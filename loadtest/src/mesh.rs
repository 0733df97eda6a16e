//! A tidegate of its own below a temporary folder, with a nats-server of its own or beside others on
//! one.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;
use tempfile::TempDir;

/// How long a start may take.
const READY_MAX: Duration = Duration::from_secs(60);

/// Where its Subscriptions are, below its folder.
const SUBSCRIPTIONS: &str = "subscriptions/all.yaml";

/// What is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct Binaries {
    /// The tidegate to measure
    #[arg(long, value_name = "PATH")]
    tidegate: PathBuf,
    /// The nats-server that it starts
    #[arg(long, value_name = "PATH")]
    pub(crate) nats_server: PathBuf,
}

pub(crate) struct Mesh {
    process: Child,
    /// It goes with this.
    folder: TempDir,
    pub(crate) receive: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// What a tidegate is started with, beside its Subscriptions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setting<'a> {
    /// The NATS server; one of its own without.
    pub(crate) nats: Option<&'a str>,
    /// Keys of the configuration, as variables.
    pub(crate) variables: &'a [(&'a str, &'a str)],
}

impl Mesh {
    /// Starts it with these Subscription documents, and waits until it is ready.
    pub(crate) async fn start(
        binaries: &Binaries,
        documents: &str,
        setting: Setting<'_>,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("subscriptions"))?;
        fs::write(at(SUBSCRIPTIONS), documents)?;
        let mut process = Command::new(&binaries.tidegate)
            .args(["up", "--data-dir"])
            .arg(at("data"))
            .arg("--ready-file")
            .arg(at("ready.json"))
            .args(setting.nats.into_iter().flat_map(|url| ["--nats", url]))
            .env("TIDEGATE__RECEIVE__LISTEN", "127.0.0.1:0")
            .env("TIDEGATE__ADMIN__LISTEN", "127.0.0.1:0")
            .env("TIDEGATE__SUBSCRIPTIONS__FOLDER", at("subscriptions"))
            .env("TIDEGATE__SERVER__BINARY", &binaries.nats_server)
            .envs(setting.variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(at("log"))?)
            .spawn()
            .with_context(|| format!("starting {}", binaries.tidegate.display()))?;
        let began = Instant::now();
        let said: Value = loop {
            if let Ok(text) = fs::read(at("ready.json")) {
                break serde_json::from_slice(&text)?;
            }
            let ended = process.try_wait()?;
            if ended.is_some() || began.elapsed() > READY_MAX {
                let log = fs::read_to_string(at("log"))?;
                bail!("tidegate is not ready, it ended with {ended:?}:\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        let address = |name: &str| -> anyhow::Result<SocketAddr> {
            let address = said.get(name).and_then(Value::as_str);
            Ok(address.context("the ready file")?.parse()?)
        };
        let (receive, admin) = (address("receive")?, address("admin")?);
        Ok(Self {
            process,
            folder,
            receive,
            admin,
        })
    }

    /// Puts others in the place of its Subscriptions; it sees them within a second.
    pub(crate) fn subscribe(&self, documents: &str) -> anyhow::Result<()> {
        // In one step, so that it never reads half of them.
        let (new, file) = (self.folder.path().join("new"), SUBSCRIPTIONS);
        fs::write(&new, documents)?;
        fs::rename(new, self.folder.path().join(file))?;
        Ok(())
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Ends it at once, as nobody ends who can help it.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Ends it, and its nats-server with it.
    pub(crate) fn stop(self) {
        drop(self);
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        let pid = self.process.id().to_string();
        if matches!(self.process.try_wait(), Ok(None)) {
            Command::new("kill").args(["-TERM", &pid]).status().ok();
            self.process.wait().ok();
        }
    }
}
