//! What the doors count.
//!
//! Handles are resolved once; a request formats no label and looks nothing up.

mod expiry;
mod failure;

use std::{
    array,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::StatusCode;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use self::expiry::Expiry;
pub(crate) use self::failure::Failure;
use crate::{Door, door::DOORS};

/// Upper bounds in seconds: from a request that is refused unread (tens of microseconds) to one
/// that takes the whole default `request_timeout`.
const DURATION_BUCKETS: [f64; 13] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 30.0,
];

/// The statuses that are counted by themselves; every other one is counted as `other`.
const STATUSES: [(u16, &str); 16] = [
    (200, "200"),
    (204, "204"),
    (301, "301"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (413, "413"),
    (415, "415"),
    (429, "429"),
    (431, "431"),
    (500, "500"),
    (503, "503"),
    (507, "507"),
];

/// Where a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Door(Door),
    Subscribed,
    Health,
    /// No known path, or not with this method.
    Unknown,
}

/// How many places there are.
const ENDPOINTS: usize = DOORS + 3;

/// Handles, resolved once.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Handles>);

#[derive(Debug)]
struct Handles {
    requests: Family<RequestLabels, Counter>,
    resolved: [[OnceLock<Counter>; STATUSES.len() + 1]; ENDPOINTS],
    duration: Vec<Histogram>,
    refused: Family<RefusedLabels, Counter>,
    body_bytes: Counter,
    in_flight: Gauge,
    connections: Gauge,
    failures: Family<FailureLabels, Counter>,
    certificate_expiry: Expiry,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    door: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    door: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DoorLabels {
    door: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    reason: &'static str,
}

// === impl Endpoint ===

impl Endpoint {
    fn all() -> impl Iterator<Item = Self> {
        let others = [Self::Subscribed, Self::Health, Self::Unknown];
        Door::ALL.into_iter().map(Self::Door).chain(others)
    }

    fn index(self) -> usize {
        match self {
            Self::Door(door) => door.index(),
            Self::Subscribed => DOORS,
            Self::Health => DOORS + 1,
            Self::Unknown => DOORS + 2,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Door(door) => door.name(),
            Self::Subscribed => "subscribed",
            Self::Health => "health",
            Self::Unknown => "unknown",
        }
    }
}

// === impl Metrics ===

impl Metrics {
    /// Registers what the doors count.
    pub fn register(registry: &mut Registry) -> Self {
        let duration = Family::<DoorLabels, Histogram>::new_with_constructor(|| {
            Histogram::new(DURATION_BUCKETS)
        });
        let handles = Handles {
            requests: Family::default(),
            resolved: array::from_fn(|_| array::from_fn(|_| OnceLock::new())),
            duration: Endpoint::all()
                .map(|endpoint| {
                    duration.get_or_create_owned(&DoorLabels {
                        door: endpoint.label(),
                    })
                })
                .collect(),
            refused: Family::default(),
            body_bytes: Counter::default(),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            failures: Family::default(),
            certificate_expiry: Expiry::default(),
        };
        let metrics = Self(Arc::new(handles));
        metrics.name(registry, duration);
        metrics
    }

    fn name(&self, registry: &mut Registry, duration: Family<DoorLabels, Histogram>) {
        let handles = &self.0;
        registry.register(
            "tidegate_receive_requests",
            "Requests that were answered, by door and status",
            handles.requests.clone(),
        );
        registry.register(
            "tidegate_receive_duration_seconds",
            "From a request's head to its answer",
            duration,
        );
        registry.register(
            "tidegate_receive_requests_refused",
            "Requests that were refused, by door and error code",
            handles.refused.clone(),
        );
        registry.register(
            "tidegate_receive_body_bytes",
            "Bytes of bodies that were taken in whole",
            handles.body_bytes.clone(),
        );
        registry.register(
            "tidegate_receive_requests_in_flight",
            "Requests that wait for their answer",
            handles.in_flight.clone(),
        );
        registry.register(
            "tidegate_receive_connections_open",
            "Open connections",
            handles.connections.clone(),
        );
        registry.register(
            "tidegate_receive_connections_failed",
            "Connections that ended early, by reason",
            handles.failures.clone(),
        );
        registry.register(
            "tidegate_receive_certificate_expiry_seconds",
            "When the server's certificate ends, in Unix time",
            handles.certificate_expiry.clone(),
        );
    }

    /// A request was answered.
    pub(crate) fn answered(&self, endpoint: Endpoint, status: StatusCode, took: Duration) {
        let status = status.as_u16();
        let at = STATUSES.iter().position(|&(code, _)| code == status);
        let cell = self
            .0
            .resolved
            .get(endpoint.index())
            .and_then(|row| row.get(at.unwrap_or(STATUSES.len())));
        if let Some(cell) = cell {
            cell.get_or_init(|| self.requests(endpoint, at)).inc();
        }
        if let Some(histogram) = self.0.duration.get(endpoint.index()) {
            histogram.observe(took.as_secs_f64());
        }
    }

    /// A request was refused.
    pub(crate) fn refused(&self, endpoint: Endpoint, code: &'static str) {
        let labels = RefusedLabels {
            door: endpoint.label(),
            code,
        };
        self.0.refused.get_or_create(&labels).inc();
    }

    pub(crate) fn body(&self, bytes: usize) {
        self.0.body_bytes.inc_by(bytes as u64);
    }

    pub(crate) fn failed(&self, failure: Failure) {
        self.0
            .failures
            .get_or_create(&FailureLabels {
                reason: failure.label(),
            })
            .inc();
    }

    /// The server's certificate in use ends then, in seconds of Unix time.
    pub(crate) fn certificate_expires(&self, at: i64) {
        self.0.certificate_expiry.set(at);
    }

    /// Counts a request as in flight until dropped, also when its client goes away.
    pub(crate) fn in_flight(&self) -> Counted {
        Counted::new(&self.0.in_flight)
    }

    /// Counts a connection as open until dropped.
    pub(crate) fn connection(&self) -> Counted {
        Counted::new(&self.0.connections)
    }

    fn requests(&self, endpoint: Endpoint, at: Option<usize>) -> Counter {
        let status = at
            .and_then(|at| STATUSES.get(at))
            .map_or("other", |&(_, label)| label);
        let labels = RequestLabels {
            door: endpoint.label(),
            status,
        };
        self.0.requests.get_or_create_owned(&labels)
    }
}

/// One more in a gauge, until dropped.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Counted {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mix-up of places would count one door's requests as another's.
    #[test]
    fn every_endpoint_has_a_place_of_its_own() {
        for (index, endpoint) in Endpoint::all().enumerate() {
            assert_eq!(endpoint.index(), index);
        }
    }

    /// Only what happened makes a series, and an unforeseen status is not lost.
    #[test]
    fn answers_are_counted_by_door_and_status() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let door = Endpoint::Door(Door::Events);
        metrics.answered(door, StatusCode::NO_CONTENT, Duration::from_millis(1));
        metrics.answered(door, StatusCode::NO_CONTENT, Duration::from_millis(1));
        metrics.answered(door, StatusCode::IM_A_TEAPOT, Duration::from_millis(1));
        let text = tidegate_telemetry::metrics::render(&registry);
        let series: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("tidegate_receive_requests_total"))
            .collect();
        assert_eq!(series.len(), 2, "{text}");
        assert!(
            text.contains(r#"requests_total{door="events",status="204"} 2"#),
            "{text}"
        );
        assert!(
            text.contains(r#"requests_total{door="events",status="other"} 1"#),
            "{text}"
        );
    }
}
