//! A moment that may not be there.

use std::sync::{Arc, OnceLock};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder},
    metrics::{MetricType, gauge::Gauge},
};

/// A gauge that is not shown until it is set: where there is no certificate, a zero would look
/// like one that ended long ago, and wake somebody.
#[derive(Clone, Debug, Default)]
pub(super) struct Expiry(Arc<OnceLock<Gauge>>);

impl Expiry {
    pub(super) fn set(&self, at: i64) {
        self.0.get_or_init(Gauge::default).set(at);
    }
}

impl EncodeMetric for Expiry {
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        match self.0.get() {
            Some(gauge) => gauge.encode(encoder),
            None => Ok(()),
        }
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }

    fn is_empty(&self) -> bool {
        self.0.get().is_none()
    }
}
