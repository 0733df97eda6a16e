//! A sink that is a Kafka topic.

use serde_json::Value;
use tidegate_event::Event;
use tidegate_subscription::parse;

use crate::tidegate::document;

const USUAL: &str =
    "  sink: { kafka: { brokers: ['k1:9092', 'k2:9092'], topic: 'orders-{type}' } }\n";

/// What is not said is what a topic needs: the key that CloudEvents has for it, and a window that
/// fills batches.
#[test]
fn a_topic_is_a_sink() {
    let mut parsed = parse(&document(USUAL));
    assert_eq!(parsed.mistakes, []);
    let subscription = parsed.documents.remove(0).1;
    assert_eq!(subscription.sink.scheme(), "kafka");
    assert_eq!(subscription.sink.host_str(), Some("k1"));
    assert_eq!(subscription.delivery.max_in_flight.get(), 1_000);
    let topic = subscription.delivery.topic.as_ref().unwrap();
    let mut event = Event::new("1", "/s", "order.created");
    assert_eq!(topic.name.of(&event).unwrap(), "orders-order.created");
    assert_eq!(topic.key_of(&event), None);
    let key = tidegate_event::Name::new("partitionkey").unwrap();
    event.extensions.insert(key, "7".into());
    assert_eq!(topic.key_of(&event).as_deref(), Some("7"));
}

/// Subscriptions share what is known of a sink where they reach it the same way, and secrets are
/// those that a cluster has to mount.
#[test]
fn credentials_are_part_of_a_sink() {
    let of = |sasl: &str| {
        let spec = format!(
            "  sink: {{ kafka: {{ brokers: ['k:1'], topic: t, tls: {{ ca: {{ file: ca }} }}, sasl: {sasl} }} }}\n"
        );
        let mut parsed = parse(&document(&spec));
        assert_eq!(parsed.mistakes, [], "{spec}");
        parsed.documents.remove(0).1
    };
    let one = of("{ mechanism: PLAIN, username: a, password: { file: p } }");
    let other = of("{ mechanism: PLAIN, username: b, password: { file: p } }");
    let token = of("{ mechanism: OAUTHBEARER, token: { file: t } }");
    assert_ne!(one.sink_key(), other.sink_key());
    assert_eq!(one.secrets().len(), 2);
    assert_eq!(token.secrets().len(), 2);
}

fn kafka(rest: &str) -> String {
    format!("  sink: {{ kafka: {{ brokers: ['k:1'], {rest} }} }}\n")
}

/// A mistake in this field, at this line.
fn is_told(spec: &str, (line, field, reason): (usize, &str, &str)) {
    let mistakes = parse(&document(spec)).mistakes;
    let found = mistakes.iter().find(|mistake| mistake.field == field);
    let Some(found) = found else {
        unreachable!("{spec}: {mistakes:?}");
    };
    assert!(found.message.contains(reason), "{spec}: {found}");
    assert_eq!(found.line, line, "{spec}: {found}");
}

/// Each with its line, field and reason.
#[test]
fn mistakes_are_told_where_they_are() {
    for (spec, told) in [
        (
            kafka("topic: 'a b'"),
            (5, "spec.sink.kafka.topic", "must be from 1 to 249"),
        ),
        (
            kafka("topic: 'a-{Type}'"),
            (5, "spec.sink.kafka.topic", "{Type} is no attribute"),
        ),
        (
            kafka("topic: t, key: Key"),
            (5, "spec.sink.kafka.key", "must be an attribute"),
        ),
        (
            "  sink: { kafka: { brokers: [k], topic: t } }\n".to_owned(),
            (5, "spec.sink.kafka.brokers[0]", "must be host:port"),
        ),
        (
            "  sink: { uri: 'http://h/', kafka: { brokers: ['k:1'], topic: t } }\n".to_owned(),
            (5, "spec.sink.kafka", "must be left out"),
        ),
        (
            format!("{}  reply: {{ sources: [a] }}\n", kafka("topic: t")),
            (6, "spec.reply", "a topic answers nothing"),
        ),
    ] {
        is_told(&spec, told);
    }
}

/// What only requests have is a mistake beside a topic, and so is a topic for dead letters.
#[test]
fn what_only_requests_have_is_refused() {
    for (delivery, field, reason) in [
        ("format: batch", "format", "must be binary or structured"),
        ("headers: { a: b }", "headers", "see spec.sink.kafka"),
        (
            "auth: { bearer: { token: { file: t } } }",
            "auth",
            "see spec.sink.kafka",
        ),
        ("tls: { ca: { file: t } }", "tls", "see spec.sink.kafka"),
        (
            "deadLetter: { sink: { kafka: { brokers: ['k:1'], topic: t } } }",
            "deadLetter.sink.kafka",
            "must be left out",
        ),
    ] {
        let spec = format!("{}  delivery:\n    {delivery}\n", kafka("topic: t"));
        is_told(&spec, (7, &format!("spec.delivery.{field}"), reason));
    }
}

/// An editor sees the shape.
#[test]
fn the_schema_knows_topics() {
    let validator = jsonschema::validator_for(&tidegate_subscription::schema()).unwrap();
    let value = |spec: &str| serde_saphyr::from_str::<Value>(&document(spec)).unwrap();
    assert!(validator.is_valid(&value(USUAL)));
    assert!(!validator.is_valid(&value(&kafka("topics: t"))));
    assert!(!validator.is_valid(&value(&kafka("topic: t, key: Key"))));
}
