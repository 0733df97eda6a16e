//! `/metrics`, as scrapers ask for it.

use crate::harness::Tidegate;

/// Prometheus gets OpenMetrics, and whoever reads only the text format gets that, where a counter is
/// named as its samples are: otherwise it would have no type there.
#[tokio::test]
async fn a_scraper_gets_the_format_that_it_reads() {
    let tidegate = Tidegate::up("", "").await;
    let accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.2";
    let open_metrics = tidegate.scrape(&[("accept", accept)]).await;
    let content_type = open_metrics.header("content-type").unwrap();
    assert!(content_type.starts_with("application/openmetrics-text; version=1.0.0"));
    let text = open_metrics.text();
    let kind = "# TYPE tidegate_publish_events_stored counter\n";
    assert!(text.contains(kind), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");

    let plain = tidegate.scrape(&[]).await;
    let content_type = plain.header("content-type").unwrap();
    assert!(content_type.starts_with("text/plain; version=0.0.4"));
    let text = plain.text();
    let kind = "# TYPE tidegate_publish_events_stored_total counter\n";
    assert!(text.contains(kind), "{text}");
    assert!(!text.contains("# EOF"), "{text}");
}
