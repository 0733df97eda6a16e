//! How a Kafka cluster is reached: what documents say of brokers, TLS and SASL.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::{Mistakes, Secret, line_of};

/// Most brokers that are named; these tell of all others.
const BROKERS_MAX: usize = 32;

/// Longest name of a topic, as brokers have it.
pub const TOPIC_BYTES_MAX: usize = 249;

/// A Kafka cluster, and as whom it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cluster {
    /// Some of its brokers, each `host:port`.
    pub brokers: Vec<String>,
    /// How its brokers are known; without it there is no TLS.
    pub tls: Option<Tls>,
    /// How they know Tidegate.
    pub sasl: Option<Sasl>,
}

/// TLS to brokers. Everything is PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// The authorities of their certificates, instead of the machine's.
    pub ca: Option<Secret>,
    /// The certificate that they are shown, followed by those that lead to its authority, and its key.
    pub client: Option<(Secret, Secret)>,
}

/// How brokers know Tidegate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sasl {
    /// By name and password.
    Password {
        /// Which way.
        mechanism: Mechanism,
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// By a token that somebody else renews (OAUTHBEARER, RFC 7628).
    Token(Secret),
}

/// A mechanism of SASL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[schemars(rename = "KafkaMechanism")]
pub enum Mechanism {
    /// Name and password as they are: over TLS.
    #[serde(rename = "PLAIN")]
    Plain,
    /// RFC 7677.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// As that, with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    /// RFC 7628.
    #[serde(rename = "OAUTHBEARER")]
    OAuthBearer,
}

impl Mechanism {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }
}

/// What a document says of it. `{}` is TLS with the machine's own authorities.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(
    rename = "KafkaTls",
    extend("dependentRequired" = { "certificate": ["key"], "key": ["certificate"] })
)]
pub struct TlsSpec {
    /// The authorities that brokers' certificates may be from, instead of the machine's.
    ca: Option<Secret>,
    /// The certificate that brokers are shown, followed by those that lead to its authority.
    certificate: Option<Secret>,
    /// The certificate's key.
    key: Option<Secret>,
}

/// How brokers know Tidegate.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KafkaSasl")]
pub struct SaslSpec {
    /// The mechanism.
    mechanism: Mechanism,
    /// The name, but for OAUTHBEARER.
    username: Option<String>,
    /// The password, but for OAUTHBEARER. Read when a connection is made.
    password: Option<Secret>,
    /// The token of OAUTHBEARER, a JWT. Read again before it ends.
    token: Option<Secret>,
}

/// Reads them. `field` is where they stand.
pub fn parse(
    brokers: Spanned<Vec<String>>,
    tls: Option<Spanned<TlsSpec>>,
    sasl: Option<Spanned<SaslSpec>>,
    field: &str,
    mistakes: &mut Mistakes,
) -> Cluster {
    let line = line_of(&brokers);
    if brokers.value.is_empty() || brokers.value.len() > BROKERS_MAX {
        let message = format!(
            "must be from 1 to {BROKERS_MAX} brokers, got {}",
            brokers.value.len()
        );
        mistakes.add(line, &format!("{field}.brokers"), message);
    }
    for (at, broker) in brokers.value.iter().enumerate() {
        if !is_broker(broker) {
            let message = format!("must be host:port, such as kafka-1:9092, got {broker:?}");
            mistakes.add(line, &format!("{field}.brokers[{at}]"), message);
        }
    }
    Cluster {
        brokers: brokers.value,
        tls: tls.map(|spec| tls_of(spec, field, mistakes)),
        sasl: sasl.and_then(|spec| sasl_of(spec, field, mistakes)),
    }
}

fn is_broker(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let host_bytes = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_host = match host_bytes {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            (1..=255).contains(&host.len()) && host.bytes().all(legal)
        }
    };
    is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn tls_of(spec: Spanned<TlsSpec>, field: &str, mistakes: &mut Mistakes) -> Tls {
    let line = line_of(&spec);
    let TlsSpec {
        ca,
        certificate,
        key,
    } = spec.value;
    let client = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => {
            let message = "must be set: a certificate is shown with its key";
            mistakes.add(line, &format!("{field}.tls.key"), message);
            None
        }
        (None, Some(_)) => {
            let message = "must be set: a key is used with its certificate";
            mistakes.add(line, &format!("{field}.tls.certificate"), message);
            None
        }
    };
    Tls { ca, client }
}

fn sasl_of(spec: Spanned<SaslSpec>, field: &str, mistakes: &mut Mistakes) -> Option<Sasl> {
    let line = line_of(&spec);
    let SaslSpec {
        mechanism,
        username,
        password,
        token,
    } = spec.value;
    let mut wrong = |name: &str, message: &str| {
        mistakes.add(line, &format!("{field}.sasl.{name}"), message);
        None
    };
    if mechanism == Mechanism::OAuthBearer {
        if username.is_some() || password.is_some() {
            return wrong("username", "must be left out: OAUTHBEARER has a token");
        }
        return match token {
            Some(token) => Some(Sasl::Token(token)),
            None => wrong("token", "must be set for OAUTHBEARER"),
        };
    }
    if token.is_some() {
        return wrong("token", "must be left out: only OAUTHBEARER has one");
    }
    match (username.filter(|name| !name.is_empty()), password) {
        (Some(username), Some(password)) => Some(Sasl::Password {
            mechanism,
            username,
            password,
        }),
        (None, _) => wrong("username", "must be set"),
        (_, None) => wrong("password", "must be set"),
    }
}

/// Whether a text can be the name of a topic.
pub fn is_topic(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=TOPIC_BYTES_MAX).contains(&text.len())
        && text.bytes().all(legal)
        && !matches!(text, "." | "..")
}

impl Cluster {
    /// The secrets that it names.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let tls = self.tls.iter();
        let tls = tls.flat_map(|tls| {
            let client = tls.client.iter();
            let client = client.flat_map(|(certificate, key)| [certificate, key]);
            tls.ca.iter().chain(client)
        });
        let sasl = self.sasl.iter().map(|sasl| match sasl {
            Sasl::Password { password, .. } => password,
            Sasl::Token(token) => token,
        });
        tls.chain(sasl)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A broker is a place, not an address with a scheme.
    #[test]
    fn a_broker_is_a_host_and_a_port() {
        for good in [
            "kafka-1:9092",
            "10.0.0.1:1",
            "[::1]:9092",
            "a.b.c.svc:65535",
        ] {
            assert!(is_broker(good), "{good}");
        }
        for bad in [
            "kafka",
            "kafka:",
            ":9092",
            "kafka:0",
            "kafka:65536",
            "kafka://k:9092",
            "a b:1",
            "::1:9092",
            "[x]:9092",
            "",
        ] {
            assert!(!is_broker(bad), "{bad}");
        }
    }

    /// As brokers have it.
    #[test]
    fn topics_have_legal_names() {
        let long = "x".repeat(TOPIC_BYTES_MAX);
        for good in ["orders", "sap.S4_HANA-1", long.as_str()] {
            assert!(is_topic(good), "{good}");
        }
        let longer = "x".repeat(TOPIC_BYTES_MAX + 1);
        for bad in ["", ".", "..", "a b", "a/b", "ä", longer.as_str()] {
            assert!(!is_topic(bad), "{bad}");
        }
    }
}
