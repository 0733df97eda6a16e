//! A tidegate of its own below a temporary folder, with a nats-server of its own or beside others on
//! one.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;
use tempfile::TempDir;

/// How long a start may take: thousands of Subscriptions need half a minute.
const READY_MAX: Duration = Duration::from_secs(120);

/// Where its Subscriptions are, below its folder.
pub(crate) const SUBSCRIPTIONS: &str = "subscriptions";

/// Documents of a file; a Tidegate reads a thousand.
const DOCUMENTS_MAX: usize = 1_000;

/// What it says of documents that it does not take.
const UNUSABLE: &str = "a subscription is not usable";

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
        fs::create_dir(at(SUBSCRIPTIONS))?;
        write(folder.path(), documents)?;
        let mut process = Command::new(&binaries.tidegate)
            .args(["up", "--data-dir"])
            .arg(at("data"))
            .arg("--ready-file")
            .arg(at("ready.json"))
            .args(setting.nats.into_iter().flat_map(|url| ["--nats", url]))
            .env("TIDEGATE__RECEIVE__LISTEN", "127.0.0.1:0")
            .env("TIDEGATE__ADMIN__LISTEN", "127.0.0.1:0")
            .env("TIDEGATE__SUBSCRIPTIONS__FOLDER", at(SUBSCRIPTIONS))
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
        let log = fs::read_to_string(at("log"))?;
        let mesh = Self {
            process,
            folder,
            receive,
            admin,
        };
        if let Some(line) = log.lines().find(|line| line.contains(UNUSABLE)) {
            bail!("the run is void: {line}");
        }
        Ok(mesh)
    }

    /// Puts others in the place of its Subscriptions; it sees them within a second.
    pub(crate) fn subscribe(&self, documents: &str) -> anyhow::Result<()> {
        write(self.folder.path(), documents)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it has warned of, where a run did not go well.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let is_one = |line: &&str| ["WARN", "ERROR"].iter().any(|level| line.contains(level));
        log.lines().filter(is_one).map(str::to_owned).collect()
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

/// Documents as files of so many as one may have, in the folder of Subscriptions below this one.
pub(crate) fn write(folder: &Path, documents: &str) -> anyhow::Result<()> {
    let all = documents.split("---\n").filter(|text| !text.is_empty());
    let all: Vec<&str> = all.collect();
    let mut files: Vec<String> = all
        .chunks(DOCUMENTS_MAX)
        .map(|of| of.join("---\n"))
        .collect();
    // The first one is there always, and empty where nothing is wanted; others were there before.
    let last = fs::read_dir(folder.join(SUBSCRIPTIONS))?.count().max(1);
    files.resize(files.len().max(last), String::new());
    for (number, text) in files.iter().enumerate() {
        let file = folder.join(SUBSCRIPTIONS).join(format!("{number}.yaml"));
        // In one step, so that it never reads half of them.
        fs::write(folder.join("new"), text)?;
        fs::rename(folder.join("new"), file)?;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with more than a Tidegate reads would be none.
    #[test]
    fn many_documents_are_several_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(SUBSCRIPTIONS)).unwrap();
        let read = |number: usize| {
            let file = folder.path().join(SUBSCRIPTIONS);
            fs::read_to_string(file.join(format!("{number}.yaml"))).unwrap()
        };
        write(folder.path(), &"---\nkind: x\n".repeat(2_500)).unwrap();
        let each: Vec<usize> = (0..3)
            .map(|number| read(number).matches("kind").count())
            .collect();
        assert_eq!(each, [1_000, 1_000, 500]);
        write(folder.path(), "kind: x\n").unwrap();
        let each = [0, 1, 2].map(read);
        assert_eq!(each, ["kind: x\n", "", ""]);
    }
}
