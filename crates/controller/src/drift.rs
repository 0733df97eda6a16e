//! What Tidegate manages is as it should be: streams, what is registered, and the objects that it
//! runs as. What somebody changes is changed back, and told.

use std::time::Duration;

use tidegate_backbone::jetstream::Jetstream;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    deployed::{Deployed, Found},
    events::Events,
    fleet::Fleet,
    metrics::Metrics,
    reconcile::Registry,
};

/// What is looked at.
pub(crate) struct Watched {
    pub(crate) log: Jetstream,
    pub(crate) registry: Registry,
    pub(crate) fleet: Fleet,
    pub(crate) deployed: Option<Deployed>,
}

/// Who is told.
pub(crate) struct Told {
    pub(crate) events: Events,
    pub(crate) metrics: Metrics,
}

/// Looks again and again.
pub(crate) async fn watch(mut watched: Watched, every: Duration, told: Told) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told_of: Vec<String> = Vec::new();
    let mut lost = 0;
    loop {
        ticks.tick().await;
        consumers(&watched.fleet, &mut lost, &told).await;
        streams(&watched.log, &mut told_of, &told).await;
        register(&watched.registry, &told).await;
        if let Some(deployed) = &mut watched.deployed {
            objects(deployed, &told).await;
        }
    }
}

/// Dispatchers have made them anew already.
async fn consumers(fleet: &Fleet, lost: &mut u64, told: &Told) {
    let now = fleet.consumers_lost();
    if now > *lost {
        told.metrics.consumers_lost(now - *lost);
        let note = "a consumer in JetStream was deleted by somebody else: made anew where it was; \
                    the dispatchers' log says which";
        told.event("ConsumerReverted", note).await;
    }
    *lost = now;
}

async fn streams(log: &Jetstream, told_of: &mut Vec<String>, told: &Told) {
    let drifts = match log.ensure().await {
        Ok(drifts) => drifts,
        Err(error) => {
            tracing::debug!(%error, "how the streams are is not known");
            return;
        }
    };
    let mut still = Vec::new();
    for drift in drifts {
        let text = drift.to_string();
        // What cannot be changed back is told once.
        if !told_of.contains(&text) {
            tracing::warn!(%drift, "a stream was changed by somebody else");
            told.metrics.drifted("stream", drift.repaired);
            let reason = if drift.repaired {
                "StreamReverted"
            } else {
                "StreamNotReverted"
            };
            told.event(reason, &text).await;
        }
        if !drift.repaired {
            still.push(text);
        }
    }
    *told_of = still;
}

async fn register(registry: &Registry, told: &Told) {
    let mended = match registry.mend().await {
        Ok(mended) => mended,
        Err(error) => {
            tracing::debug!(%error, "what is registered is not known");
            return;
        }
    };
    for name in mended {
        tracing::warn!(name, "somebody else wrote into the register; changed back");
        told.metrics.drifted("register", true);
        let note = format!("{name} in the register was changed by somebody else: changed back");
        told.event("RegisterReverted", &note).await;
    }
}

async fn objects(deployed: &mut Deployed, told: &Told) {
    let found = match deployed.mend().await {
        Ok(found) => found,
        Err(error) => {
            tracing::debug!(%error, "how the own objects are is not known");
            return;
        }
    };
    for found in found {
        match found {
            Found::Reverted { object, was } => {
                tracing::warn!(object, was, "not as it was deployed; put back");
                told.metrics.drifted("object", true);
                let note = format!("{object} was {was} by somebody else: put back as deployed");
                told.event("ObjectReverted", &note).await;
            }
            Found::Refused { object, why } => {
                tracing::warn!(
                    object,
                    why,
                    "not as it was deployed, and cannot be put back"
                );
                told.metrics.drifted("object", false);
                let note = format!("{object} is not as deployed, and cannot be put back: {why}");
                told.event("ObjectNotReverted", &note).await;
            }
        }
    }
}

impl Told {
    async fn event(&self, reason: &str, note: &str) {
        self.events
            .tell_of_all(false, (reason, "Revert"), note)
            .await;
    }
}
