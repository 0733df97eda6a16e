//! Requests, for commands that speak to a door.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// Longer than a door may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The longest answer is a dead letter with its event; more is somebody else's page.
const ANSWER_BYTES_MAX: usize = 96 << 20;

/// A client whose connections are kept.
pub(super) struct HttpClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl HttpClient {
    pub(super) fn new() -> anyhow::Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())?
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

fn unreached(uri: &Uri) -> String {
    format!("cannot reach {uri}; does `tidegate up` run there?")
}
