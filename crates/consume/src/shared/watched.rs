//! A value that many wait for, who are woken in the order in which they came.
//!
//! Tokio's `watch` wakes them in an order of chance, and a run of the simulation could not be seen
//! again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub(super) struct Watched<T>(Arc<Inner<T>>);

struct Inner<T> {
    /// The value, and how often it was set.
    value: Mutex<(T, u64)>,
    set: Notify,
}

/// Waits for it.
pub(super) struct Watch<T> {
    of: Arc<Inner<T>>,
    seen: u64,
}

impl<T> Inner<T> {
    fn lock(&self) -> MutexGuard<'_, (T, u64)> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Copy> Watched<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Arc::new(Inner {
            value: Mutex::new((value, 0)),
            set: Notify::new(),
        }))
    }

    pub(super) fn set(&self, value: T) {
        {
            let mut now = self.0.lock();
            *now = (value, now.1 + 1);
        }
        self.0.set.notify_waiters();
    }

    pub(super) fn get(&self) -> T {
        self.0.lock().0
    }

    /// Waits for what is set from here on.
    pub(super) fn watch(&self) -> Watch<T> {
        Watch {
            of: Arc::clone(&self.0),
            seen: self.0.lock().1,
        }
    }
}

impl<T> Watch<T> {
    /// Waits until it was set since this was called last.
    pub(super) async fn changed(&mut self) {
        loop {
            // Whoever asks before it is set is woken, also if it did not wait yet.
            let set = self.of.set.notified();
            let times = self.of.lock().1;
            if times != self.seen {
                self.seen = times;
                return;
            }
            set.await;
        }
    }
}

impl<T> Clone for Watch<T> {
    fn clone(&self) -> Self {
        Self {
            of: Arc::clone(&self.of),
            seen: self.seen,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn who_came_first_is_woken_first() {
        let watched = Watched::new(false);
        let woken = Arc::new(Mutex::new(Vec::new()));
        let waiting: Vec<_> = (0..20)
            .map(|number| {
                let (mut watch, woken) = (watched.watch(), Arc::clone(&woken));
                tokio::spawn(async move {
                    watch.changed().await;
                    woken.lock().unwrap().push(number);
                })
            })
            .collect();
        // Each of them is polled once before this goes on.
        tokio::task::yield_now().await;
        watched.set(true);
        for one in waiting {
            one.await.unwrap();
        }
        assert_eq!(*woken.lock().unwrap(), (0..20).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_set_before_one_waits_is_seen_once() {
        let watched = Watched::new(1);
        let mut watch = watched.watch();
        watched.set(2);
        let mut other = watch.clone();
        watch.changed().await;
        other.changed().await;
        let again = timeout(Duration::from_secs(1), watch.changed());
        assert!(again.await.is_err());
        watched.set(3);
        watch.changed().await;
        assert_eq!(watched.get(), 3);
    }
}
