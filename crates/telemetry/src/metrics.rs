//! The registry as text.
//!
//! What is counted, and under which names, stands in each room's `metrics.rs`.

mod accept;
mod plain;
pub mod process;
mod table;

use prometheus_client::{encoding::text, registry::Registry};

pub use self::{accept::Format, table::Table};

/// All metrics in OpenMetrics text format.
pub fn render(registry: &Registry) -> String {
    let mut text = String::new();
    text::encode(&mut text, registry).expect("writing to a string does not fail");
    text
}

/// What [`render`] gave, in the format that a scraper wants.
pub fn in_format(open_metrics: String, format: Format) -> String {
    match format {
        Format::OpenMetrics => open_metrics,
        Format::Plain => plain::plain(&open_metrics),
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    /// Scrapers need the suffix of counters and the end mark.
    #[test]
    fn a_counter_is_rendered_with_its_suffix_and_the_end_mark() {
        let mut registry = Registry::default();
        let counter = Counter::<u64>::default();
        registry.register("tidegate_test_things", "Things", counter.clone());
        counter.inc_by(3);
        let text = render(&registry);
        assert!(text.contains("tidegate_test_things_total 3\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
