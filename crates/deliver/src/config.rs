//! The section `deliver`.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

use crate::Egress;

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
    /// How long an answer may take to begin; no less than the whole attempt, unless it is set.
    #[serde(with = "humantime_serde")]
    pub first_byte_timeout: Option<Duration>,
    /// Requests to one sink at once, for each thread; the next wait. Over HTTP/1.1 each has a
    /// connection of its own. The Subscriptions that have something to deliver to it share as many
    /// attempts.
    pub connections_max: NonZeroUsize,
    /// How long a connection is used before another takes its place, so that what the sink's name
    /// means is asked again.
    #[serde(with = "humantime_serde")]
    pub connection_age_max: Duration,
    /// Certificate authorities of https sinks beside the machine's own, as PEM.
    pub ca: Option<PathBuf>,
    /// Where events may be sent to.
    pub egress: Egress,
    /// Connections to one sink that are kept open though idle, for each thread. With fewer than
    /// there are requests at once, those that end together close what the next ones open again.
    pub idle_connections_max: usize,
    /// How long an idle connection is kept.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// How much of an answer's body is read. A sink that answers more has failed: it may stream
    /// for ever.
    pub response_bytes_max: ByteSize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(180),
            connect_timeout: Duration::from_secs(5),
            first_byte_timeout: None,
            connections_max: const { NonZeroUsize::new(1_024).expect("1024 is not 0") },
            connection_age_max: Duration::from_secs(300),
            ca: None,
            egress: Egress::default(),
            idle_connections_max: 1_024,
            idle_timeout: Duration::from_secs(30),
            response_bytes_max: ByteSize::mib(1),
        }
    }
}

impl Config {
    /// Makes paths relative to this folder.
    pub fn resolve(&mut self, folder: &Path) {
        if let Some(ca) = &mut self.ca {
            *ca = folder.join(&*ca);
        }
    }

    /// Every mistake, as `key: reason`.
    pub fn validate(&self) -> Vec<String> {
        let durations = [
            ("timeout", self.timeout),
            ("connect_timeout", self.connect_timeout),
            ("idle_timeout", self.idle_timeout),
            ("connection_age_max", self.connection_age_max),
        ];
        let first_byte = self
            .first_byte_timeout
            .map(|one| ("first_byte_timeout", one));
        durations
            .into_iter()
            .chain(first_byte)
            .filter(|(_, duration)| duration.is_zero())
            .map(|(key, _)| format!("{key}: must be longer than 0s"))
            .collect()
    }
}
