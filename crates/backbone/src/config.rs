//! The section `backbone`: where the log is, and how its streams are kept.
//!
//! Running a nats-server is not configured here.

use std::{path::PathBuf, time::Duration};

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// Most slots of one connection: each is one waiting append, and the client queues that many
/// messages for one subscription before it drops some.
const IN_FLIGHT_MAX: usize = 65_536;

/// Shortest duplicate window that JetStream takes.
const DUPLICATE_WINDOW_MIN: Duration = Duration::from_millis(100);

/// Below this, an append fails that a busy server would have acknowledged.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);

/// Most bytes of the subjects' root, so that source and type keep their room.
const SUBJECT_ROOT_BYTES_MAX: usize = 100;

/// JetStream's limit.
const REPLICAS_MAX: usize = 5;

/// With fewer there is no majority that survives the loss of one.
pub(crate) const REPLICAS_QUORUM_MIN: usize = 3;

/// The durable log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The NATS servers, several separated by commas: `nats://host:4222`. Without it the gateway
    /// runs a server of its own.
    pub url: Option<String>,
    /// A NATS credentials file (JWT and seed).
    pub credentials_file: Option<PathBuf>,
    /// Certificates, in PEM, of the authorities that vouch for the NATS servers, instead of those
    /// that the machine knows. For `tls://` and wherever a server asks for TLS.
    pub ca_file: Option<PathBuf>,
    /// What the subjects begin with: events go to `<root>.events.<source>.<type>`, dead letters
    /// to `<root>.dead.<namespace>.<subscription>`, what happened to events to `<root>.history`.
    pub subject_root: String,
    /// On how many servers each stream is kept: 1 survives the end of any process, 3 the loss of
    /// a machine.
    pub replicas: usize,
    /// Where the streams are kept. Cannot be changed afterwards.
    pub storage: Storage,
    /// What an acknowledged event survives.
    pub durability: Durability,
    /// The stream of the events.
    pub events: Events,
    /// The stream of the dead letters.
    pub dead_letters: DeadLetters,
    /// The stream of what happened to events.
    pub history: History,
    /// How long connecting may take.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long an append waits for its acknowledgement. An R1 file stream answers in
    /// milliseconds, a quorum that changes its leader within seconds.
    #[serde(with = "humantime_serde")]
    pub append_timeout: Duration,
    /// Most appends that wait for their acknowledgement, for each connection. Throughput stops
    /// growing at 1,024; each costs about 200 bytes.
    pub in_flight_max: usize,
    /// From which part of `events.size_max` on events that every consumer has settled are purged
    /// to make room.
    pub reclaim_above: f64,
}

/// Where a stream is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// In files; survives the end of the server.
    #[default]
    File,
    /// In memory; for trials only.
    Memory,
}

/// What an acknowledged event survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// The kill of any process. The operating system has it, the disk up to two minutes later.
    #[default]
    Default,
    /// And the loss of a machine: a quorum has it.
    Replicated,
    /// The loss of power: it is on disk before the answer.
    Fsync,
}

/// The stream of the events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Events {
    /// Its name.
    pub stream: String,
    /// Most bytes that it takes; events are refused above.
    pub size_max: ByteSize,
    /// After which time an event is deleted, delivered or not; 0s for never.
    #[serde(with = "humantime_serde")]
    pub age_max: Duration,
    /// How long a message id is remembered. The server keeps about 230 bytes for each id in the
    /// window: 20 minutes at 1,000 events a second are 280 MB, the default 2 minutes 28 MB.
    #[serde(with = "humantime_serde")]
    pub duplicate_window: Duration,
}

/// The stream of the dead letters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetters {
    /// Its name.
    pub stream: String,
    /// Most bytes that it takes; further dead letters wait in the stream of the events.
    pub size_max: ByteSize,
    /// After which time a dead letter is deleted; 0s for never.
    #[serde(with = "humantime_serde")]
    pub age_max: Duration,
}

/// The stream of what happened to events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct History {
    /// Its name.
    pub stream: String,
    /// Most bytes that it takes; the oldest are deleted above. A delivery takes some 20.
    pub size_max: ByteSize,
    /// After which time what is told there is deleted; 0s for never.
    #[serde(with = "humantime_serde")]
    pub age_max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: None,
            credentials_file: None,
            ca_file: None,
            subject_root: "tidegate".to_owned(),
            replicas: 1,
            storage: Storage::File,
            durability: Durability::Default,
            events: Events::default(),
            dead_letters: DeadLetters::default(),
            history: History::default(),
            connect_timeout: Duration::from_secs(5),
            append_timeout: Duration::from_secs(5),
            in_flight_max: 4_096,
            reclaim_above: 0.8,
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self {
            stream: "TIDEGATE_EVENTS".to_owned(),
            size_max: ByteSize::gib(4),
            age_max: Duration::ZERO,
            duplicate_window: Duration::from_mins(2),
        }
    }
}

impl Default for DeadLetters {
    fn default() -> Self {
        Self {
            stream: "TIDEGATE_DEAD".to_owned(),
            size_max: ByteSize::gib(1),
            age_max: Duration::ZERO,
        }
    }
}

impl Default for History {
    fn default() -> Self {
        Self {
            stream: "TIDEGATE_HISTORY".to_owned(),
            size_max: ByteSize::mib(256),
            age_max: Duration::from_hours(7 * 24),
        }
    }
}

impl Config {
    /// What the subjects of events begin with.
    pub fn events_root(&self) -> String {
        format!("{}.events", self.subject_root)
    }

    /// What the subjects of dead letters begin with.
    pub fn dead_letters_root(&self) -> String {
        format!("{}.dead", self.subject_root)
    }

    /// Where what happened to events goes.
    pub(crate) fn history_subject(&self) -> String {
        format!("{}.history", self.subject_root)
    }

    /// The names of the streams that appends go to.
    pub(crate) fn streams(&self) -> [String; 2] {
        [self.events.stream.clone(), self.dead_letters.stream.clone()]
    }

    /// Every mistake as `key: reason`.
    pub fn validate(&self) -> Vec<String> {
        let mut mistakes = self.connection_mistakes();
        mistakes.extend(self.stream_mistakes());
        mistakes.extend(self.durability_mistake());
        mistakes
    }

    fn connection_mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let urls = self.url.iter().flat_map(|urls| urls.split(','));
        for url in urls {
            if url.trim().parse::<async_nats::ServerAddr>().is_err() {
                // The value is not repeated: it may hold a password.
                mistakes.push("url: not a list of NATS URLs such as nats://host:4222".to_owned());
            }
        }
        for (key, timeout) in [
            ("connect_timeout", self.connect_timeout),
            ("append_timeout", self.append_timeout),
        ] {
            if timeout < TIMEOUT_MIN {
                mistakes.push(format!("{key}: {timeout:?} is less than {TIMEOUT_MIN:?}"));
            }
        }
        if !(1..=IN_FLIGHT_MAX).contains(&self.in_flight_max) {
            let value = self.in_flight_max;
            mistakes.push(format!(
                "in_flight_max: {value} is not between 1 and {IN_FLIGHT_MAX}"
            ));
        }
        mistakes
    }

    /// A promise that the streams could not keep.
    fn durability_mistake(&self) -> Option<String> {
        let replicas = self.replicas;
        match self.durability {
            Durability::Replicated if replicas < REPLICAS_QUORUM_MIN => Some(format!(
                "durability: replicated needs replicas of at least {REPLICAS_QUORUM_MIN}, got \
                 {replicas}"
            )),
            Durability::Fsync if self.storage == Storage::Memory => {
                Some("durability: fsync needs storage: file, got memory".to_owned())
            }
            Durability::Default | Durability::Replicated | Durability::Fsync => None,
        }
    }

    fn stream_mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if !is_subject_root(&self.subject_root) {
            mistakes.push(format!(
                "subject_root: {:?} is not made of dot-separated tokens of letters, digits, - \
                 and _ with at most {SUBJECT_ROOT_BYTES_MAX} characters",
                self.subject_root
            ));
        }
        if !(1..=REPLICAS_MAX).contains(&self.replicas) {
            let value = self.replicas;
            mistakes.push(format!(
                "replicas: {value} is not between 1 and {REPLICAS_MAX}"
            ));
        }
        let (events, dead, history) = (&self.events, &self.dead_letters, &self.history);
        for (key, name, size) in [
            ("events", &events.stream, events.size_max),
            ("dead_letters", &dead.stream, dead.size_max),
            ("history", &history.stream, history.size_max),
        ] {
            if !is_stream_name(name) {
                mistakes.push(format!(
                    "{key}.stream: {name:?} is not made of 1 to 255 letters, digits, - and _"
                ));
            }
            if !(1..=i64::MAX.unsigned_abs()).contains(&size.as_u64()) {
                mistakes.push(format!(
                    "{key}.size_max: {size} is not between 1 byte and 8 EiB"
                ));
            }
        }
        if events.stream == dead.stream {
            mistakes.push("dead_letters.stream: the same as events.stream".to_owned());
        }
        if [&events.stream, &dead.stream].contains(&&history.stream) {
            mistakes.push("history.stream: the same as another one".to_owned());
        }
        let (window, age) = (events.duplicate_window, events.age_max);
        if window < DUPLICATE_WINDOW_MIN {
            mistakes.push(format!(
                "events.duplicate_window: {window:?} is less than {DUPLICATE_WINDOW_MIN:?}"
            ));
        }
        if !age.is_zero() && window > age {
            mistakes.push(format!(
                "events.duplicate_window: {window:?} is more than events.age_max, {age:?}"
            ));
        }
        if !(self.reclaim_above > 0.0 && self.reclaim_above < 1.0) {
            mistakes.push(format!(
                "reclaim_above: {} is not between 0 and 1",
                self.reclaim_above
            ));
        }
        mistakes
    }
}

fn is_subject_root(root: &str) -> bool {
    root.len() <= SUBJECT_ROOT_BYTES_MAX
        && root
            .split('.')
            .all(|token| !token.is_empty() && token.bytes().all(is_plain))
}

fn is_stream_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && name.bytes().all(is_plain)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The defaults are usable as they are, and survive the way through a file.
    #[test]
    fn defaults_are_valid() {
        let config = Config::default();
        assert_eq!(config.validate(), Vec::<String>::new());
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
    }

    /// Every mistake is named with its key, all at once.
    #[test]
    fn mistakes_are_all_reported() {
        let config = Config {
            url: Some("nats://user:secret@host:port".to_owned()),
            subject_root: "a..b".to_owned(),
            replicas: 0,
            events: Events {
                stream: "a.b".to_owned(),
                size_max: ByteSize::b(0),
                age_max: Duration::from_secs(1),
                duplicate_window: Duration::from_secs(2),
            },
            dead_letters: DeadLetters {
                stream: String::new(),
                ..DeadLetters::default()
            },
            connect_timeout: Duration::ZERO,
            append_timeout: Duration::ZERO,
            in_flight_max: 0,
            reclaim_above: f64::NAN,
            durability: Durability::Replicated,
            ..Config::default()
        };
        let mistakes = config.validate();
        let keys: Vec<&str> = mistakes
            .iter()
            .filter_map(|mistake| mistake.split(':').next())
            .collect();
        assert_eq!(
            keys,
            [
                "url",
                "connect_timeout",
                "append_timeout",
                "in_flight_max",
                "subject_root",
                "replicas",
                "events.stream",
                "events.size_max",
                "dead_letters.stream",
                "events.duplicate_window",
                "reclaim_above",
                "durability",
            ]
        );
        assert!(
            mistakes.iter().all(|mistake| !mistake.contains("secret")),
            "{mistakes:?}"
        );
    }

    /// No durability is promised that the streams cannot keep.
    #[test]
    fn a_durability_has_what_it_needs() {
        let mistakes = |durability, replicas, storage| {
            let config = Config {
                durability,
                replicas,
                storage,
                ..Config::default()
            };
            config.validate()
        };
        for (durability, replicas, storage) in [
            (Durability::Default, 1, Storage::Memory),
            (Durability::Replicated, 3, Storage::File),
            (Durability::Replicated, 5, Storage::Memory),
            (Durability::Fsync, 1, Storage::File),
            (Durability::Fsync, 3, Storage::File),
        ] {
            let none = Vec::<String>::new();
            assert_eq!(mistakes(durability, replicas, storage), none);
        }
        assert_eq!(
            mistakes(Durability::Replicated, 2, Storage::File),
            ["durability: replicated needs replicas of at least 3, got 2"]
        );
        assert_eq!(
            mistakes(Durability::Fsync, 3, Storage::Memory),
            ["durability: fsync needs storage: file, got memory"]
        );
        for (text, durability) in [
            ("default", Durability::Default),
            ("replicated", Durability::Replicated),
            ("fsync", Durability::Fsync),
        ] {
            let config: Config =
                serde_json::from_str(&format!(r#"{{"durability": "{text}"}}"#)).unwrap();
            assert_eq!(config.durability, durability);
        }
    }

    /// One stream cannot be both, and a window below JetStream's is refused here, not there.
    #[test]
    fn streams_differ_and_windows_are_possible() {
        let mut config = Config::default();
        config.dead_letters.stream = config.events.stream.clone();
        config.events.duplicate_window = Duration::from_millis(99);
        let mistakes = config.validate();
        assert!(
            mistakes[0].starts_with("dead_letters.stream: "),
            "{mistakes:?}"
        );
        assert!(
            mistakes[1].starts_with("events.duplicate_window: "),
            "{mistakes:?}"
        );
        assert_eq!(mistakes.len(), 2);
    }

    /// An unknown key is a mistake, not a default.
    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"replica": 3}"#).is_err());
        assert!(serde_json::from_str::<Config>(r#"{"events": {"size": "1GiB"}}"#).is_err());
    }
}
