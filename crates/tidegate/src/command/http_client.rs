//! Requests, for commands that speak to a door.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, uri::Scheme};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// Longer than a door may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The longest answer is a dead letter with its event; more is somebody else's page.
const ANSWER_BYTES_MAX: usize = 96 << 20;

/// Whom a client trusts over TLS, and what it shows of itself. PEM files.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust {
    /// Authorities, in the place of the machine's own.
    pub(super) ca: Option<PathBuf>,
    /// A certificate, followed by those that lead to its authority.
    pub(super) certificate: Option<PathBuf>,
    /// Its key.
    pub(super) key: Option<PathBuf>,
}

/// A client whose connections are kept.
pub(super) struct HttpClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl HttpClient {
    pub(super) fn new(trust: &Trust) -> anyhow::Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(trust.client().context(FILES)?)
            .https_or_http()
            .enable_http1()
            .build();
        let pool = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self(pool))
    }

    /// Asks for an answer that goes on, and gives it back when it begins.
    pub(super) async fn open(
        &self,
        uri: &Uri,
        headers: HeaderMap,
    ) -> anyhow::Result<Response<Incoming>> {
        let mut request = Request::builder().uri(uri).body(Full::new(Bytes::new()))?;
        *request.headers_mut() = headers;
        tokio::time::timeout(TIMEOUT, self.0.request(request))
            .await
            .with_context(|| format!("no answer from {uri} within {TIMEOUT:?}"))?
            .with_context(|| unreached(uri))
    }

    /// Makes a request and gives back status and body.
    pub(super) async fn send(
        &self,
        method: Method,
        uri: &Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> anyhow::Result<(StatusCode, String)> {
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .body(Full::new(body))?;
        *request.headers_mut() = headers;
        let answer = async {
            let response = self.0.request(request).await;
            let response = response.with_context(|| unreached(uri))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
                .collect()
                .await;
            let text = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned());
            Ok((status, text.unwrap_or_default()))
        };
        tokio::time::timeout(TIMEOUT, answer)
            .await
            .with_context(|| format!("no answer from {uri} within {TIMEOUT:?}"))?
    }
}

/// What is told of a file that is no use.
const FILES: &str = "the files of TLS (--ca, --certificate and --key, or those of the context)";

impl Trust {
    fn client(&self) -> anyhow::Result<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?;
        let builder = match &self.ca {
            None => builder.with_native_roots()?,
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(file)? {
                    let added = roots.add(authority);
                    added.with_context(|| format!("{}", file.display()))?;
                }
                builder.with_root_certificates(roots)
            }
        };
        match (&self.certificate, &self.key) {
            (None, None) => Ok(builder.with_no_client_auth()),
            (Some(certificate), Some(file)) => {
                let about = || format!("{}", file.display());
                let key = fs::read(file).with_context(about)?;
                let key = PrivateKeyDer::from_pem_slice(&key);
                let key = key.with_context(|| format!("{}: no key in PEM", file.display()))?;
                let chain = certificates(certificate)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .with_context(about)
            }
            (Some(_), None) | (None, Some(_)) => {
                bail!("a client certificate needs its key: give --certificate and --key")
            }
        }
    }
}

/// The certificates of a PEM file, of which there is one at least.
fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let about = || format!("{}", file.display());
    let pem = fs::read(file).with_context(about)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let all = all.with_context(about)?;
    if all.is_empty() {
        bail!("{}: no certificate in PEM", file.display());
    }
    Ok(all)
}

fn unreached(uri: &Uri) -> String {
    let hint = if uri.scheme() == Some(&Scheme::HTTPS) {
        "does `tidegate up` run there, with a certificate that --ca or this machine vouches for?"
    } else {
        "does `tidegate up` run there?"
    };
    format!("cannot reach {uri}; {hint}")
}
