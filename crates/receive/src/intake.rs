//! The seam behind the doors: what a request becomes, and what may come back.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;
use http::{HeaderMap, StatusCode};
use serde::Serialize;

/// A door that events come in through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// `POST /publish`: CloudEvents, the path of Kyma's publisher.
    Publish,
    /// `POST /events`: CloudEvents.
    Events,
    /// `POST /{application}/events`: CloudEvents of a connected system.
    ApplicationEvents,
    /// `POST /{application}/v2/events`: the same, the path of Kyma's gateway.
    ApplicationEventsV2,
    /// `POST /{application}/v1/events`: the legacy format of SAP systems.
    Legacy,
}

/// A request that came in whole, within the limits.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The door that it came through.
    pub door: Door,
    /// The path's application, percent-decoded, where the door has one.
    pub application: Option<String>,
    /// The headers, as they came.
    pub headers: HeaderMap,
    /// The body, as it came.
    pub body: Bytes,
}

/// All events of a request are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The id of the first event; the legacy door answers with it.
    pub first_id: ByteString,
}

/// Not every event of a request is known to be stored, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stable code, such as `publish/busy`.
    pub code: &'static str,
    /// The status of the answer.
    pub status: StatusCode,
    /// What kind of failure this is, the same for every one with this code.
    pub title: &'static str,
    /// What happened this time.
    pub detail: String,
    /// When to come again.
    pub retry_after: Option<Duration>,
    /// The exact body that the legacy door answers with.
    pub legacy_body: Option<String>,
    /// What became of each event of a batch.
    pub events: Vec<EventOutcome>,
}

/// What became of one event of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventOutcome {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// Whether it is stored.
    pub stored: bool,
    /// The stable code of the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// What happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A type that somebody subscribed to, as the legacy door lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubscribedType {
    /// All but the last segment.
    pub name: String,
    /// The last segment.
    pub version: String,
}

/// What stands behind the doors.
pub trait Intake: Clone + Send + Sync + 'static {
    /// Takes a request in. `Ok` means that every event in it is stored durably.
    fn accept(&self, arrival: Arrival) -> impl Future<Output = Result<Accepted, Refusal>> + Send;

    /// What is subscribed of this application.
    fn subscribed(&self, application: &str) -> Vec<SubscribedType>;

    /// Whether events can be stored now; if not, why.
    fn ready(&self) -> impl Future<Output = Result<(), String>> + Send;
}
