//! When what proves who Tidegate is ends: credentials for NATS, and what sinks are shown.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::Value;
use tidegate_identity::ClientCertificate;
use tidegate_subscription::{Auth, Subscription};
use tokio::time::Instant;

use super::metrics::Shown;
use crate::config::Config;

/// How often what sinks are shown is read, though nothing is to be sent.
const READ_EVERY: Duration = Duration::from_secs(60);

/// What the sinks of all Subscriptions are shown.
#[derive(Debug, Default)]
pub(super) struct SinkCredentials {
    read_at: Option<Instant>,
}

impl SinkCredentials {
    /// When each ends, in Unix time, of those of which that is known. Nothing, where they were
    /// read a moment ago.
    pub(super) async fn look(
        &mut self,
        subscriptions: &[Arc<Subscription>],
        config: &Arc<Config>,
    ) -> Option<Vec<(Shown, f64)>> {
        if self.read_at.is_some_and(|at| at.elapsed() < READ_EVERY) {
            return None;
        }
        self.read_at = Some(Instant::now());
        let has_any = |one: &&Arc<Subscription>| {
            one.delivery.tls.client.is_some() || one.delivery.auth.is_some()
        };
        let subscriptions: Vec<_> = subscriptions.iter().filter(has_any).cloned().collect();
        if subscriptions.is_empty() {
            return Some(Vec::new());
        }
        let config = Arc::clone(config);
        let rows = move || {
            subscriptions
                .iter()
                .flat_map(|one| ends(one, &config.secrets_folder(&one.namespace)))
                .collect()
        };
        // It ends early only with the process.
        tokio::task::spawn_blocking(rows).await.ok()
    }
}

/// Of one Subscription. What cannot be read is told by the attempts that want it.
fn ends(subscription: &Subscription, folder: &Path) -> Vec<(Shown, f64)> {
    let mut rows = Vec::new();
    let mut push = |credential, end: Option<f64>| {
        let shown = |end| (Shown::new(&subscription.id(), credential), end);
        rows.extend(end.map(shown));
    };
    if let Some((chain, _)) = &subscription.delivery.tls.client {
        let chain = chain.read(folder).ok();
        push("certificate", chain.and_then(|chain| end_of_chain(&chain)));
    }
    if let Some(Auth::Bearer { token }) = &subscription.delivery.auth {
        let token = token.read(folder).ok();
        let end = token.and_then(|token| end_of_token(str::from_utf8(&token).ok()?));
        push("token", end.flatten());
    }
    rows
}

/// Of the first certificate, which is the one that is shown.
fn end_of_chain(pem: &[u8]) -> Option<f64> {
    let first = CertificateDer::pem_slice_iter(pem).next()?.ok()?;
    let (_, until) = ClientCertificate::from_der(&first).ok()?.validity?;
    Some(until.duration_since(UNIX_EPOCH).ok()?.as_secs_f64())
}

/// Of credentials for NATS; `Some(None)` where they have no end, and `None` where that cannot be
/// read.
#[expect(
    clippy::option_option,
    reason = "not known is no answer, no end is one"
)]
pub(super) fn end(file: &Path) -> Option<Option<f64>> {
    end_of(&fs::read_to_string(file).ok()?)
}

#[expect(clippy::option_option, reason = "as above")]
fn end_of(credentials: &str) -> Option<Option<f64>> {
    let (_, rest) = credentials.split_once("-----BEGIN NATS USER JWT-----")?;
    let token = rest.lines().map(str::trim).find(|line| !line.is_empty())?;
    end_of_token(token)
}

/// Of a JSON Web Token (RFC 7519 §4.1.4).
#[expect(clippy::option_option, reason = "as above")]
fn end_of_token(token: &str) -> Option<Option<f64>> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    Some(claims.get("exp").and_then(Value::as_f64))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn credentials(claims: &str) -> String {
        let token = ["{}", claims, "signature"].map(|part| URL_SAFE_NO_PAD.encode(part));
        format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n",
            token.join(".")
        )
    }

    /// Credentials without an end must not look like ones that ended long ago.
    #[test]
    fn the_end_is_read_where_there_is_one() {
        assert_eq!(
            end_of(&credentials(r#"{"exp":1800000000}"#)),
            Some(Some(1_800_000_000.0))
        );
        assert_eq!(end_of(&credentials(r#"{"sub":"U"}"#)), Some(None));
        assert_eq!(end_of("seed"), None);
        assert_eq!(end_of(&credentials("[")), None);
        assert_eq!(end_of_token("opaque"), None);
    }

    /// The authority's ends later, and is not what the sink is shown.
    #[test]
    fn of_a_chain_the_first_one_counts() {
        let ending = |year| {
            let mut params = CertificateParams::new(["client".to_owned()]).unwrap();
            params.not_after = date_time_ymd(year, 1, 1);
            let key = KeyPair::generate().unwrap();
            params.self_signed(&key).unwrap().pem()
        };
        let chain = ending(2030) + &ending(2040);
        assert_eq!(end_of_chain(chain.as_bytes()), Some(1_893_456_000.0));
        assert_eq!(end_of_chain(b"no PEM"), None);
    }
}
