//! Whether events would be stored, as probes are told: what the log says, without its flaps.
//!
//! A nats-server that elects a leader, or whose connection is replaced, is away for a moment, and
//! doors answer for that moment by themselves. Who takes a gateway out of service for it, and back,
//! makes a short trouble a long one.

use std::time::Duration;

use tidegate_backbone::{Log, jetstream::Jetstream};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};

/// How often the log is asked.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// For so long it has to say something else before that is told.
const STEADY_FOR: Duration = Duration::from_secs(2);

/// What probes are told: `Ok`, or why not.
pub(crate) type Readiness = watch::Receiver<Result<(), String>>;

/// Asks, from now on.
pub(crate) fn follow(log: Jetstream) -> (Readiness, JoinHandle<()>) {
    let (told, readiness) = watch::channel(Err("the log was not asked yet".to_owned()));
    (readiness, tokio::spawn(ask(log, told)))
}

async fn ask(log: impl Log, told: watch::Sender<Result<(), String>>) {
    let mut ticks = interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut damped = Damped::default();
    loop {
        // Whoever does not answer has not for as long as the question took.
        let asked = ticks.tick().await;
        let now = log.ready().await.map_err(|error| error.to_string());
        let Some(changed) = damped.hear(now, asked, Instant::now()) else {
            continue;
        };
        drop(told.send_replace(changed));
    }
}

/// Two opinions: the one that is told, and for how long the log has had the other one.
#[derive(Debug, Default)]
struct Damped {
    told: Option<Result<(), String>>,
    otherwise_since: Option<Instant>,
    /// Nobody waits longer for a start than it takes.
    has_started: bool,
}

impl Damped {
    /// What is to be told now, if that is something else than before.
    fn hear(
        &mut self,
        now: Result<(), String>,
        asked: Instant,
        heard: Instant,
    ) -> Option<Result<(), String>> {
        let agrees = |told: &Result<(), String>| told.is_ok() == now.is_ok();
        if self.has_started && !self.told.as_ref().is_some_and(agrees) {
            let since = *self.otherwise_since.get_or_insert(asked);
            if heard - since < STEADY_FOR {
                return None;
            }
        }
        self.otherwise_since = None;
        self.has_started |= now.is_ok();
        // Also of the same opinion: the reason may be another one.
        let is_new = self.told.as_ref() != Some(&now);
        self.told = Some(now.clone());
        is_new.then_some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks at each second, and says what is told.
    fn told(answers: &[bool]) -> Vec<bool> {
        let (mut damped, mut told, mut asked) = (Damped::default(), false, Instant::now());
        let mut hear = |is_ready: &bool| {
            let now = is_ready.then_some(()).ok_or("away".to_owned());
            if let Some(changed) = damped.hear(now, asked, asked) {
                told = changed.is_ok();
            }
            asked += Duration::from_secs(1);
            told
        };
        answers.iter().map(&mut hear).collect()
    }

    /// And at once until it has said once that it is ready.
    #[tokio::test]
    async fn what_the_log_says_counts_when_it_has_said_so_for_long_enough() {
        let (yes, no) = (true, false);
        assert_eq!(
            told(&[yes, no, no, no, no]),
            [yes, yes, yes, no, no],
            "away for long enough"
        );
        assert_eq!(
            told(&[yes, no, yes, no, yes]),
            [yes; 5],
            "flaps are not told"
        );
        assert_eq!(
            told(&[no, yes, no, no, no, yes, no, yes, yes, yes]),
            [no, yes, yes, yes, no, no, no, no, no, yes],
            "nor when it comes back"
        );
    }

    /// A log that is silent until the question ends has been away since it was asked.
    #[tokio::test]
    async fn silence_counts_from_the_question_on() {
        let mut damped = Damped::default();
        let asked = Instant::now();
        assert_eq!(damped.hear(Ok(()), asked, asked), Some(Ok(())));
        let silent = Err("no answer".to_owned());
        let heard = asked + STEADY_FOR;
        assert_eq!(damped.hear(silent.clone(), asked, heard), Some(silent));
        let other = Err("full".to_owned());
        assert_eq!(damped.hear(other.clone(), heard, heard), Some(other));
    }
}
