//! What sources and sinks have in common: how a cluster is reached, and what librdkafka says.

use std::{
    error,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rdkafka::{
    ClientContext, Statistics,
    client::OAuthToken,
    config::{ClientConfig, RDKafkaLogLevel},
    consumer::{BaseConsumer, ConsumerContext, Rebalance},
    error::{KafkaError, RDKafkaErrorCode},
};
use serde::Deserialize;
use tidegate_document::{
    Secret,
    kafka::{Cluster, Sasl, Tls},
};
use zeroize::Zeroizing;

use crate::{Config, metrics::Shown};

/// How long a token counts that does not say it.
const TOKEN_MIN: Duration = Duration::from_secs(300);

/// A cluster with its secrets as they are now.
pub(crate) struct Access {
    config: ClientConfig,
    /// What they were read as: another text is another secret.
    pub(crate) secrets: Secrets,
}

/// The text of secrets, to see whether they have changed.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Secrets(Vec<Zeroizing<Vec<u8>>>);

impl Secrets {
    pub(crate) fn read(cluster: &Cluster, folder: &Path) -> Result<Self, String> {
        // A token is asked for again by itself.
        let token = match &cluster.sasl {
            Some(Sasl::Token(token)) => Some(token),
            Some(Sasl::Password { .. }) | None => None,
        };
        let secrets = cluster.secrets().filter(|one| Some(*one) != token);
        let texts = secrets.map(|secret| secret.read(folder));
        texts.collect::<Result<_, _>>().map(Self)
    }
}

impl Access {
    /// `folder` is that of the document with the secrets.
    pub(crate) fn new(cluster: &Cluster, folder: &Path, config: &Config) -> Result<Self, String> {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", cluster.brokers.join(","))
            .set("client.id", "tidegate")
            .set("security.protocol", protocol(cluster))
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "5000");
        let statistics = config.statistics_interval.as_millis().to_string();
        client.set("statistics.interval.ms", statistics);
        client.set_log_level(RDKafkaLogLevel::Warning);
        if let Some(tls) = &cluster.tls {
            set_tls(tls, folder, &mut client)?;
        }
        match &cluster.sasl {
            None => {}
            Some(Sasl::Password {
                mechanism,
                username,
                password,
            }) => {
                client
                    .set("sasl.mechanisms", mechanism.name())
                    .set("sasl.username", username)
                    .set("sasl.password", text(password, folder)?);
            }
            Some(Sasl::Token(token)) => {
                token.read(folder)?;
                client.set("sasl.mechanisms", "OAUTHBEARER");
            }
        }
        Ok(Self {
            config: client,
            secrets: Secrets::read(cluster, folder)?,
        })
    }

    /// With further settings.
    pub(crate) fn with<const N: usize>(mut self, settings: [(&str, String); N]) -> ClientConfig {
        for (name, value) in settings {
            self.config.set(name, value);
        }
        self.config
    }
}

fn protocol(cluster: &Cluster) -> &'static str {
    match (&cluster.tls, &cluster.sasl) {
        (None, None) => "plaintext",
        (Some(_), None) => "ssl",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    }
}

fn set_tls(tls: &Tls, folder: &Path, client: &mut ClientConfig) -> Result<(), String> {
    match &tls.ca {
        Some(ca) => client.set("ssl.ca.pem", text(ca, folder)?),
        // Where the machine has them, wherever OpenSSL was built.
        None => client.set("ssl.ca.location", "probe"),
    };
    if let Some((certificate, key)) = &tls.client {
        client
            .set("ssl.certificate.pem", text(certificate, folder)?)
            .set("ssl.key.pem", text(key, folder)?);
    }
    Ok(())
}

/// A secret as librdkafka takes it. The line's end that editors add is no part of it.
fn text(secret: &Secret, folder: &Path) -> Result<String, String> {
    let bytes = secret.read(folder)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "a secret is not UTF-8".to_owned())?;
    if text.contains('\0') {
        return Err("a secret has a byte 0".to_owned());
    }
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// What librdkafka calls back.
pub(crate) struct Context {
    token: Option<(Secret, PathBuf)>,
    pub(crate) shown: Shown,
    /// What goes wrong, until something goes well.
    trouble: Arc<Trouble>,
    /// Partitions that have gone to somebody else.
    revoked: Mutex<Vec<(String, i32)>>,
    has_revoked: AtomicBool,
}

/// What goes wrong with a client as a whole.
#[derive(Debug, Default)]
pub(crate) struct Trouble(Mutex<Option<Wrong>>);

#[derive(Debug)]
struct Wrong {
    reason: String,
    /// It is over as soon as a broker is there.
    is_connection: bool,
}

impl Trouble {
    /// All is well.
    pub(crate) fn clear(&self) {
        *self.lock() = None;
    }

    /// A broker is there.
    fn connected(&self) {
        let mut wrong = self.lock();
        if wrong.as_ref().is_some_and(|wrong| wrong.is_connection) {
            *wrong = None;
        }
    }

    /// Something is wrong. That all brokers are down says less than why the last one is.
    pub(crate) fn add(&self, error: &KafkaError, reason: &str) {
        let is_sum = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        let mut wrong = self.lock();
        if is_sum && wrong.is_some() {
            return;
        }
        *wrong = Some(Wrong {
            reason: reason.to_owned(),
            is_connection: is_sum || is_connection(error),
        });
    }

    /// No token is there.
    fn unarmed(&self, reason: &str) {
        *self.lock() = Some(Wrong {
            reason: reason.to_owned(),
            is_connection: true,
        });
    }

    pub(crate) fn get(&self) -> Option<String> {
        self.lock().as_ref().map(|wrong| wrong.reason.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Wrong>> {
        // Every change is complete before anything in it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an error is about reaching brokers.
fn is_connection(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                | Code::Resolve
                | Code::Authentication
                | Code::SaslAuthenticationFailed
                | Code::SSL
                | Code::OperationTimedOut
                | Code::RequestTimedOut
        )
    )
}

impl Context {
    pub(crate) fn new(
        cluster: &Cluster,
        folder: &Path,
        shown: Shown,
        trouble: Arc<Trouble>,
    ) -> Self {
        let token = match &cluster.sasl {
            Some(Sasl::Token(token)) => Some((token.clone(), folder.to_owned())),
            Some(Sasl::Password { .. }) | None => None,
        };
        Self {
            token,
            shown,
            trouble,
            revoked: Mutex::default(),
            has_revoked: AtomicBool::new(false),
        }
    }

    /// Partitions that have gone to somebody else since this was last asked.
    pub(crate) fn take_revoked(&self) -> Vec<(String, i32)> {
        if !self.has_revoked.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut self.revoked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(facility, "kafka: {message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(facility, "kafka: {message}");
            }
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.shown.told(&statistics);
        let mut brokers = statistics.brokers.values();
        if brokers.any(|broker| broker.state == "UP") {
            self.trouble.connected();
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
        self.trouble.add(&error, reason);
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn error::Error>> {
        let Some((secret, folder)) = &self.token else {
            return Err("no token is set".into());
        };
        let token = text(secret, folder).and_then(|token| said(token, SystemTime::now()));
        token.map_err(|reason| {
            self.trouble.unarmed(&reason);
            reason.into()
        })
    }
}

impl ConsumerContext for Context {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.shown.rebalanced();
        match rebalance {
            Rebalance::Assign(partitions) => {
                tracing::info!(
                    partitions = partitions.count(),
                    "kafka: partitions assigned"
                );
            }
            Rebalance::Revoke(partitions) => {
                let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
                let of = partitions.elements();
                revoked.extend(
                    of.iter()
                        .map(|one| (one.topic().to_owned(), one.partition())),
                );
                drop(revoked);
                self.has_revoked.store(true, Ordering::Release);
                tracing::info!(partitions = partitions.count(), "kafka: partitions revoked");
            }
            Rebalance::Error(error) => tracing::warn!(%error, "kafka: no rebalance"),
        }
    }
}

/// What a JWT says of itself.
#[derive(Deserialize)]
struct Claims {
    sub: Option<String>,
    exp: Option<f64>,
}

/// A token with what librdkafka wants to know of it. What is no JWT counts for some minutes.
fn said(token: String, now: SystemTime) -> Result<OAuthToken, String> {
    let claims = claims(&token);
    let now = now.duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let ends = match claims.as_ref().and_then(|claims| claims.exp) {
        Some(seconds) => Duration::try_from_secs_f64(seconds).unwrap_or_default(),
        None => now + TOKEN_MIN,
    };
    if ends <= now {
        return Err("the token has ended; somebody has to renew it".to_owned());
    }
    let subject = claims.and_then(|claims| claims.sub);
    Ok(OAuthToken {
        token,
        principal_name: subject.unwrap_or_else(|| "tidegate".to_owned()),
        lifetime_ms: i64::try_from(ends.as_millis()).unwrap_or(i64::MAX),
    })
}

fn claims(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// A token is renewed before it ends, and one that has ended is nobody's riddle.
    #[test]
    fn a_token_says_when_it_ends() {
        let payload = URL_SAFE_NO_PAD.encode(br#"{"sub":"mesh","exp":2000}"#);
        let token = format!("e30.{payload}.s");
        let told = said(token.clone(), at(1_000)).unwrap();
        assert_eq!(
            (&*told.principal_name, told.lifetime_ms),
            ("mesh", 2_000_000)
        );
        let ended = said(token, at(2_000)).err().unwrap();
        assert!(ended.contains("has ended"));
        let opaque = said("opaque".to_owned(), at(1_000)).unwrap();
        assert_eq!(
            (&*opaque.principal_name, opaque.lifetime_ms),
            ("tidegate", 1_300_000)
        );
    }

    /// People learn why brokers are not there, and not only that; and what is over is not told.
    #[test]
    fn trouble_says_why_and_ends() {
        let error = KafkaError::Global;
        let trouble = Trouble::default();
        trouble.add(&error(RDKafkaErrorCode::Authentication), "bad password");
        trouble.add(
            &error(RDKafkaErrorCode::AllBrokersDown),
            "1/1 brokers are down",
        );
        assert_eq!(trouble.get().as_deref(), Some("bad password"));
        trouble.connected();
        assert_eq!(trouble.get(), None);
        trouble.add(
            &error(RDKafkaErrorCode::UnknownTopicOrPartition),
            "no such topic",
        );
        trouble.connected();
        assert_eq!(trouble.get().as_deref(), Some("no such topic"));
        trouble.clear();
        assert_eq!(trouble.get(), None);
    }

    /// Without either, nothing is hidden; each adds its own.
    #[test]
    fn the_protocol_follows_from_what_is_said() {
        let cluster = |tls: bool, sasl: bool| Cluster {
            brokers: Vec::new(),
            tls: tls.then(Tls::default),
            sasl: sasl.then(|| Sasl::Token(Secret::Env("T".to_owned()))),
        };
        for (tls, sasl, expected) in [
            (false, false, "plaintext"),
            (true, false, "ssl"),
            (false, true, "sasl_plaintext"),
            (true, true, "sasl_ssl"),
        ] {
            assert_eq!(protocol(&cluster(tls, sasl)), expected);
        }
    }
}
