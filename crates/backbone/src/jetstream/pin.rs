//! Being the one client that gets a consumer's events: JetStream's pinned client (ADR-42).
//!
//! The server pins a client with its first event and tells it an id; requests that bear the id keep
//! the pin. A client that asks for nothing for the timeout loses it to the next that waits.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

/// The policy's name.
pub(super) const POLICY: &str = "pinned_client";

/// The only group: the server asks for one.
pub(super) const GROUP: &str = "order";

/// The version of nats-server from which on it knows pinned clients.
pub(super) const SERVER_MIN: (u64, u64) = (2, 11);

/// The status of a request with an id that is not the pinned client's.
pub(super) const LOST: u16 = 423;

/// The header of an event that tells it.
pub(super) const ID: &str = "Nats-Pin-Id";

/// The shortest time after which a silent client loses the pin.
const TIMEOUT_MIN: Duration = Duration::from_secs(3);

/// One client's pin.
#[derive(Debug)]
pub(super) struct Pin {
    id: Option<String>,
    /// How often something has to be asked for.
    every: Duration,
    asked: Instant,
}

/// What a consumer's configuration says.
pub(super) fn config(ack_wait: Duration) -> Map<String, Value> {
    let timeout = timeout(ack_wait).as_nanos();
    [
        ("priority_groups", json!([GROUP])),
        ("priority_policy", json!(POLICY)),
        (
            "priority_timeout",
            json!(u64::try_from(timeout).unwrap_or(u64::MAX)),
        ),
    ]
    .map(|(field, value)| (field.to_owned(), value))
    .into_iter()
    .collect()
}

fn timeout(ack_wait: Duration) -> Duration {
    ack_wait.max(TIMEOUT_MIN)
}

impl Pin {
    pub(super) fn new(ack_wait: Duration) -> Self {
        Self {
            id: None,
            every: timeout(ack_wait) / 3,
            asked: Instant::now(),
        }
    }

    /// Whether this client is the pinned one, for all it knows.
    pub(super) fn is_held(&self) -> bool {
        self.id.is_some()
    }

    /// How long a request may wait, so that the next one comes in time.
    pub(super) fn every(&self) -> Duration {
        self.every
    }

    /// When something has to be asked for; never for who is not pinned.
    pub(super) fn due(&self) -> Option<Instant> {
        self.id.as_ref().map(|_| self.asked + self.every)
    }

    /// What a request says of it.
    pub(super) fn ask(&mut self, request: &mut Value) {
        self.asked = Instant::now();
        if let Some(request) = request.as_object_mut() {
            request.insert("group".to_owned(), json!(GROUP));
            if let Some(id) = &self.id {
                request.insert("id".to_owned(), json!(id));
            }
        }
    }

    /// An event has come, with the id that is this client's.
    pub(super) fn learn(&mut self, id: Option<&str>) {
        if let Some(id) = id
            && self.id.as_deref() != Some(id)
        {
            self.id = Some(id.to_owned());
        }
    }

    /// Another client is pinned. `true` when it was this one before.
    pub(super) fn lose(&mut self) -> bool {
        self.id.take().is_some()
    }
}
