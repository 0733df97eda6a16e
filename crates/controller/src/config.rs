//! What can be set.

use std::{num::NonZeroU16, time::Duration};

use serde::{Deserialize, Serialize};

/// How resources of a cluster are looked after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The namespaces whose resources count; none means all.
    pub namespaces: Vec<String>,
    /// Which of several controllers is in charge.
    pub lease: Lease,
    /// The cluster's domain, at the end of the names of its Services.
    pub cluster_domain: String,
    /// How often what was delivered is told in a status, at most.
    #[serde(with = "humantime_serde")]
    pub status_interval: Duration,
    /// How often streams and what is registered are looked at.
    #[serde(with = "humantime_serde")]
    pub drift_interval: Duration,
    /// The ConfigMap, beside the Lease, with the objects of its own deployment that are kept as they
    /// are there; without one, none are.
    pub deployed_objects: Option<String>,
    /// Resources that are looked after at once.
    pub concurrency: NonZeroU16,
}

/// The Lease that the one in charge holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lease {
    /// Its name.
    pub name: String,
    /// Its namespace; without one, that of the process, or `default`.
    pub namespace: Option<String>,
    /// After which time without a sign of life another one takes over.
    #[serde(with = "humantime_serde")]
    pub duration: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            namespaces: Vec::new(),
            lease: Lease::default(),
            cluster_domain: "cluster.local".to_owned(),
            status_interval: Duration::from_secs(30),
            drift_interval: Duration::from_secs(10),
            deployed_objects: None,
            concurrency: NonZeroU16::new(32).expect("32 is not 0"),
        }
    }
}

impl Default for Lease {
    fn default() -> Self {
        Self {
            name: "tidegate-controller".to_owned(),
            namespace: None,
            duration: Duration::from_secs(15),
        }
    }
}

impl Config {
    /// What is wrong with it.
    pub fn validate(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let durations = [
            ("lease.duration", self.lease.duration, 3),
            ("status_interval", self.status_interval, 1),
            ("drift_interval", self.drift_interval, 1),
        ];
        for (key, duration, least) in durations {
            if duration < Duration::from_secs(least) {
                mistakes.push(format!("{key}: must be at least {least}s"));
            }
        }
        if self.cluster_domain.is_empty() {
            mistakes.push("cluster_domain: must not be empty".to_owned());
        }
        mistakes
    }
}
