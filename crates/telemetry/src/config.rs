//! The section `telemetry`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};
use url::Url;

use crate::logs::AUDIT;

/// What is told about a running process, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Logs, on standard error.
    pub log: Log,
    /// Where spans and metrics are sent.
    pub otlp: Otlp,
    /// Which traces are recorded.
    pub traces: Traces,
    /// How often the log is asked how far each Subscription is behind, and how full it is.
    #[serde(with = "humantime_serde")]
    pub metrics_interval: Duration,
    /// A Subscription that gets none of its events for so long, though nothing is in their way, is
    /// told of.
    #[serde(with = "humantime_serde")]
    pub stalled_after: Duration,
    /// Whether metrics are shown under Kyma's names too.
    pub kyma_metrics: bool,
}

/// A collector that takes OTLP. What the `OTEL_*` variables say counts more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Otlp {
    /// Its address, such as `http://collector:4318`. Without one nothing is sent.
    pub endpoint: Option<Url>,
    /// How it is spoken to.
    pub protocol: Protocol,
}

/// A transport of OTLP, in the words of `OTEL_EXPORTER_OTLP_PROTOCOL`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// Protocol Buffers over HTTP; port 4318, as a rule.
    #[default]
    #[serde(rename = "http/protobuf")]
    Http,
    /// gRPC; port 4317, as a rule.
    #[serde(rename = "grpc")]
    Grpc,
}

/// Which traces are recorded. Where a sender has decided, that counts, and what fails is recorded
/// in any case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Traces {
    /// The part of the traces that begin here, from 0 to 1.
    pub ratio: f64,
}

impl Default for Traces {
    fn default() -> Self {
        Self { ratio: 0.01 }
    }
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
            otlp: Otlp::default(),
            traces: Traces::default(),
            // As often as most scrapers come.
            metrics_interval: Duration::from_secs(10),
            stalled_after: Duration::from_secs(60),
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
        let ratio = self.traces.ratio;
        let ratio = (!(0.0..=1.0).contains(&ratio))
            .then(|| format!("traces.ratio: {ratio} is not between 0 and 1"));
        let scheme = self.otlp.endpoint.as_ref().map(Url::scheme);
        let scheme = scheme.filter(|scheme| !matches!(*scheme, "http" | "https"));
        let scheme =
            scheme.map(|scheme| format!("otlp.endpoint: {scheme} is neither http nor https"));
        let interval = self.metrics_interval;
        let interval = (interval < METRICS_INTERVAL_MIN)
            .then(|| format!("metrics_interval: {interval:?} is below {METRICS_INTERVAL_MIN:?}"));
        let mistakes = [level, ratio, scheme, interval].into_iter();
        mistakes.flatten().collect()
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
        for level in ["tidegate=loud", "", " ", "loud", "info,deubg"] {
            let mistakes = with_level(level).validate();
            assert_eq!(mistakes.len(), 1, "{level:?}");
            assert!(mistakes[0].starts_with("log.level: "), "{mistakes:?}");
            assert!(mistakes[0].contains(&format!("{level:?}")), "{mistakes:?}");
        }
    }

    /// No part that is none, and no address that nobody speaks to.
    #[test]
    fn traces_and_their_collector_are_checked() {
        for (text, says) in [
            (r#"{"traces":{"ratio":1.5}}"#, "traces.ratio: 1.5"),
            (r#"{"otlp":{"endpoint":"udp://a:1"}}"#, "otlp.endpoint: udp"),
        ] {
            let mistakes = serde_json::from_str::<Config>(text).unwrap().validate();
            assert_eq!(mistakes.len(), 1);
            assert!(mistakes[0].starts_with(says), "{mistakes:?}");
        }
        let text = r#"{"otlp":{"endpoint":"http://a:4317","protocol":"grpc"}}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        assert_eq!(config.otlp.protocol, Protocol::Grpc);
        assert!(config.validate().is_empty());
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
