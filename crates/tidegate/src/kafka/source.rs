//! A Kafka source at work: a thread with a runtime and a NATS connection of its own.

use std::thread;

use anyhow::{Context as _, anyhow};
use tidegate_application::{KafkaSource, Start, Topics};
use tidegate_kafka::{Begin, Settings, Source, State};
use tokio::{
    runtime,
    sync::{oneshot, watch},
};

use super::records::Records;
use crate::{pipeline::worker, sources::Stand};

/// One that runs.
pub(crate) struct Running {
    state: watch::Receiver<State>,
    waiting: watch::Receiver<Option<String>>,
    stop: watch::Sender<bool>,
    ended: oneshot::Receiver<()>,
}

impl Running {
    /// Starts it.
    pub(crate) async fn start(
        document: &KafkaSource,
        shared: &worker::Shared,
    ) -> anyhow::Result<Self> {
        let name = format!("tidegate-kafka-{}", document.name);
        let log = shared.log.beside(&name);
        let log = log.await.context("no connection to NATS")?;
        let publisher = shared.publisher(log.clone());
        let records = Records::new(document, publisher, log, shared);
        let kafka = &shared.kafka;
        let source = Source::new(
            settings(document, shared),
            &shared.config.kafka,
            &kafka.metrics,
        );
        let (state, waiting) = (source.state(), records.waiting());
        let (stop, mut stopped) = watch::channel(false);
        let (end, ended) = oneshot::channel();
        let grace = shared.config.shutdown.grace;
        let until = async move {
            // An error means that nobody is there who could say so.
            stopped.wait_for(|stop| *stop).await.ok();
        };
        thread::Builder::new()
            .name(format!("kafka-{}", document.name))
            .spawn(move || {
                let runtime = runtime::Builder::new_current_thread().enable_all().build();
                match runtime {
                    Ok(runtime) => runtime.block_on(source.run(records, until, grace)),
                    Err(error) => tracing::error!(%error, "a Kafka source has no runtime"),
                }
                // Nobody waits for it when the process ends at once.
                end.send(()).ok();
            })
            .map_err(|error| anyhow!(error).context("no thread"))?;
        Ok(Self {
            state,
            waiting,
            stop,
            ended,
        })
    }

    /// How it stands.
    pub(crate) fn stand(&self) -> Stand {
        let State {
            partitions,
            trouble,
        } = self.state.borrow().clone();
        let waiting = self.waiting.borrow().clone();
        Stand {
            partitions,
            trouble: waiting.or(trouble),
        }
    }

    /// Whether it has ended by itself, which only a panic does.
    pub(crate) fn has_ended(&self) -> bool {
        self.state.has_changed().is_err()
    }

    /// Stops it, and waits for what is under way.
    pub(crate) async fn end(self) {
        // An error means that it has ended already.
        self.stop.send(true).ok();
        self.ended.await.ok();
    }
}

fn settings(document: &KafkaSource, shared: &worker::Shared) -> Settings {
    Settings {
        name: document.name.clone(),
        cluster: document.cluster.clone(),
        topics: match document.topics.clone() {
            Topics::Named(topics) => tidegate_kafka::Topics::Named(topics),
            Topics::Matching(pattern) => tidegate_kafka::Topics::Matching(pattern),
        },
        group: document.group.clone(),
        begin: match document.start {
            Start::Earliest => Begin::Earliest,
            Start::Latest => Begin::Latest,
        },
        folder: shared.config.source_secrets_folder(),
    }
}
