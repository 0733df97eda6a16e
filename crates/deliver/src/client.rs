//! The client: pooled connections, one attempt.

use std::{
    borrow::Cow,
    io,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version, header};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tidegate_event::{Event, Name, http::encode_binary, json};
use tidegate_telemetry::trace;
use tokio::time::Instant;

use crate::{
    Config, Metrics, Outcome, Seen, Sink, answer, classify, outcome::without_answer, retry_after,
};

const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION")));

/// The media type of an event as JSON.
const STRUCTURED: HeaderValue =
    HeaderValue::from_static("application/cloudevents+json; charset=utf-8");

/// Longest text of a failure: enough for a message, not for a page.
const DETAIL_CHARS_MAX: usize = 300;

/// Makes attempts. Clones share the connections; make one for each runtime thread.
#[derive(Clone, Debug)]
pub struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    response_bytes_max: usize,
    metrics: Metrics,
}

impl Client {
    /// A client with the machine's own certificate authorities.
    pub fn new(config: &Config, metrics: Metrics) -> io::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(config.connect_timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())?
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_idle_timeout(config.idle_timeout)
            .pool_max_idle_per_host(config.idle_connections_max)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .build(connector);
        let response_bytes_max =
            usize::try_from(config.response_bytes_max.as_u64()).unwrap_or(usize::MAX);
        Ok(Self {
            pool,
            response_bytes_max,
            metrics,
        })
    }

    /// One attempt: the event to the sink, within `timeout`.
    pub async fn attempt(
        &self,
        sink: &Sink,
        event: &Event,
        seen: Seen<'_>,
        timeout: Duration,
    ) -> Outcome {
        let began = Instant::now();
        let outcome = match tokio::time::timeout(timeout, self.send(sink, event, seen)).await {
            Ok(outcome) => outcome,
            Err(_) => without_answer("deliver/timeout", format!("no answer within {timeout:?}")),
        };
        self.metrics.attempted(&outcome, began.elapsed());
        outcome
    }

    async fn send(&self, sink: &Sink, event: &Event, seen: Seen<'_>) -> Outcome {
        let event = &*as_seen(event, seen);
        let mut headers = HeaderMap::with_capacity(16);
        let body = if sink.structured {
            headers.insert(header::CONTENT_TYPE, STRUCTURED);
            Bytes::from(json::encode(event))
        } else {
            encode_binary(event, &mut headers);
            event.data.clone().unwrap_or_default()
        };
        add_headers(event, body.len(), sink, &mut headers);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_11;
        request.uri_mut().clone_from(&sink.uri);
        *request.headers_mut() = headers;
        match self.pool.request(request).await {
            Ok(response) => {
                let after = retry_after::of(response.headers(), SystemTime::now());
                let status = response.status();
                let body = answer::drain(response.into_body(), self.response_bytes_max).await;
                classify(status, after, body)
            }
            Err(error) if error.is_connect() => without_answer("deliver/connect", told(&error)),
            Err(error) => without_answer("deliver/transport", told(&error)),
        }
    }
}

/// The event as the sink sees it.
fn as_seen<'a>(event: &'a Event, seen: Seen<'_>) -> Cow<'a, Event> {
    match seen.r#type {
        Some(r#type) => {
            let mut renamed = event.clone();
            renamed.r#type = r#type.into();
            Cow::Owned(renamed)
        }
        None if seen.original_type => {
            let mut told = event.clone();
            told.extensions.insert(
                Name::from_static("originaltype"),
                told.r#type.clone().into(),
            );
            Cow::Owned(told)
        }
        None => Cow::Borrowed(event),
    }
}

/// What is the request's and not the event's.
fn add_headers(event: &Event, body_bytes: usize, sink: &Sink, headers: &mut HeaderMap) {
    for (name, value) in trace::headers_of(event) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    for (name, value) in &sink.headers {
        headers.append(name, value.clone());
    }
    headers.insert(header::USER_AGENT, USER_AGENT);
    headers.insert(header::CONTENT_LENGTH, body_bytes.into());
}

/// An error with its causes, in one line.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text.chars().take(DETAIL_CHARS_MAX).collect()
}
