//! What is counted, and what librdkafka's statistics say.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use rdkafka::Statistics;

use crate::sink::CODES;

/// Upper bounds in seconds: a broker takes from a millisecond to the attempt's timeout.
const DURATION_BUCKETS: [f64; 12] = [
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 180.0,
];

/// Most partitions of a source that are shown, each with its own row.
const PARTITIONS_MAX: usize = 1_000;

/// The families.
#[derive(Clone, Debug)]
pub struct Metrics {
    taken: Family<OfSource, Counter>,
    sent: Family<OfOutcome, Counter>,
    duration: Histogram,
    rebalances: Family<OfClient, Counter>,
    lag: Family<OfPartition, Gauge<i64, AtomicI64>>,
    queued: Family<OfClient, Gauge<i64, AtomicI64>>,
    queued_bytes: Family<OfClient, Gauge<i64, AtomicI64>>,
    brokers: Family<OfClient, Gauge<i64, AtomicI64>>,
    round_trip: Family<OfClient, Gauge<f64, AtomicU64>>,
    /// Names that clients have now.
    names: Arc<Mutex<BTreeSet<String>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSource {
    source: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfClient {
    client: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
struct OfPartition {
    source: String,
    topic: String,
    partition: i32,
}

impl Metrics {
    /// Those that are scraped.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            taken: Family::default(),
            sent: Family::default(),
            duration: Histogram::new(DURATION_BUCKETS),
            rebalances: Family::default(),
            lag: Family::default(),
            queued: Family::default(),
            queued_bytes: Family::default(),
            brokers: Family::default(),
            round_trip: Family::default(),
            names: Arc::default(),
        };
        let Self {
            taken,
            sent,
            duration,
            rebalances,
            lag,
            queued,
            queued_bytes,
            brokers,
            round_trip,
            names: _,
        } = metrics.clone();
        let text = "Records of a Kafka source, by what became of them";
        registry.register("tidegate_kafka_records_taken", text, taken);
        let text = "Attempts at Kafka topics, by outcome";
        registry.register("tidegate_kafka_attempts", text, sent);
        let text = "How long an attempt at a Kafka topic took, until its brokers had it";
        registry.register("tidegate_kafka_attempt_duration_seconds", text, duration);
        let text = "Changes of the partitions that a Kafka source has";
        registry.register("tidegate_kafka_rebalances", text, rebalances);
        let text = "Records of a partition that are not stored yet, of those that this process has";
        registry.register("tidegate_kafka_lag", text, lag);
        let text = "Records that wait in a Kafka client";
        registry.register("tidegate_kafka_queued_records", text, queued);
        let text = "Bytes of records that wait in a Kafka client";
        registry.register("tidegate_kafka_queued_bytes", text, queued_bytes);
        let text = "Brokers to which a Kafka client has a connection";
        registry.register("tidegate_kafka_brokers_up", text, brokers);
        let text = "Longest 99th percentile of a Kafka client's round trips to a broker";
        registry.register("tidegate_kafka_round_trip_seconds", text, round_trip);
        for outcome in ["stored"].into_iter().chain(CODES) {
            drop(metrics.sent.get_or_create(&OfOutcome { outcome }));
        }
        metrics
    }

    /// Records of a source were stored, or are dead letters.
    pub fn taken(&self, source: &str, stored: u64, dead: u64) {
        for (outcome, count) in [("stored", stored), ("dead-letter", dead)] {
            let source = source.to_owned();
            let of = OfSource { source, outcome };
            self.taken.get_or_create(&of).inc_by(count);
        }
    }

    /// A name that no other client has: this one, if it is free.
    fn named(&self, wanted: &str) -> String {
        // Every change is complete before anything in it can panic.
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let mut name = wanted.to_owned();
        let mut number = 2;
        while !names.insert(name.clone()) {
            name = format!("{wanted} ({number})");
            number += 1;
        }
        name
    }

    pub(crate) fn attempted(&self, outcome: &'static str, took: Duration) {
        self.sent.get_or_create(&OfOutcome { outcome }).inc();
        self.duration.observe(took.as_secs_f64());
    }
}

/// What is shown of one client as long as it is there.
#[derive(Debug)]
pub(crate) struct Shown {
    metrics: Metrics,
    client: OfClient,
    /// The lag of each partition that is shown.
    partitions: Mutex<BTreeMap<OfPartition, i64>>,
}

impl Shown {
    pub(crate) fn new(metrics: &Metrics, client: &str) -> Self {
        Self {
            metrics: metrics.clone(),
            client: OfClient {
                client: metrics.named(client),
            },
            partitions: Mutex::default(),
        }
    }

    pub(crate) fn rebalanced(&self) {
        self.metrics.rebalances.get_or_create(&self.client).inc();
    }

    pub(crate) fn told(&self, statistics: &Statistics) {
        let of = &self.client;
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        let Metrics {
            queued,
            queued_bytes,
            brokers,
            round_trip,
            ..
        } = &self.metrics;
        let ahead = statistics
            .topics
            .values()
            .flat_map(|topic| topic.partitions.values());
        let (count, bytes) = ahead.fold((0, 0), |(count, bytes), one| {
            (count + one.fetchq_cnt, bytes + number(one.fetchq_size))
        });
        queued
            .get_or_create(of)
            .set(number(statistics.msg_cnt) + count);
        queued_bytes
            .get_or_create(of)
            .set(number(statistics.msg_size) + bytes);
        let up = statistics.brokers.values();
        let up = up.filter(|broker| broker.state == "UP" && broker.nodeid >= 0);
        brokers
            .get_or_create(of)
            .set(i64::try_from(up.count()).unwrap_or(i64::MAX));
        let trips = statistics.brokers.values();
        let trips = trips.filter_map(|broker| Some(broker.rtt.as_ref()?.p99));
        let micros = u64::try_from(trips.max().unwrap_or(0)).unwrap_or(0);
        let longest = Duration::from_micros(micros).as_secs_f64();
        round_trip.get_or_create(of).set(longest);
        self.lag(statistics);
    }

    /// Of the partitions that this client has now.
    fn lag(&self, statistics: &Statistics) {
        // Every change is complete before anything in it can panic.
        let mut before = self
            .partitions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut now = BTreeMap::new();
        for topic in statistics.topics.values() {
            // -1 stands for all others, and for what is not known.
            let partitions = topic.partitions.values();
            for one in partitions.filter(|one| one.partition >= 0 && one.fetch_state == "active") {
                // Until an offset is kept, what is behind the one that was read.
                let lag = match one.consumer_lag_stored {
                    unknown if unknown < 0 => one.consumer_lag,
                    lag => lag,
                };
                if lag < 0 || now.len() == PARTITIONS_MAX {
                    continue;
                }
                let of = OfPartition {
                    source: self.client.client.clone(),
                    topic: topic.topic.clone(),
                    partition: one.partition,
                };
                self.metrics.lag.get_or_create(&of).set(lag);
                now.insert(of, lag);
            }
        }
        for gone in before.keys().filter(|of| !now.contains_key(of)) {
            self.metrics.lag.remove(gone);
        }
        *before = now;
    }

    /// How many records of a partition are not stored yet, where that is known.
    pub(crate) fn lag_of(&self, topic: &str, partition: i32) -> Option<i64> {
        let partitions = self
            .partitions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let of = OfPartition {
            source: self.client.client.clone(),
            topic: topic.to_owned(),
            partition,
        };
        partitions.get(&of).copied()
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let Metrics {
            lag,
            queued,
            queued_bytes,
            brokers,
            round_trip,
            ..
        } = &self.metrics;
        let partitions = self.partitions.get_mut();
        for of in partitions.unwrap_or_else(PoisonError::into_inner).keys() {
            lag.remove(of);
        }
        queued.remove(&self.client);
        queued_bytes.remove(&self.client);
        brokers.remove(&self.client);
        round_trip.remove(&self.client);
        let mut names = self
            .metrics
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        names.remove(&self.client.client);
    }
}
