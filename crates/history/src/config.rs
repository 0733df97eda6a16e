//! The section `history`: how much of it is noted. How much is kept, and for how long, is
//! `backbone.history`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Longest time that a record may wait in memory.
const FLUSH_MAX: Duration = Duration::from_secs(60);

/// What is noted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether anything is.
    pub enabled: bool,
    /// The part of the events of which everything is noted, between 0 and 1. Of the others only
    /// what went wrong is.
    pub sample: f64,
    /// How long a record waits for others, which are kept together with it.
    #[serde(with = "humantime_serde")]
    pub flush_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            sample: 1.0,
            flush_interval: Duration::from_secs(1),
        }
    }
}

impl Config {
    /// Every mistake as `key: reason`.
    pub fn validate(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        if !(0.0..=1.0).contains(&self.sample) {
            mistakes.push(format!("sample: {} is not between 0 and 1", self.sample));
        }
        let interval = self.flush_interval;
        if interval < Duration::from_millis(10) || interval > FLUSH_MAX {
            mistakes.push(format!(
                "flush_interval: must be 10ms to {FLUSH_MAX:?}, got {interval:?}"
            ));
        }
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_mistakes_are_all_reported() {
        assert_eq!(Config::default().validate(), Vec::<String>::new());
        for sample in [-0.1, 1.1, f64::NAN] {
            for flush_interval in [Duration::ZERO, Duration::from_secs(61)] {
                let config = Config {
                    enabled: true,
                    sample,
                    flush_interval,
                };
                let mistakes = config.validate();
                assert!(mistakes[0].starts_with("sample: "), "{mistakes:?}");
                assert!(mistakes[1].starts_with("flush_interval: "), "{mistakes:?}");
            }
        }
    }
}
