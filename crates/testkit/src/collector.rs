//! A real OpenTelemetry collector for one test: OTLP on free ports of loopback, into files.
//!
//! Building the binary is `cargo xtask test`'s.

use std::{
    env, fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes on a loaded machine; only ever reached by a failure.
const PATIENCE: Duration = Duration::from_secs(60);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// A collector. Dropping it kills it.
#[derive(Debug)]
pub struct Collector {
    folder: TempDir,
    child: Child,
    /// Where it takes OTLP over gRPC.
    pub grpc: SocketAddr,
    /// Where it takes OTLP over HTTP.
    pub http: SocketAddr,
}

impl Collector {
    /// Starts the one of `TIDEGATE_OTEL_COLLECTOR`. Without it, which `cargo xtask test` never is,
    /// what needs one says that it was skipped.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Option<Self> {
        let binary = PathBuf::from(env::var_os("TIDEGATE_OTEL_COLLECTOR")?);
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let exporter = |signal: &str| {
            let file = folder.path().join(signal);
            format!(
                "  file/{signal}: {{ path: {}, flush_interval: 20ms }}\n",
                file.display()
            )
        };
        let config = format!(
            "receivers:\n  otlp:\n    protocols:\n      grpc: {{ endpoint: \"127.0.0.1:0\" }}\n      \
             http: {{ endpoint: \"127.0.0.1:0\" }}\nexporters:\n{}{}service:\n  telemetry: {{ \
             metrics: {{ level: none }}, logs: {{ encoding: json }} }}\n  pipelines:\n    \
             traces: {{ receivers: [otlp], exporters: [file/traces] }}\n    metrics: {{ \
             receivers: [otlp], exporters: [file/metrics] }}\n",
            exporter("traces"),
            exporter("metrics"),
        );
        let file = folder.path().join("config.yaml");
        fs::write(&file, config).expect("the temporary folder can be written to");
        let log = fs::File::create(folder.path().join("log")).expect("it can be written to");
        let mut child = Command::new(&binary)
            .arg("--config")
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the collector can be run");
        let began = Instant::now();
        loop {
            let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            if let (Some(grpc), Some(http)) = (said(&log, "GRPC"), said(&log, "HTTP")) {
                return Some(Self {
                    folder,
                    child,
                    grpc,
                    http,
                });
            }
            let ended = child.try_wait().expect("it is our child");
            assert!(
                ended.is_none() && began.elapsed() < PATIENCE,
                "the collector did not start: {log}"
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Every span that came, with its resource's attributes beside it, as soon as they are so many.
    ///
    /// # Panics
    /// When they never are.
    pub async fn spans(&self, count: usize) -> Vec<(Value, Value)> {
        self.wait_for("traces", count, "resourceSpans", "scopeSpans", "spans")
            .await
    }

    /// Every metric that came, with its resource's attributes beside it, as soon as they are so many.
    ///
    /// # Panics
    /// When they never are.
    pub async fn metrics(&self, count: usize) -> Vec<(Value, Value)> {
        self.wait_for(
            "metrics",
            count,
            "resourceMetrics",
            "scopeMetrics",
            "metrics",
        )
        .await
    }

    async fn wait_for(
        &self,
        file: &str,
        count: usize,
        resources: &str,
        scopes: &str,
        items: &str,
    ) -> Vec<(Value, Value)> {
        let began = Instant::now();
        loop {
            let text = fs::read_to_string(self.folder.path().join(file)).unwrap_or_default();
            // The last line may be half there.
            let lines = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            let mut found = Vec::new();
            for line in lines {
                let line: Value = line;
                for resource in list(&line, resources) {
                    let about = resource.pointer("/resource/attributes");
                    let about = about.unwrap_or(&Value::Null);
                    for scope in list(resource, scopes) {
                        let items = list(scope, items).iter();
                        found.extend(items.map(|item| (item.clone(), about.clone())));
                    }
                }
            }
            if found.len() >= count {
                return found;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{} of {count}: {text}",
                found.len()
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of.get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Where a server listens, by the log.
fn said(log: &str, server: &str) -> Option<SocketAddr> {
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut of_server = lines.filter(|line| {
        line.get("msg").and_then(Value::as_str) == Some(&format!("Starting {server} server"))
    });
    of_server.next()?.get("endpoint")?.as_str()?.parse().ok()
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
