//! Tidegate's own Subscription: what it says, and every mistake with its line, field and reason.

use std::time::{Duration, SystemTime};

use tidegate_subscription::{Backoff, Format, Start, Subscription, parse};

fn document(spec: &str) -> String {
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

/// Everything that can be set, and what it becomes.
#[test]
fn a_document_says_it_all() {
    let subscription = subscription(
        "  sink: { ref: { kind: Service, name: billing, port: 8080 }, uri: /events }\n  \
         filters:\n  - exact: { type: a.b }\n  - cesql: EXISTS subject\n  \
         delivery:\n    timeout: 90s\n    maxInFlight: 3\n    format: structured\n    \
         headers: { X-Team: billing }\n    \
         deadLetter: { sink: { uri: 'http://dead/' }, retention: { maxAge: 30d, maxSize: 100MiB } }\n    \
         retry: { maxAttempts: 7, maxAge: 2days, backoffPolicy: linear, backoffDelay: 2s, backoffMax: 1m, jitter: none }\n  \
         start: { since: '2026-11-20T10:00:00+01:00' }\n  pause: true\n",
    );
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

const NOT_YET: &str = "is not built yet, so this Subscription is not run; leave it out";
const ONE: &str = "must have exactly one of exact, prefix, suffix, all, any, not and sql";

/// What follows `sink: { uri: http://h/ }` on line 5, and the line, field and reason of its
/// mistake.
const WRONG: [(&str, usize, &str, &str); 53] = [
    ("  filters: [{}]", 6, "spec.filters[0]", ONE),
    (
        "  filters: [{ exact: { type: a }, not: { sql: 'TRUE' } }]",
        6,
        "spec.filters[0]",
        ONE,
    ),
    (
        "  filters:\n  - exact: {}",
        7,
        "spec.filters[0].exact",
        "must name at least one attribute",
    ),
    (
        "  filters:\n  - exact:\n      type: ''",
        8,
        "spec.filters[0].exact.type",
        "must not be empty",
    ),
    (
        "  filters:\n  - prefix: { 'my-name': x }",
        7,
        "spec.filters[0].prefix.my-name",
        "must be the name of an attribute: lower-case letters and digits",
    ),
    (
        "  filters:\n  - suffix: { Type: x }",
        7,
        "spec.filters[0].suffix.Type",
        "must be the name of an attribute: lower-case letters and digits",
    ),
    (
        "  filters:\n  - all: []",
        7,
        "spec.filters[0].all",
        "must not be empty",
    ),
    (
        "  filters:\n  - any: []",
        7,
        "spec.filters[0].any",
        "must not be empty",
    ),
    (
        "  filters:\n  - any:\n    - exact: { type: a }\n    - {}",
        9,
        "spec.filters[0].any[1]",
        ONE,
    ),
    (
        "  filters:\n  - not:\n      any: []",
        8,
        "spec.filters[0].not.any",
        "must not be empty",
    ),
    (
        "  filters:\n  - sql: type LIKE",
        7,
        "spec.filters[0].sql",
        "expected a string as the pattern of LIKE, found the end at line 1, column 10",
    ),
    (
        "  filters:\n  - cesql: type = 'a",
        7,
        "spec.filters[0].cesql",
        "the string has no closing ' at line 1, column 8",
    ),
    (
        "  filters:\n  - sql: LENGTH(type)",
        7,
        "spec.filters[0].sql",
        "must be true or false, it is a 32-bit integer",
    ),
    (
        "  filters:\n  - sql: UPPER(type)",
        7,
        "spec.filters[0].sql",
        "must be true or false, it is a string",
    ),
    (
        "  filters:\n  - sql: SOUNDEX(type) = 'a'",
        7,
        "spec.filters[0].sql",
        "there is no function SOUNDEX of so many arguments",
    ),
    (
        "  filters:\n  - sql: ABS(1, 2) = 1",
        7,
        "spec.filters[0].sql",
        "there is no function ABS of so many arguments",
    ),
    (
        "  start: yesterday",
        6,
        "spec.start",
        "must be new, all, { since: TIME } or { sequence: NUMBER }, got \"yesterday\"",
    ),
    (
        "  start: {}",
        6,
        "spec.start",
        "must have either since or sequence",
    ),
    (
        "  start: { since: '2026-11-20T00:00:00Z', sequence: 3 }",
        6,
        "spec.start",
        "must have either since or sequence",
    ),
    (
        "  start: { sequence: 0 }",
        6,
        "spec.start.sequence",
        "must be at least 1",
    ),
    (
        "  start: { since: 20 November }",
        6,
        "spec.start.since",
        "must be a time such as 2026-11-20T00:00:00Z, got \"20 November\"",
    ),
    (
        "  start: { since: '2026-11-20T00:00:00' }",
        6,
        "spec.start.since",
        "must be a time such as 2026-11-20T00:00:00Z, got \"2026-11-20T00:00:00\"",
    ),
    ("  reply: { uri: 'http://r/' }", 6, "spec.reply", NOT_YET),
    (
        "  delivery: { order: { key: partitionkey } }",
        6,
        "spec.delivery.order",
        NOT_YET,
    ),
    (
        "  delivery: { rateLimit: 5 }",
        6,
        "spec.delivery.rateLimit",
        NOT_YET,
    ),
    (
        "  delivery: { auth: { bearer: x } }",
        6,
        "spec.delivery.auth",
        NOT_YET,
    ),
    (
        "  delivery:\n    signing: {}",
        7,
        "spec.delivery.signing",
        NOT_YET,
    ),
    (
        "  delivery:\n    deadLetter: { retention: { maxAge: never } }",
        7,
        "spec.delivery.deadLetter.retention.maxAge",
        "must be a duration such as 500ms, 30s or 7d, got \"never\"",
    ),
    (
        "  delivery:\n    deadLetter:\n      retention: { maxSize: 0MB }",
        8,
        "spec.delivery.deadLetter.retention.maxSize",
        "must be a size such as 100MiB or 2GB, got \"0MB\"",
    ),
    (
        "  delivery:\n    deadLetter: { sink: {} }",
        7,
        "spec.delivery.deadLetter.sink",
        "must have uri or ref",
    ),
    (
        "  delivery:\n    deadLetter: { sink: { ref: { kind: Queue, name: q } } }",
        7,
        "spec.delivery.deadLetter.sink.ref.kind",
        "must be a Service of v1, got Queue of v1",
    ),
    (
        "  delivery: { format: batch }",
        6,
        "spec.delivery.format.batch",
        NOT_YET,
    ),
    (
        "  delivery: { format: { batch: { size: 5 } } }",
        6,
        "spec.delivery.format.batch",
        NOT_YET,
    ),
    (
        "  delivery: { format: xml }",
        6,
        "spec.delivery.format",
        "must be binary, structured or batch, got \"xml\"",
    ),
    (
        "  delivery: { timeout: soon }",
        6,
        "spec.delivery.timeout",
        "must be a duration such as 500ms, 30s or 7d, got \"soon\"",
    ),
    (
        "  delivery: { timeout: 30 }",
        6,
        "spec.delivery.timeout",
        "must be a duration such as 500ms, 30s or 7d, got \"30\"",
    ),
    (
        "  delivery: { timeout: 0s }",
        6,
        "spec.delivery.timeout",
        "must be longer than 0s",
    ),
    (
        "  delivery: { timeout: 2h }",
        6,
        "spec.delivery.timeout",
        "must be at most 1h, got 2h",
    ),
    (
        "  delivery: { maxInFlight: 0 }",
        6,
        "spec.delivery.maxInFlight",
        "must be from 1 to 10000, got 0",
    ),
    (
        "  delivery: { maxInFlight: -3 }",
        6,
        "spec.delivery.maxInFlight",
        "must be from 1 to 10000, got -3",
    ),
    (
        "  delivery: { maxInFlight: 10001 }",
        6,
        "spec.delivery.maxInFlight",
        "must be from 1 to 10000, got 10001",
    ),
    (
        "  delivery:\n    retry:\n      maxAttempts: 0",
        8,
        "spec.delivery.retry.maxAttempts",
        "must be from 1 to 10000, got 0",
    ),
    (
        "  delivery:\n    retry:\n      maxAge: never",
        8,
        "spec.delivery.retry.maxAge",
        "must be a duration such as 500ms, 30s or 7d, got \"never\"",
    ),
    (
        "  delivery:\n    retry:\n      backoffPolicy: quadratic",
        8,
        "spec.delivery.retry.backoffPolicy",
        "must be one of exponential, linear, constant, got \"quadratic\"",
    ),
    (
        "  delivery:\n    retry:\n      jitter: 'yes'",
        8,
        "spec.delivery.retry.jitter",
        "must be one of full, none, got \"yes\"",
    ),
    (
        "  delivery:\n    retry:\n      backoffDelay: 2days",
        8,
        "spec.delivery.retry.backoffDelay",
        "must be at most 1day, got 2days",
    ),
    (
        "  delivery:\n    retry:\n      backoffDelay: 10s\n      backoffMax: 5s",
        9,
        "spec.delivery.retry.backoffMax",
        "must be at least backoffDelay",
    ),
    (
        "  delivery:\n    headers:\n      ce-id: x",
        8,
        "spec.delivery.headers.ce-id",
        "is a field that the request has by itself",
    ),
    (
        "  delivery:\n    headers:\n      Host: x",
        8,
        "spec.delivery.headers.Host",
        "is a field that the request has by itself",
    ),
    (
        "  delivery:\n    headers:\n      'a b': x",
        8,
        "spec.delivery.headers.a b",
        "is no name of a header field",
    ),
    (
        "  delivery:\n    headers:\n      x-a: ü",
        8,
        "spec.delivery.headers.x-a",
        "must be printable ASCII of at most 4096 bytes",
    ),
    (
        "  delivery:\n    headers:\n      x-a: \"a\\r\\nb: c\"",
        8,
        "spec.delivery.headers.x-a",
        "must be printable ASCII of at most 4096 bytes",
    ),
    (
        "  filters:\n  - sql: 'a == 1'",
        7,
        "spec.filters[0].sql",
        "expected a value, found = at line 1, column 4",
    ),
];

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
            "must be set: { uri: http://… } or { ref: … }",
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
