//! What the controller counts.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::kinds::Kind;

/// The families.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub(crate) leader: Gauge,
    pub(crate) processes: Family<OfRole, Gauge>,
    reconciles: Family<OfResult, Counter>,
    writes: Family<OfWrite, Counter>,
    drifts: Family<OfDrift, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct OfRole {
    pub(crate) role: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfResult {
    kind: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfWrite {
    kind: &'static str,
    what: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfDrift {
    what: &'static str,
    reverted: &'static str,
}

impl Metrics {
    /// Those that are scraped.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "tidegate_controller_leader",
            "1 while this controller is in charge",
            metrics.leader.clone(),
        );
        registry.register(
            "tidegate_controller_processes",
            "Processes that run what the controller writes, by role",
            metrics.processes.clone(),
        );
        registry.register(
            "tidegate_controller_reconciles",
            "Looks at a resource, by kind and result",
            metrics.reconciles.clone(),
        );
        registry.register(
            "tidegate_controller_writes",
            "Writes to the API server, by kind of resource and what was written",
            metrics.writes.clone(),
        );
        registry.register(
            "tidegate_controller_drifts",
            "Unexpected changes that were found, and whether they were reverted",
            metrics.drifts.clone(),
        );
        metrics.begin();
        metrics
    }

    /// Everything that there can be is shown from the beginning, so that the first one counts too.
    fn begin(&self) {
        for role in ["gateway", "dispatcher"] {
            drop(self.processes.get_or_create(&OfRole { role }));
        }
        for kind in Kind::ALL.map(Kind::label) {
            for result in ["ok", "error"] {
                drop(self.reconciles.get_or_create(&OfResult { kind, result }));
            }
            for what in ["finalizer", "status", "event"] {
                drop(self.writes.get_or_create(&OfWrite { kind, what }));
            }
        }
        let (kind, what) = ("lease", "event");
        drop(self.writes.get_or_create(&OfWrite { kind, what }));
        for what in ["stream", "register", "consumer", "object"] {
            for reverted in ["true", "false"] {
                drop(self.drifts.get_or_create(&OfDrift { what, reverted }));
            }
        }
    }

    pub(crate) fn reconciled(&self, kind: &'static str, is_ok: bool) {
        let result = if is_ok { "ok" } else { "error" };
        self.reconciles
            .get_or_create(&OfResult { kind, result })
            .inc();
    }

    pub(crate) fn wrote(&self, kind: &'static str, what: &'static str) {
        self.writes.get_or_create(&OfWrite { kind, what }).inc();
    }

    /// So many of them were made anew.
    pub(crate) fn consumers_lost(&self, count: u64) {
        let (what, reverted) = ("consumer", "true");
        self.drifts
            .get_or_create(&OfDrift { what, reverted })
            .inc_by(count);
    }

    pub(crate) fn drifted(&self, what: &'static str, is_reverted: bool) {
        let reverted = if is_reverted { "true" } else { "false" };
        self.drifts.get_or_create(&OfDrift { what, reverted }).inc();
    }
}
