//! The section `identity`.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// More networks than this are a mistake; each one costs every request a comparison.
const TRUSTED_PROXIES_MAX: usize = 256;

/// More remembered pairs than this would be memory without a use.
const VERIFIED_CACHE_MOST: usize = 1_000_000;

/// A longer memory would keep a withdrawn password alive for too long.
const VERIFIED_FOR_MOST: Duration = Duration::from_hours(1);

/// Who is trusted, and how much work strangers may cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Networks of the proxies whose forwarded certificates are believed. They have to remove all
    /// of these headers from what they receive: `X-Forwarded-Client-Cert`, `X-SSL-Client-Verify`,
    /// `X-SSL-Client-Cert`, `X-SSL-Client-Subject-CN`.
    pub trusted_proxies: Vec<IpNet>,
    /// Failures that one address (an IPv6 /64) may have in a minute; above it the answer is 429.
    pub failures_per_minute: u32,
    /// Most verified pairs of user name and password that are remembered.
    pub verified_cache_max: usize,
    /// How long a verified pair is remembered.
    #[serde(with = "humantime_serde")]
    pub verified_for: Duration,
    /// How old an issuer's keys get before they are fetched again.
    #[serde(with = "humantime_serde")]
    pub keys_fresh_for: Duration,
    /// How long at least between two fetches that are caused by an unknown key.
    #[serde(with = "humantime_serde")]
    pub keys_refetch_after: Duration,
    /// How long at least between two fetches from an issuer that did not answer.
    #[serde(with = "humantime_serde")]
    pub keys_retry_after: Duration,
    /// How long fetching an issuer's keys may take, discovery included.
    #[serde(with = "humantime_serde")]
    pub fetch_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            failures_per_minute: 60,
            verified_cache_max: 10_000,
            verified_for: Duration::from_mins(5),
            keys_fresh_for: Duration::from_mins(10),
            keys_refetch_after: Duration::from_mins(1),
            keys_retry_after: Duration::from_secs(5),
            fetch_timeout: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// Every mistake, as `key: reason`.
    pub fn validate(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if self.trusted_proxies.len() > TRUSTED_PROXIES_MAX {
            mistakes.push(format!(
                "trusted_proxies: must be at most {TRUSTED_PROXIES_MAX}"
            ));
        }
        if self.failures_per_minute == 0 {
            mistakes.push("failures_per_minute: must be at least 1".to_owned());
        }
        if self.verified_cache_max > VERIFIED_CACHE_MOST {
            mistakes.push(format!(
                "verified_cache_max: must be at most {VERIFIED_CACHE_MOST}"
            ));
        }
        if self.verified_for > VERIFIED_FOR_MOST {
            mistakes.push("verified_for: must be at most 1h".to_owned());
        }
        let durations = [
            ("keys_fresh_for", self.keys_fresh_for),
            ("keys_refetch_after", self.keys_refetch_after),
            ("keys_retry_after", self.keys_retry_after),
            ("fetch_timeout", self.fetch_timeout),
        ];
        for (key, duration) in durations {
            if duration.is_zero() {
                mistakes.push(format!("{key}: must be longer than 0s"));
            }
        }
        mistakes
    }

    /// Whether the address is one of a trusted proxy.
    pub(crate) fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies
            .iter()
            .any(|network| network.contains(&peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The default must not be refused by its own check, and must trust nobody.
    #[test]
    fn the_default_has_no_mistake_and_trusts_nobody() {
        let config = Config::default();
        assert_eq!(config.validate(), Vec::<String>::new());
        assert!(!config.trusts("127.0.0.1".parse().unwrap()));
    }

    /// All mistakes are told at once, each with its key.
    #[test]
    fn every_mistake_is_told_at_once() {
        let config = Config {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(); TRUSTED_PROXIES_MAX + 1],
            failures_per_minute: 0,
            verified_cache_max: VERIFIED_CACHE_MOST + 1,
            verified_for: VERIFIED_FOR_MOST * 2,
            keys_fresh_for: Duration::ZERO,
            keys_refetch_after: Duration::ZERO,
            keys_retry_after: Duration::ZERO,
            fetch_timeout: Duration::ZERO,
        };
        assert_eq!(config.validate().len(), 8, "{:?}", config.validate());
    }

    /// An IPv4 proxy that arrives at a dual-stack listener is the same proxy.
    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        let config = Config {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..Config::default()
        };
        assert!(config.trusts("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!config.trusts("::ffff:11.1.2.3".parse().unwrap()));
    }

    /// What is written in the reference file reads back as the same; a misspelt key is refused.
    #[test]
    fn the_default_survives_its_text_form_and_unknown_keys_are_refused() {
        let text = serde_json::to_string(&Config::default()).unwrap();
        assert_eq!(
            serde_json::from_str::<Config>(&text).unwrap(),
            Config::default()
        );
        assert!(serde_json::from_str::<Config>(r#"{"trusted_proxy":[]}"#).is_err());
    }
}
