//! The log on NATS JetStream.
//!
//! Appends go out as core messages and their acknowledgements come back on one inbox
//! ([`acks`]); pulling speaks JetStream's pull protocol itself ([`source`]), so that exactly as
//! many events are under way as there is room for. Streams and consumers are managed through
//! the client library ([`streams`], [`consumers`]).

mod acks;
mod consumers;
mod messages;
mod reclaim;
mod source;
mod streams;

use std::{sync::Arc, time::Duration};

use async_nats::{Client, ConnectOptions, connection::State};
use tokio::{sync::watch, task::JoinHandle};

pub use self::{reclaim::Reclaimed, source::JetstreamReceipt, source::JetstreamSource, streams::Drift};
use self::acks::Acks;
use crate::{
    Append, AppendError, Config, ConsumerSpec, ControlError, DeadLetter, Log, Pending, Stored,
};

/// After two unanswered pings the connection counts as lost; a server that hangs is found in
/// about twice this time.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// Longest pause between two tries to reconnect: a local server is back within a second.
const RECONNECT_DELAY_MAX: Duration = Duration::from_millis(500);

/// Messages that may wait in the client for one subscription. Above the most that a pull may
/// have under way, so that the client never drops one.
const SUBSCRIPTION_CAPACITY: usize = 65_536;

/// How long management requests may take.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to JetStream. Clones share it. Make one for each runtime thread.
#[derive(Clone, Debug)]
pub struct Jetstream(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    context: async_nats::jetstream::Context,
    config: Config,
    acks: Acks,
    /// Counts connections made, so that a source knows when its requests are gone.
    connections: watch::Receiver<u64>,
    tasks: Vec<JoinHandle<()>>,
}

/// No connection could be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to nats-server: {0}")]
pub struct ConnectError(#[from] Box<dyn std::error::Error + Send + Sync>);

impl Jetstream {
    /// Connects to `url`; `name` is how the connection shows on the server.
    pub async fn connect(config: &Config, url: &str, name: &str) -> Result<Self, ConnectError> {
        let (connected, connections) = watch::channel(0);
        let acks = Acks::new(config.in_flight_max, config.append_timeout);
        let callback = {
            let (acks, connected) = (acks.clone(), Arc::new(connected));
            move |event| {
                observe(&event, &acks, &connected);
                std::future::ready(())
            }
        };
        let mut options = match &config.credentials_file {
            Some(file) => ConnectOptions::with_credentials_file(file).await.map_err(boxed)?,
            None => ConnectOptions::new(),
        };
        options = options
            .name(name)
            .connection_timeout(config.connect_timeout)
            .ping_interval(PING_INTERVAL)
            .subscription_capacity(SUBSCRIPTION_CAPACITY)
            .max_reconnects(None)
            .reconnect_delay_callback(|attempts| {
                let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
                RECONNECT_DELAY_MAX.min(Duration::from_millis(10).saturating_mul(attempts))
            })
            .event_callback(callback);
        let servers: Vec<String> = url.split(',').map(|one| one.trim().to_owned()).collect();
        let client = options.connect(servers).await.map_err(boxed)?;
        let mut context = async_nats::jetstream::new(client.clone());
        context.set_timeout(CONTROL_TIMEOUT);
        let tasks = acks.start(&client).await.map_err(boxed)?;
        let config = config.clone();
        Ok(Self(Arc::new(Inner { client, context, config, acks, connections, tasks })))
    }

    /// What the server may be given in one message.
    pub fn message_bytes_max(&self) -> usize {
        self.0.client.max_payload()
    }

    fn connected(&self) -> bool {
        self.0.client.connection_state() == State::Connected
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn boxed(error: impl std::error::Error + Send + Sync + 'static) -> ConnectError {
    ConnectError(Box::new(error))
}

fn observe(event: &async_nats::Event, acks: &Acks, connected: &watch::Sender<u64>) {
    use async_nats::Event;
    match event {
        Event::Connected => connected.send_modify(|count| *count += 1),
        Event::Disconnected | Event::Closed => {
            tracing::warn!("connection to nats-server lost");
            acks.fail_all("the connection was lost");
        }
        Event::ServerError(error) => tracing::warn!(%error, "nats-server reports an error"),
        Event::ClientError(error) => tracing::debug!(%error, "nats client error"),
        Event::LameDuckMode | Event::Draining | Event::SlowConsumer(_) => {
            tracing::warn!(%event, "nats connection");
        }
    }
}

impl Log for Jetstream {
    type Source = JetstreamSource;

    async fn append(&self, append: &Append) -> Result<Stored, AppendError> {
        let headers = messages::headers_of(&append.event, append.message_id.as_ref());
        let payload = append.event.data.clone().unwrap_or_default();
        self.publish(append.subject.clone(), headers, payload).await
    }

    async fn bury(&self, letter: &DeadLetter) -> Result<Stored, AppendError> {
        let root = self.0.config.dead_letters_root();
        let (subject, headers, payload) = messages::letter(&root, letter);
        self.publish(subject, headers, payload).await
    }

    async fn open(&self, spec: ConsumerSpec) -> Result<JetstreamSource, ControlError> {
        self.open_consumer(spec).await
    }

    async fn remove(&self, consumer: &str) -> Result<(), ControlError> {
        self.remove_consumer(consumer).await
    }

    async fn consumers(&self) -> Result<Vec<Pending>, ControlError> {
        self.pending_of_consumers().await
    }

    async fn ready(&self) -> Result<(), ControlError> {
        self.check_ready().await
    }
}

/// A failure of a management request.
fn control(action: impl Into<String>, error: impl std::fmt::Display) -> ControlError {
    ControlError { action: action.into(), detail: error.to_string() }
}
