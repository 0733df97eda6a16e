//! A real Apache Kafka for one test or one measurement: one node that is broker and controller, in a folder of its own,
//! on loopback, on free ports.
//!
//! Installing the jars is `cargo xtask test`'s; Java is the machine's.

mod events;
mod java;
mod ports;
mod probe;
mod properties;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{Authority, signal, tether::Tethered};
use java::{Java, Use};
use ports::Port;

/// Longer than a start takes on a loaded machine; only ever reached by a failure.
const START_MAX: Duration = Duration::from_secs(120);

/// How often is looked whether a process has started or ended.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Any: it is this node's alone.
const CLUSTER_ID: &str = "dGlkZWdhdGUtdGVzdGtpdA";

/// A Kafka. Dropping it kills it and deletes its records; so does the end of this process.
#[derive(Debug)]
pub struct Kafka {
    java: Java,
    ports: Ports,
    process: Option<Tethered>,
    folder: TempDir,
}

/// Where it listens; the same after a restart.
#[derive(Debug)]
struct Ports {
    plain: Port,
    controller: Port,
    secure: Option<SecurePorts>,
}

#[derive(Debug)]
struct SecurePorts {
    sasl: Port,
    certificates: Port,
}

impl Ports {
    fn plain() -> Self {
        Self {
            plain: Port::reserve(),
            controller: Port::reserve(),
            secure: None,
        }
    }
}

impl Kafka {
    /// Who is let in by the listener with SASL.
    pub const USER: &str = "tidegate";

    /// What shows that it is that user. It opens nothing but this server, on loopback, while its
    /// test runs.
    pub const PASSWORD: &str = "kafka-password";

    /// Starts one that makes no topic by itself.
    ///
    /// # Panics
    /// When it does not start, or there is none.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// As [`Self::start`], with further lines of `server.properties`, which win.
    ///
    /// # Panics
    /// When it does not start, or there is none.
    pub async fn start_with(property_lines: &str) -> Self {
        Self::start_on(Ports::plain(), None, Use::Test, property_lines).await
    }

    /// As [`Self::start_with`], to be measured: Java has the memory and the settings that Kafka's own
    /// scripts give it, and so have the tools.
    ///
    /// # Panics
    /// When it does not start, or there is none.
    pub async fn start_for_load(property_lines: &str) -> Self {
        Self::start_on(Ports::plain(), None, Use::Load, property_lines).await
    }

    /// Starts one that has two listeners more, whose certificate is this authority's, for
    /// `127.0.0.1`. One is for [`Self::USER`], by PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, and for
    /// whoever has an unsigned token, by OAUTHBEARER; the other is for whoever has a certificate of
    /// that authority.
    ///
    /// # Panics
    /// When it does not start, or there is none.
    pub async fn start_secure(authority: &Authority) -> Self {
        let ports = Ports {
            secure: Some(SecurePorts {
                sasl: Port::reserve(),
                certificates: Port::reserve(),
            }),
            ..Ports::plain()
        };
        Self::start_on(ports, Some(authority), Use::Test, "").await
    }

    async fn start_on(
        ports: Ports,
        authority: Option<&Authority>,
        is_for: Use,
        property_lines: &str,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mut text = properties::plain(&ports, &folder.path().join("data"));
        if let (Some(secure), Some(authority)) = (&ports.secure, authority) {
            text.push_str(&properties::secure(
                secure,
                &ports,
                folder.path(),
                authority,
            ));
        }
        text.push_str(property_lines);
        write(&folder.path().join("server.properties"), &text);
        let mut kafka = Self {
            java: Java::find(is_for),
            ports,
            process: None,
            folder,
        };
        kafka.format().await;
        kafka.launch().await;
        kafka
    }

    /// Where clients begin, in the clear and without a name: a host and a port.
    pub fn bootstrap(&self) -> String {
        self.ports.plain.address()
    }

    /// The same, over TLS, with a SASL mechanism.
    ///
    /// # Panics
    /// When it was not started as a secure one.
    pub fn bootstrap_sasl(&self) -> String {
        self.secure().sasl.address()
    }

    /// The same, over TLS, with a certificate of the client.
    ///
    /// # Panics
    /// When it was not started as a secure one.
    pub fn bootstrap_certificates(&self) -> String {
        self.secure().certificates.address()
    }

    fn secure(&self) -> &SecurePorts {
        let secure = self.ports.secure.as_ref();
        secure.expect("a listener with TLS is there after `start_secure`")
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Tethered::pid)
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// SIGTERM, and waits until it is gone.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn stop(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        signal(process.pid(), "TERM");
        let began = Instant::now();
        while process.ended().is_none() {
            assert!(
                began.elapsed() < START_MAX,
                "Kafka did not end within {START_MAX:?}: {}",
                self.log()
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Starts it again on the same ports and records; kills it first if it runs.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        self.kill();
        self.launch().await;
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("kafka.log")).unwrap_or_default()
    }

    /// Makes a topic.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn create_topic(&self, name: &str, partitions: u32) {
        let (bootstrap, partitions) = (self.bootstrap(), partitions.to_string());
        let arguments = [
            "--bootstrap-server",
            &bootstrap,
            "--create",
            "--topic",
            name,
            "--partitions",
            &partitions,
        ];
        let output = self
            .run("org.apache.kafka.tools.TopicCommand", &arguments)
            .await;
        succeeded(&output);
    }

    /// What one of Kafka's tools says to these arguments; it is told nowhere where this server is.
    /// It ends with this process at the latest.
    ///
    /// # Panics
    /// When it cannot be run.
    pub async fn run(&self, class: &str, arguments: &[&str]) -> Output {
        self.run_with_input(class, arguments, "").await
    }

    /// As [`Self::run`], with what it reads.
    ///
    /// # Panics
    /// When it cannot be run.
    pub async fn run_with_input(&self, class: &str, arguments: &[&str], input: &str) -> Output {
        let mut command = self.java.tool(class, self.folder.path());
        self.output_of(command.args(arguments), input).await
    }

    async fn output_of(&self, command: &mut Command, input: &str) -> Output {
        const OURS: &str = "the temporary folder can be written to";
        let files = tempfile::tempdir_in(self.folder.path()).expect(OURS);
        let path = |name| files.path().join(name);
        write(&path("in"), input);
        command
            .stdin(File::open(path("in")).expect(OURS))
            .stdout(File::create(path("out")).expect(OURS))
            .stderr(File::create(path("err")).expect(OURS));
        let mut tool = tethered(command);
        let status = loop {
            if let Some(status) = tool.ended() {
                break status;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        };
        Output {
            status,
            stdout: fs::read(path("out")).expect(OURS),
            stderr: fs::read(path("err")).expect(OURS),
        }
    }

    fn properties(&self) -> PathBuf {
        self.folder.path().join("server.properties")
    }

    /// A folder has to be made a node's before it starts there; that is also when users with SCRAM
    /// come to be.
    async fn format(&self) {
        let config = self.properties();
        let config = config.to_string_lossy();
        let mut arguments = vec!["format", "-t", CLUSTER_ID, "-c", &config];
        let scram = ["SCRAM-SHA-256", "SCRAM-SHA-512"].map(|mechanism| {
            let (user, password) = (Self::USER, Self::PASSWORD);
            format!("{mechanism}=[name={user},password={password}]")
        });
        if self.ports.secure.is_some() {
            for user in &scram {
                arguments.extend(["--add-scram", user]);
            }
        }
        succeeded(&self.run("kafka.tools.StorageTool", &arguments).await);
    }

    async fn launch(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("kafka.log"))
            .expect("the temporary folder can be written to");
        let mut command = self.java.broker(self.folder.path());
        command
            .arg(self.properties())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log);
        let mut process = tethered(&mut command);
        let began = Instant::now();
        while !probe::is_ready(&self.bootstrap()).await {
            let ended = process.ended();
            assert!(
                ended.is_none(),
                "Kafka ended with {ended:?}: {}",
                self.log()
            );
            assert!(
                began.elapsed() < START_MAX,
                "Kafka does not answer: {}",
                self.log()
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        self.process = Some(process);
    }
}

fn tethered(command: &mut Command) -> Tethered {
    Tethered::start(command)
        .unwrap_or_else(|error| unreachable!("{command:?} cannot be run: {error}"))
}

fn succeeded(output: &Output) {
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn write(file: &Path, text: &str) {
    fs::write(file, text).expect("the temporary folder can be written to");
}
