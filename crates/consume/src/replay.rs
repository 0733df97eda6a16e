//! Stored events once more, for one Subscription, beside what comes for it.
//!
//! A replay is a consumer of its own, which keeps how far it has come and what it is for; so it
//! goes on wherever its Subscription runs.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use tidegate_backbone::{ConsumerSpec, Start};
use tidegate_event::Event;
use tidegate_subscription::{Filter, Subscription};

use crate::{
    Config,
    metrics::{Handles, Metrics},
    service::filters,
};

/// Which stored events are delivered once more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replay {
    /// Its name, and that of its consumer.
    pub name: String,
    /// `namespace/name` of the Subscription that gets them.
    pub subscription: String,
    /// From the first that was stored at this time or later.
    #[serde(with = "humantime_serde::option")]
    pub since: Option<SystemTime>,
    /// From this place in the log.
    pub from: Option<u64>,
    /// Those that were stored before this time.
    #[serde(with = "humantime_serde::option")]
    pub until: Option<SystemTime>,
    /// Up to this place in the log: what came after the replay began is not its business.
    pub last: u64,
    /// Only these, of those that the Subscription wants.
    pub filter: Option<Filter>,
    /// At most so many attempts a second.
    pub rate: Option<NonZeroU32>,
    /// They are counted and not sent.
    pub dry_run: bool,
}

impl Replay {
    /// The consumer that it reads from.
    pub fn spec(
        &self,
        config: &Config,
        events_root: &str,
        subscription: &Subscription,
    ) -> ConsumerSpec {
        ConsumerSpec {
            name: self.name.clone(),
            description: format!("Replay for Subscription {}", self.subscription),
            filters: filters(events_root, subscription),
            wants: serde_json::to_string(self).ok(),
            start: match (self.from, self.since) {
                (Some(sequence), _) => Start::Sequence(sequence),
                (None, Some(time)) => Start::Since(time),
                (None, None) => Start::All,
            },
            ack_wait: config.ack_wait,
            unsettled_max: config.unsettled_max,
            exclusive: subscription.delivery.order.is_some(),
        }
    }

    /// Whether an event comes after its end.
    pub(crate) fn is_over(&self, sequence: u64, stored_at: SystemTime) -> bool {
        sequence > self.last || self.until.is_some_and(|until| stored_at >= until)
    }

    pub(crate) fn wants(&self, event: &Event) -> bool {
        self.filter
            .as_ref()
            .is_none_or(|filter| filter.passes(event))
    }
}

/// What came of a replay in this process.
#[derive(Clone, Debug)]
pub struct ReplayCounts {
    pub(crate) handles: Handles,
    is_over: Arc<AtomicBool>,
}

impl ReplayCounts {
    /// All zero.
    pub fn new(replay: &Replay) -> Self {
        Self {
            // Not a Subscription's own figures, and not there for long.
            handles: Metrics::default().of(&replay.subscription),
            is_over: Arc::default(),
        }
    }

    /// Whether it was read to its end; what failed may still be tried again.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    pub(crate) fn set_over(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Events that the sink has taken.
    pub fn delivered(&self) -> u64 {
        self.handles.delivered.get()
    }

    /// Events that failed and were handed back to be tried again.
    pub fn retries(&self) -> u64 {
        self.handles.retries.get()
    }

    /// Events that could not be delivered and are dead letters now.
    pub fn dead_letters(&self) -> u64 {
        self.handles.dead_letters_in_all.get()
    }
}
