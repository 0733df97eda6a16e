//! What this process has counted of a Subscription, and how quickly that grows.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate_consume as consume;
use tokio::time::{Instant, sleep};

/// Nobody waits longer for an answer.
const WATCHED_MAX: Duration = Duration::from_secs(10);

/// How to look at one.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Wanted {
    /// How long what it gets is watched for `rates`, such as `1s`, at most `10s`; not at all, unless
    /// it is said.
    #[serde(with = "humantime_serde::option")]
    #[schemars(with = "Option<String>")]
    watch: Option<Duration>,
}

/// What the process that answers has counted, since it began.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Counted {
    /// Events that the sink has taken.
    delivered: u64,
    /// Events that were handed back to be tried again later.
    retried: u64,
    /// Attempts that have ended.
    attempts: u64,
}

impl From<consume::Counted> for Counted {
    fn from(counted: consume::Counted) -> Self {
        Self {
            delivered: counted.delivered,
            retried: counted.retried,
            attempts: counted.attempts,
        }
    }
}

/// A second, of the process that answers.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rates {
    /// Seconds that were watched.
    seconds: f64,
    /// Events that the sink has taken.
    delivered: f64,
    /// Events that were handed back to be tried again later.
    retried: f64,
    /// Attempts that have ended.
    attempts: f64,
    /// How long one of them took on average; `null` where none has ended.
    attempt_seconds: Option<f64>,
}

impl Rates {
    /// What comes meanwhile, if somebody wants to wait for it.
    pub(super) async fn watched(
        wanted: &Wanted,
        counted: impl Fn() -> consume::Counted,
    ) -> Option<Self> {
        let watch = wanted.watch.filter(|watch| !watch.is_zero())?;
        let (began, before) = (Instant::now(), counted());
        sleep(watch.min(WATCHED_MAX)).await;
        Some(Self::between(&before, &counted(), began.elapsed()))
    }

    #[expect(clippy::cast_precision_loss, reason = "rates are for people")]
    fn between(before: &consume::Counted, after: &consume::Counted, took: Duration) -> Self {
        let seconds = took.as_secs_f64().max(0.001);
        let rate = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
        let attempts = after.attempts.saturating_sub(before.attempts);
        let attempt_seconds = after.attempt_seconds - before.attempt_seconds;
        Self {
            seconds,
            delivered: rate(before.delivered, after.delivered),
            retried: rate(before.retried, after.retried),
            attempts: rate(before.attempts, after.attempts),
            attempt_seconds: (attempts > 0).then(|| attempt_seconds / attempts as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rates are of what came meanwhile, and an average is of attempts that there were.
    #[tokio::test(start_paused = true)]
    async fn rates_are_of_what_came_meanwhile() {
        let began = Instant::now();
        let counted = |attempts: u64| consume::Counted {
            delivered: 100 + began.elapsed().as_secs() * 3,
            retried: 7,
            attempts: 50 + began.elapsed().as_secs() * attempts,
            attempt_seconds: 9.0 + began.elapsed().as_secs_f64(),
        };
        let watch = |watch| Wanted {
            watch: Some(Duration::from_secs(watch)),
        };
        let rates = Rates::watched(&watch(2), || counted(4)).await.unwrap();
        let is = |number: f64, expected: f64| (number - expected).abs() < 0.01;
        assert!(
            is(rates.delivered, 3.0) && is(rates.retried, 0.0),
            "{rates:?}"
        );
        assert!(is(rates.attempts, 4.0), "{rates:?}");
        assert!(is(rates.attempt_seconds.unwrap(), 0.25), "{rates:?}");
        let idle = Rates::watched(&watch(60), || counted(0)).await.unwrap();
        assert_eq!(idle.attempt_seconds, None);
        assert!(is(idle.seconds, 10.0), "it is bounded: {idle:?}");
        assert!(Rates::watched(&watch(0), || counted(1)).await.is_none());
        assert!(
            Rates::watched(&Wanted::default(), || counted(1))
                .await
                .is_none()
        );
    }
}
