//! The consumer that Subscriptions share, if the configuration says that they do.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use tidegate_backbone::{
    Shard,
    jetstream::{Jetstream, JetstreamRegister},
};
use tidegate_consume::{
    Metrics,
    shared::{Hub, Load, SharedLog},
};
use tokio::{sync::watch, task::JoinSet, time::timeout};

use crate::config::Config;

/// How loops see the log.
pub(crate) type Consumers = SharedLog<Jetstream, JetstreamRegister>;

pub(super) type SharedHub = Hub<Jetstream, JetstreamRegister>;

/// Reads the shared consumers that no other process reads.
pub(super) struct Sharing {
    hubs: Vec<SharedHub>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Sharing {
    /// Those that shared in another way, or no more, get consumers of their own first.
    pub(super) async fn start(
        config: &Config,
        nats_url: &str,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let log = Jetstream::connect(&config.backbone, nats_url, "tidegate-shared").await?;
        let load = Load::default();
        let hub = |shard, register| {
            let shard = (shard, register);
            Hub::new(&config.consume, log.clone(), shard, &load, metrics)
        };
        // No other process was ever called so.
        let process = format!("{}-{:016x}", std::process::id(), fastrand::u64(..));
        let shared = &config.consume.shared;
        let of = if shared.enabled { shared.shards } else { 0 };
        for (shard, register) in log.registers().await? {
            if shard.of != of {
                let dissolved = hub(shard, register).dissolve(&process).await;
                dissolved.context("consume.shared is not as it was")?;
            }
        }
        let mut hubs = Vec::new();
        for number in 0..of {
            let shard = Shard { number, of };
            let register = log.register(shard).await.context("the register")?;
            hubs.push(hub(shard, register));
        }
        let stop = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        for hub in hubs.clone() {
            let (process, mut stopped) = (process.clone(), stop.subscribe());
            tasks.spawn(async move {
                // An error means that the pipeline is gone, which ends this as well.
                let until = async move { drop(stopped.wait_for(|stop| *stop).await) };
                hub.run(&process, until).await;
            });
        }
        Ok(Self { hubs, stop, tasks })
    }

    pub(super) fn hubs(&self) -> Arc<[SharedHub]> {
        self.hubs.as_slice().into()
    }

    /// Hands back what is in hand. After the loops: what they finish is settled.
    pub(super) async fn end(mut self, grace: Duration) {
        self.stop.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(grace, ended).await.is_err() {
            tracing::warn!("what is in hand of the shared consumer comes again");
        }
    }
}
