//! A topic as a door.

use std::fs;

use serde_json::{Value, json};
use tidegate_testkit::{Kafka, Sink};
use tokio::time::timeout;

use crate::{
    broker::{Record, consume, produce},
    harness::{PATIENCE, Tidegate},
};

/// A source of this topic, acting as `erp`.
pub(crate) fn source(kafka: &Kafka, topic: &str, more: &str) -> String {
    format!(
        "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: KafkaSource\n\
         metadata: {{ name: {topic} }}\nspec:\n  brokers: ['{}']\n  topics: [{topic}]\n  \
         application: erp\n{more}",
        kafka.bootstrap()
    )
}

/// Everything to this sink.
pub(crate) fn all_to(name: &str, sink: &str) -> String {
    format!(
        "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
         metadata: {{ name: {name} }}\nspec:\n  sink: {sink}\n"
    )
}

/// With these sources, and everything to the sinks.
pub(crate) async fn up(sources: &str, subscriptions: &str) -> Tidegate {
    let configuration = "sources: { folder: sources, poll_interval: 100ms }\n";
    Tidegate::up_prepared(subscriptions, configuration, |folder| {
        fs::create_dir(folder.join("sources")).unwrap();
        fs::write(folder.join("sources/all.yaml"), sources).unwrap();
    })
    .await
}

const EVENT: [(&str, &str); 6] = [
    ("ce_specversion", "1.0"),
    ("ce_id", "1234-1234-1234"),
    ("ce_type", "com.example.someevent"),
    ("ce_source", "erp"),
    ("ce_time", "2018-04-05T03:56:24Z"),
    ("content-type", "application/json"),
];

/// A record becomes an event, and an event a record.
#[tokio::test]
async fn records_become_events_and_events_become_records() {
    let kafka = Kafka::start().await;
    kafka.create_topic("in", 3).await;
    kafka.create_topic("out", 3).await;
    let function = Sink::start(|_| 204_u16).await;
    let topic = format!(
        "{{ kafka: {{ brokers: ['{}'], topic: out }} }}",
        kafka.bootstrap()
    );
    let http = format!("{{ uri: '{}' }}", function.url());
    let subscriptions = all_to("http", &http) + &all_to("topic", &topic);
    let tidegate = up(&source(&kafka, "in", ""), &subscriptions).await;
    let sent = Record::new(&EVENT, r#"{"message":"Hello Wörld! 100%"}"#).keyed("k-7");
    produce(&kafka, "in", &[sent.clone()]).await;
    let arriving = timeout(PATIENCE, function.received(1)).await;
    let received = arriving.unwrap_or_else(|_| panic!("{}", tidegate.log()));
    assert_eq!(received[0].header("ce-id"), Some("1234-1234-1234"));
    assert_eq!(received[0].header("ce-partitionkey"), Some("k-7"));
    assert_eq!(received[0].body, sent.value.as_bytes());
    let found = consume(&kafka, "out", 1).await.remove(0);
    assert_eq!(
        (found.key.as_deref(), &*found.value),
        (Some("k-7"), &*sent.value)
    );
    for (name, value) in EVENT {
        assert_eq!(found.header(name), Some(value), "{found:?}");
    }
    let _ = (json!(null), Value::Null);
}
