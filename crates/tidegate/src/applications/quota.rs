//! How much a connected system may send.
//!
//! A generic cell rate algorithm that lets a request through while nothing is owed, and charges it
//! afterwards: what a request holds is known only then, and a batch above the rate passes once
//! instead of never.

use std::{
    num::NonZeroU64,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use tidegate_application::Limits;

/// How much may come at once: one second's worth of events.
const EVENTS_BURST: Duration = Duration::from_secs(1);

/// How much may come at once: ten seconds' worth of bytes, since bodies differ in size.
const BYTES_BURST: Duration = Duration::from_secs(10);

/// The quotas of one system.
#[derive(Debug)]
pub(crate) struct Quota {
    events: Option<Rate>,
    bytes: Option<Rate>,
}

impl Quota {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            events: limits
                .events_per_second
                .map(|rate| Rate::new(rate, EVENTS_BURST)),
            bytes: limits
                .bytes_per_second
                .map(|rate| Rate::new(rate, BYTES_BURST)),
        }
    }

    /// How long to wait, where something is owed.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        let rates = [&self.events, &self.bytes];
        rates
            .into_iter()
            .flatten()
            .filter_map(|rate| rate.wait(now))
            .max()
    }

    /// Counts what came.
    pub(crate) fn charge(&self, events: usize, bytes: usize, now: Instant) {
        if let Some(rate) = &self.events {
            rate.charge(events as u64, now);
        }
        if let Some(rate) = &self.bytes {
            rate.charge(bytes as u64, now);
        }
    }
}

#[derive(Debug)]
struct Rate {
    began: Instant,
    per_second: NonZeroU64,
    burst: u64,
    /// Until when what has come is worth the rate, in nanoseconds since the beginning.
    paid_until: AtomicU64,
}

impl Rate {
    fn new(per_second: NonZeroU64, burst: Duration) -> Self {
        Self {
            began: Instant::now(),
            per_second,
            burst: nanoseconds(burst),
            paid_until: AtomicU64::new(0),
        }
    }

    fn wait(&self, now: Instant) -> Option<Duration> {
        let now = nanoseconds(now.duration_since(self.began));
        let owed = self.paid_until.load(Ordering::Relaxed);
        let free_at = owed.saturating_sub(self.burst);
        (free_at > now).then(|| Duration::from_nanos(free_at - now))
    }

    fn charge(&self, count: u64, now: Instant) {
        let now = nanoseconds(now.duration_since(self.began));
        let cost = u128::from(count) * 1_000_000_000 / u128::from(self.per_second.get());
        let cost = u64::try_from(cost).unwrap_or(u64::MAX);
        let add = |paid_until: u64| Some(paid_until.max(now).saturating_add(cost));
        // The closure always gives a value.
        self.paid_until
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .ok();
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(events: u64) -> Quota {
        Quota::new(&Limits {
            events_per_second: NonZeroU64::new(events),
            ..Limits::default()
        })
    }

    /// A second's worth comes at once, then the rate holds, and waiting as told is enough.
    #[test]
    fn the_rate_holds_after_a_burst() {
        let quota = quota(10);
        let now = Instant::now();
        let mut taken = 0;
        while quota.wait(now).is_none() {
            quota.charge(1, 100, now);
            taken += 1;
        }
        assert_eq!(taken, 11);
        let wait = quota.wait(now).unwrap();
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
        assert_eq!(quota.wait(now + wait), None);
    }

    /// A batch above the rate passes, and is paid for by what comes after it.
    #[test]
    fn a_batch_above_the_rate_passes_once() {
        let quota = quota(10);
        let now = Instant::now();
        assert_eq!(quota.wait(now), None);
        quota.charge(1_000, 0, now);
        let wait = quota.wait(now).unwrap();
        assert!(wait > Duration::from_secs(98), "{wait:?}");
    }

    /// Without limits nothing is ever owed.
    #[test]
    fn no_limits_are_no_limits() {
        let quota = Quota::new(&Limits::default());
        quota.charge(usize::MAX, usize::MAX, Instant::now());
        assert_eq!(quota.wait(Instant::now()), None);
    }
}
