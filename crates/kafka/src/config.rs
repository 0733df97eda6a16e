//! The section `kafka`.

use std::{num::NonZeroUsize, time::Duration};

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// What can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Most records of a source that are taken at once; as many are read meanwhile.
    pub records_max: NonZeroUsize,
    /// Most bytes of a source that are fetched ahead, and of a sink that wait for brokers.
    pub queued_bytes_max: ByteSize,
    /// Most records of a sink that wait for brokers.
    pub queued_records_max: NonZeroUsize,
    /// Largest record that is sent; brokers have a limit of their own.
    pub record_bytes_max: ByteSize,
    /// How long a record of a sink may wait for its brokers, where its Subscription says nothing.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How long a sink waits for more to send together.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// How often offsets of what is stored are committed.
    #[serde(with = "humantime_serde")]
    pub commit_interval: Duration,
    /// How often lag, queues and brokers are looked at.
    #[serde(with = "humantime_serde")]
    pub statistics_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            records_max: NonZeroUsize::new(1_000).expect("1000 is not 0"),
            queued_bytes_max: ByteSize::mib(32),
            queued_records_max: NonZeroUsize::new(100_000).expect("100000 is not 0"),
            record_bytes_max: ByteSize::mib(8),
            timeout: Duration::from_secs(30),
            linger: Duration::from_millis(1),
            commit_interval: Duration::from_secs(1),
            statistics_interval: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// Every mistake, as `key: reason`.
    pub fn validate(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut durations = |key: &str, value: Duration, least: u64, most: u64| {
            let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
            if !(least..=most).contains(&value) {
                mistakes.push(format!("{key}: must be from {least:?} to {most:?}"));
            }
        };
        durations("timeout", self.timeout, 1_000, 3_600_000);
        durations("linger", self.linger, 0, 1_000);
        durations("commit_interval", self.commit_interval, 10, 86_400_000);
        durations(
            "statistics_interval",
            self.statistics_interval,
            100,
            86_400_000,
        );
        // As librdkafka has them.
        for (key, value, least, most) in [
            (
                "queued_bytes_max",
                self.queued_bytes_max,
                1 << 10,
                2_097_151 << 10,
            ),
            (
                "record_bytes_max",
                self.record_bytes_max,
                1_000,
                1_000_000_000,
            ),
        ] {
            if !(least..=most).contains(&value.as_u64()) {
                mistakes.push(format!("{key}: must be from {least} to {most} bytes"));
            }
        }
        for (key, value, most) in [
            ("records_max", self.records_max, 100_000),
            ("queued_records_max", self.queued_records_max, 10_000_000),
        ] {
            if value.get() > most {
                mistakes.push(format!("{key}: must be at most {most}"));
            }
        }
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What librdkafka would refuse later is told at the start.
    #[test]
    fn the_defaults_are_right_and_mistakes_are_told() {
        assert_eq!(Config::default().validate(), Vec::<String>::new());
        let wrong = Config {
            records_max: NonZeroUsize::MAX,
            queued_bytes_max: ByteSize::b(1),
            queued_records_max: NonZeroUsize::MAX,
            record_bytes_max: ByteSize::b(1),
            timeout: Duration::ZERO,
            linger: Duration::MAX,
            commit_interval: Duration::ZERO,
            statistics_interval: Duration::ZERO,
        };
        assert_eq!(wrong.validate().len(), 8);
    }
}
