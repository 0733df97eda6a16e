//! The client: pooled connections, one attempt.

use std::{
    borrow::Cow,
    io,
    path::Path,
    pin::{Pin, pin},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use tidegate_event::{Event, Name, TraceContext, http::encode_binary, json};
use tidegate_subscription::{Tls, WebHook};
use tidegate_telemetry::trace;
use tokio::time::Instant;

use crate::{
    Config, Metrics, Outcome, Seen, Sink,
    answer::{self, NotWhole, Rest},
    body::Pieces,
    classify,
    connections::Connections,
    egress, hosts,
    outcome::without_answer,
    permission::{self, Granted},
    reply, retry_after,
};

const USER_AGENT: HeaderValue =
    HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION")));

/// The media type of an event as JSON.
const STRUCTURED: HeaderValue =
    HeaderValue::from_static("application/cloudevents+json; charset=utf-8");

/// The media type of several.
const BATCH: HeaderValue =
    HeaderValue::from_static("application/cloudevents-batch+json; charset=utf-8");

/// What Knative's data plane says to a sink whose reply is wanted (RFC 7240).
const PREFER_REPLY: HeaderValue = HeaderValue::from_static("reply");

/// Longest text of a failure: enough for a message, not for a page.
const DETAIL_CHARS_MAX: usize = 300;

/// Makes attempts. Clones share the connections; make one for each runtime thread.
#[derive(Clone, Debug)]
pub struct Client {
    connections: Connections,
    first_byte_timeout: Option<Duration>,
    response_bytes_max: usize,
    metrics: Metrics,
}

impl Client {
    /// A client that trusts the machine's own certificate authorities and those of `deliver.ca`.
    pub fn new(config: &Config, metrics: Metrics) -> io::Result<Self> {
        let response_bytes_max =
            usize::try_from(config.response_bytes_max.as_u64()).unwrap_or(usize::MAX);
        Ok(Self {
            connections: Connections::new(config)?,
            first_byte_timeout: config.first_byte_timeout,
            response_bytes_max,
            metrics,
        })
    }

    /// The same with other TLS; `folder` is that of the document which says so.
    #[must_use]
    pub fn with_tls(&self, tls: &Tls, folder: &Path) -> Self {
        Self {
            connections: self.connections.with_tls(tls, folder),
            ..self.clone()
        }
    }

    /// Asks a sink whether it may be sent to (CloudEvents HTTP 1.1 Web Hooks §4).
    pub async fn ask(&self, sink: &Sink, webhook: &WebHook) -> Result<Granted, String> {
        let asked = tokio::time::timeout(permission::TIMEOUT, async {
            let mut headers = permission::question(webhook);
            headers.insert(header::USER_AGENT, USER_AGENT);
            if let Some(credentials) = &sink.credentials {
                let shown = credentials.authorization(&self.connections).await?;
                headers.insert(header::AUTHORIZATION, shown);
            }
            let answer = self.request(sink, Method::OPTIONS, headers, Bytes::new());
            let answer = answer.await.map_err(|(_, detail)| detail)?;
            let granted = permission::granted(answer.status(), answer.headers(), webhook);
            answer::refusal(answer.into_body(), self.response_bytes_max).await;
            granted
        });
        let nothing = |_| Err(format!("no answer within {:?}", permission::TIMEOUT));
        asked.await.unwrap_or_else(nothing)
    }

    /// One attempt: the event to the sink, within `timeout`.
    pub async fn attempt(
        &self,
        sink: &Sink,
        event: &Event,
        seen: Seen<'_>,
        timeout: Duration,
    ) -> Outcome {
        let sent = pin!(self.one(sink, event, seen));
        self.timed(sink, timeout, sent).await
    }

    /// One attempt with several events: one outcome for all.
    pub(crate) async fn batch(
        &self,
        sink: &Sink,
        events: impl Iterator<Item = &Event> + Clone + Send,
        span: Option<TraceContext>,
        timeout: Duration,
    ) -> Outcome {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(header::CONTENT_TYPE, BATCH);
        if let Some(value) = span.and_then(|span| HeaderValue::try_from(span.to_string()).ok()) {
            headers.insert("traceparent", value);
        }
        let body = Bytes::from(json::encode_batch(events.clone()));
        let sent = pin!(self.send(sink, events, headers, body));
        self.timed(sink, timeout, sent).await
    }

    async fn timed(
        &self,
        sink: &Sink,
        timeout: Duration,
        // In its place, which no layer of futures moves: it is large.
        sent: Pin<&mut impl Future<Output = Result<Outcome, NoAnswer>>>,
    ) -> Outcome {
        // Whoever waits for its turn has not begun: the sink is not the one that is slow.
        let host = self.connections.hosts.of(sink);
        let _place = host.places.acquire().await.ok();
        let began = Instant::now();
        let outcome = match tokio::time::timeout(timeout, sent).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err((code, detail))) => without_answer(code, detail),
            Err(_) => without_answer("deliver/timeout", format!("no answer within {timeout:?}")),
        };
        self.metrics.attempted(&outcome, began.elapsed());
        outcome
    }

    async fn one(&self, sink: &Sink, event: &Event, seen: Seen<'_>) -> Result<Outcome, NoAnswer> {
        let event = &*as_seen(event, seen);
        let mut headers = HeaderMap::with_capacity(16);
        let body = if sink.structured {
            headers.insert(header::CONTENT_TYPE, STRUCTURED);
            Bytes::from(json::encode(event))
        } else {
            encode_binary(event, &mut headers);
            event.data.clone().unwrap_or_default()
        };
        for (name, value) in trace::headers_of(event, seen.span) {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        self.send(sink, std::iter::once(event), headers, body).await
    }

    async fn send(
        &self,
        sink: &Sink,
        events: impl Iterator<Item = &Event>,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Outcome, NoAnswer> {
        add_headers(body.len(), sink, &mut headers);
        if let Some(signer) = &sink.signer {
            let signed = signer.sign(events, &body, SystemTime::now(), &mut headers);
            signed.map_err(unarmed)?;
        }
        let Some(credentials) = &sink.credentials else {
            let response = self.request(sink, Method::POST, headers, body).await?;
            return Ok(self.outcome(sink, response).await);
        };
        let shown = credentials.authorization(&self.connections).await;
        let shown = shown.map_err(unarmed)?;
        headers.insert(header::AUTHORIZATION, shown.clone());
        let response = self
            .request(sink, Method::POST, headers.clone(), body.clone())
            .await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(self.outcome(sink, response).await);
        }
        // Rotated or revoked since: once more with what is valid now, if that is something else.
        let Some(another) = credentials.another(&shown, &self.connections).await else {
            return Ok(self.outcome(sink, response).await);
        };
        answer::refusal(response.into_body(), self.response_bytes_max).await;
        headers.insert(header::AUTHORIZATION, another);
        let response = self.request(sink, Method::POST, headers, body).await?;
        Ok(self.outcome(sink, response).await)
    }

    async fn request(
        &self,
        sink: &Sink,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Rest>, NoAnswer> {
        let body = Pieces::of(body);
        let left = body.left();
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        let answer = self.answer(sink, request);
        let answer = match self.first_byte_timeout {
            None => answer.await,
            Some(most) => tokio::time::timeout(most, answer).await.map_err(|_| {
                let detail = format!("no answer began within {most:?}");
                ("deliver/first-byte-timeout", detail)
            })?,
        }?;
        // Nobody has what nobody has read. A refusal may well come early.
        if answer.status().is_success() && !left.is_nothing() {
            let detail = format!(
                "it answered {} before it had read the event",
                answer.status()
            );
            return Err(("deliver/early-answer", detail));
        }
        Ok(answer)
    }

    async fn answer(
        &self,
        sink: &Sink,
        mut request: Request<Pieces>,
    ) -> Result<Response<Rest>, NoAnswer> {
        // What a Subscription says of TLS must be right, though its sink has none.
        let plain = sink.plain.as_ref();
        if let Some((path, host)) = plain.filter(|_| self.connections.is_usual()) {
            request.uri_mut().clone_from(path);
            let headers = request.headers_mut();
            headers.entry(header::HOST).or_insert_with(|| host.clone());
            let host = self.connections.hosts.of(sink);
            let (answer, connection) =
                host.send(&sink.uri, request)
                    .await
                    .map_err(|error| match error {
                        hosts::Error::Refused(refused) => (EGRESS, refused.to_string()),
                        hosts::Error::Connect(error) => ("deliver/connect", told(&*error)),
                        hosts::Error::Broken(error) => ("deliver/transport", told(&error)),
                    })?;
            return Ok(answer.map(|body| Rest::new(body, Some((host, connection)))));
        }
        let refused = self.connections.egress.check_host(&sink.uri);
        refused.map_err(|refused| (EGRESS, refused.to_string()))?;
        request.uri_mut().clone_from(&sink.uri);
        let pool = self.connections.pool().map_err(unarmed)?;
        let answer = pool.request(request).await;
        let answer = answer.map_err(|error| match egress::refused(&error) {
            Some(refused) => (EGRESS, refused.to_string()),
            None if error.is_connect() => ("deliver/connect", told(&error)),
            None => ("deliver/transport", told(&error)),
        })?;
        Ok(answer.map(|body| Rest::new(body, None)))
    }

    async fn outcome(&self, sink: &Sink, response: Response<Rest>) -> Outcome {
        let status = response.status();
        let (head, body) = response.into_parts();
        let (headers, most) = (head.headers, self.response_bytes_max);
        if !status.is_success() {
            let after = retry_after::of(&headers, SystemTime::now());
            return classify(status, after, answer::refusal(body, most).await);
        }
        // Knative's data plane: what comes with 202 is no reply.
        let is_reply = sink.replies && status == StatusCode::OK;
        let kept = if is_reply { most } else { 0 };
        match answer::whole(body, most, kept).await {
            Ok(body) if is_reply => reply::read(&headers, body),
            Ok(_) => Outcome::Delivered {
                status,
                reply: None,
            },
            Err(NotWhole::TooLong) => {
                let detail = format!("it answered {status} and more than {most} bytes");
                without_answer("deliver/answer-too-long", detail)
            }
            Err(NotWhole::Broken(error)) => {
                let detail = format!("its answer {status} broke off: {}", told(&error));
                without_answer("deliver/transport", detail)
            }
        }
    }
}

/// The code and the detail of an attempt that got no answer.
type NoAnswer = (&'static str, String);

const EGRESS: &str = "deliver/egress";

fn unarmed(detail: String) -> NoAnswer {
    ("deliver/credentials", detail)
}

/// The event as the sink sees it.
pub(crate) fn as_seen<'a>(event: &'a Event, seen: Seen<'_>) -> Cow<'a, Event> {
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
fn add_headers(body_bytes: usize, sink: &Sink, headers: &mut HeaderMap) {
    if let Some(origin) = &sink.origin {
        headers.insert(permission::REQUEST_ORIGIN, origin.clone());
    }
    if sink.replies {
        headers.insert(HeaderName::from_static("prefer"), PREFER_REPLY);
    }
    for (name, value) in &sink.headers {
        headers.append(name, value.clone());
    }
    headers.insert(header::USER_AGENT, USER_AGENT);
    headers.insert(header::CONTENT_LENGTH, body_bytes.into());
}

/// An error with its causes, in one line.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text.chars().take(DETAIL_CHARS_MAX).collect()
}
