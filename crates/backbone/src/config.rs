//! The section `backbone`.

use std::{path::PathBuf, time::Duration};

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// The durable log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address of a NATS server or, comma separated, of several. Without one, and without
    /// `--nats`, Tidegate runs a nats-server of its own.
    pub url: Option<String>,
    /// A NATS credentials file (JWT and key) for `url`.
    pub credentials_file: Option<PathBuf>,
    /// First token of every subject.
    pub subject_root: String,
    /// Copies of each stream: 1 on a single server, 3 or 5 on a cluster.
    pub replicas: usize,
    /// Where the streams are kept.
    pub storage: Storage,
    /// The stream of events.
    pub events: StreamConfig,
    /// The stream of dead letters.
    pub dead_letters: StreamConfig,
    /// How long a connection may take to be made.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long one append waits for its acknowledgement before it is tried again.
    #[serde(with = "humantime_serde")]
    pub append_timeout: Duration,
    /// Most appends that wait for their acknowledgement on one connection.
    pub in_flight_max: usize,
    /// Above this part of `events.size_max`, settled events are purged to make room.
    pub reclaim_above: f64,
}

/// One stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamConfig {
    /// Its name.
    pub stream: String,
    /// Most bytes that it may hold; beyond, it refuses.
    pub size_max: ByteSize,
    /// How old an event may grow, delivered or not; 0s for any age.
    #[serde(with = "humantime_serde")]
    pub age_max: Duration,
    /// How long a repeated message id is recognised. About 230 bytes of server memory for each
    /// id in the window: 20 minutes at 1,000 events a second are 280 MB.
    #[serde(with = "humantime_serde")]
    pub duplicate_window: Duration,
}

/// Where a stream is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// In files.
    File,
    /// In memory: gone with the server.
    Memory,
}

impl Default for Config {
    fn default() -> Self {
        let stream = |name: &str, size_max| StreamConfig {
            stream: name.to_owned(),
            size_max,
            age_max: Duration::ZERO,
            duplicate_window: Duration::from_secs(120),
        };
        Self {
            url: None,
            credentials_file: None,
            subject_root: "tidegate".to_owned(),
            replicas: 1,
            storage: Storage::File,
            events: stream("TIDEGATE_EVENTS", ByteSize::gib(4)),
            dead_letters: stream("TIDEGATE_DEAD", ByteSize::gib(1)),
            connect_timeout: Duration::from_secs(5),
            append_timeout: Duration::from_secs(5),
            in_flight_max: 4_096,
            reclaim_above: 0.8,
        }
    }
}

impl Default for StreamConfig {
    fn default() -> Self {
        Config::default().events
    }
}

impl Config {
    /// The root of the events' subjects.
    pub fn events_root(&self) -> String {
        format!("{}.events", self.subject_root)
    }

    /// The root of the dead letters' subjects.
    pub fn dead_letters_root(&self) -> String {
        format!("{}.dead", self.subject_root)
    }

    /// Every mistake, as `key: reason`.
    pub fn validate(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut check = |fine: bool, mistake: &str| {
            if !fine {
                mistakes.push(mistake.to_owned());
            }
        };
        let legal = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        };
        check(legal(&self.subject_root), "subject_root: must be letters, digits, '-' and '_'");
        check(matches!(self.replicas, 1..=5), "replicas: must be 1 to 5");
        for (section, stream) in [("events", &self.events), ("dead_letters", &self.dead_letters)] {
            check(
                legal(&stream.stream),
                &format!("{section}.stream: must be letters, digits, '-' and '_'"),
            );
            check(
                stream.size_max.as_u64() >= 64 << 10,
                &format!("{section}.size_max: must be at least 64 KiB"),
            );
            check(
                !stream.duplicate_window.is_zero(),
                &format!("{section}.duplicate_window: must be longer than 0s"),
            );
            check(
                stream.age_max.is_zero() || stream.age_max >= stream.duplicate_window,
                &format!("{section}.age_max: must be 0s or at least the duplicate_window"),
            );
        }
        check(self.events.stream != self.dead_letters.stream, "dead_letters.stream: is taken by events");
        check(!self.connect_timeout.is_zero(), "connect_timeout: must be longer than 0s");
        check(!self.append_timeout.is_zero(), "append_timeout: must be longer than 0s");
        check(
            (1..=65_536).contains(&self.in_flight_max),
            "in_flight_max: must be 1 to 65536",
        );
        check(
            self.reclaim_above > 0.0 && self.reclaim_above < 1.0,
            "reclaim_above: must be above 0 and below 1",
        );
        mistakes
    }
}
