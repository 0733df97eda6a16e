//! A gauge of things that come and go.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder},
    metrics::MetricType,
};

/// A gauge for each thing of a set that is known as a whole: what has left the set is not shown any
/// more, and no scrape sees half of it.
#[derive(Debug)]
pub struct Table<L>(Arc<RwLock<Rows<L>>>);

type Rows<L> = Arc<[(L, f64)]>;

impl<L> Table<L> {
    /// What is there from now on.
    pub fn set(&self, rows: impl IntoIterator<Item = (L, f64)>) {
        let rows = rows.into_iter().collect();
        // The rows are exchanged as one, so that there is no half of them.
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = rows;
    }

    fn rows(&self) -> Rows<L> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<L> Clone for Table<L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<L> Default for Table<L> {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(Arc::from(Vec::new()))))
    }
}

impl<L: EncodeLabelSet> EncodeMetric for Table<L> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        for (labels, value) in &*self.rows() {
            encoder.encode_family(labels)?.encode_gauge(value)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }

    fn is_empty(&self) -> bool {
        self.rows().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::metrics::render;

    /// A Subscription that is gone would stay at its last lag for ever.
    #[test]
    fn what_has_left_the_set_is_not_shown() {
        let mut registry = Registry::default();
        let table = Table::default();
        registry.register("tidegate_test_lag", "Lag", table.clone());
        assert!(!render(&registry).contains("tidegate_test_lag"));
        table.set([([("of", "a")], 1.5), ([("of", "b")], 2.0)]);
        assert!(render(&registry).contains("tidegate_test_lag{of=\"a\"} 1.5\n"));
        table.set([([("of", "b")], 3.0)]);
        let text = render(&registry);
        assert!(text.contains("tidegate_test_lag{of=\"b\"} 3.0\n"), "{text}");
        assert!(!text.contains("of=\"a\""), "{text}");
    }
}
