//! One request to a collector, over HTTP or gRPC.

use std::{fs, io, io::Write as _, path::Path, time::Duration};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
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
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tidegate_telemetry::Protocol;
use tokio::time::timeout;
use tonic::{Code, codec::CompressionEncoding, metadata::MetadataMap};
use zeroize::Zeroizing;

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
    gzip: bool,
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
            .with_tls_config(tls(endpoint)?)
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
            gzip: endpoint.gzip,
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
                    let client =
                        TraceServiceClient::with_origin(client.clone(), self.address.clone());
                    let mut client = match self.gzip {
                        true => client.send_compressed(CompressionEncoding::Gzip),
                        false => client,
                    };
                    let sent = client.export(self.with_metadata(traces)).await;
                    sent.map(drop).map_err(of_status)
                }
                (Over::Grpc(client), Export::Metrics(metrics)) => {
                    let client =
                        MetricsServiceClient::with_origin(client.clone(), self.address.clone());
                    let mut client = match self.gzip {
                        true => client.send_compressed(CompressionEncoding::Gzip),
                        false => client,
                    };
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
        let body = match self.gzip {
            true => gzipped(&body).map_err(|error| Unsent::transient(error.to_string()))?,
            false => body,
        };
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.address.clone();
        *request.headers_mut() = self.headers.clone();
        let protobuf = HeaderValue::from_static("application/x-protobuf");
        request.headers_mut().insert(header::CONTENT_TYPE, protobuf);
        if self.gzip {
            let gzip = HeaderValue::from_static("gzip");
            request.headers_mut().insert(header::CONTENT_ENCODING, gzip);
        }
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

fn gzipped(body: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

/// With the authorities that the endpoint names, or those that the machine knows.
fn tls(endpoint: &Endpoint) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match &endpoint.ca {
        Some(file) => {
            for certificate in certificates(file)? {
                let added = roots.add(certificate);
                added.map_err(|error| named(file, io::Error::other(error)))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots);
    let Some((chain, key)) = &endpoint.client else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(chain)?;
    let pem = Zeroizing::new(fs::read(key).map_err(|error| named(key, error))?);
    let none = |_| named(key, io::Error::other("it holds no private key in PEM"));
    let private = PrivateKeyDer::from_pem_slice(&pem).map_err(none)?;
    let config = builder.with_client_auth_cert(chain, private);
    config.map_err(|error| named(key, io::Error::other(error)))
}

fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let pem = fs::read(file).map_err(|error| named(file, error))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let all = all.map_err(|error| named(file, io::Error::other(error)))?;
    if all.is_empty() {
        let none = io::Error::other("it holds no certificate in PEM");
        return Err(named(file, none));
    }
    Ok(all)
}

fn named(file: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", file.display()))
}
