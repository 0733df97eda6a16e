//! What this stage counts, for each Subscription.

use std::{
    sync::{OnceLock, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// Upper bounds in seconds: the first attempt takes milliseconds, the last may come days later.
const LATENCY_BUCKETS: [f64; 14] = [
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0, 3_600.0, 21_600.0,
    86_400.0,
];

type Seconds = Counter<f64, AtomicU64>;

/// The families.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    delivered: Family<Of, Counter>,
    retries: Family<Of, Counter>,
    dead_letters: Family<Reason, Counter>,
    skipped: Family<Of, Counter>,
    held: Family<Of, Gauge>,
    window: Family<Of, Gauge>,
    refused: Family<Of, Gauge>,
    stopped: Family<Of, Gauge>,
    attempts: Attempts,
    latency: Latency,
    pub(crate) shared: SharedMetrics,
}

/// What attempts took, by Subscription.
#[derive(Clone, Debug, Default)]
struct Attempts {
    count: Family<Of, Counter>,
    took: Family<Of, Seconds>,
}

/// What was counted of one Subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counted {
    /// Events that its sink has taken.
    pub delivered: u64,
    /// Events that were handed back to be tried again later.
    pub retried: u64,
    /// Attempts that have ended.
    pub attempts: u64,
    /// How long they took in all.
    pub attempt_seconds: f64,
}

/// How long events are under way.
#[derive(Clone, Debug)]
struct Latency(Histogram);

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new(LATENCY_BUCKETS))
    }
}

/// What is counted of a consumer that many Subscriptions share.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedMetrics {
    members: Family<From, Gauge>,
    in_hand: Family<OfShard, Gauge>,
    /// Consumers that somebody else has deleted, shared ones and others.
    pub(crate) consumers_lost: Counter,
}

impl SharedMetrics {
    pub(crate) fn set(&self, shard: u32, shared: usize, own: usize, in_hand: usize) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let members = [("shared", shared), ("own", own)];
        for (consumer, count) in members {
            let members = self.members.get_or_create(&From { shard, consumer });
            members.set(number(count));
        }
        let shard = OfShard { shard };
        self.in_hand.get_or_create(&shard).set(number(in_hand));
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct From {
    shard: u32,
    consumer: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfShard {
    shard: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    subscription: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    subscription: String,
    reason: &'static str,
}

/// One Subscription's handles, resolved once.
#[derive(Clone, Debug)]
pub(crate) struct Handles {
    pub(crate) delivered: Counter,
    pub(crate) retries: Counter,
    pub(crate) skipped: Counter,
    pub(crate) held: Gauge,
    pub(crate) window: Gauge,
    pub(crate) refused: Gauge,
    pub(crate) stopped: Gauge,
    /// Of all Subscriptions together.
    pub(crate) consumers_lost: Counter,
    pub(crate) dead_letters_in_all: Counter,
    dead_letters: Family<Reason, Counter>,
    attempts: Attempts,
    /// From the first attempt on: one that is quiet takes no memory for it.
    attempted: OnceLock<(Counter, Seconds)>,
    latency: Latency,
    subscription: String,
}

impl Metrics {
    /// Registers what this stage counts.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "tidegate_consume_events_delivered",
            "Events that a Subscription's sink has taken",
            metrics.delivered.clone(),
        );
        registry.register(
            "tidegate_consume_retries",
            "Events that were handed back to be tried again later",
            metrics.retries.clone(),
        );
        registry.register(
            "tidegate_consume_dead_letters",
            "Events that could not be delivered and are kept as dead letters, by reason",
            metrics.dead_letters.clone(),
        );
        registry.register(
            "tidegate_consume_events_skipped",
            "Events that were read and that the Subscription does not want",
            metrics.skipped.clone(),
        );
        registry.register(
            "tidegate_consume_events_held",
            "Events in memory, waiting for an attempt or in one",
            metrics.held.clone(),
        );
        registry.register(
            "tidegate_consume_window",
            "Attempts that there may be at once: at most maxInFlight, fewer while the sink is slow",
            metrics.window.clone(),
        );
        registry.register(
            "tidegate_consume_dead_letters_refused",
            "1 while the last dead letter could not be stored, so that its event stays",
            metrics.refused.clone(),
        );
        registry.register(
            "tidegate_consume_keys_stopped",
            "Keys of an ordered Subscription that wait for a dead letter to be sent again or deleted",
            metrics.stopped.clone(),
        );
        registry.register(
            "tidegate_consume_attempts",
            "Attempts at the Subscription's sink that have ended",
            metrics.attempts.count.clone(),
        );
        registry.register(
            "tidegate_consume_attempt_seconds",
            "How long they took in all, their answers included",
            metrics.attempts.took.clone(),
        );
        registry.register(
            "tidegate_consume_stored_to_delivered_seconds",
            "From an event's storing to the moment in which a sink has taken it, retries included",
            metrics.latency.0.clone(),
        );
        metrics.shared.register(registry);
        metrics
    }

    /// Whether the last dead letter of a Subscription could not be stored.
    pub fn refuses_dead_letters(&self, subscription: &str) -> bool {
        let of = Of {
            subscription: subscription.to_owned(),
        };
        self.refused
            .get(&of)
            .is_some_and(|refused| refused.get() > 0)
    }

    /// Consumers that somebody else has deleted, since this process began.
    pub fn consumers_lost(&self) -> u64 {
        self.shared.consumers_lost.get()
    }

    /// What was counted of a Subscription since this process began.
    pub fn counted(&self, subscription: &str) -> Counted {
        let of = Of {
            subscription: subscription.to_owned(),
        };
        let count = |family: &Family<Of, Counter>| family.get(&of).map_or(0, |one| one.get());
        let took = &self.attempts.took;
        Counted {
            delivered: count(&self.delivered),
            retried: count(&self.retries),
            attempts: count(&self.attempts.count),
            attempt_seconds: took.get(&of).map_or(0.0, |one| one.get()),
        }
    }

    pub(crate) fn of(&self, subscription: &str) -> Handles {
        let of = Of {
            subscription: subscription.to_owned(),
        };
        Handles {
            delivered: self.delivered.get_or_create_owned(&of),
            retries: self.retries.get_or_create_owned(&of),
            skipped: self.skipped.get_or_create_owned(&of),
            held: self.held.get_or_create_owned(&of),
            window: self.window.get_or_create_owned(&of),
            refused: self.refused.get_or_create_owned(&of),
            stopped: self.stopped.get_or_create_owned(&of),
            consumers_lost: self.shared.consumers_lost.clone(),
            dead_letters_in_all: Counter::default(),
            dead_letters: self.dead_letters.clone(),
            attempts: self.attempts.clone(),
            attempted: OnceLock::new(),
            latency: self.latency.clone(),
            subscription: subscription.to_owned(),
        }
    }
}

impl SharedMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "tidegate_consume_consumers_lost",
            "Consumers that somebody else has deleted, and that were made anew where they were",
            self.consumers_lost.clone(),
        );
        registry.register(
            "tidegate_consume_sharing_subscriptions",
            "Subscriptions that may share a consumer, by where their events come from now; 0 in a process that does not read it",
            self.members.clone(),
        );
        registry.register(
            "tidegate_consume_shared_events_in_hand",
            "Events of the shared consumer that somebody has not settled",
            self.in_hand.clone(),
        );
    }
}

impl Handles {
    /// An attempt has ended.
    pub(crate) fn attempted(&self, took: Duration) {
        let (count, seconds) = self.attempted.get_or_init(|| {
            let of = Of {
                subscription: self.subscription.clone(),
            };
            let Attempts { count, took } = &self.attempts;
            (
                count.get_or_create_owned(&of),
                took.get_or_create_owned(&of),
            )
        });
        count.inc();
        seconds.inc_by(took.as_secs_f64());
    }

    /// A sink has taken an event that was stored so long ago.
    pub(crate) fn delivered(&self, stored_ago: Duration) {
        self.delivered.inc();
        self.latency.0.observe(stored_ago.as_secs_f64());
    }

    pub(crate) fn buried(&self, reason: &'static str) {
        let reason = Reason {
            subscription: self.subscription.clone(),
            reason,
        };
        self.dead_letters.get_or_create(&reason).inc();
        self.dead_letters_in_all.inc();
    }
}
