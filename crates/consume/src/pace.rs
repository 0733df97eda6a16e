//! Attempts, spread evenly over time.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// What may be made up for at once, so that a timer's grain costs no rate.
const BURST: Duration = Duration::from_millis(100);

/// At most so many a second, of all who share it: GCRA, with a burst of a tenth of a second.
#[derive(Clone, Debug)]
pub struct Pace(Arc<Mutex<Times>>);

#[derive(Debug)]
struct Times {
    every: Duration,
    next: Instant,
}

impl Pace {
    /// So many a second, from now on.
    pub fn new(rate: NonZeroU32) -> Self {
        Self::every(Duration::from_secs(1) / rate.get())
    }

    /// One in this time, from now on.
    pub(crate) fn every(every: Duration) -> Self {
        Self(Arc::new(Mutex::new(Times {
            every,
            next: Instant::now(),
        })))
    }

    /// When the next may be made.
    pub(crate) fn next(&self) -> Instant {
        self.lock().next
    }

    /// One is made now.
    pub(crate) fn made(&self) {
        let now = Instant::now();
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let mut times = self.lock();
        times.next = times.next.max(earliest) + times.every;
    }

    fn lock(&self) -> MutexGuard<'_, Times> {
        // Every change is complete before anything in it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(rate: u32) -> Pace {
        Pace::new(NonZeroU32::new(rate).unwrap())
    }

    /// As many a second as were asked for, whatever the timer's grain.
    #[tokio::test(start_paused = true)]
    async fn the_rate_is_kept() {
        for rate in [1, 7, 1_000, 30_000] {
            let (began, pace, mut made) = (Instant::now(), pace(rate), 0_u32);
            while began.elapsed() < Duration::from_secs(5) {
                while pace.next() <= Instant::now() {
                    pace.made();
                    made += 1;
                }
                // Timers fire on whole milliseconds.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let wanted = rate * 5;
            assert!(
                (wanted - rate / 500..=wanted + rate / 100 + 1).contains(&made),
                "{rate} a second: {made} in five"
            );
        }
    }

    /// Idle time is not saved up.
    #[tokio::test(start_paused = true)]
    async fn a_pause_is_not_made_up_for() {
        let pace = pace(100);
        tokio::time::advance(Duration::from_secs(60)).await;
        let mut made = 0;
        while pace.next() <= Instant::now() {
            pace.made();
            made += 1;
        }
        assert_eq!(made, 11);
    }
}
