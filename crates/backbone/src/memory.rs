//! The log in memory: the same promises on tokio's clock, for tests and simulation only.
//!
//! Not for running systems: it is gone with the process, and everything in it is scanned.

mod filter;
mod source;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tidegate_event::Event;
use tokio::{sync::Notify, time::Instant};

pub use self::source::{MemoryReceipt, MemorySource};
use self::source::Consumer;
use crate::{
    Append, AppendError, ConsumerSpec, ControlError, DeadLetter, Log, MessageId, Pending, Start,
    Stored,
};

/// How long a repeated message id is recognised, as the default of JetStream is.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// The log. Clones share it.
#[derive(Clone, Debug)]
pub struct Memory {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    events_max: usize,
}

#[derive(Debug, Default)]
struct State {
    events: BTreeMap<u64, Entry>,
    ids: HashMap<MessageId, (u64, Instant)>,
    letters: Vec<DeadLetter>,
    consumers: HashMap<String, Consumer>,
    refusing: Option<AppendError>,
}

#[derive(Clone, Debug)]
struct Entry {
    subject: String,
    event: Event,
    stored_at: SystemTime,
}

impl Default for Memory {
    fn default() -> Self {
        Self::with_room_for(usize::MAX)
    }
}

impl Memory {
    /// A log that is full with so many events.
    pub fn with_room_for(events_max: usize) -> Self {
        Self { state: Arc::default(), changed: Arc::default(), events_max }
    }

    /// What is stored, in order.
    pub fn events(&self) -> Vec<(String, Event)> {
        let state = self.lock();
        state.events.values().map(|entry| (entry.subject.clone(), entry.event.clone())).collect()
    }

    /// The dead letters, in order.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.lock().letters.clone()
    }

    /// Appends and burials fail so from now on; `None` lets them succeed again.
    pub fn refuse(&self, error: Option<AppendError>) {
        self.lock().refusing = error;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can panic halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for Memory {
    type Source = MemorySource;

    async fn append(&self, append: &Append) -> Result<Stored, AppendError> {
        let mut state = self.lock();
        if let Some(error) = &state.refusing {
            return Err(error.clone());
        }
        let now = Instant::now();
        state.ids.retain(|_, (_, since)| now.duration_since(*since) < DUPLICATE_WINDOW);
        if let Some(id) = &append.message_id {
            if let Some((sequence, _)) = state.ids.get(id) {
                return Ok(Stored { sequence: *sequence, duplicate: true });
            }
        }
        if state.events.len() >= self.events_max {
            let detail = format!("maximum of {} events", self.events_max);
            return Err(AppendError::Full { detail });
        }
        let sequence = state.last_sequence() + 1;
        if let Some(id) = &append.message_id {
            state.ids.insert(id.clone(), (sequence, now));
        }
        let entry = Entry {
            subject: append.subject.clone(),
            event: append.event.clone(),
            stored_at: SystemTime::now(),
        };
        state.events.insert(sequence, entry);
        drop(state);
        self.changed.notify_waiters();
        Ok(Stored { sequence, duplicate: false })
    }

    async fn bury(&self, letter: &DeadLetter) -> Result<Stored, AppendError> {
        let mut state = self.lock();
        if let Some(error) = &state.refusing {
            return Err(error.clone());
        }
        let same = |have: &DeadLetter| {
            have.consumer == letter.consumer && have.sequence == letter.sequence
        };
        let duplicate = state.letters.iter().any(same);
        if !duplicate {
            state.letters.push(letter.clone());
        }
        let sequence = u64::try_from(state.letters.len()).unwrap_or(u64::MAX);
        Ok(Stored { sequence, duplicate })
    }

    async fn open(&self, spec: ConsumerSpec) -> Result<MemorySource, ControlError> {
        let name = spec.name.clone();
        let mut state = self.lock();
        let last = state.last_sequence();
        match state.consumers.get_mut(&name) {
            Some(consumer) => consumer.spec = spec,
            None => {
                let from = if spec.start == Start::All { 0 } else { last };
                state.consumers.insert(name.clone(), Consumer::new(spec, from));
            }
        }
        drop(state);
        Ok(MemorySource::new(self.clone(), name))
    }

    async fn remove(&self, consumer: &str) -> Result<(), ControlError> {
        self.lock().consumers.remove(consumer);
        self.changed.notify_waiters();
        Ok(())
    }

    async fn consumers(&self) -> Result<Vec<Pending>, ControlError> {
        let state = self.lock();
        Ok(state.consumers.values().map(|consumer| consumer.pending(&state.events)).collect())
    }

    async fn ready(&self) -> Result<(), ControlError> {
        Ok(())
    }
}

impl State {
    fn last_sequence(&self) -> u64 {
        self.events.keys().next_back().copied().unwrap_or_default()
    }
}
