//! How much each connected system has sent, since this process knows it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

const ACCEPTED: &str = "accepted";
const REFUSED: &str = "refused";

/// The counters of all of them. Names come from documents, never from a caller.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics(Family<Of, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    application: String,
    outcome: &'static str,
}

/// Those of one of them, found once: an event costs an addition or two.
#[derive(Debug)]
pub(crate) struct Counts {
    accepted: Counter,
    refused: Counter,
    since: SystemTime,
    /// Milliseconds of Unix time; 0 where none was.
    last_accepted: AtomicU64,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "tidegate_receive_application_events",
            "Events of Applications that documents describe, by outcome; a request that is refused \
             unread is one",
            metrics.0.clone(),
        );
        metrics
    }

    /// Begins to count for a system, at zero where it is not known.
    pub(super) fn of(&self, application: &str) -> Counts {
        let counter = |outcome| {
            let application = application.to_owned();
            let of = Of {
                application,
                outcome,
            };
            self.0.get_or_create(&of).clone()
        };
        Counts {
            accepted: counter(ACCEPTED),
            refused: counter(REFUSED),
            since: SystemTime::now(),
            last_accepted: AtomicU64::new(0),
        }
    }

    /// Shows nothing more of a system that no document describes any more.
    pub(super) fn forget(&self, application: &str) {
        for outcome in [ACCEPTED, REFUSED] {
            let application = application.to_owned();
            self.0.remove(&Of {
                application,
                outcome,
            });
        }
    }
}

impl Counts {
    /// Counts events of one request.
    pub(crate) fn add(&self, accepted: usize, refused: usize) {
        let number = |count| u64::try_from(count).unwrap_or(u64::MAX);
        if refused > 0 {
            self.refused.inc_by(number(refused));
        }
        if accepted > 0 {
            self.accepted.inc_by(number(accepted));
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let now = now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(0));
            // Two of one moment may come the other way round, by less than anybody looks at.
            self.last_accepted.store(now, Ordering::Relaxed);
        }
    }

    /// Events that were stored.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.get()
    }

    /// Events that were not.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.get()
    }

    /// Since when it is counted.
    pub(crate) fn since(&self) -> SystemTime {
        self.since
    }

    /// When the last event was stored.
    pub(crate) fn last_accepted(&self) -> Option<SystemTime> {
        match self.last_accepted.load(Ordering::Relaxed) {
            0 => None,
            at => Some(SystemTime::UNIX_EPOCH + Duration::from_millis(at)),
        }
    }
}
