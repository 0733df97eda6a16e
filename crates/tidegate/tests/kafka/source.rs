//! A topic as a door.

use std::{
    env, fs,
    path::Path,
    process::Command,
    slice,
    time::{Duration, Instant},
};

use serde_json::Value;
use tidegate_event::{Leniency, json};
use tidegate_testkit::{Kafka, Received, Sink};
use tokio::time::timeout;

use crate::{
    broker::{Record, consume, produce},
    harness::{PATIENCE, Tidegate},
    scenarios::scenarios,
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

/// What the Function has, when it is so much.
async fn received(function: &Sink, count: usize, tidegate: &Tidegate) -> Vec<Received> {
    let arriving = timeout(PATIENCE, function.received(count)).await;
    let Ok(received) = arriving else {
        unreachable!("{} of {count}: {}", function.count(), tidegate.log());
    };
    received
}

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
    produce(&kafka, "in", slice::from_ref(&sent)).await;
    let received = received(&function, 1, &tidegate).await;
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
}

/// The public scenarios of the binding, and the record of a CAP application, over the broker.
#[tokio::test]
async fn the_scenarios_of_the_binding_hold_over_a_broker() {
    let (Some(scenarios), Some(case)) = (scenarios("kafka-protocol-binding.feature"), cap_record())
    else {
        return;
    };
    assert_eq!(scenarios.len(), 3);
    let kafka = Kafka::start().await;
    kafka.create_topic("in", 1).await;
    let function = Sink::start(|_| 204_u16).await;
    let structured = format!(
        "{{ uri: '{}' }}\n  delivery: {{ format: structured }}",
        function.url()
    );
    let sources = source(&kafka, "in", "  partitionKey: false\n");
    let tidegate = up(&sources, &all_to("all", &structured)).await;
    let mut records: Vec<Record> = scenarios
        .iter()
        .map(|scenario| {
            let headers = scenario.tables.first().unwrap();
            let headers: Vec<(&str, &str)> = headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            // The tool takes a record a line.
            let value = scenario.blocks.first().unwrap().replace('\n', " ");
            Record::new(&headers, &value)
        })
        .collect();
    let (record, expected) = case;
    records.push(record);
    // An id that comes again is one event: each scenario has its own run.
    for (at, record) in records.iter_mut().enumerate() {
        for (name, value) in &mut record.headers {
            if name == "ce_id" {
                *value = format!("{value}-{at}");
            }
        }
        record.value = record
            .value
            .replace("\"1234-1234-1234\"", &format!("\"1234-1234-1234-{at}\""));
    }
    produce(&kafka, "in", &records).await;
    let received = received(&function, 4, &tidegate).await;
    for (at, scenario) in scenarios.iter().enumerate() {
        let id = format!("1234-1234-1234-{at}");
        let mut event = received
            .iter()
            .map(|one| json::decode(one.body.clone().into(), Leniency::Strict).unwrap())
            .find(|event| event.id == *id)
            .unwrap();
        event.id = "1234-1234-1234".into();
        scenario.holds(&event);
    }
    let cap = received.iter().find_map(|one| {
        let mut event: Value = serde_json::from_slice(&one.body).unwrap();
        let is_it = event["id"] == expected["id"];
        let event = event.as_object_mut().unwrap();
        event.retain(|name, _| !name.starts_with("ingress"));
        is_it.then(|| Value::Object(event.clone()))
    });
    assert_eq!(cap.unwrap(), expected);
}

/// The documented record of a CAP application, and its event.
fn cap_record() -> Option<(Record, Value)> {
    let folder = Path::new(&env::var_os("TIDEGATE_VECTORS")?).join("sap-cases");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let head = read("43-cap-kafka-record.http");
    let headers: Vec<(&str, &str)> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .collect();
    let value = read("43-cap-kafka-record.json").replace('\n', " ");
    let expected: Value = serde_json::from_str(&read("43-cap-kafka-record.expected.json")).unwrap();
    let record = Record::new(&headers, value.trim()).keyed("tenant-1");
    Some((record, expected["events"][0].clone()))
}

/// Raw records by a mapping; batches; and between them what nobody can read, which costs only itself.
#[tokio::test]
async fn a_record_that_is_poison_is_kept_and_the_partition_goes_on() {
    let kafka = Kafka::start().await;
    kafka.create_topic("raw", 1).await;
    kafka.create_topic("events", 1).await;
    let function = Sink::start(|_| 204_u16).await;
    let mapping =
        "  format: generic-json\n  mapping: { type: '/kind', source: erp, data: /body }\n";
    let sources = source(&kafka, "raw", mapping) + &source(&kafka, "events", "");
    let http = format!(
        "{{ uri: '{}' }}\n  delivery: {{ order: {{ key: source }} }}",
        function.url()
    );
    let tidegate = up(&sources, &all_to("all", &http)).await;
    let raw = |value: &str| Record::new(&[("trace", "\u{7f}x")], value).keyed("r");
    let records = [
        raw(r#"{"kind":"a","body":{"n":1}}"#),
        raw("not JSON"),
        raw(r#"{"kind":"b","body":{"n":2}}"#),
    ];
    produce(&kafka, "raw", &records).await;
    let received_raw = received(&function, 2, &tidegate).await;
    let told: Vec<_> = received_raw
        .iter()
        .map(|one| (one.header("ce-type"), one.header("ce-id"), &*one.body))
        .collect();
    assert_eq!(
        told,
        [
            (Some("a"), Some("raw/0/0"), &br#"{"n":1}"#[..]),
            (Some("b"), Some("raw/0/2"), &br#"{"n":2}"#[..]),
        ]
    );
    let letters = letters(&tidegate, "_kafka/raw").await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    let letter = &letters[0].to_string();
    for part in ["raw/0/1", "normalize/", "not JSON"] {
        assert!(letter.contains(part), "{part}: {letter}");
    }
    let batch = r#"[{"specversion":"1.0","id":"b1","source":"erp","type":"t"},{"specversion":"1.0","id":"b2","source":"erp","type":"t"}]"#;
    let mut wrong = EVENT.to_vec();
    wrong[1] = ("ce_id", "");
    let records = [
        Record::new(
            &[("content-type", "application/cloudevents-batch+json")],
            batch,
        ),
        Record::new(&wrong, "{}"),
        Record::new(&[("x", "y")], "just text"),
        Record::new(&EVENT, "{}"),
    ];
    produce(&kafka, "events", &records).await;
    let received = received(&function, 5, &tidegate).await;
    let ids: Vec<_> = received
        .iter()
        .skip(2)
        .map(|one| one.header("ce-id").unwrap())
        .collect();
    assert_eq!(ids, ["b1", "b2", "1234-1234-1234"]);
    assert_eq!(
        crate::source::letters(&tidegate, "_kafka/events")
            .await
            .len(),
        2
    );
    for part in ["raw/0  lag", "tidegate.raw", "generic-json"] {
        told_of_sources(&tidegate, &["show", "raw"], part).await;
    }
    told_of_sources(&tidegate, &["list"], "events  erp  tidegate").await;
    // What is kept is not read again.
    let taken = "tidegate_kafka_records_taken_total";
    tidegate.metric_reaches(taken, 7.0).await;
    assert_eq!(tidegate.metric(taken).await, 7.0);
}

/// Waits until the command line says this; how a source stands is looked at every few seconds.
async fn told_of_sources(tidegate: &Tidegate, arguments: &[&str], part: &str) {
    let began = Instant::now();
    loop {
        let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .arg("sources")
            .args(arguments)
            .args(["--admin", &format!("http://{}", tidegate.admin)])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}{error}");
        if text.contains(part) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "no {part}: {text}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Dead letters of a source, whole.
pub(crate) async fn letters(tidegate: &Tidegate, of: &str) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["dead-letters", "export", "--subscription", of, "--admin"])
        .arg(format!("http://{}", tidegate.admin))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A source whose Application is not there waits, and takes what came meanwhile when it is.
#[tokio::test]
async fn a_source_waits_for_its_application() {
    let kafka = Kafka::start().await;
    kafka.create_topic("in", 1).await;
    let function = Sink::start(|_| 204_u16).await;
    let configuration = "sources: { folder: sources, poll_interval: 100ms }\n\
                         applications: { folder: applications, poll_interval: 100ms }\n";
    let http = format!("{{ uri: '{}' }}", function.url());
    let tidegate = Tidegate::up_prepared(&all_to("all", &http), configuration, |folder| {
        fs::create_dir(folder.join("applications")).unwrap();
        fs::create_dir(folder.join("sources")).unwrap();
        fs::write(folder.join("sources/all.yaml"), source(&kafka, "in", "")).unwrap();
    })
    .await;
    let mut other = EVENT.to_vec();
    other[1] = ("ce_id", "other");
    other[3] = ("ce_source", "somebody-else");
    produce(
        &kafka,
        "in",
        &[Record::new(&EVENT, "{}"), Record::new(&other, "{}")],
    )
    .await;
    tidegate.log_says("there is no Application").await;
    assert_eq!(function.count(), 0);
    let application = "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: Application\n\
                       metadata: { name: erp }\nspec: { authentication: [{ none: {} }] }\n";
    fs::write(
        tidegate.dir.path().join("applications/erp.yaml"),
        application,
    )
    .unwrap();
    received(&function, 1, &tidegate).await;
    tidegate.log_says("identity/source-not-granted").await;
    assert_eq!(letters(&tidegate, "_kafka/in").await.len(), 1);
}
