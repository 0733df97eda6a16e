//! The consumer that Subscriptions share, if the configuration says that they do.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use tidegate_backbone::{
    Register as _, Shard,
    jetstream::{Jetstream, JetstreamPresence, JetstreamRegister},
};
use tidegate_consume::{
    Metrics, SHARDS_MAX,
    shared::{Hub, Load, SharedLog},
};
use tokio::{sync::watch, task::JoinSet, time::timeout};

use super::Roles;
use crate::config::Config;

/// How loops see the log.
pub(crate) type Consumers = SharedLog<Jetstream, JetstreamRegister>;

pub(super) type SharedHub = Hub<Jetstream, JetstreamRegister>;

/// Reads the shared consumers that no other process reads.
pub(super) struct Sharing {
    /// That others see how this process shares.
    _presence: JetstreamPresence,
    hubs: Vec<SharedHub>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Sharing {
    /// Those that shared in another way, or no more, get consumers of their own first.
    pub(super) async fn start(
        (config, roles): (&Config, Roles),
        log: &Jetstream,
        metrics: &Metrics,
    ) -> anyhow::Result<Self> {
        let log = log.beside("tidegate-shared").await?;
        let load = Load::default();
        let hub = |shard, register| {
            let shard = (shard, register);
            Hub::new(&config.consume, log.clone(), shard, &load, metrics)
        };
        // No other process was ever called so.
        let process = format!("{}-{:016x}", std::process::id(), fastrand::u64(..));
        let shared = &config.consume.shared;
        let of = if shared.enabled { shared.shards } else { 0 };
        let presence = alike(&log, of).await?;
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
        // Who does not deliver sees what is shared, and reads nothing of it.
        let read = if roles.dispatcher {
            hubs.clone()
        } else {
            Vec::new()
        };
        for hub in read {
            let (process, mut stopped) = (process.clone(), stop.subscribe());
            tasks.spawn(async move {
                // An error means that the pipeline is gone, which ends this as well.
                let until = async move { drop(stopped.wait_for(|stop| *stop).await) };
                hub.run(&process, until).await;
            });
        }
        Ok(Self {
            _presence: presence,
            hubs,
            stop,
            tasks,
        })
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

/// Lets others see in how many shards this process shares, 0 if it does not, and makes sure that none
/// does it in another way: what both deliver would come twice.
async fn alike(log: &Jetstream, of: u32) -> anyhow::Result<JetstreamPresence> {
    let register = log.register_of(Shard::WHOLE);
    let name = |of: u32| format!("shards-{of}");
    // Before it looks: of two that begin at once, one sees the other.
    let presence = register.appear(&name(of)).await?;
    let words = |of: u32| match of {
        0 => "does not share".to_owned(),
        of => format!("has shards: {of}"),
    };
    for other in (0..=SHARDS_MAX).filter(|other| *other != of) {
        if register.is_present(&name(other)).await? {
            let (other, this) = (words(other), words(of));
            bail!(
                "consume.shared: another process {other}, and this one {this}: stop all, and start \
                 them with the same setting"
            );
        }
    }
    Ok(presence)
}
