//! What the way from a door to the log counts, beside its stages.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tidegate_normalize::Repair;

/// The metrics of the intake.
#[derive(Clone)]
pub(crate) struct Metrics {
    repairs: Family<Kind, Counter>,
}

/// One of the closed set of repairs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let repairs = Family::default();
        registry.register(
            "tidegate_normalize_repairs",
            "Attributes of events that were mended or left out, by kind",
            repairs.clone(),
        );
        Self { repairs }
    }

    /// Counts what was mended; nothing is, in nearly every request.
    pub(crate) fn repaired(&self, repairs: &[Repair]) {
        for repair in repairs {
            let kind = repair.kind.name();
            self.repairs.get_or_create(&Kind { kind }).inc();
        }
    }
}
