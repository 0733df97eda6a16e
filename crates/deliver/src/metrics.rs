//! What this stage counts.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use crate::{Outcome, outcome::CODES};

/// Upper bounds in seconds: a sink takes from a millisecond to its timeout.
const DURATION_BUCKETS: [f64; 12] = [
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 180.0,
];

/// Handles, resolved once.
#[derive(Clone, Debug)]
pub struct Metrics {
    delivered: Counter,
    failed: [Counter; CODES.len()],
    duration: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

impl Metrics {
    /// Registers what this stage counts.
    pub fn register(registry: &mut Registry) -> Self {
        let attempts = Family::<Labels, Counter>::default();
        let duration = Histogram::new(DURATION_BUCKETS);
        registry.register(
            "tidegate_deliver_attempts",
            "Attempts at sinks, by outcome",
            attempts.clone(),
        );
        registry.register(
            "tidegate_deliver_attempt_duration_seconds",
            "How long an attempt took, its answer included",
            duration.clone(),
        );
        let counter = |outcome| attempts.get_or_create_owned(&Labels { outcome });
        Self {
            delivered: counter("delivered"),
            failed: CODES.map(counter),
            duration,
        }
    }

    pub(crate) fn attempted(&self, outcome: &Outcome, took: Duration) {
        match outcome {
            Outcome::Delivered { .. } => {
                self.delivered.inc();
            }
            Outcome::Retry { failure, .. } | Outcome::Rejected { failure } => {
                let of_code = CODES
                    .iter()
                    .zip(&self.failed)
                    .find(|(code, _)| **code == failure.code);
                if let Some((_, counter)) = of_code {
                    counter.inc();
                }
            }
        }
        self.duration.observe(took.as_secs_f64());
    }
}
