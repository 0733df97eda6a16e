//! One request to a collector, over HTTP or gRPC.

use std::{fs, io, path::Path, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use opentelemetry_proto::tonic::collector::{
    metrics::v1::{ExportMetricsServiceRequest, metrics_service_client::MetricsServiceClient},
    trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
};
use prost::Message as _;
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tidegate_telemetry::Protocol;
use tokio::time::timeout;
use tonic::{Code, metadata::MetadataMap};

use crate::settings::Endpoint;

/// Most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 << 10;

type Connector = HttpsConnector<HttpConnector>;

/// Sends one signal. Clones share the connection.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    over: Over,
    address: Uri,
    headers: HeaderMap,
    timeout: Duration,
}

#[derive(Clone, Debug)]
enum Over {
    Http(Client<Connector, Full<Bytes>>),
    Grpc(Client<Connector, tonic::body::Body>),
}

/// What a collector does not take, or not yet.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Unsent {
    reason: String,
    /// Whether it may take it later.
    pub(crate) is_transient: bool,
}

/// A request of either signal.
#[derive(Clone, Debug)]
pub(crate) enum Export {
    Traces(ExportTraceServiceRequest),
    Metrics(ExportMetricsServiceRequest),
}

impl Sender {
    pub(crate) fn new(endpoint: &Endpoint) -> io::Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(endpoint.ca.as_deref())?)
            .https_or_http();
        let executor = TokioExecutor::new();
        let over = match endpoint.protocol {
            Protocol::Http => {
                let connector = connector.enable_http1().build();
                Over::Http(Client::builder(executor).build(connector))
            }
            Protocol::Grpc => {
                let connector = connector.enable_http2().build();
                let client = Client::builder(executor).http2_only(true).build(connector);
                Over::Grpc(client)
            }
        };
        let address = endpoint.url.as_str().parse().map_err(io::Error::other)?;
        Ok(Self {
            over,
            address,
            headers: endpoint.headers.clone(),
            timeout: endpoint.timeout,
        })
    }

    pub(crate) async fn send(&self, export: Export) -> Result<(), Unsent> {
        let sent = async {
            match (&self.over, export) {
                (Over::Http(client), Export::Traces(traces)) => {
                    self.post(client, traces.encode_to_vec()).await
                }
                (Over::Http(client), Export::Metrics(metrics)) => {
                    self.post(client, metrics.encode_to_vec()).await
                }
                (Over::Grpc(client), Export::Traces(traces)) => {
                    let mut client =
                        TraceServiceClient::with_origin(client.clone(), self.address.clone());
                    let sent = client.export(self.with_metadata(traces)).await;
                    sent.map(drop).map_err(of_status)
                }
                (Over::Grpc(client), Export::Metrics(metrics)) => {
                    let mut client =
                        MetricsServiceClient::with_origin(client.clone(), self.address.clone());
                    let sent = client.export(self.with_metadata(metrics)).await;
                    sent.map(drop).map_err(of_status)
                }
            }
        };
        let late = |_| {
            Err(Unsent::transient(format!(
                "no answer within {:?}",
                self.timeout
            )))
        };
        timeout(self.timeout, sent).await.unwrap_or_else(late)
    }

    fn with_metadata<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        *request.metadata_mut() = MetadataMap::from_headers(self.headers.clone());
        request
    }

    async fn post(
        &self,
        client: &Client<Connector, Full<Bytes>>,
        body: Vec<u8>,
    ) -> Result<(), Unsent> {
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.address.clone();
        *request.headers_mut() = self.headers.clone();
        let protobuf = http::HeaderValue::from_static("application/x-protobuf");
        request.headers_mut().insert(header::CONTENT_TYPE, protobuf);
        let answer = client.request(request).await;
        let answer = answer.map_err(|error| Unsent::transient(with_causes(&error)))?;
        let status = answer.status();
        // Read, so that the connection can be used again.
        drop(
            Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
                .collect()
                .await,
        );
        if status.is_success() {
            return Ok(());
        }
        Err(Unsent {
            reason: format!("it answered {status}"),
            // The specification's list (OTLP/HTTP, "Retryable Response Codes").
            is_transient: matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS
                    | StatusCode::BAD_GATEWAY
                    | StatusCode::SERVICE_UNAVAILABLE
                    | StatusCode::GATEWAY_TIMEOUT
            ),
        })
    }
}

impl Unsent {
    fn transient(reason: String) -> Self {
        Self {
            reason,
            is_transient: true,
        }
    }
}

/// The specification's list (OTLP/gRPC, "Failures").
fn of_status(status: tonic::Status) -> Unsent {
    Unsent {
        is_transient: matches!(
            status.code(),
            Code::Cancelled
                | Code::DeadlineExceeded
                | Code::Aborted
                | Code::OutOfRange
                | Code::Unavailable
                | Code::DataLoss
                | Code::ResourceExhausted
                // What never reached it.
                | Code::Unknown
        ),
        reason: format!("it answered {:?}: {}", status.code(), status.message()),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// With the authorities of this file, or those that the machine knows.
fn tls(ca: Option<&Path>) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(file) => {
            let pem = fs::read(file).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", file.display()))
            })?;
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                let certificate = certificate.map_err(io::Error::other)?;
                roots.add(certificate).map_err(io::Error::other)?;
            }
            if roots.is_empty() {
                let none = format!("{} has no certificate in PEM", file.display());
                return Err(io::Error::other(none));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
