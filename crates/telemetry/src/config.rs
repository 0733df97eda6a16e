//! The section `telemetry`.

use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use crate::logs::AUDIT;

/// What is told about a running process, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Logs, on standard error.
    pub log: Log,
}

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
        self.log
            .filter()
            .err()
            .map(|error| format!("log.level: {error} in {:?}", self.log.level))
            .into_iter()
            .collect()
    }
}

impl Log {
    /// The filter that `level` describes.
    pub(crate) fn filter(&self) -> Result<EnvFilter, String> {
        self.filter_at(&self.level)
    }

    /// The filter that another level describes, with what operators change as it is configured.
    ///
    /// An empty text would mean "errors only" to the parser, and a misspelt level everything of a
    /// part that is called so, and nothing else; here they are mistakes.
    pub(crate) fn filter_at(&self, level: &str) -> Result<EnvFilter, String> {
        if level.trim().is_empty() {
            return Err("names no level".to_owned());
        }
        // What is in brackets may hold commas of its own.
        let names = level.split(',').map(str::trim);
        for name in names.filter(|name| !name.contains('=') && !level.contains('[')) {
            if name.parse::<LevelFilter>().is_err() {
                return Err(format!("no level is called {name:?}"));
            }
        }
        let audit = self.level.split(',').find(|one| one.contains(AUDIT));
        let audit = audit.map_or_else(|| format!("{AUDIT}=info"), str::to_owned);
        EnvFilter::builder()
            .parse(format!("{level},{audit}"))
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
        for level in ["tidegate=loud", "", " ", "loud", "info,deubg"] {
            let mistakes = with_level(level).validate();
            assert_eq!(mistakes.len(), 1, "{level:?}");
            assert!(mistakes[0].starts_with("log.level: "), "{mistakes:?}");
            assert!(mistakes[0].contains(&format!("{level:?}")), "{mistakes:?}");
        }
    }

    /// A misspelt key must not pass in silence.
    #[test]
    fn unknown_keys_are_refused() {
        let error = serde_json::from_str::<Config>(r#"{"log":{"levle":"info"}}"#).unwrap_err();
        assert!(error.to_string().contains("levle"), "{error}");
    }
}
