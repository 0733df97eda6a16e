//! The consumer that Subscriptions share, if the configuration says that they do.

use std::time::Duration;

use anyhow::Context;
use tidegate_backbone::jetstream::{Jetstream, JetstreamRegister};
use tidegate_consume::{
    Metrics,
    shared::{Hub, SharedLog},
};
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

use crate::config::Config;

/// How loops see the log.
pub(crate) type Consumers = SharedLog<Jetstream, JetstreamRegister>;

pub(super) type SharedHub = Hub<Jetstream, JetstreamRegister>;

/// Reads the shared consumer, or waits until it may.
pub(super) struct Sharing {
    hub: SharedHub,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Sharing {
    /// Where nobody shares, those that did get consumers of their own first.
    pub(super) async fn start(
        config: &Config,
        nats_url: &str,
        metrics: &Metrics,
    ) -> anyhow::Result<Option<Self>> {
        let log = Jetstream::connect(&config.backbone, nats_url, "tidegate-shared").await?;
        // No other process was ever called so.
        let process = format!("{}-{:016x}", std::process::id(), fastrand::u64(..));
        if !config.consume.shared.enabled {
            if let Some(register) = log.known_register().await? {
                let hub = Hub::new(&config.consume, log, register, metrics);
                let dissolved = hub.dissolve(&process);
                dissolved.await.context("consume.shared.enabled: false")?;
            }
            return Ok(None);
        }
        let register = log.register().await.context("the register")?;
        let hub = Hub::new(&config.consume, log, register, metrics);
        let (stop, stopped) = oneshot::channel();
        let running = hub.clone();
        let task = tokio::spawn(async move {
            // An error means that the pipeline is gone, which ends this as well.
            running.run(&process, async { drop(stopped.await) }).await;
        });
        Ok(Some(Self { hub, stop, task }))
    }

    pub(super) fn hub(&self) -> SharedHub {
        self.hub.clone()
    }

    /// Hands back what is in hand. After the loops: what they finish is settled.
    pub(super) async fn end(self, grace: Duration) {
        // An error means that it has ended by itself.
        self.stop.send(()).ok();
        if timeout(grace, self.task).await.is_err() {
            tracing::warn!("what is in hand of the shared consumer comes again");
        }
    }
}
