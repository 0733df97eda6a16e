//! The end of dead letters: by age and size, as their Subscription says, and never unannounced.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use humantime::format_rfc3339_seconds;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use tidegate_backbone::{
    ControlError,
    jetstream::{Jetstream, Kept, LetterSize},
};
use tidegate_subscription::{DeadLetter, Subscription};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::worker::Subscriptions;

/// The part of age or size from which on deletion is announced.
const ANNOUNCED_ABOVE: f64 = 0.8;

/// How often a lasting announcement is made again.
const SAY_AGAIN: Duration = Duration::from_secs(3_600);

/// What is counted of dead letters that are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    kept: Gauge,
    bytes: Gauge,
    expiring: Family<Of, Gauge>,
    deleted: Family<Of, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Of {
    subscription: String,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "tidegate_dead_letters_kept",
            "Dead letters that are kept",
            metrics.kept.clone(),
        );
        registry.register(
            "tidegate_dead_letters_bytes",
            "Bytes of the dead letters that are kept",
            metrics.bytes.clone(),
        );
        registry.register(
            "tidegate_dead_letters_expiring",
            "Dead letters that will be deleted soon, by the retention of their Subscription",
            metrics.expiring.clone(),
        );
        registry.register(
            "tidegate_dead_letters_deleted",
            "Dead letters that were deleted by the retention of their Subscription",
            metrics.deleted.clone(),
        );
        metrics
    }
}

/// Looks after the dead letters of all Subscriptions.
pub(super) struct Retention {
    log: Jetstream,
    /// The least time from an announcement to the deletion.
    notice: Duration,
    stream_bytes_max: u64,
    stream_age_max: Duration,
    metrics: Metrics,
    /// By Subscription, or empty for the stream: what was announced.
    announced: HashMap<String, Announced>,
    /// The stream, and the Subscriptions, of the last look.
    seen: Option<(Kept, Subscriptions)>,
}

#[derive(Clone, Copy, Debug)]
struct Announced {
    first: SystemTime,
    said: SystemTime,
}

/// What a Subscription's retention says of its letters, oldest first.
#[derive(Debug, Default, PartialEq, Eq)]
struct Due {
    /// How many are over the limit.
    over: usize,
    /// How many more are close to it.
    close: usize,
}

impl Due {
    fn of(letters: &[LetterSize], limits: &DeadLetter, now: SystemTime) -> Self {
        let by_age = |part: f64| {
            let Some(age_max) = limits.age_max else {
                return 0;
            };
            let limit = age_max.mul_f64(part);
            letters.partition_point(|letter| {
                now.duration_since(letter.buried_at)
                    .is_ok_and(|age| age >= limit)
            })
        };
        let over_by_size = |bytes_max: u64| {
            let mut bytes: u64 = letters.iter().map(|letter| letter.bytes).sum();
            let mut over = 0;
            for letter in letters {
                if bytes <= bytes_max {
                    break;
                }
                bytes -= letter.bytes;
                over += 1;
            }
            over
        };
        let (mut over, mut announced) = (by_age(1.0), by_age(ANNOUNCED_ABOVE));
        if let Some(bytes_max) = limits.bytes_max {
            over = over.max(over_by_size(bytes_max));
            // From there on the oldest are the next to go.
            announced = announced.max(over_by_size(part(bytes_max)));
        }
        Self {
            over,
            close: announced.saturating_sub(over),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a mark, not a count"
)]
fn part(bytes_max: u64) -> u64 {
    (bytes_max as f64 * ANNOUNCED_ABOVE) as u64
}

impl Retention {
    pub(super) fn new(log: Jetstream, config: &crate::config::Config, metrics: Metrics) -> Self {
        let stream = &config.backbone.dead_letters;
        Self {
            log,
            notice: config.dead_letters.notice,
            stream_bytes_max: stream.size_max.as_u64(),
            stream_age_max: stream.age_max,
            metrics,
            announced: HashMap::new(),
            seen: None,
        }
    }

    /// Announces what will be deleted soon, and deletes what was announced long enough ago, again
    /// and again.
    pub(super) async fn run(mut self, subscriptions: watch::Receiver<Subscriptions>) {
        // So often that the notice is about as long as it is said to be.
        let every = (self.notice / 4).clamp(Duration::from_millis(100), Duration::from_secs(10));
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let subscriptions = Arc::clone(&subscriptions.borrow());
            if let Err(error) = self.look(subscriptions).await {
                tracing::debug!(%error, "the dead letters were not looked at");
            }
        }
    }

    async fn look(&mut self, subscriptions: Subscriptions) -> Result<(), ControlError> {
        let kept = self.log.letters().await?;
        let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.metrics.kept.set(gauge(kept.letters));
        self.metrics.bytes.set(gauge(kept.bytes));
        let now = SystemTime::now();
        self.announce_the_streams_own(&kept, now);
        self.announced
            .retain(|id, _| id.is_empty() || subscriptions.iter().any(|one| one.id() == *id));
        let is_same = self
            .seen
            .as_ref()
            .is_some_and(|(before, of)| *before == kept && Arc::ptr_eq(of, &subscriptions));
        for subscription in &*subscriptions {
            let limits = &subscription.delivery.dead_letter;
            let has_limits = limits.age_max.is_some() || limits.bytes_max.is_some();
            // Without age only new letters change anything; what was announced is due some time.
            let is_idle = is_same && limits.age_max.is_none();
            let id = subscription.id();
            if has_limits && (!is_idle || self.announced.contains_key(&id)) {
                self.look_at(subscription, &id, now).await?;
            }
        }
        self.seen = Some((kept, subscriptions));
        Ok(())
    }

    async fn look_at(
        &mut self,
        subscription: &Subscription,
        id: &str,
        now: SystemTime,
    ) -> Result<(), ControlError> {
        let (namespace, name) = (&subscription.namespace, &subscription.name);
        let letters = self.log.letter_sizes(namespace, name).await?;
        let due = Due::of(&letters, &subscription.delivery.dead_letter, now);
        let of = Of {
            subscription: id.to_owned(),
        };
        let expiring = due.over + due.close;
        let gauge = i64::try_from(expiring).unwrap_or(i64::MAX);
        self.metrics.expiring.get_or_create(&of).set(gauge);
        if expiring == 0 {
            self.announced.remove(id);
            return Ok(());
        }
        let first = self.announce(id, now, |until| {
            tracing::warn!(
                subscription = id,
                letters = expiring,
                not_before = %format_rfc3339_seconds(until),
                "dead letters will be deleted by their retention: redrive or export them, or raise it"
            );
        });
        let is_noticed = now
            .duration_since(first)
            .is_ok_and(|since| since >= self.notice);
        let last = due.over.checked_sub(1).and_then(|last| letters.get(last));
        if let (Some(last), true) = (last, is_noticed) {
            let deleted = self
                .log
                .delete_letters(namespace, name, last.sequence)
                .await?;
            self.metrics.deleted.get_or_create(&of).inc_by(deleted);
            tracing::warn!(
                subscription = id,
                deleted,
                "dead letters deleted by retention"
            );
        }
        Ok(())
    }

    /// What the stream's own limits will do: refuse by size, delete by age.
    fn announce_the_streams_own(&mut self, kept: &Kept, now: SystemTime) {
        let is_full = kept.bytes > part(self.stream_bytes_max);
        let limit = self.stream_age_max.mul_f64(ANNOUNCED_ABOVE);
        let age = kept
            .oldest
            .and_then(|oldest| now.duration_since(oldest).ok());
        let is_old = !limit.is_zero() && age.is_some_and(|age| age >= limit);
        if !is_full && !is_old {
            self.announced.remove("");
            return;
        }
        let bytes_max = self.stream_bytes_max;
        self.announce("", now, |_| {
            if is_full {
                tracing::warn!(
                    bytes = kept.bytes,
                    bytes_max,
                    "the dead letters fill their stream: when it is full, what cannot be \
                     delivered stays with its Subscription and is tried again"
                );
            }
            if is_old {
                tracing::warn!("backbone.dead_letters.age_max will delete the oldest dead letters");
            }
        });
    }

    /// Says it now and then; when it was said first.
    fn announce(&mut self, id: &str, now: SystemTime, say: impl FnOnce(SystemTime)) -> SystemTime {
        let notice = self.notice;
        let announced = self.announced.get_mut(id);
        let is_due = announced.as_ref().is_none_or(|announced| {
            now.duration_since(announced.said)
                .is_ok_and(|since| since >= SAY_AGAIN)
        });
        // The notice begins when it is said, not when the look began.
        let first = announced
            .as_ref()
            .map_or_else(SystemTime::now, |announced| announced.first);
        if is_due {
            say(first + notice);
            self.announced
                .insert(id.to_owned(), Announced { first, said: now });
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(ages_and_bytes: &[(u64, u64)], now: SystemTime) -> Vec<LetterSize> {
        ages_and_bytes
            .iter()
            .zip(1..)
            .map(|(&(age, bytes), sequence)| LetterSize {
                sequence,
                buried_at: now - Duration::from_secs(age),
                bytes,
            })
            .collect()
    }

    fn limits(age_max: Option<u64>, bytes_max: Option<u64>) -> DeadLetter {
        DeadLetter {
            sink: None,
            age_max: age_max.map(Duration::from_secs),
            bytes_max,
        }
    }

    /// The oldest go, as many as it takes; those that are next are announced.
    #[test]
    fn the_oldest_are_due() {
        let now = SystemTime::now();
        let all = letters(&[(100, 10), (85, 10), (50, 10), (1, 70)], now);
        let due = |age, bytes| {
            let Due { over, close } = Due::of(&all, &limits(age, bytes), now);
            (over, close)
        };
        assert_eq!(due(None, None), (0, 0));
        assert_eq!(due(Some(100), None), (1, 1));
        assert_eq!(due(Some(200), None), (0, 0));
        assert_eq!(due(None, Some(1_000)), (0, 0));
        assert_eq!(due(None, Some(100)), (0, 2), "100 of 100 bytes");
        assert_eq!(due(None, Some(99)), (1, 2));
        assert_eq!(due(None, Some(75)), (3, 1));
        assert_eq!(due(Some(100), Some(75)), (3, 1), "whichever is more");
        assert_eq!(due(Some(40), Some(1_000)), (3, 0));
        assert_eq!(Due::of(&[], &limits(Some(1), Some(1)), now), Due::default());
    }
}
