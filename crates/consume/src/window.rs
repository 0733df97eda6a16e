//! How many attempts at once: as many as the Subscription allows, and fewer where the sink shows
//! that it cannot bear them.
//!
//! A gradient on latency, and halving where the sink is overloaded in its own words. The gradient
//! compares each answer with what is usual, so a sink that has always been slow gets the whole
//! window, and one that becomes slow gets less until it is usual. See decision 0015.

use std::time::Duration;

use tidegate_subscription::{Delivery, Format};
use tokio::time::Instant;

use crate::Health;

/// Where it begins: Kyma's whole window.
const FIRST: u32 = 10;

/// So much slower than usual is no slowness: latencies spread.
const TOLERANCE: f64 = 2.0;

/// In seconds: what is usual counts as no less. Below it an answer tells more of when this process
/// came to read it than of its sink.
const USUAL_LEAST: f64 = 0.01;

/// The least part that one answer leaves of the window, before smoothing.
const GRADIENT_LEAST: f64 = 0.5;

/// The weight of one answer for the window, and for what is taken lately.
const SMOOTHING: f64 = 0.2;

/// Over so many answers goes what is usual.
const USUAL_SAMPLES: f64 = 300.0;

/// So much of what is usual stays with each answer while they are far quicker lately: a sink that
/// has recovered is known soon.
const USUAL_DECAY: f64 = 0.95;

/// One Subscription's window.
#[derive(Debug)]
pub(crate) struct Window {
    bound: f64,
    /// Attempts that one place at the sink is enough for.
    batch: usize,
    limit: f64,
    /// What an answer usually takes, in seconds.
    usual: f64,
    /// What the last few took.
    lately: f64,
    samples: f64,
    /// When it was halved last; what began before knew nothing of that.
    halved: Option<Instant>,
}

/// An attempt under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    at: Instant,
    /// How many there were with it.
    beside: usize,
}

impl Window {
    /// That of a Subscription.
    pub(crate) fn of(delivery: &Delivery) -> Self {
        let batch = match delivery.format {
            Format::Binary | Format::Structured => 1,
            Format::Batch { size, .. } => size.get(),
        };
        // Less would never fill a batch.
        let mut window = Self::new(delivery.max_in_flight.get(), batch.max(FIRST));
        window.batch = usize::try_from(batch).unwrap_or(usize::MAX);
        window
    }

    /// `first` is where it begins, if the bound is no less.
    fn new(bound: u32, first: u32) -> Self {
        let bound = f64::from(bound);
        Self {
            bound,
            batch: 1,
            // A larger one is earned.
            limit: bound.min(f64::from(first)),
            usual: 0.0,
            lately: 0.0,
            samples: 0.0,
            halved: None,
        }
    }

    /// How many attempts there may be at once.
    pub(crate) fn limit(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between 1 and a bound that was a u32"
        )]
        {
            self.limit as usize
        }
    }

    /// The same with so many places at the sink.
    pub(crate) fn limit_of(&self, places: usize) -> usize {
        self.limit().min(places.saturating_mul(self.batch))
    }

    /// An attempt begins, beside so many others.
    pub(crate) fn begin(others: usize) -> Begun {
        Begun {
            at: Instant::now(),
            beside: others + 1,
        }
    }

    /// It has ended. `health` is what it told of the sink.
    pub(crate) fn ended(&mut self, begun: Begun, health: Health) {
        match health {
            Health::Well => self.answered(begun.at.elapsed(), begun.beside),
            Health::Busy | Health::Slow | Health::Away => self.overloaded(begun.at),
            // A quick failure says nothing of how much the sink can bear.
            Health::Failing => {}
        }
    }

    fn overloaded(&mut self, begun: Instant) {
        if self.halved.is_none_or(|halved| begun >= halved) {
            self.limit = (self.limit / 2.0).max(1.0);
            self.halved = Some(Instant::now());
        }
    }

    fn answered(&mut self, took: Duration, beside: usize) {
        // A clock without movement would divide by zero.
        let took = took.as_secs_f64().max(1e-6);
        self.samples = (self.samples + 1.0).min(USUAL_SAMPLES);
        self.usual += (took - self.usual) / self.samples;
        self.lately += (took - self.lately) * SMOOTHING.max(1.0 / self.samples);
        if self.usual > TOLERANCE * self.lately {
            self.usual *= USUAL_DECAY;
        }
        // Attempts that do not fill it say nothing of what would fit.
        if beside.saturating_mul(2) < self.limit() {
            return;
        }
        let usual = self.usual.max(USUAL_LEAST);
        let gradient = (TOLERANCE * usual / self.lately).clamp(GRADIENT_LEAST, 1.0);
        let room = self.limit.sqrt() / 2.0;
        let wanted = self.limit * gradient + room;
        let limit = self.limit + (wanted - self.limit) * SMOOTHING;
        self.limit = limit.clamp(1.0, self.bound);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many answers, each filling the window and taking so long.
    fn answers(window: &mut Window, count: usize, took: Duration) {
        for _ in 0..count {
            let beside = window.limit();
            window.answered(took, beside);
        }
    }

    const QUICK: Duration = Duration::from_millis(5);
    const SLOW: Duration = Duration::from_secs(2);

    /// A sink that bears it gets the whole window, be it slow or not.
    #[test]
    fn a_steady_sink_gets_the_whole_window() {
        for took in [QUICK, SLOW] {
            for bound in [1, 10, 1_000] {
                let mut window = Window::new(bound, 10);
                answers(&mut window, 700, took);
                assert_eq!(window.limit(), bound as usize, "{took:?}");
            }
        }
    }

    /// Latencies that spread, as they do, cost little of it.
    #[test]
    fn spread_is_no_slowness() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut window = Window::new(100, 10);
        let mut least = 100;
        for at in 0..20_000 {
            // Exponential, with a mean of 20 ms.
            let took = Duration::from_secs_f64(-0.02 * (1.0 - rng.f64()).ln());
            answers(&mut window, 1, took);
            if at > 1_000 {
                least = least.min(window.limit());
            }
        }
        assert!(least >= 60, "{least}");
    }

    /// Attempts that end together, as they do under load, say nothing of their sink by how they
    /// differ: some were read at once, and some a few milliseconds later.
    #[test]
    fn what_takes_milliseconds_is_never_slow() {
        let mut window = Window::new(100, 10);
        answers(&mut window, 1_000, Duration::from_micros(200));
        let mut least = 100;
        for _ in 0..100 {
            answers(&mut window, 30, Duration::from_millis(15));
            least = least.min(window.limit());
            answers(&mut window, 300, Duration::from_micros(200));
        }
        assert_eq!(least, 100);
        answers(&mut window, 30, Duration::from_millis(60));
        assert!(window.limit() < 50, "{}", window.limit());
    }

    /// A sink that becomes slow gets one at a time soon, and all again soon after it is quick; one
    /// that stays slow is a slow sink after a while.
    #[test]
    fn the_window_follows_latency() {
        let mut window = Window::new(100, 10);
        answers(&mut window, 1_000, QUICK);
        assert_eq!(window.limit(), 100);
        answers(&mut window, 60, SLOW);
        assert_eq!(window.limit(), 1);
        answers(&mut window, 300, QUICK);
        assert_eq!(window.limit(), 100);
        answers(&mut window, 60, SLOW);
        assert_eq!(window.limit(), 1);
        answers(&mut window, 2_000, SLOW);
        assert_eq!(window.limit(), 100);
    }

    /// Overload halves it, once for all that were under way; and it never closes.
    #[tokio::test(start_paused = true)]
    async fn overload_halves_it() {
        let mut window = Window::new(10, 10);
        let second = Duration::from_secs(1);
        let begun: Vec<Begun> = (0..10).map(Window::begin).collect();
        tokio::time::advance(second).await;
        for begun in begun {
            window.ended(begun, Health::Busy);
        }
        assert_eq!(window.limit(), 5);
        for (health, limit) in [
            (Health::Slow, 2),
            (Health::Failing, 2),
            (Health::Away, 1),
            (Health::Away, 1),
        ] {
            let begun = Window::begin(0);
            tokio::time::advance(second).await;
            window.ended(begun, health);
            assert_eq!(window.limit(), limit, "{health:?}");
        }
    }

    /// Attempts that do not fill the window do not make it larger.
    #[test]
    fn what_is_not_used_does_not_grow() {
        let mut window = Window::new(1_000, 10);
        for _ in 0..1_000 {
            window.answered(QUICK, 1);
        }
        assert_eq!(window.limit(), 10);
    }
}
