//! What all stages count.

use prometheus_client::registry::Registry;
use tidegate_backbone::jetstream::Jetstream;
use tidegate_publish::{Admission, Publisher};

use crate::config::Config;

/// The metrics of every stage.
#[derive(Clone)]
pub(crate) struct Metrics {
    receive: tidegate_receive::Metrics,
    intake: crate::metrics::Metrics,
    publish: tidegate_publish::Metrics,
    consume: tidegate_consume::Metrics,
    deliver: tidegate_deliver::Metrics,
    history: tidegate_history::Metrics,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            receive: tidegate_receive::Metrics::register(registry),
            intake: crate::metrics::Metrics::register(registry),
            publish: tidegate_publish::Metrics::register(registry),
            consume: tidegate_consume::Metrics::register(registry),
            deliver: tidegate_deliver::Metrics::register(registry),
            history: tidegate_history::Metrics::register(registry),
        }
    }

    /// Those of what stands behind the doors.
    pub(super) fn intake(&self) -> crate::metrics::Metrics {
        self.intake.clone()
    }

    /// Those of attempts.
    pub(super) fn deliver(&self) -> tidegate_deliver::Metrics {
        self.deliver.clone()
    }

    /// Publishes through this log, and counts it.
    pub(super) fn publisher(
        &self,
        config: &Config,
        log: Jetstream,
        admission: &Admission,
    ) -> Publisher<Jetstream> {
        Publisher::new(
            &config.publish,
            log,
            &config.backbone.events_root(),
            admission.clone(),
            self.publish.clone(),
        )
    }

    /// Those of what happens to events.
    pub(super) fn history(&self) -> tidegate_history::Metrics {
        self.history.clone()
    }

    /// Those of Subscriptions.
    pub(super) fn consume(&self) -> tidegate_consume::Metrics {
        self.consume.clone()
    }

    /// Those of the doors.
    pub(super) fn receive(&self) -> tidegate_receive::Metrics {
        self.receive.clone()
    }
}
