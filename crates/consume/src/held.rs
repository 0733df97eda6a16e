//! What a loop has in its hands: how much more it may take.

use std::{sync::Arc, time::SystemTime};

use tidegate_backbone::{Delivery, Unreadable};
use tidegate_event::Event;

use crate::{Budget, Config, budget::Share};

/// The least prefetch: below it, a small window would pull for almost every event.
const PREFETCH_MIN: usize = 16;

/// What an event is taken for until some were seen.
const BYTES_FIRST_GUESS: usize = 4 << 10;

/// A delivery that is not settled yet. Clones share it.
#[derive(Debug)]
pub(crate) struct Held<R> {
    pub(crate) event: Arc<Result<Event, Unreadable>>,
    pub(crate) sequence: u64,
    pub(crate) attempt: u32,
    pub(crate) stored_at: SystemTime,
    pub(crate) receipt: Arc<R>,
}

impl<R> Clone for Held<R> {
    fn clone(&self) -> Self {
        Self {
            event: Arc::clone(&self.event),
            sequence: self.sequence,
            attempt: self.attempt,
            stored_at: self.stored_at,
            receipt: Arc::clone(&self.receipt),
        }
    }
}

impl<R> From<Delivery<R>> for Held<R> {
    fn from(delivery: Delivery<R>) -> Self {
        Self {
            event: Arc::new(delivery.event),
            sequence: delivery.sequence,
            attempt: delivery.attempt,
            stored_at: delivery.stored_at,
            receipt: Arc::new(delivery.receipt),
        }
    }
}

impl<R> Held<R> {
    pub(crate) fn bytes(&self) -> usize {
        match &*self.event {
            Ok(event) => event.data_len(),
            Err(unreadable) => unreadable.payload.len(),
        }
    }
}

/// The room of one loop, in events and in bytes.
#[derive(Debug)]
pub(crate) struct Room {
    events_max: usize,
    bytes_max: usize,
    events: usize,
    bytes: usize,
    /// Of what all hold: what is held here, and what was asked for.
    share: Share,
    /// Of an event, smoothed: how many will come is known, how large they are is not.
    bytes_average: usize,
}

impl Room {
    pub(crate) fn new(config: &Config, budget: Budget) -> Self {
        Self {
            events_max: config.held_max,
            bytes_max: usize::try_from(config.held_bytes_max.as_u64()).unwrap_or(usize::MAX),
            events: 0,
            bytes: 0,
            share: Share::of(budget),
            bytes_average: BYTES_FIRST_GUESS,
        }
    }

    /// So many more will be asked for.
    pub(crate) fn ask(&mut self, events: usize) {
        let asked = events.saturating_mul(self.bytes_average);
        self.share.set(self.bytes.saturating_add(asked));
    }

    /// How many more events may be taken beside what fills the window, with so many put aside; at
    /// least one when nothing is held.
    pub(crate) fn left(&self, window: usize, aside: usize) -> usize {
        let prefetch = window.saturating_mul(2).max(PREFETCH_MIN) + aside;
        // The window itself must fit, or it would never fill.
        let events_max = prefetch.min(self.events_max).max(window);
        let bytes_max = self.bytes_max.min(self.share.max());
        let by_bytes = bytes_max.saturating_sub(self.bytes) / self.bytes_average.max(1);
        let least = usize::from(self.events == 0);
        events_max
            .saturating_sub(self.events)
            .min(by_bytes.max(least))
    }

    pub(crate) fn enter(&mut self, bytes: usize) {
        self.events += 1;
        self.bytes += bytes;
        self.bytes_average = (self.bytes_average * 7 + bytes) / 8;
    }

    pub(crate) fn leave(&mut self, bytes: usize) {
        self.events -= 1;
        self.bytes -= bytes;
    }

    pub(crate) fn events(&self) -> usize {
        self.events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(events_max: usize, bytes_max: usize) -> Room {
        Room {
            events_max,
            bytes_max,
            events: 0,
            bytes: 0,
            share: Share::of(Budget::new(bytesize::ByteSize::tib(1))),
            bytes_average: BYTES_FIRST_GUESS,
        }
    }

    /// What is held takes room and gives it back; nothing is taken beyond either bound.
    #[test]
    fn room_is_bounded_in_events_and_bytes() {
        let mut room = room(10, 4 * BYTES_FIRST_GUESS);
        assert_eq!(room.left(1, 0), 4);
        room.enter(BYTES_FIRST_GUESS);
        assert_eq!((room.events(), room.left(1, 0)), (1, 3));
        room.leave(BYTES_FIRST_GUESS);
        assert_eq!((room.events(), room.left(1, 0)), (0, 4));
        for _ in 0..100 {
            room.enter(1);
            room.leave(1);
        }
        assert_eq!(room.left(1, 0), 10, "small events leave room for all");
        for _ in 0..10 {
            room.enter(1);
        }
        assert_eq!(room.left(1, 0), 0);
        assert_eq!(room.left(11, 0), 1, "a window larger than that fills");
    }

    /// No more is taken in advance than the window will need soon.
    #[test]
    fn room_follows_the_window() {
        let room = room(1_000, usize::MAX);
        let left = [1, 8, 100, 600].map(|window| room.left(window, 0));
        assert_eq!(left, [16, 16, 200, 1_000]);
        assert_eq!([5, 990].map(|aside| room.left(1, aside)), [21, 1_000]);
    }

    /// An event larger than the room is taken alone, or it would never be delivered.
    #[test]
    fn one_event_fits_always() {
        let mut room = room(10, 1);
        assert_eq!(room.left(1, 0), 1);
        room.enter(1_000_000);
        assert_eq!(room.left(1, 0), 0);
        room.leave(1_000_000);
        assert_eq!(room.left(1, 0), 1);
    }
}
