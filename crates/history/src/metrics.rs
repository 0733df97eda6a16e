//! What is counted.

use prometheus_client::{metrics::counter::Counter, registry::Registry};

/// The counters.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub(crate) kept: Counter,
    pub(crate) dropped: Counter,
}

impl Metrics {
    /// Registers what this room counts.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "tidegate_history_records_kept",
            "Records of what happened to events that are kept",
            metrics.kept.clone(),
        );
        registry.register(
            "tidegate_history_records_dropped",
            "Records that could not be kept: too many at once, or the log did not take them",
            metrics.dropped.clone(),
        );
        metrics
    }
}
