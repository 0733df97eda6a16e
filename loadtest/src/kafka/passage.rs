//! A Tidegate between topics and JetStream, which takes records first and gives them out then.

use std::{fs, time::Duration};

use anyhow::Context;
use tempfile::TempDir;
use tokio::time::sleep;

use super::{
    broker::Broker,
    way::{self, Passed},
};
use crate::{
    guard,
    jetstream::Stream,
    mesh::{Binaries, Mesh, Setting},
    metrics,
    nats::NatsServer,
    process::Named,
    stage::STREAM,
};

/// After all is taken: offsets are committed each second, and the source is seen to be gone.
const CALM: Duration = Duration::from_secs(3);

/// What has arrived in a topic, since Tidegate's start.
const STORED: &str = "tidegate_kafka_attempts_total{outcome=\"stored\"}";

pub(super) struct Passage {
    // Ended in this order.
    mesh: Mesh,
    nats: NatsServer,
    /// The documents of sources.
    sources: TempDir,
    stored: Stream,
    broker: Named,
    bootstrap: String,
}

impl Passage {
    /// Starts it without a source and without a Subscription.
    pub(super) async fn start(binaries: &Binaries, broker: &Broker) -> anyhow::Result<Self> {
        let nats = NatsServer::start(&binaries.nats_server).await?;
        let sources = tempfile::tempdir()?;
        let folder = sources.path().to_str().context("a folder in UTF-8")?;
        let variables = [
            ("TIDEGATE__SOURCES__FOLDER", folder),
            ("TIDEGATE__SOURCES__POLL_INTERVAL", "100ms"),
        ];
        let setting = Setting {
            nats: Some(&nats.url),
            variables: &variables,
        };
        let mesh = Mesh::start(binaries, "", setting).await?;
        guard::only_listener(mesh.receive, mesh.pid())?;
        Ok(Self {
            stored: Stream::open(&nats.url, STREAM).await?,
            broker: broker.process()?,
            bootstrap: broker.bootstrap(),
            mesh,
            nats,
            sources,
        })
    }

    /// Tidegate, the nats-server and the broker.
    pub(super) fn processes(&self) -> Vec<Named> {
        vec![
            Named::new("tidegate", self.mesh.pid()),
            Named::new("nats-server", self.nats.pid()),
            self.broker.clone(),
        ]
    }

    /// A topic into the log.
    pub(super) async fn take(&self, topic: &str, records: u64) -> anyhow::Result<Passed> {
        let document = format!(
            "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: KafkaSource\n\
             metadata: {{ name: {topic} }}\nspec:\n  brokers: ['{}']\n  topics: [{topic}]\n  \
             group: {}\n  application: loadtest\n  start: earliest\n",
            self.bootstrap,
            self.group()
        );
        let at = |name: &str| self.sources.path().join(name);
        // In one step, so that it never reads half of it.
        fs::write(at("new"), document)?;
        fs::rename(at("new"), at("source.yaml"))?;
        let count = async || self.stored.last_sequence().await;
        let passed = way::passed(records, &self.processes(), count).await;
        let passed = passed.with_context(|| self.told("a topic to JetStream"))?;
        sleep(CALM).await;
        fs::remove_file(at("source.yaml"))?;
        sleep(CALM).await;
        Ok(passed)
    }

    /// All of the log into a topic.
    pub(super) async fn give(&self, topic: &str, records: u64) -> anyhow::Result<Passed> {
        let document = format!(
            "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
             metadata: {{ name: {topic} }}\nspec:\n  \
             sink: {{ kafka: {{ brokers: ['{}'], topic: {topic} }} }}\n  start: all\n",
            self.bootstrap
        );
        self.mesh.subscribe(&document)?;
        let count = async || {
            let text = metrics::text(self.mesh.admin).await?;
            Ok(metrics::value(&text, STORED).unwrap_or(0.0) as u64)
        };
        let passed = way::passed(records, &self.processes(), count).await;
        passed.with_context(|| self.told("JetStream to a topic"))
    }

    /// One that nobody had before.
    fn group(&self) -> String {
        format!("loadtest-{}", self.mesh.pid())
    }

    /// What went wrong, with what Tidegate says of it.
    fn told(&self, what: &str) -> String {
        let mut warnings = self.mesh.warnings();
        warnings.insert(0, what.to_owned());
        warnings.join("\n")
    }
}
