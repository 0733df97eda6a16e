//! What the configuration and the standard `OTEL_*` variables say together.
//!
//! A variable counts more than the configuration, and one of a signal more than one of all.
//! Source: the OpenTelemetry specification, "Environment Variable Specification" and "OTLP Exporter
//! Configuration".

use std::{collections::BTreeMap, io, path::PathBuf, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use tidegate_telemetry::{Config, Protocol, spans::Sampler};
use url::Url;

use crate::send::Sender;

/// Most spans that wait, whatever a variable says: about 1 KiB each.
const QUEUE_MAX: usize = 65_536;

/// What to export, and where to.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) traces: Option<Endpoint>,
    pub(crate) metrics: Option<Endpoint>,
    pub(crate) sampler: Sampler,
    /// Of the resource that all of it is about.
    pub(crate) resource: BTreeMap<String, String>,
    /// Most spans that wait.
    pub(crate) queue_max: usize,
    /// Most spans of a request.
    pub(crate) batch_max: usize,
    /// How long a span waits for others.
    pub(crate) delay: Duration,
    /// How often metrics are sent.
    pub(crate) every: Duration,
}

/// Where one signal goes.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) url: Url,
    pub(crate) protocol: Protocol,
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Duration,
    /// Certificates of the authorities that vouch for it, instead of those that the machine knows.
    pub(crate) ca: Option<PathBuf>,
    /// The certificate that it is shown, and its key.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
    pub(crate) gzip: bool,
}

/// A variable that says nothing usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {reason}")]
pub struct SettingsError {
    variable: String,
    reason: String,
}

/// One of what is exported.
#[derive(Clone, Copy)]
struct Signal {
    /// In variables.
    name: &'static str,
    /// Behind an address of all signals.
    path: &'static str,
}

const TRACES: Signal = Signal {
    name: "TRACES",
    path: "v1/traces",
};

const METRICS: Signal = Signal {
    name: "METRICS",
    path: "v1/metrics",
};

/// The variables, and the configuration where they say nothing.
struct Said<'a, V> {
    config: &'a Config,
    variable: V,
}

impl Settings {
    /// What the configuration and these variables say; an empty variable is none.
    pub fn of(
        config: &Config,
        version: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let said = Said {
            config,
            variable: |name: &str| variable(name).filter(|value| !value.trim().is_empty()),
        };
        let is_off = said.text("OTEL_SDK_DISABLED");
        let is_off = is_off.is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let endpoint = |signal| {
            if is_off {
                Ok(None)
            } else {
                said.endpoint(signal)
            }
        };
        let queue_max = said.number("OTEL_BSP_MAX_QUEUE_SIZE", 2_048)?;
        let queue_max = queue_max.clamp(1, QUEUE_MAX);
        let batch_max = said.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)?;
        Ok(Self {
            traces: endpoint(TRACES)?,
            metrics: endpoint(METRICS)?,
            sampler: said.sampler()?,
            resource: said.resource(version)?,
            queue_max,
            batch_max: batch_max.clamp(1, queue_max),
            delay: said.millis("OTEL_BSP_SCHEDULE_DELAY", 5_000)?,
            every: said.millis("OTEL_METRIC_EXPORT_INTERVAL", 60_000)?,
        })
    }

    /// Whether all the files that it names can be used: to be known before anything begins.
    pub fn check(&self) -> io::Result<()> {
        let endpoints = [&self.traces, &self.metrics].into_iter().flatten();
        endpoints
            .map(Sender::new)
            .try_for_each(|sender| sender.map(drop))
    }

    /// Whether spans are recorded.
    pub fn traces(&self) -> bool {
        self.traces.is_some()
    }

    /// Where what goes, for a line of the log.
    pub fn targets(&self) -> Option<String> {
        let of = |what: &str, endpoint: &Option<Endpoint>| {
            let Endpoint { url, .. } = endpoint.as_ref()?;
            let host = url.host_str().unwrap_or_default();
            let port = url.port_or_known_default().unwrap_or_default();
            Some(format!("{what} to {}://{host}:{port}", url.scheme()))
        };
        let targets = [of("traces", &self.traces), of("metrics", &self.metrics)];
        let targets: Vec<_> = targets.into_iter().flatten().collect();
        (!targets.is_empty()).then(|| targets.join(", "))
    }
}

impl<V: Fn(&str) -> Option<String>> Said<'_, V> {
    fn text(&self, variable: &str) -> Option<String> {
        (self.variable)(variable).map(|value| value.trim().to_owned())
    }

    fn number(&self, variable: &str, usual: usize) -> Result<usize, SettingsError> {
        match self.text(variable) {
            None => Ok(usual),
            Some(text) => text
                .parse()
                .map_err(|_| error(variable, format!("{text:?} is no number"))),
        }
    }

    fn millis(&self, variable: &str, usual: usize) -> Result<Duration, SettingsError> {
        let millis = self.number(variable, usual)?.max(1);
        Ok(Duration::from_millis(
            u64::try_from(millis).unwrap_or(u64::MAX),
        ))
    }

    /// What a signal's own variable says, or that of all; with its name.
    fn of_signal(&self, signal: Signal, what: &str) -> Option<(String, String)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.name);
        let all = format!("OTEL_EXPORTER_OTLP_{what}");
        [own, all]
            .into_iter()
            .find_map(|name| Some((self.text(&name)?, name)))
    }

    fn endpoint(&self, signal: Signal) -> Result<Option<Endpoint>, SettingsError> {
        let exporter = format!("OTEL_{}_EXPORTER", signal.name);
        match self.text(&exporter).as_deref() {
            None | Some("otlp") => {}
            Some("none") => return Ok(None),
            Some(other) => {
                let reason = format!("{other:?} is not known here; known are otlp and none");
                return Err(error(&exporter, reason));
            }
        }
        let protocol = self.protocol(signal)?;
        let Some(url) = self.url(signal, protocol)? else {
            return Ok(None);
        };
        let gzip = match self.of_signal(signal, "COMPRESSION") {
            None => false,
            Some((text, variable)) => match text.as_str() {
                "none" => false,
                "gzip" => true,
                other => {
                    let reason = format!("{other:?} is not known here; known are gzip and none");
                    return Err(error(&variable, reason));
                }
            },
        };
        let timeout = self.of_signal(signal, "TIMEOUT").map(|(_, name)| name);
        Ok(Some(Endpoint {
            url,
            protocol,
            headers: self.headers(signal)?,
            timeout: self.millis(timeout.as_deref().unwrap_or_default(), 10_000)?,
            ca: self
                .of_signal(signal, "CERTIFICATE")
                .map(|(file, _)| file.into()),
            client: self.client(signal)?,
            gzip,
        }))
    }

    fn client(&self, signal: Signal) -> Result<Option<(PathBuf, PathBuf)>, SettingsError> {
        let certificate = self.of_signal(signal, "CLIENT_CERTIFICATE");
        let alone = |variable: &str, other: &str| {
            let reason = format!("OTEL_EXPORTER_OTLP_{other} is missing beside it");
            Err(error(variable, reason))
        };
        match (certificate, self.of_signal(signal, "CLIENT_KEY")) {
            (None, None) => Ok(None),
            (Some((certificate, _)), Some((key, _))) => Ok(Some((certificate.into(), key.into()))),
            (Some((_, variable)), None) => alone(&variable, "CLIENT_KEY"),
            (None, Some((_, variable))) => alone(&variable, "CLIENT_CERTIFICATE"),
        }
    }

    fn protocol(&self, signal: Signal) -> Result<Protocol, SettingsError> {
        let Some((text, variable)) = self.of_signal(signal, "PROTOCOL") else {
            return Ok(self.config.otlp.protocol);
        };
        match text.as_str() {
            "grpc" => Ok(Protocol::Grpc),
            "http/protobuf" => Ok(Protocol::Http),
            other => {
                let reason =
                    format!("{other:?} is not known here; known are grpc and http/protobuf");
                Err(error(&variable, reason))
            }
        }
    }

    /// A signal's own address is taken as it is; to one of all, the signal's path is added.
    fn url(&self, signal: Signal, protocol: Protocol) -> Result<Option<Url>, SettingsError> {
        let parse = |text: &str, variable: &str| {
            let url = Url::parse(text).map_err(|wrong| error(variable, format!("{text}: {wrong}")));
            url.and_then(|url| match url.scheme() {
                "http" | "https" if url.has_host() => Ok(url),
                _ => Err(error(
                    variable,
                    format!("{text} is no address of http or https"),
                )),
            })
        };
        let own = format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.name);
        if let Some(text) = self.text(&own) {
            return parse(&text, &own).map(Some);
        }
        let all = "OTEL_EXPORTER_OTLP_ENDPOINT";
        let base = match self.text(all) {
            Some(text) => Some(parse(&text, all)?),
            None => self.config.otlp.endpoint.clone(),
        };
        let Some(mut base) = base else {
            return Ok(None);
        };
        if protocol == Protocol::Http {
            let path = base.path().trim_end_matches('/');
            let path = format!("{path}/{}", signal.path);
            base.set_path(&path);
        }
        Ok(Some(base))
    }

    /// `name=value`, separated by commas, values percent-encoded.
    fn headers(&self, signal: Signal) -> Result<HeaderMap, SettingsError> {
        let mut headers = HeaderMap::new();
        let Some((text, variable)) = self.of_signal(signal, "HEADERS") else {
            return Ok(headers);
        };
        for (name, value) in pairs(&text, &variable)? {
            // Values are secrets, as a rule: no error repeats one.
            let illegal = || error(&variable, format!("{name:?} is no legal header"));
            let header: HeaderName = name.parse().map_err(|_| illegal())?;
            let mut value: HeaderValue = value.parse().map_err(|_| illegal())?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        Ok(headers)
    }

    fn sampler(&self) -> Result<Sampler, SettingsError> {
        let (name, argument) = ("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG");
        let ratio = match self.text(argument) {
            None => None,
            Some(text) => {
                let number = text.parse::<f64>().ok();
                let number = number.filter(|number| (0.0..=1.0).contains(number));
                let wrong = || error(argument, format!("{text:?} is no number from 0 to 1"));
                Some(number.ok_or_else(wrong)?)
            }
        };
        let sampler = |by_parent, ratio| Ok(Sampler { by_parent, ratio });
        match self.text(name).as_deref() {
            None => sampler(true, self.config.traces.ratio),
            Some("always_on") => sampler(false, 1.0),
            Some("always_off") => sampler(false, 0.0),
            Some("traceidratio") => sampler(false, ratio.unwrap_or(1.0)),
            Some("parentbased_always_on") => sampler(true, 1.0),
            Some("parentbased_always_off") => sampler(true, 0.0),
            Some("parentbased_traceidratio") => sampler(true, ratio.unwrap_or(1.0)),
            Some(other) => Err(error(name, format!("{other:?} is not known here"))),
        }
    }

    fn resource(&self, version: &str) -> Result<BTreeMap<String, String>, SettingsError> {
        let variable = "OTEL_RESOURCE_ATTRIBUTES";
        let mut resource = BTreeMap::from([
            ("service.name".to_owned(), "tidegate".to_owned()),
            ("service.version".to_owned(), version.to_owned()),
            (
                "service.instance.id".to_owned(),
                format!("{:032x}", fastrand::u128(..)),
            ),
        ]);
        if let Some(text) = self.text(variable) {
            resource.extend(pairs(&text, variable)?);
        }
        if let Some(name) = self.text("OTEL_SERVICE_NAME") {
            resource.insert("service.name".to_owned(), name);
        }
        Ok(resource)
    }
}

/// `name=value`, separated by commas; values are percent-encoded (W3C Baggage).
fn pairs(text: &str, variable: &str) -> Result<Vec<(String, String)>, SettingsError> {
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (name, value) = part
            .split_once('=')
            .ok_or_else(|| error(variable, "a part of it is not name=value".to_owned()))?;
        let value = percent_decode_str(value.trim()).decode_utf8();
        let value = value.map_err(|_| error(variable, format!("{name:?} has no text")))?;
        Ok((name.trim().to_owned(), value.into_owned()))
    };
    parts.map(pair).collect()
}

fn error(variable: &str, reason: String) -> SettingsError {
    SettingsError {
        variable: variable.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests;
