//! `tidegate up` with the demo's configuration.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::process::{Running, address};

/// How long a start may take on a loaded machine.
const READY_MAX: Duration = Duration::from_secs(90);

pub(crate) struct Gateway {
    process: Running,
    folder: PathBuf,
    url: String,
    admin: String,
}

impl Gateway {
    /// Starts it with everything below `folder`, and waits until it is ready.
    pub(crate) fn start(
        binary: &Path,
        nats_server: &Path,
        folder: &Path,
        sink: SocketAddr,
        free_ports: bool,
    ) -> anyhow::Result<Self> {
        let subscriptions = folder.join("subscriptions");
        copy_subscriptions(Path::new("config/demo/subscriptions"), &subscriptions, sink)?;
        let ready = folder.join("ready.json");
        let port = |preferred| address(if free_ports { 0 } else { preferred });
        let mut process = Running::start(
            Command::new(binary)
                .args(["up", "--config", "config/demo/tidegate.yaml", "--data-dir"])
                .arg(folder.join("data"))
                .arg("--ready-file")
                .arg(&ready)
                .env("TIDEGATE__RECEIVE__LISTEN", port(8080)?.to_string())
                .env("TIDEGATE__ADMIN__LISTEN", port(8081)?.to_string())
                .env("TIDEGATE__SUBSCRIPTIONS__FOLDER", &subscriptions)
                .env("TIDEGATE__SERVER__BINARY", nats_server)
                .stdin(Stdio::null())
                .stderr(fs::File::create(folder.join("tidegate.log"))?),
        )?;
        let began = Instant::now();
        let said: Value = loop {
            if let Ok(text) = fs::read(&ready) {
                break serde_json::from_slice(&text)?;
            }
            if let Some(status) = process.child().try_wait()? {
                let log = fs::read_to_string(folder.join("tidegate.log"))?;
                bail!("tidegate ended with {status}:\n{log}");
            }
            if began.elapsed() > READY_MAX {
                bail!(
                    "tidegate is not ready; see {}",
                    folder.join("tidegate.log").display()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let of = |name: &str| {
            let address = said
                .get(name)
                .and_then(Value::as_str)
                .context("the ready file")?;
            anyhow::Ok(format!("http://{address}"))
        };
        let (url, admin) = (of("receive")?, of("admin")?);
        Ok(Self {
            process,
            folder: folder.to_owned(),
            url,
            admin,
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn admin(&self) -> &str {
        &self.admin
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(crate) fn subscriptions(&self) -> PathBuf {
        self.folder.join("subscriptions")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(crate) fn log_hint(&self) -> String {
        format!(
            "tidegate's log is {}",
            self.folder.join("tidegate.log").display()
        )
    }

    /// SIGTERM, and its exit code.
    pub(crate) fn terminate(self) -> anyhow::Result<Option<i32>> {
        self.process.terminate()
    }
}

fn copy_subscriptions(from: &Path, to: &Path, sink: SocketAddr) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let text = fs::read_to_string(entry.path())?.replace("127.0.0.1:8090", &sink.to_string());
        fs::write(to.join(entry.file_name()), text)?;
    }
    Ok(())
}
