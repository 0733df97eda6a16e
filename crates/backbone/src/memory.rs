//! The log in memory, for tests and simulation: the same promises without a server.
//!
//! Time is tokio's, so that paused time drives it. Nothing survives the process; there are no
//! faults of its own.

mod consumer;
mod register;
mod source;
mod state;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use bytestring::ByteString;
use tidegate_event::Event;
use tokio::sync::Notify;

use self::{register::Entries, state::State};
pub use self::{
    register::{MemoryPresence, MemoryRegister},
    source::{MemoryReceipt, MemorySource},
};
use crate::{
    Append, AppendError, ConsumerSpec, ControlError, DeadLetter, LettersOf, Log, Pending, Shard,
    Stored, Unreadable,
};

/// What a log in memory takes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most events.
    pub events_max: usize,
    /// Most dead letters.
    pub dead_letters_max: usize,
    /// Largest event, with its attributes.
    pub event_bytes_max: usize,
    /// How long a message id is remembered.
    pub duplicate_window: Duration,
    /// What the wall clock says at the beginning. Fixed, so that a run can be repeated.
    pub started_at: SystemTime,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            events_max: 1_000_000,
            dead_letters_max: 100_000,
            event_bytes_max: 8 << 20,
            duplicate_window: Duration::from_mins(2),
            started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        }
    }
}

/// An event as the log holds it.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its place.
    pub sequence: u64,
    /// Where it was appended.
    pub subject: ByteString,
    /// The event, or what was put in its place.
    pub event: Result<Event, Unreadable>,
    /// When it was stored.
    pub stored_at: SystemTime,
}

/// A log in memory; clones are the same log.
#[derive(Clone, Debug)]
pub struct Memory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Told whenever a waiting source may have something to get.
    changed: Notify,
    refusing: Mutex<Option<AppendError>>,
    registers: Mutex<BTreeMap<Shard, Entries>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything in it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn registers(&self) -> MutexGuard<'_, BTreeMap<Shard, Entries>> {
        let registers = self.registers.lock();
        registers.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Memory {
    /// Whether both are the same log.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// An empty log.
    pub fn new(limits: Limits) -> Self {
        let state = Mutex::new(State::new(limits));
        Self {
            shared: Arc::new(Shared {
                state,
                changed: Notify::new(),
                refusing: Mutex::new(None),
                registers: Mutex::default(),
            }),
        }
    }

    /// The register of a shard, beside the log.
    pub fn register(&self, shard: Shard) -> MemoryRegister {
        MemoryRegister::new(Arc::clone(&self.shared), shard)
    }

    /// The shards in whose registers anything was ever written, and not all taken away.
    pub fn shards(&self) -> Vec<Shard> {
        let registers = self.shared.registers();
        let kept = registers.iter().filter(|(_, entries)| !entries.is_empty());
        kept.map(|(shard, _)| *shard).collect()
    }

    /// All that is stored, oldest first.
    pub fn events(&self) -> Vec<Kept> {
        self.shared.lock().events()
    }

    /// All dead letters, oldest first.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.shared.lock().dead_letters()
    }

    /// Takes a dead letter away.
    pub fn discard(&self, letter: u64) {
        self.shared.lock().discard(letter);
    }

    /// An exclusive consumer's events go to the next opening that asks for them.
    pub fn unpin(&self, consumer: &str) {
        self.shared.lock().unpin(consumer);
        self.shared.changed.notify_waiters();
    }

    /// What is unsettled comes again at once, as after an `ack_wait` without a sign of life.
    pub fn redeliver(&self, consumer: &str) {
        self.shared.lock().redeliver(consumer);
        self.shared.changed.notify_waiters();
    }

    /// How far each consumer is survives a [`Self::die`].
    pub fn sync(&self) {
        self.shared.lock().sync();
    }

    /// The log is killed and is there again. Like a nats-server it knows all that was stored, and of
    /// each consumer only how far it was when that was [synced](Self::sync) last: it delivers again,
    /// and numbers what it delivers again. Exclusive consumers stay as they are: what they repeat
    /// then is in no order.
    pub fn die(&self) {
        self.shared.lock().die();
        self.shared.changed.notify_waiters();
    }

    /// The log's wall clock jumps.
    pub fn set_clock(&self, now: SystemTime) {
        self.shared.lock().set_clock(now);
    }

    /// Burials fail so from now on; `None` lets them succeed again.
    pub fn refuse_letters(&self, error: Option<AppendError>) {
        let refusing = self.shared.refusing.lock();
        *refusing.unwrap_or_else(PoisonError::into_inner) = error;
    }

    /// Stores what is no CloudEvent, as somebody might who writes to the stream directly.
    pub fn append_unreadable(
        &self,
        subject: &str,
        unreadable: Unreadable,
    ) -> Result<Stored, AppendError> {
        let stored = self.shared.lock().append(subject, None, Err(unreadable));
        self.shared.changed.notify_waiters();
        stored
    }
}

// === impl Log ===

impl Log for Memory {
    type Source = MemorySource;

    async fn append(&self, append: &Append) -> Result<Stored, AppendError> {
        let id = append.message_id.clone();
        let stored = self
            .shared
            .lock()
            .append(&append.subject, id, Ok(append.event.clone()));
        self.shared.changed.notify_waiters();
        stored
    }

    async fn bury(&self, letter: &DeadLetter) -> Result<Stored, AppendError> {
        let refusing = self.shared.refusing.lock();
        if let Some(error) = &*refusing.unwrap_or_else(PoisonError::into_inner) {
            return Err(error.clone());
        }
        self.shared.lock().bury(letter)
    }

    async fn letters_of(&self, of: &LettersOf) -> Result<BTreeMap<u64, u64>, ControlError> {
        Ok(self.shared.lock().letters(of))
    }

    async fn last(&self) -> Result<u64, ControlError> {
        Ok(self.shared.lock().last_sequence())
    }

    async fn stored_behind(&self, filters: &[String], place: u64) -> Result<u64, ControlError> {
        Ok(self.shared.lock().stored_behind(filters, place))
    }

    async fn open(&self, spec: ConsumerSpec) -> Result<MemorySource, ControlError> {
        let name = spec.name.clone();
        let (incarnation, opening) = self.shared.lock().open(spec);
        // New filters may match what waits already.
        self.shared.changed.notify_waiters();
        Ok(MemorySource::new(
            Arc::clone(&self.shared),
            name,
            incarnation,
            opening,
        ))
    }

    async fn narrow(&self, spec: &ConsumerSpec) -> Result<bool, ControlError> {
        Ok(self.shared.lock().narrow(&spec.name))
    }

    async fn remove(&self, consumer: &str) -> Result<(), ControlError> {
        self.shared.lock().remove(consumer);
        self.shared.changed.notify_waiters();
        Ok(())
    }

    async fn consumers(&self) -> Result<Vec<Pending>, ControlError> {
        Ok(self.shared.lock().pending())
    }

    async fn consumer(&self, name: &str) -> Result<Option<Pending>, ControlError> {
        Ok(self.shared.lock().pending_of(name))
    }

    fn now(&self) -> SystemTime {
        self.shared.lock().wall_clock()
    }

    async fn ready(&self) -> Result<(), ControlError> {
        self.shared.lock().ready()
    }
}
