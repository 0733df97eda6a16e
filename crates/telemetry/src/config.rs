//! The section `telemetry`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// What is told about a running process, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Logs, on standard error.
    pub log: Log,
    /// How often the log is asked how far each Subscription is behind, and how full it is.
    #[serde(with = "humantime_serde")]
    pub metrics_interval: Duration,
    /// Whether metrics are shown under Kyma's names too.
    pub kyma_metrics: bool,
}

/// More often it would cost the log more than it tells.
const METRICS_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// How logs are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// What is logged: a level, or directives such as `info,tidegate_publish=debug`.
    pub level: String,
    /// How a line looks.
    pub format: Format,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            log: Log::default(),
            // As often as most scrapers come.
            metrics_interval: Duration::from_secs(10),
            kyma_metrics: false,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: Format::Auto,
        }
    }
}

impl Config {
    /// Every mistake, as `key: reason`.
    pub fn validate(&self) -> Vec<String> {
        let level = self.log.filter().err();
        let level = level.map(|error| format!("log.level: {error} in {:?}", self.log.level));
        let interval = self.metrics_interval;
        let interval = (interval < METRICS_INTERVAL_MIN)
            .then(|| format!("metrics_interval: {interval:?} is below {METRICS_INTERVAL_MIN:?}"));
        level.into_iter().chain(interval).collect()
    }
}

impl Log {
    /// The filter that `level` describes. An empty text would mean "errors only" to the parser;
    /// here it is a mistake.
    pub(crate) fn filter(&self) -> Result<EnvFilter, String> {
        if self.level.trim().is_empty() {
            return Err("names no level".to_owned());
        }
        EnvFilter::builder()
            .parse(&self.level)
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_level(level: &str) -> Config {
        Config {
            log: Log {
                level: level.to_owned(),
                ..Log::default()
            },
            ..Config::default()
        }
    }

    /// The default must not be refused by its own check.
    #[test]
    fn the_default_has_no_mistake() {
        assert_eq!(Config::default().validate(), Vec::<String>::new());
    }

    /// Directives per room are a documented use.
    #[test]
    fn directives_are_accepted() {
        assert!(
            with_level("warn,tidegate_publish=debug")
                .validate()
                .is_empty()
        );
    }

    /// A mistake names its key and the value.
    #[test]
    fn a_bad_directive_is_a_mistake_with_key_and_value() {
        for level in ["tidegate=loud", "", " "] {
            let mistakes = with_level(level).validate();
            assert_eq!(mistakes.len(), 1, "{level:?}");
            assert!(mistakes[0].starts_with("log.level: "), "{mistakes:?}");
            assert!(mistakes[0].contains(&format!("{level:?}")), "{mistakes:?}");
        }
    }

    /// A look that never ends would be all that the log does.
    #[test]
    fn looking_all_the_time_is_a_mistake() {
        let config = Config {
            metrics_interval: Duration::ZERO,
            ..Config::default()
        };
        let mistakes = config.validate();
        assert_eq!(mistakes, ["metrics_interval: 0ns is below 100ms"]);
    }

    /// A misspelt key must not pass in silence.
    #[test]
    fn unknown_keys_are_refused() {
        let error = serde_json::from_str::<Config>(r#"{"log":{"levle":"info"}}"#).unwrap_err();
        assert!(error.to_string().contains("levle"), "{error}");
    }
}
