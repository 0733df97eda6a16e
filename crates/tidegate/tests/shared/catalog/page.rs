//! `docs/metrics.md`, written from a scrape.

use std::{env, fmt::Write as _, fs};

use super::{Catalog, Shown, root};

const PAGE: &str = "docs/metrics.md";

/// Set by `cargo xtask metrics`, which writes the page instead of looking at it.
const KEEP: &str = "TIDEGATE_METRICS_KEEP";

const HEAD: &str = "# Metrics\n\n\
    What `/metrics` on the admin address shows, as `cargo xtask metrics` wrote it down from a running \
    Tidegate; a test holds the two together. Names are those of Prometheus' text format; in \
    OpenMetrics a family of counters has no `_total`. What has not happened yet is not shown: a \
    counter with labels begins with the first thing that it counts. What to watch: \
    [Operating Tidegate](operations.md#probes-and-metrics), [alerts](operations/alerts.md).\n\n";

/// What each label may hold: a closed set, or names from the configuration. One that is not here
/// has to be thought of first: what callers write must not become a series.
const LABELS: [(&str, &str); 21] = [
    (
        "application",
        "the name of an Application that a document describes",
    ),
    (
        "client",
        "a Kafka client: the name of its source, or a sink's brokers with a number behind them where \
         several have the same",
    ),
    ("code", "an [error code](errors/README.md)"),
    (
        "consumer",
        "`shared` or `own`: where a Subscription's events come from",
    ),
    (
        "credential",
        "`certificate` or `token`: what a sink is shown",
    ),
    ("door", "a door, or `subscribed`, `health`, `unknown`"),
    (
        "kind",
        "a kind of repair; at a controller a kind of resource",
    ),
    (
        "outcome",
        "`delivered`, or the code of a failure; of what Applications send, `accepted` or `refused`; of \
         records of Kafka, `stored` or `dead-letter`",
    ),
    ("partition", "the number of a partition"),
    (
        "reason",
        "a code from a closed set, for each metric another",
    ),
    ("result", "`ok` or `error`"),
    ("reverted", "`true` or `false`"),
    ("role", "`gateway` or `dispatcher`"),
    ("shard", "the number of a shared consumer"),
    ("source", "the name of a KafkaSource"),
    (
        "status",
        "an HTTP status, those that are never answered together as `other`",
    ),
    (
        "stream",
        "`events`, `dead_letters` or `history`: the section of `backbone` that says how large it is",
    ),
    ("subscription", "`namespace/name` of a Subscription"),
    (
        "topic",
        "a topic that a KafkaSource names, or of its pattern; 1,000 partitions of a source at most",
    ),
    ("version", "a version"),
    ("what", "what was written, or changed by somebody else"),
];

/// Sections of the page: how names begin, and the heading.
const SECTIONS: [(&str, &str); 12] = [
    ("tidegate_receive_", "Receive"),
    ("tidegate_normalize_", "Normalize"),
    ("tidegate_publish_", "Publish"),
    ("tidegate_backbone_", "The log"),
    ("tidegate_consume_", "Consume"),
    ("tidegate_deliver_", "Deliver"),
    ("tidegate_dead_letters_", "Dead letters"),
    ("tidegate_history_", "History"),
    ("tidegate_kafka_", "Kafka"),
    ("tidegate_controller_", "The controller of a cluster"),
    ("tidegate_", "Tidegate"),
    ("process_", "The process"),
];

pub(super) fn check(catalog: &Catalog) {
    let page = page(catalog);
    let file = root().join(PAGE);
    if env::var_os(KEEP).is_some() {
        fs::write(file, page).unwrap();
        return;
    }
    let kept = fs::read_to_string(file).unwrap_or_default();
    let lines = |text: &str| text.lines().map(ToOwned::to_owned).collect::<Vec<_>>();
    let (kept, page) = (lines(&kept), lines(&page));
    let missing: Vec<_> = page.iter().filter(|line| !kept.contains(line)).collect();
    let too_many: Vec<_> = kept.iter().filter(|line| !page.contains(line)).collect();
    assert!(
        kept == page,
        "{PAGE} is not what a running Tidegate shows (`cargo xtask metrics` writes it):\n\
         missing: {missing:#?}\nno more: {too_many:#?}"
    );
}

fn page(catalog: &Catalog) -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| label | what it holds |\n|---|---|\n");
    for (label, what) in LABELS {
        writeln!(page, "| `{label}` | {what} |").unwrap();
    }
    let mut left: Vec<(&String, &Shown)> = catalog.iter().collect();
    for (begins, heading) in SECTIONS {
        let (here, others) = left
            .into_iter()
            .partition(|(name, _)| name.starts_with(begins));
        left = others;
        section(&mut page, heading, &here);
    }
    assert!(left.is_empty(), "no section has a place for {left:?}");
    page
}

fn section(page: &mut String, heading: &str, metrics: &[(&String, &Shown)]) {
    write!(
        page,
        "\n## {heading}\n\n| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n"
    )
    .unwrap();
    for (name, shown) in metrics {
        let labels = shown.labels.iter().filter(|label| *label != "le");
        let labels: Vec<String> = labels.map(|label| known(label)).collect();
        let Shown { kind, meaning, .. } = shown;
        let (unit, labels) = (unit(name), labels.join(", "));
        let meaning = meaning.trim_end_matches('.');
        writeln!(
            page,
            "| `{name}` | {kind} | {unit} | {labels} | {meaning} |"
        )
        .unwrap();
    }
}

fn known(label: &str) -> String {
    let known = LABELS.iter().any(|(known, _)| *known == label);
    assert!(known, "nobody has said what the label {label} may hold");
    format!("`{label}`")
}

/// Its name says it.
fn unit(name: &str) -> &'static str {
    let name = name.trim_end_matches("_total").trim_end_matches("_max");
    if name.ends_with("_seconds") {
        "seconds"
    } else if name.ends_with("_bytes") {
        "bytes"
    } else {
        ""
    }
}
