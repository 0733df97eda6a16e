//! A real nats-server for one test: JetStream in a folder of its own, loopback, a free port.
//!
//! Installing the binary is `cargo xtask test`'s.

use std::{
    env, fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{io::AsyncReadExt, net::TcpStream};

/// Longer than a start takes on a loaded machine; only ever reached by a failure.
const START_MAX: Duration = Duration::from_secs(60);

/// How often is looked whether it has started.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Which nats-server the tests use: `TIDEGATE_NATS_SERVER`, else the one on `PATH`.
///
/// # Panics
/// When there is none.
pub fn nats_server_binary() -> PathBuf {
    if let Some(binary) = env::var_os("TIDEGATE_NATS_SERVER") {
        return binary.into();
    }
    env::var_os("PATH")
        .iter()
        .flat_map(env::split_paths)
        .map(|folder| folder.join("nats-server"))
        .find(|binary| binary.is_file())
        .expect("a nats-server on PATH or in TIDEGATE_NATS_SERVER; `cargo xtask test` installs one")
}

/// A nats-server of 2.15 or newer, which commits batches with one sync:
/// `TIDEGATE_NATS_SERVER_FSYNC`. Without it, which `cargo xtask test` never is, what needs one says
/// that it was skipped.
pub fn fsync_nats_server_binary() -> Option<PathBuf> {
    env::var_os("TIDEGATE_NATS_SERVER_FSYNC").map(PathBuf::from)
}

/// A nats-server. Dropping it kills it and deletes its store.
#[derive(Debug)]
pub struct NatsServer {
    binary: PathBuf,
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl NatsServer {
    /// Starts one that takes messages of 8 MB.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// As [`Self::start`], with further lines of configuration, which win.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_with(config_lines: &str) -> Self {
        Self::start_binary(nats_server_binary(), config_lines).await
    }

    /// As [`Self::start_with`], of this binary.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_binary(binary: PathBuf, config_lines: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        // A key that comes twice has its last value.
        fs::write(
            folder.path().join("nats.conf"),
            format!("max_payload: 8MB\n{config_lines}\n"),
        )
        .expect("the temporary folder can be written to");
        let mut server = Self {
            binary,
            folder,
            port: 0,
            child: None,
        };
        server.run().await;
        server
    }

    /// Where it listens; the same after a restart.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// SIGTERM, and waits until it is gone.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn stop(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        Command::new("kill")
            .arg(child.id().to_string())
            .status()
            .expect("kill can be run");
        let began = Instant::now();
        while child.try_wait().expect("it is our child").is_none() {
            if began.elapsed() > START_MAX {
                child.kill().ok();
                child.wait().ok();
                unreachable!(
                    "nats-server did not end within {START_MAX:?}: {}",
                    self.log()
                );
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Starts it again on the same port and store; kills it first if it runs.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        self.kill();
        self.run().await;
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("nats.log")).unwrap_or_default()
    }

    async fn run(&mut self) {
        let folder = self.folder.path();
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join("nats.log"))
            .expect("the temporary folder can be written to");
        let port = if self.port == 0 {
            "-1".to_owned()
        } else {
            self.port.to_string()
        };
        let binary = self.binary.clone();
        let child = Command::new(&binary)
            .args(["-a", "127.0.0.1", "-p", &port])
            .arg("-c")
            .arg(folder.join("nats.conf"))
            .args(["--jetstream", "--store_dir"])
            .arg(folder.join("store"))
            .arg("--ports_file_dir")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| unreachable!("{} cannot be run: {error}", binary.display()));
        let ports_file = self.ports_file(&binary, child.id());
        self.child = Some(child);
        let began = Instant::now();
        while !self.answers(&ports_file).await {
            let ended = self
                .child
                .as_mut()
                .and_then(|child| child.try_wait().ok().flatten());
            assert!(
                ended.is_none(),
                "nats-server ended with {ended:?}: {}",
                self.log()
            );
            assert!(
                began.elapsed() < START_MAX,
                "nats-server does not answer: {}",
                self.log()
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    fn ports_file(&self, binary: &std::path::Path, pid: u32) -> PathBuf {
        let name = binary.file_name().unwrap_or_default().to_string_lossy();
        self.folder.path().join(format!("{name}_{pid}.ports"))
    }

    /// Whether it listens and greets. The port comes from the file that it writes.
    async fn answers(&mut self, ports_file: &std::path::Path) -> bool {
        if self.port == 0 {
            let Ok(text) = fs::read(ports_file) else {
                return false;
            };
            let Ok(ports) = serde_json::from_slice::<serde_json::Value>(&text) else {
                return false;
            };
            let url = ports.pointer("/nats/0").and_then(serde_json::Value::as_str);
            let port = url.and_then(|url| url.rsplit(':').next()?.parse().ok());
            let Some(port) = port else { return false };
            self.port = port;
        }
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)).await else {
            return false;
        };
        let mut greeting = [0; 4];
        let greeted = tokio::time::timeout(START_MAX, stream.read_exact(&mut greeting)).await;
        matches!(greeted, Ok(Ok(_))) && &greeting == b"INFO"
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A test can rely on what its server does when it is stopped, killed and started again.
    #[tokio::test]
    async fn it_stops_and_comes_back_on_the_same_port() {
        let mut server = NatsServer::start_with("max_payload: 64KB").await;
        let (url, pid) = (server.url(), server.pid().unwrap());
        server.stop().await;
        assert_eq!(server.pid(), None);
        assert!(
            TcpStream::connect(("127.0.0.1", server.port))
                .await
                .is_err()
        );
        server.restart().await;
        assert_eq!(server.url(), url);
        assert_ne!(server.pid(), Some(pid));
        server.kill();
        server.kill();
        assert!(
            TcpStream::connect(("127.0.0.1", server.port))
                .await
                .is_err()
        );
        assert!(server.log().contains("Server is ready"));
    }
}
