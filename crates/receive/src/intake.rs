//! The seam behind the doors: what a request becomes, and what may come back.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;

use crate::{Door, Peer};

/// The head of a request, before its body is read.
#[derive(Clone, Debug)]
pub struct Head {
    /// The door that it came through.
    pub door: Door,
    /// The path's application, percent-decoded, where the door has one.
    pub application: Option<String>,
    /// The path's topic or queue, percent-decoded, where the door has one.
    pub topic: Option<String>,
    /// The headers, as they came.
    pub headers: HeaderMap,
    /// The other end of the connection.
    pub peer: Peer,
}

/// A sender that may go on to its body.
#[derive(Clone, Debug)]
pub struct Admitted<P> {
    /// What [`Intake::accept`] is to know of it.
    pub pass: P,
    /// Most bytes of its body; the doors' own limit stays.
    pub body_bytes_max: Option<u64>,
}

/// All events of a request are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The id of the first event; the legacy door answers with it.
    pub first_id: ByteString,
    /// How many there are.
    pub events: usize,
    /// Another status than the door's own.
    pub status: Option<StatusCode>,
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
    /// How to authenticate.
    pub www_authenticate: Option<HeaderValue>,
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
    /// What the first step says to the second.
    type Pass: Send;

    /// Whether a sender may send, by all that is known before the body.
    fn admit(
        &self,
        head: Head,
    ) -> impl Future<Output = Result<Admitted<Self::Pass>, Refusal>> + Send;

    /// Takes a request in, whole and within the limits. `Ok` means that every event in it is
    /// stored durably.
    fn accept(
        &self,
        pass: Self::Pass,
        body: Bytes,
    ) -> impl Future<Output = Result<Accepted, Refusal>> + Send;

    /// What is subscribed of the head's application.
    fn subscribed(
        &self,
        head: Head,
    ) -> impl Future<Output = Result<Vec<SubscribedType>, Refusal>> + Send;

    /// Whether events can be stored now; if not, why.
    fn ready(&self) -> impl Future<Output = Result<(), String>> + Send;
}
