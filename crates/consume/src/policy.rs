//! What follows a failed attempt: the configuration, and what a Subscription says otherwise.

use std::time::Duration;

use fastrand::Rng;
use tidegate_subscription::{Backoff, Retry as Own};

use crate::Retry;

/// The part of the bound below which jitter does not fall: a retry at once helps nobody.
const FLOOR: u32 = 10;

/// One Subscription's policy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Policy {
    pub(crate) attempts_max: u32,
    pub(crate) age_max: Option<Duration>,
    pub(crate) backoff_max: Duration,
    backoff_delay: Duration,
    backoff: Backoff,
    jitter: bool,
    /// Above it, not even the sink's own wish counts.
    longest: Option<Duration>,
}

impl Policy {
    pub(crate) fn new(config: &Retry, own: &Own) -> Self {
        let backoff_delay = own.backoff_delay.unwrap_or(config.backoff_delay);
        Self {
            attempts_max: own.attempts_max.map_or(config.attempts_max, Into::into),
            age_max: own.age_max,
            // A delay of its own that is longer than the configuration's longest is meant.
            backoff_max: own
                .backoff_max
                .unwrap_or(config.backoff_max.max(backoff_delay)),
            backoff_delay,
            backoff: own.backoff.unwrap_or(Backoff::Exponential),
            jitter: own.jitter.unwrap_or(true),
            longest: None,
        }
    }

    /// No delay is longer than this.
    pub(crate) fn at_most(mut self, longest: Duration) -> Self {
        self.backoff_max = self.backoff_max.min(longest);
        self.longest = Some(longest);
        self
    }

    /// The delay after attempt number `attempt` (from 1) failed. `after` is the sink's own wish,
    /// kept when it is longer.
    pub(crate) fn delay(&self, attempt: u32, after: Option<Duration>, rng: &mut Rng) -> Duration {
        let factor = match self.backoff {
            Backoff::Constant => 1,
            Backoff::Linear => attempt,
            Backoff::Exponential => 2_u32.saturating_pow(attempt.saturating_sub(1)),
        };
        let bound = self
            .backoff_delay
            .saturating_mul(factor)
            .min(self.backoff_max);
        let delay = if self.jitter {
            let floor = bound / FLOOR;
            floor + (bound - floor).mul_f64(rng.f64())
        } else {
            bound
        };
        let delay = delay.max(after.unwrap_or_default());
        self.longest.map_or(delay, |longest| delay.min(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(own: &Own) -> Policy {
        let config = Retry {
            attempts_max: 20,
            backoff_delay: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
        };
        Policy::new(&config, own)
    }

    fn delays(policy: &Policy, attempt: u32) -> Vec<Duration> {
        let mut rng = Rng::with_seed(1);
        (0..200)
            .map(|_| policy.delay(attempt, None, &mut rng))
            .collect()
    }

    /// Delays grow, never beyond the bound, for any attempt number.
    #[test]
    fn delays_grow_up_to_the_bound() {
        let policy = policy(&Own::default());
        for attempt in [1, 2, 3, 6, 7, 20, 1_000, u32::MAX] {
            let bound = Duration::from_secs(1 << (attempt - 1).min(6)).min(policy.backoff_max);
            for delay in delays(&policy, attempt) {
                assert!(
                    delay <= bound && delay >= bound / FLOOR,
                    "{attempt}: {delay:?}"
                );
            }
        }
    }

    /// Events that failed together do not come again together.
    #[test]
    fn jitter_spreads_retries() {
        let mut delays = delays(&policy(&Own::default()), 5);
        delays.sort();
        delays.dedup();
        assert!(delays.len() > 180);
        assert!(delays[delays.len() - 1] - delays[0] > Duration::from_secs(8));
    }

    /// A sink that says when to come again is not asked earlier.
    #[test]
    fn the_sinks_wish_is_kept() {
        let mut rng = Rng::with_seed(1);
        let wish = Duration::from_secs(600);
        let policy = policy(&Own::default());
        assert_eq!(policy.delay(1, Some(wish), &mut rng), wish);
    }

    /// Where order has to be taken over soon, nothing waits longer than that.
    #[test]
    fn a_longest_delay_is_above_all() {
        let mut rng = Rng::with_seed(1);
        let longest = Duration::from_secs(30);
        let policy = policy(&Own::default()).at_most(longest);
        assert_eq!(policy.backoff_max, longest);
        let wish = Some(Duration::from_secs(600));
        assert_eq!(policy.delay(1, wish, &mut rng), longest);
        assert!(policy.delay(20, None, &mut rng) <= longest);
    }

    /// What a Subscription says counts, what it does not say is as configured.
    #[test]
    fn a_subscriptions_own_policy_counts() {
        let own = Own {
            attempts_max: "3".parse().ok(),
            age_max: Some(Duration::from_secs(9)),
            backoff: Some(Backoff::Linear),
            backoff_delay: Some(Duration::from_secs(2)),
            backoff_max: Some(Duration::from_secs(5)),
            jitter: Some(false),
        };
        let linear = policy(&own);
        assert_eq!((linear.attempts_max, linear.age_max), (3, own.age_max));
        for (attempt, seconds) in [(1, 2), (2, 4), (3, 5), (u32::MAX, 5)] {
            assert_eq!(delays(&linear, attempt)[0], Duration::from_secs(seconds));
        }
        let constant = policy(&Own {
            backoff: Some(Backoff::Constant),
            backoff_max: None,
            ..own
        });
        assert_eq!(delays(&constant, 9)[0], Duration::from_secs(2));
        let longer = policy(&Own {
            backoff_delay: Some(Duration::from_secs(90)),
            jitter: Some(false),
            ..Own::default()
        });
        assert_eq!(delays(&longer, 1)[0], Duration::from_secs(90));
        assert_eq!(longer.attempts_max, 20);
    }
}
