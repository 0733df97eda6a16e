//! How much the process has allocated, as metrics: for the load driver, in builds that count.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::counter::ConstCounter,
    registry::Registry,
};
use stats_alloc::INSTRUMENTED_SYSTEM;

/// Read from the allocator whenever metrics are asked for.
#[derive(Debug)]
struct Allocations;

pub(crate) fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(Allocations));
}

impl Collector for Allocations {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = INSTRUMENTED_SYSTEM.stats();
        for (name, help, value) in [
            (
                "allocations",
                "Pieces of memory asked for",
                stats.allocations,
            ),
            (
                "reallocations",
                "Pieces of memory made larger or smaller",
                stats.reallocations,
            ),
            ("allocated_bytes", "Bytes asked for", stats.bytes_allocated),
            ("freed_bytes", "Bytes given back", stats.bytes_deallocated),
        ] {
            let counter = ConstCounter::new(value as u64);
            let name = format!("tidegate_process_{name}");
            let metric = encoder.encode_descriptor(&name, help, None, counter.metric_type())?;
            counter.encode(metric)?;
        }
        Ok(())
    }
}
