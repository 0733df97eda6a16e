//! What Tidegate manages outside of the cluster's API is as it should be: streams, and what is
//! registered. What somebody changes is changed back, and told.

use std::time::Duration;

use tidegate_backbone::jetstream::{Drift, Jetstream};
use tokio::time::{MissedTickBehavior, interval};

use crate::{events::Events, fleet::Fleet, metrics::Metrics, reconcile::Registry};

/// Looks again and again.
pub(crate) async fn watch(
    (log, registry, fleet): (Jetstream, Registry, Fleet),
    every: Duration,
    events: Events,
    metrics: Metrics,
) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told: Vec<String> = Vec::new();
    let mut lost = 0;
    loop {
        ticks.tick().await;
        let now = fleet.consumers_lost();
        if now > lost {
            metrics.consumers_lost(now - lost);
            let note = "a consumer in JetStream was deleted by somebody else: made anew where it \
                        was; the dispatchers' log says which";
            let told = ("ConsumerReverted", "Revert");
            events.tell_of_all(false, told, note).await;
        }
        lost = now;
        match log.ensure().await {
            Ok(drifts) => {
                let (mut still, mut new) = (Vec::new(), Vec::new());
                for drift in drifts {
                    let text = drift.to_string();
                    // What cannot be changed back is told once.
                    if !told.contains(&text) {
                        new.push(drift.clone());
                    }
                    if !drift.repaired {
                        still.push(text);
                    }
                }
                told = still;
                for drift in new {
                    tell(&drift, &events, &metrics).await;
                }
            }
            Err(error) => tracing::debug!(%error, "how the streams are is not known"),
        }
        match registry.mend().await {
            Ok(mended) => {
                for name in mended {
                    tracing::warn!(name, "somebody else wrote into the register; changed back");
                    metrics.drifted("register", true);
                    let note = format!(
                        "{name} in the register was changed by somebody else: changed back"
                    );
                    let told = ("RegisterReverted", "Revert");
                    events.tell_of_all(false, told, &note).await;
                }
            }
            Err(error) => tracing::debug!(%error, "what is registered is not known"),
        }
    }
}

async fn tell(drift: &Drift, events: &Events, metrics: &Metrics) {
    tracing::warn!(%drift, "a stream was changed by somebody else");
    metrics.drifted("stream", drift.repaired);
    let reason = if drift.repaired {
        "StreamReverted"
    } else {
        "StreamNotReverted"
    };
    let note = drift.to_string();
    events.tell_of_all(false, (reason, "Revert"), &note).await;
}
