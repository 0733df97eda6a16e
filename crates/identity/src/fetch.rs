//! Fetches an issuer's keys: discovery where it is needed, then the JWKS document.

use std::{io, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde::Deserialize;
use serde_json::Value;

use crate::{issuer_keys::Source, public_key::PublicKey};

/// Bytes of a discovery document or of a JWKS document.
const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;

/// Keys of one issuer.
const KEYS_MAX: usize = 100;

const USER_AGENT: &str = concat!("tidegate/", env!("CARGO_PKG_VERSION"));

/// What is needed of a discovery document.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// Follows no redirects: they could lead away from the issuer. Keeps no connection open: a fetch
/// is rare, and its runtime may be gone by the next one.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    pool: Pool<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    timeout: Duration,
}

impl Fetcher {
    /// With the certificate authorities of a PEM text, or else the machine's own.
    pub(crate) fn new(timeout: Duration, authorities: Option<&[u8]>) -> io::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(timeout));
        let builder = HttpsConnectorBuilder::new();
        let builder = match authorities {
            None => builder.with_provider_and_native_roots(ring::default_provider())?,
            Some(pem) => builder.with_tls_config(trusting(pem)?),
        };
        let connector = builder.https_or_http().enable_http1().wrap_connector(tcp);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .timer(TokioTimer::new())
            .build(connector);
        Ok(Self { pool, timeout })
    }

    /// The issuer's keys, or why there are none.
    pub(crate) async fn keys(&self, source: &Source) -> Result<Vec<PublicKey>, String> {
        tokio::time::timeout(self.timeout, self.fetch(source))
            .await
            .map_err(|_| format!("no answer within {:?}", self.timeout))?
    }

    async fn fetch(&self, source: &Source) -> Result<Vec<PublicKey>, String> {
        let place = match &source.jwks_uri {
            Some(place) => place.clone(),
            None => self.discover(&source.issuer).await?,
        };
        let set: KeySet = self.document(&place).await?;
        if set.keys.len() > KEYS_MAX {
            return Err(format!("the issuer has more than {KEYS_MAX} keys"));
        }
        let keys: Vec<_> = set.keys.iter().filter_map(PublicKey::from_jwk).collect();
        if keys.is_empty() {
            return Err("the issuer has no key that could verify a token".to_owned());
        }
        Ok(keys)
    }

    async fn discover(&self, issuer: &str) -> Result<String, String> {
        let place = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let discovery: Discovery = self.document(&place).await?;
        if discovery.issuer != issuer {
            return Err("the discovery document is that of another issuer".to_owned());
        }
        if issuer.starts_with("https:") && !discovery.jwks_uri.starts_with("https:") {
            return Err("the discovery document names keys outside of https".to_owned());
        }
        Ok(discovery.jwks_uri)
    }

    async fn document<T: for<'de> Deserialize<'de>>(&self, place: &str) -> Result<T, String> {
        let uri: Uri = place
            .parse()
            .map_err(|_| "the address is not a URI".to_owned())?;
        let request = Request::get(uri)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, USER_AGENT)
            .body(Empty::new())
            .map_err(|error| error.to_string())?;
        let answer = self
            .pool
            .request(request)
            .await
            .map_err(|error| error.to_string())?;
        if answer.status() != StatusCode::OK {
            return Err(format!("the answer is {}", answer.status()));
        }
        let body = Limited::new(answer.into_body(), DOCUMENT_BYTES_MAX)
            .collect()
            .await
            .map_err(|_| "the answer broke off or is larger than 1 MiB".to_owned())?;
        serde_json::from_slice(&body.to_bytes())
            .map_err(|_| "the answer is not the document it should be".to_owned())
    }
}

/// Trusts the authorities of a PEM text, and no others.
fn trusting(pem: &[u8]) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(pem) {
        let authority = authority.map_err(|_| io::Error::other("is not PEM"))?;
        let added = roots.add(authority);
        added.map_err(|error| io::Error::other(format!("holds what is no authority: {error}")))?;
    }
    if roots.is_empty() {
        return Err(io::Error::other("holds no certificate in PEM"));
    }
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
