//! The section `publish`.

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// How events are brought into the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long one event may wait for its durable acknowledgement, retries included. Keep it
    /// below `receive.request_timeout`. Some SAP brokers come back only after 15 minutes, so a
    /// held request beats a quick refusal.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    /// Most events of the whole process that may wait for their acknowledgement; above it the
    /// door answers 429. JetStream is at its fastest from about 1,000 on.
    pub in_flight_max: usize,
    /// Most bytes of data that may wait with them.
    pub in_flight_bytes_max: ByteSize,
    /// Whether a repeated event (same application, source and id) within
    /// `backbone.events.duplicate_window` is stored once. Costs the server about 230 bytes of
    /// memory for each id in the window.
    pub deduplicate: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            in_flight_max: 8_192,
            in_flight_bytes_max: ByteSize::mib(256),
            deduplicate: true,
        }
    }
}

impl Config {
    /// Every mistake, as `key: reason`.
    pub fn validate(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if self.deadline.is_zero() {
            mistakes.push("deadline: must be longer than 0s".to_owned());
        }
        if self.in_flight_max == 0 {
            mistakes.push("in_flight_max: must be at least 1".to_owned());
        }
        if self.in_flight_bytes_max.as_u64() == 0 {
            mistakes.push("in_flight_bytes_max: must be at least 1 B".to_owned());
        }
        mistakes
    }
}
