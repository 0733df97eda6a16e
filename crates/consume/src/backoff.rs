//! How long a failed event waits: exponential, with full jitter.

use std::time::Duration;

use fastrand::Rng;

use crate::Retry;

/// The part of the bound below which jitter does not fall: a retry at once helps nobody.
const FLOOR: u32 = 10;

/// The delay after attempt number `attempt` (from 1) failed. `after` is the sink's own wish,
/// kept when it is longer.
pub(crate) fn delay(
    retry: &Retry,
    attempt: u32,
    after: Option<Duration>,
    rng: &mut Rng,
) -> Duration {
    let factor = 2_u32.saturating_pow(attempt.saturating_sub(1));
    let bound = retry
        .backoff_delay
        .saturating_mul(factor)
        .min(retry.backoff_max);
    let floor = bound / FLOOR;
    let jittered = floor + (bound - floor).mul_f64(rng.f64());
    jittered.max(after.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry() -> Retry {
        Retry {
            attempts_max: 20,
            backoff_delay: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
        }
    }

    /// Delays grow, never beyond the bound, for any attempt number.
    #[test]
    fn delays_grow_up_to_the_bound() {
        let mut rng = Rng::with_seed(1);
        for attempt in [1, 2, 3, 6, 7, 20, 1_000, u32::MAX] {
            let bound = Duration::from_secs(1 << (attempt - 1).min(6)).min(retry().backoff_max);
            for _ in 0..200 {
                let delay = delay(&retry(), attempt, None, &mut rng);
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
        let mut rng = Rng::with_seed(1);
        let mut delays: Vec<_> = (0..100)
            .map(|_| delay(&retry(), 5, None, &mut rng))
            .collect();
        delays.sort();
        delays.dedup();
        assert!(delays.len() > 90);
        assert!(delays[99] - delays[0] > Duration::from_secs(8));
    }

    /// A sink that says when to come again is not asked earlier.
    #[test]
    fn the_sinks_wish_is_kept() {
        let mut rng = Rng::with_seed(1);
        let after = Some(Duration::from_secs(600));
        assert_eq!(
            delay(&retry(), 1, after, &mut rng),
            Duration::from_secs(600)
        );
    }
}
