//! 50,000 records through the mesh into another topic, while everything that can fail does.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    time::{Duration, Instant},
};

use tidegate_testkit::{Kafka, NatsServer};

use crate::{
    broker::{Record, produce, succeeded},
    harness::Tidegate,
    source::{all_to, source},
};

const RECORDS: usize = 50_000;

const CHUNK: usize = 5_000;

const PARTITIONS: usize = 6;

/// How long the rest may take when everything is well again.
const REST_MAX: Duration = Duration::from_secs(180);

fn record(number: usize) -> Record {
    let id = number.to_string();
    let headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", &*id),
        ("ce_source", "erp"),
        ("ce_type", "counted"),
    ];
    Record::new(&headers, &format!("{{\"number\":{number}}}")).keyed(&format!("k{}", number % 97))
}

/// A process beside others on one NATS.
async fn process(kafka: &Kafka, nats: &NatsServer) -> Tidegate {
    let configuration = "sources: { folder: sources }\n";
    let topic = format!(
        "{{ kafka: {{ brokers: ['{}'], topic: out }} }}\n  \
         delivery: {{ order: {{ key: partitionkey }}, timeout: 30s }}",
        kafka.bootstrap()
    );
    let url = nats.url();
    let mut tidegate = Tidegate::down(&all_to("out", &topic), configuration, &["--nats", &url]);
    let folder = tidegate.dir.path().join("sources");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("all.yaml"), source(kafka, "in", "")).unwrap();
    tidegate.start().await;
    tidegate
}

/// The numbers by key, as they are in the topic.
async fn found(kafka: &Kafka) -> BTreeMap<String, Vec<usize>> {
    let bootstrap = kafka.bootstrap();
    let arguments = [
        "--bootstrap-server",
        &bootstrap,
        "--topic",
        "out",
        "--from-beginning",
        "--timeout-ms",
        "3000",
        "--formatter-property",
        "print.key=true",
        "--formatter-property",
        "key.separator= ",
    ];
    let class = "org.apache.kafka.tools.consumer.ConsoleConsumer";
    let text = succeeded(&kafka.run(class, &arguments).await);
    let mut found: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for line in text.lines() {
        let (key, value) = line.split_once(' ').unwrap();
        let number = value.trim_matches(|c: char| !c.is_ascii_digit());
        let of_key = found.entry(key.to_owned()).or_default();
        of_key.push(number.parse().unwrap());
    }
    found
}

/// The broker is killed and comes back, the group changes twice, and a process is killed: everything
/// that went in comes out, and of each key in order, but for what was under way when something died.
#[tokio::test]
async fn what_goes_into_a_topic_comes_out_of_another() {
    let (mut kafka, nats) = tokio::join!(Kafka::start(), NatsServer::start());
    kafka
        .create_topic("in", u32::try_from(PARTITIONS).unwrap())
        .await;
    kafka
        .create_topic("out", u32::try_from(PARTITIONS).unwrap())
        .await;
    let mut first = process(&kafka, &nats).await;
    let mut second = None;
    for chunk in 0..RECORDS / CHUNK {
        let records: Vec<Record> = (chunk * CHUNK..(chunk + 1) * CHUNK).map(record).collect();
        produce(&kafka, "in", &records).await;
        match chunk {
            1 => {
                kafka.kill();
                kafka.restart().await;
            }
            3 => second = Some(process(&kafka, &nats).await),
            5 => first.kill(),
            7 => first.start().await,
            _ => {}
        }
    }
    let began = Instant::now();
    let found = loop {
        let found = found(&kafka).await;
        let distinct: HashSet<usize> = found.values().flatten().copied().collect();
        if distinct.len() == RECORDS {
            break found;
        }
        let logs = || {
            format!(
                "{}\n{}",
                first.log(),
                second.as_ref().map_or_else(String::new, Tidegate::log)
            )
        };
        assert!(
            began.elapsed() < REST_MAX,
            "{} of {RECORDS}\n{}",
            distinct.len(),
            logs()
        );
    };
    let all: usize = found.values().map(Vec::len).sum();
    let mut late = 0;
    for numbers in found.values() {
        let mut last = 0;
        let mut seen = HashSet::new();
        for number in numbers.iter().filter(|number| seen.insert(**number)) {
            late += usize::from(*number < last);
            last = last.max(*number);
        }
    }
    println!(
        "{RECORDS} in, {all} out, {} twice, {late} out of order",
        all - RECORDS
    );
    assert!(all - RECORDS < RECORDS / 10, "{} twice", all - RECORDS);
    assert_eq!(late, 0, "out of order");
}
