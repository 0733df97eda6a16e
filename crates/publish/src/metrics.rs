//! What this stage counts.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use tidegate_backbone::Stored;

use crate::Error;

/// Upper bounds in seconds: an acknowledgement takes from about 100 µs to the deadline.
const DURATION_BUCKETS: [f64; 12] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 10.0,
];

/// Upper bounds in bytes: to the largest body that a door takes in by itself.
const SIZE_BUCKETS: [f64; 8] = [
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
];

/// Handles, resolved once.
#[derive(Clone, Debug)]
pub struct Metrics {
    stored: Counter,
    duplicate: Counter,
    refused: Family<Refused, Counter>,
    retries: Counter,
    duration: Histogram,
    size: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    code: &'static str,
}

impl Metrics {
    /// Registers what this stage counts.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            stored: Counter::default(),
            duplicate: Counter::default(),
            refused: Family::default(),
            retries: Counter::default(),
            duration: Histogram::new(DURATION_BUCKETS),
            size: Histogram::new(SIZE_BUCKETS),
        };
        registry.register(
            "tidegate_publish_events_stored",
            "Events that the log acknowledged as durable",
            metrics.stored.clone(),
        );
        registry.register(
            "tidegate_publish_events_duplicate",
            "Events that the log had already, under the same message id",
            metrics.duplicate.clone(),
        );
        registry.register(
            "tidegate_publish_events_refused",
            "Events that were not stored, by error code",
            metrics.refused.clone(),
        );
        registry.register(
            "tidegate_publish_retries",
            "Appends that were repeated inside a request",
            metrics.retries.clone(),
        );
        registry.register(
            "tidegate_publish_duration_seconds",
            "From the event to its durable acknowledgement, retries included",
            metrics.duration.clone(),
        );
        registry.register(
            "tidegate_publish_event_data_bytes",
            "Data of an event that was to be stored",
            metrics.size.clone(),
        );
        metrics
    }

    /// `bytes` is how much data the event has.
    pub(crate) fn settled(&self, bytes: usize, result: &Result<Stored, Error>, took: Duration) {
        match result {
            Ok(Stored {
                duplicate: false, ..
            }) => self.stored.inc(),
            Ok(Stored {
                duplicate: true, ..
            }) => self.duplicate.inc(),
            Err(error) => self
                .refused
                .get_or_create(&Refused { code: error.code() })
                .inc(),
        };
        self.duration.observe(took.as_secs_f64());
        // No event has more bytes than 32 bits count.
        self.size
            .observe(u32::try_from(bytes).unwrap_or(u32::MAX).into());
    }

    pub(crate) fn retried(&self) {
        self.retries.inc();
    }
}
