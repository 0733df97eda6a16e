//! The places of a sink, and how many of them each of its Subscriptions may use.
//!
//! Attempts beyond the sink's connections would wait for one, with all that they need. So those who
//! have something to do share the places; who is alone has them all.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The places of one sink.
#[derive(Debug)]
pub(super) struct Places {
    all: NonZeroUsize,
    /// How many have something to do.
    busy: AtomicUsize,
}

/// Who delivers to the sink; leaves when it is dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    places: Arc<Places>,
    is_busy: bool,
}

impl Places {
    pub(super) fn new(all: NonZeroUsize) -> Self {
        Self {
            all,
            busy: AtomicUsize::new(0),
        }
    }
}

impl Guest {
    pub(super) fn of(places: &Arc<Places>) -> Self {
        Self {
            places: Arc::clone(places),
            is_busy: false,
        }
    }

    /// Says whether there is something to do.
    pub(crate) fn set_busy(&mut self, is_busy: bool) {
        if self.is_busy == is_busy {
            return;
        }
        self.is_busy = is_busy;
        let busy = &self.places.busy;
        // A number to go by; nothing is ordered by it.
        if is_busy {
            busy.fetch_add(1, Ordering::Relaxed);
        } else {
            busy.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many places are for each who has something to do; one at least.
    pub(crate) fn share(&self) -> usize {
        let busy = self.places.busy.load(Ordering::Relaxed);
        (self.places.all.get() / busy.max(1)).max(1)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.set_busy(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who is alone has all places, many share them, and nobody has none.
    #[test]
    fn the_busy_share_the_places() {
        let places = Arc::new(Places::new(const { NonZeroUsize::new(10).unwrap() }));
        let mut guests: Vec<Guest> = (0..20).map(|_| Guest::of(&places)).collect();
        assert_eq!(guests[0].share(), 10);
        for (busy, share) in [(1, 10), (2, 5), (3, 3), (11, 1), (20, 1)] {
            for guest in guests.iter_mut().take(busy) {
                guest.set_busy(true);
                guest.set_busy(true);
            }
            assert_eq!(guests[0].share(), share, "{busy}");
        }
        guests[0].set_busy(false);
        guests.truncate(4);
        assert_eq!(guests[0].share(), 3);
    }
}
