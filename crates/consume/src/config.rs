//! The section `consume`.

use std::{num::NonZeroU32, time::Duration};

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};

/// How every Subscription's loop works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// After which time without a sign of life an event of a dead process comes again. A living
    /// one gives signs, however long a Function takes.
    #[serde(with = "humantime_serde")]
    pub ack_wait: Duration,
    /// Most events of a Subscription that are delivered and not settled, waiting retries
    /// included; beyond, it takes no new ones. About 100 bytes of server memory for each.
    pub unsettled_max: u32,
    /// Most events of a Subscription that are held in memory at once.
    pub held_max: usize,
    /// Most bytes of data of a Subscription that are held in memory at once.
    pub held_bytes_max: ByteSize,
    /// Most bytes of data of all Subscriptions together that are held in memory at once. The more
    /// of them hold some, the less each may; one event each, always.
    pub held_bytes_total_max: ByteSize,
    /// What follows a failed attempt.
    pub retry: Retry,
    /// When a failing sink is left alone.
    pub breaker: Breaker,
    /// Many Subscriptions on one consumer.
    pub shared: Shared,
}

/// Many Subscriptions on one consumer, instead of one for each. All processes that deliver the
/// events of one stream have the same here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shared {
    /// Whether Subscriptions share a consumer, as long as they can take their events.
    pub enabled: bool,
    /// How many consumers are shared, each by its part of the Subscriptions, by their names: 1 to 64.
    /// A shard is read by one process at a time, so that as many processes have work as there are
    /// shards. The log reads each event once for each of them.
    pub shards: u32,
    /// Most events that are in hand at once, and most between the first of them and the last one
    /// that was read: so many may come again if a process is lost. Beyond half of it, whoever is
    /// slowest gets a consumer of its own.
    pub events_max: u32,
    /// Most bytes of data in hand at once.
    pub bytes_max: ByteSize,
}

/// Most consumers that are shared.
pub const SHARDS_MAX: u32 = 64;

impl Default for Shared {
    fn default() -> Self {
        Self {
            enabled: true,
            shards: 1,
            events_max: 8_192,
            bytes_max: ByteSize::mib(64),
        }
    }
}

/// The retry schedule: exponential, with full jitter, unless a Subscription says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Attempts before an event becomes a dead letter. 20 with the default delays are about an
    /// hour.
    pub attempts_max: u32,
    /// The longest delay after the first attempt; doubled after each further one.
    #[serde(with = "humantime_serde")]
    pub backoff_delay: Duration,
    /// The longest delay of all.
    #[serde(with = "humantime_serde")]
    pub backoff_max: Duration,
}

/// Most failures in a row before a sink is left alone.
const FAILURES_MAX: u32 = 1_000;

/// When a sink that fails is left alone, and how it is probed until it does not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Breaker {
    /// Failures in a row, of all Subscriptions that name the sink, before it is left alone.
    pub failures: NonZeroU32,
    /// From the last failure to the first probe; doubled after each failed one.
    #[serde(with = "humantime_serde")]
    pub probe_delay: Duration,
    /// The longest time between probes: so much later a recovered sink is noticed.
    #[serde(with = "humantime_serde")]
    pub probe_delay_max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ack_wait: Duration::from_secs(30),
            unsettled_max: 100_000,
            held_max: 2_048,
            held_bytes_max: ByteSize::mib(64),
            held_bytes_total_max: ByteSize::mib(512),
            retry: Retry::default(),
            breaker: Breaker::default(),
            shared: Shared::default(),
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts_max: 20,
            backoff_delay: Duration::from_secs(1),
            backoff_max: Duration::from_secs(300),
        }
    }
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failures: const { NonZeroU32::new(10).expect("10 is not 0") },
            probe_delay: Duration::from_millis(500),
            probe_delay_max: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// Every mistake, as `key: reason`.
    pub fn validate(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut check = |fine: bool, mistake: &str| {
            if !fine {
                mistakes.push(mistake.to_owned());
            }
        };
        let retry = &self.retry;
        check(
            self.ack_wait >= Duration::from_millis(500),
            "ack_wait: must be at least 500ms",
        );
        check(self.unsettled_max > 0, "unsettled_max: must be at least 1");
        check(self.held_max > 0, "held_max: must be at least 1");
        check(
            self.held_bytes_max.as_u64() > 0,
            "held_bytes_max: must be at least 1 B",
        );
        check(
            self.held_bytes_total_max.as_u64() > 0,
            "held_bytes_total_max: must be at least 1 B",
        );
        check(
            retry.attempts_max > 0,
            "retry.attempts_max: must be at least 1",
        );
        check(
            !retry.backoff_delay.is_zero(),
            "retry.backoff_delay: must be longer than 0s",
        );
        check(
            retry.backoff_max >= retry.backoff_delay,
            "retry.backoff_max: must be at least retry.backoff_delay",
        );
        check(
            (1..=SHARDS_MAX).contains(&self.shared.shards),
            "shared.shards: must be 1 to 64",
        );
        check(
            (16..=1_000_000).contains(&self.shared.events_max),
            "shared.events_max: must be 16 to 1000000",
        );
        check(
            self.shared.bytes_max.as_u64() > 0,
            "shared.bytes_max: must be at least 1 B",
        );
        let breaker = &self.breaker;
        // Each may be another event, which is remembered until then.
        check(
            breaker.failures.get() <= FAILURES_MAX,
            "breaker.failures: must be at most 1000",
        );
        check(
            !breaker.probe_delay.is_zero(),
            "breaker.probe_delay: must be longer than 0s",
        );
        check(
            breaker.probe_delay_max >= breaker.probe_delay,
            "breaker.probe_delay_max: must be at least breaker.probe_delay",
        );
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The defaults run; whoever gets several values wrong is told all of them at once.
    #[test]
    fn every_mistake_is_told() {
        assert_eq!(Config::default().validate(), Vec::<String>::new());
        let least = Config {
            ack_wait: Duration::from_millis(500),
            unsettled_max: 1,
            held_max: 1,
            held_bytes_max: ByteSize::b(1),
            held_bytes_total_max: ByteSize::b(1),
            retry: Retry {
                attempts_max: 1,
                backoff_delay: Duration::from_nanos(1),
                backoff_max: Duration::from_nanos(1),
            },
            breaker: Breaker {
                failures: NonZeroU32::MIN,
                probe_delay: Duration::from_nanos(1),
                probe_delay_max: Duration::from_nanos(1),
            },
            shared: Shared {
                enabled: true,
                shards: 1,
                events_max: 16,
                bytes_max: ByteSize::b(1),
            },
        };
        assert_eq!(least.validate(), Vec::<String>::new());
        let wrong = Config {
            ack_wait: Duration::from_millis(499),
            unsettled_max: 0,
            held_max: 0,
            held_bytes_max: ByteSize::b(0),
            held_bytes_total_max: ByteSize::b(0),
            retry: Retry {
                attempts_max: 0,
                backoff_delay: Duration::ZERO,
                backoff_max: Duration::ZERO,
            },
            breaker: Breaker {
                failures: NonZeroU32::MAX,
                probe_delay: Duration::ZERO,
                ..Breaker::default()
            },
            shared: Shared {
                enabled: true,
                shards: 0,
                events_max: 15,
                bytes_max: ByteSize::b(0),
            },
        };
        let mistakes = wrong.validate();
        assert_eq!(mistakes.len(), 12, "{mistakes:?}");
        let shrinking = Config {
            retry: Retry {
                backoff_max: Duration::from_millis(999),
                ..Retry::default()
            },
            breaker: Breaker {
                probe_delay_max: Duration::from_millis(499),
                ..Breaker::default()
            },
            ..Config::default()
        };
        assert_eq!(shrinking.validate().len(), 2);
    }
}
