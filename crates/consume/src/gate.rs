//! What a sink asks for itself: to be left alone, by whoever delivers to it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::time::Instant;

/// Until when a sink is left alone.
type Closed = Mutex<Option<Instant>>;

/// Whether a sink takes attempts now; shared by the Subscriptions that name it.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Closed>);

/// The gates of all sinks, by address.
#[derive(Clone, Debug, Default)]
pub struct Gates(Arc<Mutex<HashMap<String, Weak<Closed>>>>);

impl Gate {
    /// No attempt begins for so long. A longer wish that was made before stays.
    pub(crate) fn close(&self, for_so_long: Duration) {
        let until = Instant::now() + for_so_long;
        let mut closed = lock(&self.0);
        *closed = Some(closed.map_or(until, |before| before.max(until)));
    }

    /// Until when it is closed, if it is.
    pub(crate) fn closed_until(&self) -> Option<Instant> {
        let mut closed = lock(&self.0);
        if closed.is_some_and(|until| until <= Instant::now()) {
            *closed = None;
        }
        *closed
    }
}

impl Gates {
    /// That of the sink at this address.
    pub fn of(&self, sink: &str) -> Gate {
        let mut gates = lock(&self.0);
        if let Some(known) = gates.get(sink).and_then(Weak::upgrade) {
            return Gate(known);
        }
        // Those that nobody delivers through any more.
        gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = Gate::default();
        gates.insert(sink.to_owned(), Arc::downgrade(&gate.0));
        gate
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is complete before anything in it can panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All who name a sink share its gate, and nobody else does.
    #[tokio::test(start_paused = true)]
    async fn a_gate_is_its_sinks() {
        let gates = Gates::default();
        let (one, same, other) = (
            gates.of("http://a/"),
            gates.of("http://a/"),
            gates.of("http://b/"),
        );
        one.close(Duration::from_secs(10));
        one.close(Duration::from_secs(2));
        let until = Some(Instant::now() + Duration::from_secs(10));
        assert_eq!((same.closed_until(), other.closed_until()), (until, None));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(same.closed_until(), None);
        drop((one, same, other));
        gates.of("http://c/");
        assert_eq!(lock(&gates.0).len(), 1, "those of nobody are forgotten");
    }
}
