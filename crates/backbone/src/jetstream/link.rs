//! One connection to NATS: its state, and requests to JetStream's API.
//!
//! Nothing is sent while there is no connection: what a client library would queue then, nobody
//! would be told about.

use std::{sync::Arc, time::Duration};

use async_nats::{
    Client, ConnectOptions, Event, Request, RequestError, RequestErrorKind, ServerAddr,
    connection::State,
};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{ConnectError, wire};
use crate::{AppendError, Config, ControlError};

/// How long a request to JetStream's API may take. Creating a replicated stream takes a second or
/// two on a busy cluster.
pub(super) const CONTROL_TIMEOUT: Duration = Duration::from_secs(5);

/// How often the server is asked whether it is there. A silent connection is given up after three
/// of them.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Longest time between two attempts to connect again: a server that is back is found within it.
const RECONNECT_DELAY_MAX: Duration = Duration::from_millis(500);

/// JetStream's error code for a consumer that does not exist.
pub(super) const CONSUMER_NOT_FOUND: u64 = 10_014;

/// JetStream's error code for a message that does not exist.
pub(super) const MESSAGE_NOT_FOUND: u64 = 10_037;

/// JetStream's error code for a stream that does not exist.
pub(super) const STREAM_NOT_FOUND: u64 = 10_059;

#[derive(Debug)]
pub(super) struct Link {
    client: Client,
    signals: Arc<Signals>,
}

/// What the connection's events lead to.
#[derive(Debug)]
struct Signals {
    /// Counts connections that were lost.
    losses: watch::Sender<u64>,
}

/// Why a request to JetStream's API failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("the log is unreachable: {detail}")]
    Unreachable { detail: String },
    #[error("{description} (code {code})")]
    Refused { code: u64, description: String },
    #[error("not understood: {detail}")]
    Unintelligible { detail: String },
}

impl ApiError {
    pub(super) fn code(&self) -> Option<u64> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Unreachable { .. } | Self::Unintelligible { .. } => None,
        }
    }

    pub(super) fn during(&self, action: impl Into<String>) -> ControlError {
        ControlError {
            action: action.into(),
            detail: self.to_string(),
        }
    }
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// The user and the password that stand in an address; the client does not look for them.
pub(super) fn user_of(servers: &[ServerAddr]) -> Option<(String, String)> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let server = servers.iter().find(|server| server.has_user_pass())?;
    let user = server.username().unwrap_or_default();
    Some((
        decoded(user),
        decoded(server.password().unwrap_or_default()),
    ))
}

/// The servers of an address; several are separated by commas.
pub(super) fn servers_of(url: &str) -> Result<Vec<ServerAddr>, ConnectError> {
    let servers = url.split(',').map(|url| {
        let server = url.trim().parse::<ServerAddr>();
        server.map_err(|source| ConnectError::Url { source })
    });
    servers.collect()
}

/// Where they are, for people: without what signs in there.
fn addresses(servers: &[ServerAddr]) -> String {
    let addresses = servers
        .iter()
        .map(|server| format!("{}:{}", server.host(), server.port()));
    addresses.collect::<Vec<_>>().join(", ")
}

/// How long is waited after so many attempts in vain.
pub(super) fn reconnect_delay(attempts: usize) -> Duration {
    let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
    Duration::from_millis(20)
        .saturating_mul(attempts)
        .min(RECONNECT_DELAY_MAX)
}

impl Link {
    pub(super) async fn connect(
        config: &Config,
        url: &str,
        name: &str,
    ) -> Result<Self, ConnectError> {
        let servers = servers_of(url)?;
        let signals = Arc::new(Signals {
            losses: watch::channel(0).0,
        });
        let events = Arc::clone(&signals);
        let mut options = ConnectOptions::new()
            .name(name)
            .connection_timeout(config.connect_timeout)
            .ping_interval(PING_INTERVAL)
            .reconnect_delay_callback(reconnect_delay)
            .event_callback(move |event| {
                events.on(&event);
                std::future::ready(())
            });
        if let Some((user, password)) = user_of(&servers) {
            options = options.user_and_password(user, password);
        }
        if let Some(file) = &config.ca_file {
            wire::authorities(file).map_err(|source| ConnectError::Authorities {
                file: file.clone(),
                source,
            })?;
            options = options.add_root_certificates(file.clone());
        }
        if let Some(file) = &config.credentials_file {
            options = options.credentials_file(file).await.map_err(|source| {
                ConnectError::Credentials {
                    file: file.clone(),
                    source,
                }
            })?;
        }
        let addresses = addresses(&servers);
        let client = options.connect(servers).await;
        let client = client.map_err(|error| ConnectError::Unreachable {
            servers: addresses,
            detail: error.to_string(),
        })?;
        Ok(Self { client, signals })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Whether the server is in no cluster.
    pub(super) fn is_single_server(&self) -> bool {
        self.client.server_info().cluster.is_none()
    }

    /// Changes whenever the connection is lost.
    pub(super) fn losses(&self) -> watch::Receiver<u64> {
        self.signals.losses.subscribe()
    }

    /// Sends a request to JetStream's API and reads the answer.
    pub(super) async fn call<V: DeserializeOwned>(
        &self,
        subject: &str,
        body: &Value,
    ) -> Result<V, ApiError> {
        let payload = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = Request::new().payload(payload.into());
        self.ask(&format!("$JS.API.{subject}"), request).await
    }

    /// Deletes a message.
    pub(super) async fn delete(&self, stream: &str, sequence: u64) -> Result<(), ApiError> {
        // What is deleted need not be overwritten: the log is on a disk that is trusted with it.
        let asked = json!({ "seq": sequence, "no_erase": true });
        let deleted: Result<Value, _> = self
            .call(&format!("STREAM.MSG.DELETE.{stream}"), &asked)
            .await;
        deleted.map(drop)
    }

    /// Sends a request to a subject where JetStream listens, and reads the answer.
    pub(super) async fn ask<V: DeserializeOwned>(
        &self,
        subject: &str,
        request: Request,
    ) -> Result<V, ApiError> {
        if !self.is_connected() {
            return Err(ApiError::Unreachable {
                detail: NOT_CONNECTED.to_owned(),
            });
        }
        let request = request.timeout(Some(CONTROL_TIMEOUT));
        let answer = self.client.send_request(subject.to_owned(), request).await;
        let answer = answer.map_err(|error| unanswered(&error))?;
        let unintelligible = |error: serde_json::Error| ApiError::Unintelligible {
            detail: format!("the answer to {subject}: {error}"),
        };
        let envelope: Envelope = serde_json::from_slice(&answer.payload).map_err(unintelligible)?;
        if let Some(Refusal {
            err_code: code,
            description,
        }) = envelope.error
        {
            return Err(ApiError::Refused { code, description });
        }
        serde_json::from_slice(&answer.payload).map_err(unintelligible)
    }
}

fn unanswered(error: &RequestError) -> ApiError {
    let detail = match error.kind() {
        RequestErrorKind::NoResponders => "JetStream does not answer".to_owned(),
        RequestErrorKind::TimedOut => format!("no answer within {CONTROL_TIMEOUT:?}"),
        RequestErrorKind::Other => error.to_string(),
        RequestErrorKind::InvalidSubject | RequestErrorKind::MaxPayloadExceeded => {
            return ApiError::Refused {
                code: 0,
                description: error.to_string(),
            };
        }
    };
    ApiError::Unreachable { detail }
}

/// Said when there is no connection.
pub(super) const NOT_CONNECTED: &str = "there is no connection to NATS";

/// Said when it was lost meanwhile.
pub(super) const LOST: &str = "the connection was lost";

/// An append that may be stored or not.
pub(super) fn unreachable(detail: &str) -> AppendError {
    AppendError::Unreachable {
        detail: detail.to_owned(),
    }
}

impl Signals {
    fn on(&self, event: &Event) {
        match event {
            Event::Connected => tracing::info!("connected to nats"),
            Event::Disconnected | Event::Closed => {
                tracing::warn!("connection to nats lost");
                self.losses.send_modify(|losses| *losses += 1);
            }
            Event::SlowConsumer(subscription) => {
                tracing::warn!(subscription, "the client library dropped a message");
            }
            Event::LameDuckMode => tracing::info!("the nats-server is about to end"),
            Event::Draining => {}
            Event::ServerError(error) => tracing::warn!(%error, "nats-server reports an error"),
            Event::ClientError(error) => tracing::debug!(%error, "nats client reports an error"),
        }
    }
}
