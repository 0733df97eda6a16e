//! Tidegate's own Subscription: what it says, and every mistake with its line, field and reason.

use std::time::{Duration, SystemTime};

use tidegate_subscription::{Backoff, Format, Start, Subscription, parse};

use crate::wrong::WRONG;

pub(crate) fn document(spec: &str) -> String {
    format!(
        "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
         metadata: {{ name: s, namespace: shop }}\nspec:\n{spec}"
    )
}

fn subscription(spec: &str) -> Subscription {
    let mut parsed = parse(&document(spec));
    assert_eq!(parsed.mistakes, [], "{spec}");
    parsed.documents.remove(0).1
}

/// Everything that can be set.
pub(crate) const EVERYTHING: &str = "  sink: { ref: { kind: Service, name: billing, port: 8080 }, uri: /events }\n  \
         filters:\n  - exact: { type: a.b }\n  - cesql: EXISTS subject\n  \
         delivery:\n    timeout: 90s\n    maxInFlight: 3\n    rateLimit: 50\n    format: structured\n    \
         headers: { X-Team: billing }\n    \
         deadLetter: { sink: { uri: 'http://dead/' }, retention: { maxAge: 30d, maxSize: 100MiB } }\n    \
         retry: { maxAttempts: 7, maxAge: 2days, backoffPolicy: linear, backoffDelay: 2s, backoffMax: 1m, jitter: none }\n  \
         start: { since: '2026-11-20T10:00:00+01:00' }\n  pause: true\n";

/// Everything that can be set, and what it becomes.
#[test]
fn a_document_says_it_all() {
    let subscription = subscription(EVERYTHING);
    assert_eq!(subscription.id(), "shop/s");
    let sink = "http://billing.shop.svc.cluster.local:8080/events";
    assert_eq!(subscription.sink.as_str(), sink);
    let delivery = &subscription.delivery;
    assert_eq!(delivery.timeout, Some(Duration::from_secs(90)));
    assert_eq!(
        (delivery.max_in_flight.get(), delivery.format),
        (3, Format::Structured)
    );
    assert_eq!(
        delivery.headers,
        [("x-team".to_owned(), "billing".to_owned())]
    );
    assert_eq!(delivery.rate.map(u32::from), Some(50));
    assert!(!delivery.original_type, "that is for Kyma's");
    let dead = &delivery.dead_letter;
    assert_eq!(dead.sink.as_ref().map(AsRef::as_ref), Some("http://dead/"));
    assert_eq!(dead.age_max, Some(Duration::from_secs(30 * 24 * 3600)));
    assert_eq!(dead.bytes_max, Some(100 << 20));
    let retry = &delivery.retry;
    assert_eq!(retry.attempts_max.map(u32::from), Some(7));
    assert_eq!(retry.age_max, Some(Duration::from_secs(2 * 24 * 3600)));
    assert_eq!(
        (retry.backoff, retry.jitter),
        (Some(Backoff::Linear), Some(false))
    );
    assert_eq!(retry.backoff_delay, Some(Duration::from_secs(2)));
    assert_eq!(retry.backoff_max, Some(Duration::from_secs(60)));
    let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_165_200);
    assert_eq!(subscription.start, Start::Since(since));
    assert!(subscription.pause);
}

/// What is left out is safe: every event, from now on, as the configuration has it.
#[test]
fn a_sink_is_enough() {
    let least = subscription("  sink: { uri: 'https://h/' }\n");
    assert_eq!((least.start, least.pause), (Start::New, false));
    assert_eq!(least.delivery, tidegate_subscription::Delivery::default());
    for (start, wanted) in [
        ("new", Start::New),
        ("all", Start::All),
        ("{ sequence: 7 }", Start::Sequence(7)),
    ] {
        let spec = format!("  sink: {{ uri: 'https://h/' }}\n  start: {start}\n");
        assert_eq!(subscription(&spec).start, wanted);
    }
}

/// Each mistake is told with its place and, where there is one, what to write instead.
#[test]
fn every_mistake_is_told_with_its_place() {
    for (rest, line, field, message) in WRONG {
        let text = document(&format!("  sink: {{ uri: http://h/ }}\n{rest}\n"));
        let parsed = parse(&text);
        assert!(parsed.documents.is_empty(), "{rest}");
        let found: Vec<_> = parsed
            .mistakes
            .iter()
            .map(|one| (one.line, one.field.as_str(), one.message.as_str()))
            .collect();
        assert_eq!(found, [(line, field, message)], "{rest}");
        assert_eq!(parsed.mistakes[0].object.as_deref(), Some("shop/s"));
    }
}

/// Sinks, alone, since the others have one.
#[test]
fn every_mistake_of_a_sink_is_told() {
    for (spec, line, field, message) in [
        (
            "  pause: false",
            1,
            "spec.sink",
            "must be set: { uri: http://… }, { ref: … } or { kafka: … }",
        ),
        ("  sink: {}", 5, "spec.sink", "must have uri or ref"),
        (
            "  sink: { uri: '' }",
            5,
            "spec.sink.uri",
            "must not be empty",
        ),
        (
            "  sink: { uri: ftp://h/ }",
            5,
            "spec.sink.uri",
            "must have URL scheme 'http' or 'https'",
        ),
        (
            "  sink: { uri: 'http://a:b@h/' }",
            5,
            "spec.sink.uri",
            "must not hold a user name or a password",
        ),
        (
            "  sink: { uri: 'http://h/#x' }",
            5,
            "spec.sink.uri",
            "must not have a fragment",
        ),
        (
            "  sink: { uri: 'http://' }",
            5,
            "spec.sink.uri",
            "failed to parse subscription sink URL: empty host",
        ),
        (
            "  sink:\n    ref: { kind: Deployment, name: x }",
            6,
            "spec.sink.ref.kind",
            "must be a Service of v1, got Deployment of v1",
        ),
        (
            "  sink:\n    ref: { apiVersion: serving.knative.dev/v1, kind: Service, name: x }",
            6,
            "spec.sink.ref.kind",
            "must be a Service of v1, got Service of serving.knative.dev/v1",
        ),
        (
            "  sink:\n    ref: { kind: Service, name: 'a b' }",
            6,
            "spec.sink.ref",
            "failed to parse subscription sink URL: invalid international domain name",
        ),
    ] {
        let parsed = parse(&document(&format!("{spec}\n")));
        let found: Vec<_> = parsed
            .mistakes
            .iter()
            .map(|one| (one.line, one.field.as_str(), one.message.as_str()))
            .collect();
        assert_eq!(found, [(line, field, message)], "{spec}");
    }
}

/// A field that nobody knows is never ignored, and neither is one of a wrong type.
#[test]
fn unknown_fields_are_told() {
    for (rest, part) in [
        ("  filter: []", "filter"),
        ("  delivery: { retries: 3 }", "retries"),
        ("  delivery: { retry: { attempts: 3 } }", "attempts"),
        ("  filters: [{ regex: { type: a } }]", "regex"),
        ("  pause: maybe", "bool"),
    ] {
        let text = document(&format!("  sink: {{ uri: http://h/ }}\n{rest}\n"));
        let mistakes = parse(&text).mistakes;
        assert_eq!(mistakes.len(), 1, "{rest}");
        assert!(mistakes[0].message.contains(part), "{:?}", mistakes[0]);
        assert_eq!(mistakes[0].line, 6, "{rest}");
    }
}

/// Filters of any depth end in a mistake, not in a stack that is too small.
#[test]
fn nested_filters_have_a_bound() {
    let nested = |depth: usize| {
        let filter = format!(
            "{}{{ sql: 'TRUE' }}{}",
            "{ not: ".repeat(depth),
            " }".repeat(depth)
        );
        let spec = format!("  sink: {{ uri: http://h/ }}\n  filters: [{filter}]\n");
        parse(&document(&spec))
    };
    assert_eq!(nested(15).mistakes, []);
    let deep = nested(16).mistakes;
    let said = "must not have more than 16 filters inside of each other";
    assert_eq!(deep[0].message, said);
    assert!(!nested(5_000).mistakes.is_empty());
}
