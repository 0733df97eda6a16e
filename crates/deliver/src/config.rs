//! The section `deliver`.

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// How one attempt is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long one attempt may take in all. Kyma's Functions may run for 180 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How long connecting to a sink may take.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Connections to one sink that are kept open though idle, for each thread.
    pub idle_connections_max: usize,
    /// How long an idle connection is kept.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// How much of an answer's body is read, so that its connection can be used again. A longer
    /// one costs the connection, not the delivery.
    pub response_bytes_max: ByteSize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(180),
            connect_timeout: Duration::from_secs(5),
            idle_connections_max: 64,
            idle_timeout: Duration::from_secs(30),
            response_bytes_max: ByteSize::kib(64),
        }
    }
}

impl Config {
    /// Every mistake, as `key: reason`.
    pub fn validate(&self) -> Vec<String> {
        let durations = [
            ("timeout", self.timeout),
            ("connect_timeout", self.connect_timeout),
            ("idle_timeout", self.idle_timeout),
        ];
        durations
            .into_iter()
            .filter(|(_, duration)| duration.is_zero())
            .map(|(key, _)| format!("{key}: must be longer than 0s"))
            .collect()
    }
}
