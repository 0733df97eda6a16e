//! KafkaSources of a cluster, and Subscriptions whose sink is a topic.

use std::fs;

use serde_json::Value;
use tidegate_testkit::{Kafka, Sink};

use crate::cluster::{Cluster, OWN, condition, is_ready, service, sink_of, text};

const SOURCE: &str = "kafkasources.eventing.tidegate.dev";

fn source(brokers: &str, topics: &str) -> String {
    format!(
        "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: KafkaSource\n\
         metadata: {{ name: orders }}\n\
         spec:\n  brokers: ['{brokers}']\n  {topics}\n  application: erp\n  format: generic-json\n  \
         mapping: {{ type: /kind, source: erp }}\n"
    )
}

fn own(name: &str, sink: &str) -> String {
    format!(
        "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
         metadata: {{ name: {name}, namespace: shop }}\nspec:\n  sink: {sink}\n"
    )
}

/// A topic that is applied feeds the mesh at whichever gateway has the partition, a Subscription ends
/// in a topic; a source whose brokers are not there says so.
#[tokio::test]
async fn a_topic_is_a_source_and_a_sink_of_a_cluster() {
    let (mut cluster, kafka) = tokio::join!(Cluster::with(1, 2, 1), Kafka::start());
    for topic in ["orders", "out"] {
        kafka.create_topic(topic, 2).await;
    }
    let sink = Sink::start(|_| 204_u16).await;
    cluster.apply(&service("billing")).await;
    let http = format!("{{ uri: '{}' }}", sink_of("billing", &sink.url()));
    let topic = format!(
        "{{ kafka: {{ brokers: ['{}'], topic: out }} }}",
        kafka.bootstrap()
    );
    cluster.apply(&own("http", &http)).await;
    cluster.apply(&own("topic", &topic)).await;
    for name in ["http", "topic"] {
        cluster.until((OWN, name), "ready", is_ready).await;
    }
    cluster
        .apply(&source(&kafka.bootstrap(), "topics: [orders]"))
        .await;
    cluster.until((SOURCE, "orders"), "ready", is_ready).await;
    let arguments = [
        "--bootstrap-server",
        &kafka.bootstrap(),
        "--topic",
        "orders",
    ];
    let class = "org.apache.kafka.tools.ConsoleProducer";
    let sent = kafka.run_with_input(class, &arguments, "{\"kind\":\"order.created\"}\n");
    let sent = sent.await;
    assert!(sent.status.success(), "{}", text(&sent));
    let received = cluster.received(&sink, 1).await;
    assert_eq!(received[0].header("ce-type"), Some("order.created"));
    let read = kafka.read_events("out", 1).await;
    assert_eq!(read[0]["attributes"]["type"], "order.created", "{read:?}");

    // What no API server takes.
    let both = source("k:9092", "topics: [a]\n  topicPattern: ^a");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), both).unwrap();
    let arguments = ["apply", "-f", file.path().to_str().unwrap()];
    let refused = cluster.kubernetes.kubectl(&arguments).await;
    assert!(
        text(&refused).contains("either topics or topicPattern"),
        "{}",
        text(&refused)
    );
    // Brokers that are not there: the source says so, and goes on when they are.
    cluster
        .apply(&source("127.0.0.1:1", "topics: [orders]"))
        .await;
    let is_unusable = |one: &Value| condition(one, "Ready")["reason"] == "Unusable";
    cluster
        .until((SOURCE, "orders"), "unusable", is_unusable)
        .await;
    cluster
        .apply(&source(&kafka.bootstrap(), "topics: [orders]"))
        .await;
    cluster
        .until((SOURCE, "orders"), "ready again", is_ready)
        .await;
    cluster
        .kubectl(&format!("delete {SOURCE} orders --timeout=60s"))
        .await;
    cluster.gateways.clear();
}
