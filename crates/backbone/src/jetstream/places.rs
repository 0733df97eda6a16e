//! Up to where each consumer had settled everything when it was last seen: where it goes on if
//! somebody else deletes it. Older than what is true by a look at most, so that what was settled since
//! comes again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// One that is missing from so many looks is not asked for any more: its reader has long noticed.
const MISSING_MAX: u64 = 100;

/// Those of all consumers, of all connections of this process.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    looks: u64,
    /// By consumer: the place, and in which look it was seen.
    places: HashMap<String, (u64, u64)>,
}

impl Places {
    /// A consumer was seen.
    pub(super) fn see(&self, consumer: &str, place: u64) {
        let mut inner = self.lock();
        let look = inner.looks;
        inner.places.insert(consumer.to_owned(), (place, look));
    }

    /// All of them were.
    pub(super) fn see_all<'a>(&self, all: impl Iterator<Item = (&'a str, u64)>) {
        let mut inner = self.lock();
        inner.looks += 1;
        let look = inner.looks;
        let all = all.map(|(consumer, place)| (consumer.to_owned(), (place, look)));
        inner.places.extend(all);
        inner
            .places
            .retain(|_, (_, seen)| *seen + MISSING_MAX > look);
    }

    /// It was deleted on purpose.
    pub(super) fn forget(&self, consumer: &str) {
        self.lock().places.remove(consumer);
    }

    pub(super) fn of(&self, consumer: &str) -> Option<u64> {
        self.lock().places.get(consumer).map(|(place, _)| *place)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is complete before anything in it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
