//! The end of events by age, where one is configured: announced, counted, and named for every
//! Subscription that misses them.

use std::{collections::HashMap, time::Duration};

use humantime::format_rfc3339_seconds;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tidegate_backbone::{ControlError, Log as _, jetstream::Expired};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{sharing::Consumers, worker::Subscriptions};

/// How often a lasting trouble is said.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// What is counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    expired: Counter,
    missed: Family<Of, Counter>,
    expiring: Family<Of, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    subscription: String,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "tidegate_backbone_events_expired",
            "Events that were deleted by backbone.events.age_max",
            metrics.expired.clone(),
        );
        registry.register(
            "tidegate_backbone_events_missed",
            "Events that were deleted by age before the Subscription had settled them",
            metrics.missed.clone(),
        );
        registry.register(
            "tidegate_backbone_events_expiring",
            "1 while the Subscription has events that will soon be deleted by age",
            metrics.expiring.clone(),
        );
        metrics
    }
}

/// Looks after the age of events.
pub(super) struct Expiry {
    log: Consumers,
    age_max: Duration,
    metrics: Metrics,
    /// By Subscription: when it was said last that it will miss events.
    said: HashMap<String, Instant>,
}

impl Expiry {
    pub(super) fn new(log: Consumers, age_max: Duration, metrics: Metrics) -> Self {
        Self {
            log,
            age_max,
            metrics,
            said: HashMap::new(),
        }
    }

    /// Runs until it is aborted; ends at once where events have no end.
    pub(super) async fn run(mut self, subscriptions: watch::Receiver<Subscriptions>) {
        if self.age_max.is_zero() {
            return;
        }
        let every = (self.age_max / 20).clamp(Duration::from_millis(100), Duration::from_secs(10));
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.expire().await {
                Ok(expired) => {
                    let names = subscriptions.borrow();
                    let names = names.iter().map(|one| (one.consumer_name(), one.id()));
                    let names = names.collect();
                    self.tell(expired, &names);
                }
                Err(error) => tracing::debug!(%error, "the age of events is not known"),
            }
        }
    }

    async fn expire(&self) -> Result<Expired, ControlError> {
        let sharers = self.log.sharers().await?;
        self.log.log().expire(self.log.now(), &sharers).await
    }

    fn tell(&mut self, expired: Expired, names: &HashMap<String, String>) {
        // A consumer of nobody is told by its own name.
        let name = |consumer: String| names.get(&consumer).cloned().unwrap_or(consumer);
        self.metrics.expired.inc_by(expired.events);
        for missed in expired.missed {
            let subscription = name(missed.consumer);
            let of = Of {
                subscription: subscription.clone(),
            };
            let events = missed.undelivered + missed.unsettled;
            self.metrics.missed.get_or_create(&of).inc_by(events);
            tracing::error!(
                subscription,
                undelivered = missed.undelivered,
                unsettled = missed.unsettled,
                "events were deleted by backbone.events.age_max that it had not settled"
            );
        }
        let soon: HashMap<String, _> = expired
            .soon
            .into_iter()
            .map(|(consumer, end)| (name(consumer), end))
            .collect();
        let metrics = &self.metrics;
        self.said.retain(|subscription, _| {
            let stays = soon.contains_key(subscription);
            if !stays {
                let subscription = subscription.clone();
                metrics.expiring.get_or_create(&Of { subscription }).set(0);
            }
            stays
        });
        for (subscription, end) in soon {
            let said = self.said.get(&subscription);
            if said.is_some_and(|said| said.elapsed() < SAY_AGAIN) {
                continue;
            }
            let of = Of {
                subscription: subscription.clone(),
            };
            self.metrics.expiring.get_or_create(&of).set(1);
            tracing::warn!(
                subscription,
                from = %format_rfc3339_seconds(end),
                "events that it has not settled will be deleted by backbone.events.age_max"
            );
            self.said.insert(subscription, Instant::now());
        }
    }
}
