//! What a connection is waiting for, and until when.
//!
//! Shared by the one who reads bytes, the requests in flight and the one who keeps the deadlines.
//! All of them are on one thread; atomics only because tasks may move in principle.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::watched::LINGER;

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Clock {
    header_timeout: Duration,
    idle_timeout: Duration,
    /// When the connection began; the other times are counted from here.
    began: Instant,
    /// Requests whose answer is not there yet.
    in_flight: AtomicU32,
    /// Whether the head of a request is under way.
    head: AtomicBool,
    /// Since when the head is under way, or else since when there is nothing to do.
    since_micros: AtomicU64,
    /// HTTP/2, where bytes that come are not always the head of a request.
    multiplexed: AtomicBool,
    /// Whether bytes may be on the way that nobody will read.
    unread: AtomicBool,
}

/// What a connection is late with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// The head of a request.
    Head,
    /// Any request.
    Idle,
    /// Its end.
    End,
}

/// A request in flight; done when dropped.
#[derive(Debug)]
pub(super) struct Busy(Arc<Clock>);

// === impl Clock ===

impl Clock {
    /// A connection that has just begun: its first head is under way.
    pub(super) fn new(header_timeout: Duration, idle_timeout: Duration) -> Self {
        Self {
            header_timeout,
            idle_timeout,
            began: Instant::now(),
            in_flight: AtomicU32::new(0),
            head: AtomicBool::new(true),
            since_micros: AtomicU64::new(0),
            multiplexed: AtomicBool::new(false),
            unread: AtomicBool::new(false),
        }
    }

    /// Bytes came.
    pub(super) fn bytes_came(&self) {
        if self.in_flight.load(Relaxed) == 0
            && !self.multiplexed.load(Relaxed)
            && !self.head.swap(true, Relaxed)
        {
            self.touch();
        }
    }

    /// The connection is HTTP/2. Its streams and their heads are bounded by the protocol's own
    /// limits; without a request it counts as idle, whatever frames come.
    pub(super) fn is_multiplexed(&self) {
        self.multiplexed.store(true, Relaxed);
        self.head.store(false, Relaxed);
        self.touch();
    }

    /// Whether closing now could reset the connection before its last answer is read.
    pub(super) fn may_be_unread(&self) -> bool {
        self.unread.load(Relaxed) || self.head.load(Relaxed)
    }

    /// What will be late next, and when. Nothing is while a request is in flight: it has its own
    /// deadline.
    pub(super) fn due(&self, ending: Option<Instant>) -> Option<(Due, Instant)> {
        if self.in_flight.load(Relaxed) > 0 {
            return None;
        }
        let since = self.began + Duration::from_micros(self.since_micros.load(Relaxed));
        Some(match ending {
            Some(ending) => (Due::End, since.max(ending) + LINGER),
            None if self.head.load(Relaxed) => (Due::Head, since + self.header_timeout),
            None => (Due::Idle, since + self.idle_timeout),
        })
    }

    fn touch(&self) {
        let micros = self.began.elapsed().as_micros();
        self.since_micros
            .store(u64::try_from(micros).unwrap_or(u64::MAX), Relaxed);
    }
}

// === impl Busy ===

impl Busy {
    /// A request's head is here.
    pub(super) fn new(clock: Arc<Clock>) -> Self {
        clock.in_flight.fetch_add(1, Relaxed);
        clock.head.store(false, Relaxed);
        Self(clock)
    }

    /// The answer closes the connection although its client may still be sending.
    pub(super) fn leaves_unread(&self) {
        self.0.unread.store(true, Relaxed);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Relaxed) == 1 {
            self.0.touch();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Duration = Duration::from_secs(5);
    const IDLE: Duration = Duration::from_secs(60);

    fn after(clock: &Clock, seconds: u64) -> Instant {
        clock.began + Duration::from_secs(seconds)
    }

    /// A connection that sends nothing, and one that sends a head byte by byte, end on time.
    #[tokio::test(start_paused = true)]
    async fn a_head_is_due_from_its_first_byte() {
        let clock = Clock::new(HEADER, IDLE);
        assert_eq!(clock.due(None), Some((Due::Head, after(&clock, 5))));
        tokio::time::advance(Duration::from_secs(2)).await;
        clock.bytes_came();
        assert_eq!(clock.due(None), Some((Due::Head, after(&clock, 5))));
        let busy = Busy::new(Arc::new(Clock::new(HEADER, IDLE)));
        let clock = Arc::clone(&busy.0);
        drop(busy);
        tokio::time::advance(Duration::from_secs(10)).await;
        clock.bytes_came();
        tokio::time::advance(Duration::from_secs(1)).await;
        clock.bytes_came();
        assert_eq!(clock.due(None), Some((Due::Head, after(&clock, 15))));
    }

    /// A kept-alive connection may rest longer than a head may take.
    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_due_from_its_last_answer() {
        let clock = Arc::new(Clock::new(HEADER, IDLE));
        let first = Busy::new(Arc::clone(&clock));
        let second = Busy::new(Arc::clone(&clock));
        drop(first);
        assert_eq!(clock.due(None), None);
        assert_eq!(clock.due(Some(clock.began)), None);
        tokio::time::advance(Duration::from_secs(3)).await;
        drop(second);
        assert_eq!(clock.due(None), Some((Due::Idle, after(&clock, 63))));
        assert_eq!(
            clock.due(Some(clock.began)),
            Some((Due::End, after(&clock, 3) + LINGER))
        );
    }

    /// Frames of HTTP/2 that are no requests neither end a connection early nor keep it for ever.
    #[tokio::test(start_paused = true)]
    async fn bytes_of_a_multiplexed_connection_are_no_head() {
        let clock = Clock::new(HEADER, IDLE);
        clock.is_multiplexed();
        tokio::time::advance(Duration::from_secs(30)).await;
        clock.bytes_came();
        assert_eq!(clock.due(None), Some((Due::Idle, after(&clock, 60))));
    }
}
