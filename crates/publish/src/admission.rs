//! How much may wait for its acknowledgement, over all threads of the process.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::{Config, Error};

/// The bound on what waits. Clones share it; nothing ever waits for room.
#[derive(Clone, Debug)]
pub struct Admission {
    used: Arc<Used>,
    events_max: usize,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Used {
    events: AtomicUsize,
    bytes: AtomicUsize,
}

impl Admission {
    /// The bound that the configuration sets.
    pub fn new(config: &Config) -> Self {
        Self {
            used: Arc::default(),
            events_max: config.in_flight_max,
            bytes_max: usize::try_from(config.in_flight_bytes_max.as_u64()).unwrap_or(usize::MAX),
        }
    }

    /// Events that wait now.
    pub fn events(&self) -> usize {
        self.used.events.load(Ordering::Relaxed)
    }

    /// Room for `events` with `bytes` together, or none at all.
    pub(crate) fn enter(&self, events: usize, bytes: usize) -> Result<Permit, Error> {
        let permit = Permit {
            used: Arc::clone(&self.used),
            events,
            bytes,
        };
        let events_before = self.used.events.fetch_add(events, Ordering::Relaxed);
        let bytes_before = self.used.bytes.fetch_add(bytes, Ordering::Relaxed);
        // A request that is larger than a bound by itself passes when nothing else waits:
        // otherwise it could never be stored.
        if events_before > 0 && events_before.saturating_add(events) > self.events_max {
            return Err(Error::Busy {
                limit: format!("{} events", self.events_max),
            });
        }
        if bytes_before > 0 && bytes_before.saturating_add(bytes) > self.bytes_max {
            return Err(Error::Busy {
                limit: format!("{} bytes", self.bytes_max),
            });
        }
        Ok(permit)
    }
}

/// Room that is given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    used: Arc<Used>,
    events: usize,
    bytes: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.used.events.fetch_sub(self.events, Ordering::Relaxed);
        self.used.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(events: usize, bytes: u64) -> Admission {
        Admission::new(&Config {
            in_flight_max: events,
            in_flight_bytes_max: bytesize::ByteSize::b(bytes),
            ..Config::default()
        })
    }

    /// What is refused takes no room, and what ends gives its room back.
    #[test]
    fn room_is_given_back() {
        let admission = admission(2, 1_000);
        let first = admission.enter(2, 10).unwrap();
        assert!(matches!(admission.enter(1, 1), Err(Error::Busy { .. })));
        assert_eq!(admission.events(), 2);
        drop(first);
        assert_eq!(admission.events(), 0);
        admission.enter(2, 10).unwrap();
    }

    /// Bytes are bounded as events are.
    #[test]
    fn bytes_are_bounded_too() {
        let admission = admission(100, 50);
        let _first = admission.enter(1, 40).unwrap();
        assert!(matches!(admission.enter(1, 20), Err(Error::Busy { .. })));
    }

    /// A batch above the bound is not refused for ever.
    #[test]
    fn a_large_batch_passes_alone() {
        let admission = admission(2, 10);
        admission.enter(5, 50).unwrap();
    }
}
