//! The section `receive`.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    num::NonZeroUsize,
    path::Path,
    thread,
    time::Duration,
};

use bytesize::ByteSize;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::TlsConfig;

/// Threads that one process may be told to start; far above any machine's cores, it catches typos.
const THREADS_MAX: usize = 1_024;

/// What the HTTP parser needs at least for a request's head.
const HEADER_BYTES_LEAST: ByteSize = ByteSize::kib(8);

/// Every connection may hold this much unparsed, so it is no place for generosity.
const HEADER_BYTES_MOST: ByteSize = ByteSize::mib(1);

/// Headers that the parser can be told to hold.
const HEADER_COUNT_MOST: usize = 1_000;

/// Where the doors are, and what fits through them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The address of all doors. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Threads, each with a listener of its own; 0 is one per core.
    pub threads: usize,
    /// Most open connections of the whole process. One above it is answered 503 and closed.
    pub connections_max: usize,
    /// Most requests that one HTTP/2 connection may have open.
    pub streams_max: u32,
    /// Most bytes of one request's body; above it the answer is 413.
    pub body_bytes_max: ByteSize,
    /// Most bytes of all bodies that are in memory together; above it the answer is 429.
    pub buffer_bytes_max: ByteSize,
    /// Most events in one batch.
    pub batch_events_max: usize,
    /// Most headers of one request; above it the answer is 431.
    pub header_count_max: usize,
    /// Most bytes of all headers of one request; above it the answer is 431.
    pub header_bytes_max: ByteSize,
    /// How long the head of a request may take, from its first byte; the first one from the
    /// connection's beginning.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// How long a request may take from its head to its answer. A body that comes too slowly for
    /// it is answered 408.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// How long a connection may stay open without a request.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Networks whose peers may send without an identity, and then only from sources that no
    /// Application has for its own. Empty: nobody may.
    pub anonymous: Vec<IpNet>,
    /// The same doors over TLS.
    pub tls: TlsConfig,
}

impl Default for Config {
    /// The header limits are those of common proxies in front; 1 MiB is the largest message that
    /// a nats-server takes unless told otherwise.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080)),
            threads: 0,
            connections_max: 4_096,
            streams_max: 128,
            body_bytes_max: ByteSize::mib(1),
            buffer_bytes_max: ByteSize::mib(256),
            batch_events_max: 1_000,
            header_count_max: 100,
            header_bytes_max: ByteSize::kib(64),
            header_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            anonymous: vec![
                IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
                IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
            ],
            tls: TlsConfig::default(),
        }
    }
}

impl Config {
    /// Every mistake, as `key: reason`.
    pub fn validate(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if self.threads > THREADS_MAX {
            mistakes.push(format!("threads: must be at most {THREADS_MAX}"));
        }
        let counts = [
            ("connections_max", self.connections_max),
            ("streams_max", self.streams_max as usize),
            ("batch_events_max", self.batch_events_max),
            ("header_count_max", self.header_count_max),
        ];
        for (key, count) in counts {
            if count == 0 {
                mistakes.push(format!("{key}: must be at least 1"));
            }
        }
        if self.header_count_max > HEADER_COUNT_MOST {
            mistakes.push(format!(
                "header_count_max: must be at most {HEADER_COUNT_MOST}"
            ));
        }
        if self.connections_max > tokio::sync::Semaphore::MAX_PERMITS {
            mistakes.push("connections_max: is larger than anything can count".to_owned());
        }
        if self.body_bytes_max.as_u64() == 0 {
            mistakes.push("body_bytes_max: must be at least 1 B".to_owned());
        }
        if self.buffer_bytes_max < self.body_bytes_max {
            mistakes.push(format!(
                "buffer_bytes_max: must be at least body_bytes_max, {}",
                self.body_bytes_max
            ));
        }
        if !(HEADER_BYTES_LEAST..=HEADER_BYTES_MOST).contains(&self.header_bytes_max) {
            mistakes.push(format!(
                "header_bytes_max: must be from {HEADER_BYTES_LEAST} to {HEADER_BYTES_MOST}"
            ));
        }
        let durations = [
            ("header_timeout", self.header_timeout),
            ("request_timeout", self.request_timeout),
            ("idle_timeout", self.idle_timeout),
        ];
        for (key, duration) in durations {
            if duration.is_zero() {
                mistakes.push(format!("{key}: must be longer than 0s"));
            }
        }
        mistakes.extend(self.tls.validate());
        if self.listen.port() != 0 && self.tls.listen == Some(self.listen) {
            mistakes.push("tls.listen: must be another address than listen".to_owned());
        }
        mistakes
    }

    /// Takes the relative paths of files as relative to this folder.
    pub fn resolve(&mut self, folder: &Path) {
        self.tls.resolve(folder);
    }

    /// How many threads serve, with 0 resolved.
    pub fn threads(&self) -> usize {
        match self.threads {
            0 => thread::available_parallelism().map_or(1, NonZeroUsize::get),
            threads => threads,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The default must not be refused by its own check.
    #[test]
    fn the_default_has_no_mistake() {
        assert_eq!(Config::default().validate(), Vec::<String>::new());
        assert_eq!(Config::default().listen.to_string(), "0.0.0.0:8080");
    }

    /// All mistakes are told at once, each with its key.
    #[test]
    fn every_mistake_is_told_at_once() {
        let config = Config {
            threads: THREADS_MAX + 1,
            connections_max: 0,
            streams_max: 0,
            body_bytes_max: ByteSize::b(0),
            batch_events_max: 0,
            header_count_max: 0,
            header_bytes_max: ByteSize::b(100),
            header_timeout: Duration::ZERO,
            request_timeout: Duration::ZERO,
            idle_timeout: Duration::ZERO,
            ..Config::default()
        };
        let mistakes = config.validate();
        let keys: Vec<_> = mistakes
            .iter()
            .filter_map(|line| line.split_once(": "))
            .collect();
        assert_eq!(keys.len(), 10, "{mistakes:?}");
    }

    /// Two listeners on one address would each get half of the other's connections.
    #[test]
    fn both_listeners_on_one_address_are_a_mistake() {
        let mut config = Config::default();
        config.tls.listen = Some(config.listen);
        config.tls.certificate = Some("certificate.pem".into());
        config.tls.key = Some("key.pem".into());
        assert_eq!(
            config.validate(),
            ["tls.listen: must be another address than listen"]
        );
    }

    /// A buffer that cannot hold one body would refuse every large request.
    #[test]
    fn a_buffer_smaller_than_a_body_is_a_mistake() {
        let config = Config {
            buffer_bytes_max: ByteSize::kib(1),
            ..Config::default()
        };
        assert!(config.validate()[0].starts_with("buffer_bytes_max: "));
    }

    /// What is written in the reference file reads back as the same.
    #[test]
    fn the_default_survives_its_text_form_and_unknown_keys_are_refused() {
        let text = serde_json::to_string(&Config::default()).unwrap();
        assert_eq!(
            serde_json::from_str::<Config>(&text).unwrap(),
            Config::default()
        );
        assert!(serde_json::from_str::<Config>(r#"{"body_bytes":"1MiB"}"#).is_err());
    }
}
