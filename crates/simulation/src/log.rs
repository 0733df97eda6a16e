//! The log in memory, seen by one process over a bad connection.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use fastrand::Rng;
use tidegate_backbone::{
    Append, AppendError, ConsumerSpec, ControlError, DeadLetter, Delivery, Former, LettersOf, Log,
    Pending, Receipt, Settle, SettleError, Source, SourceError, Stored,
    memory::{Memory, MemoryReceipt, MemorySource},
};

use crate::{
    plan::Faults,
    record::{Fate, Loop, Record, What},
};

/// Faults, as long as there are any.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    faults: Faults,
    rng: Arc<Mutex<Rng>>,
    is_calm: Arc<AtomicBool>,
}

impl Wire {
    pub(crate) fn new(faults: Faults, rng: Rng) -> Self {
        Self {
            faults,
            rng: Arc::new(Mutex::new(rng)),
            is_calm: Arc::new(AtomicBool::new(true)),
        }
    }

    pub(crate) fn set_calm(&self, calm: bool) {
        self.is_calm.store(calm, Ordering::Relaxed);
    }

    fn happens(&self, chance: f64) -> bool {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        // Drawn in any case, so that less faults are the same run otherwise.
        let drawn = rng.f64();
        !self.is_calm.load(Ordering::Relaxed) && drawn < chance
    }

    fn is_away(&self) -> bool {
        self.happens(self.faults.away)
    }
}

/// The log as one loop sees it.
#[derive(Clone, Debug)]
pub(crate) struct FaultyLog {
    pub(crate) memory: Memory,
    pub(crate) wire: Wire,
    pub(crate) of: Loop,
    pub(crate) record: Record,
    pub(crate) is_ordered: bool,
}

fn away(action: &str) -> ControlError {
    ControlError {
        action: action.to_owned(),
        detail: "by script".to_owned(),
    }
}

impl Log for FaultyLog {
    type Source = FaultySource;

    async fn append(&self, append: &Append) -> Result<Stored, AppendError> {
        self.memory.append(append).await
    }

    async fn bury(&self, letter: &DeadLetter) -> Result<Stored, AppendError> {
        if self.wire.is_away() {
            return Err(AppendError::Unreachable {
                detail: "by script".to_owned(),
            });
        }
        let stored = self.memory.bury(letter).await?;
        let is_lost = self.wire.is_away();
        let fate = if is_lost { Fate::Lost } else { Fate::Done };
        self.record
            .note(What::Buried(self.of, letter.sequence, fate));
        if is_lost {
            // It is stored, and nobody hears of it.
            return Err(AppendError::TimedOut {
                waited: std::time::Duration::ZERO,
            });
        }
        Ok(stored)
    }

    async fn letters_of(&self, of: &LettersOf) -> Result<BTreeMap<u64, u64>, ControlError> {
        if self.wire.is_away() {
            return Err(away("looking for letters"));
        }
        self.memory.letters_of(of).await
    }

    async fn open(&self, spec: ConsumerSpec) -> Result<FaultySource, ControlError> {
        if self.wire.is_away() {
            return Err(away("opening"));
        }
        Ok(FaultySource {
            source: self.memory.open(spec).await?,
            log: self.clone(),
        })
    }

    async fn narrow(&self, spec: &ConsumerSpec) -> Result<bool, ControlError> {
        self.memory.narrow(spec).await
    }

    async fn remove(&self, consumer: &str) -> Result<(), ControlError> {
        self.memory.remove(consumer).await
    }

    async fn consumers(&self) -> Result<Vec<Pending>, ControlError> {
        self.memory.consumers().await
    }

    async fn consumer(&self, name: &str) -> Result<Option<Pending>, ControlError> {
        self.memory.consumer(name).await
    }

    fn now(&self) -> SystemTime {
        self.memory.now()
    }

    async fn ready(&self) -> Result<(), ControlError> {
        self.memory.ready().await
    }
}

#[derive(Debug)]
pub(crate) struct FaultySource {
    source: MemorySource,
    log: FaultyLog,
}

impl Source for FaultySource {
    type Receipt = FaultyReceipt;

    async fn pull(&mut self, max: usize) -> Result<Vec<Delivery<FaultyReceipt>>, SourceError> {
        if max > 0 && self.log.wire.is_away() {
            return Err(SourceError::Unreachable {
                detail: "by script".to_owned(),
            });
        }
        let pulled = self.source.pull(max).await?;
        let log = &self.log;
        let deliveries = pulled.into_iter().map(|delivery| {
            let (sequence, attempt) = (delivery.sequence, delivery.attempt);
            log.record.note(What::Pulled(log.of, sequence, attempt));
            Delivery {
                event: delivery.event,
                subject: delivery.subject,
                sequence,
                number: delivery.number,
                attempt,
                stored_at: delivery.stored_at,
                receipt: FaultyReceipt {
                    receipt: delivery.receipt,
                    sequence,
                    log: log.clone(),
                },
            }
        });
        Ok(deliveries.collect())
    }

    fn former(&self) -> Vec<Former> {
        self.source.former()
    }

    async fn unsettled(&mut self) -> Result<u64, ControlError> {
        if self.log.wire.is_away() {
            return Err(away("asking"));
        }
        self.source.unsettled().await
    }

    async fn close(self) {
        self.source.close().await;
    }
}

pub(crate) struct FaultyReceipt {
    receipt: MemoryReceipt,
    sequence: u64,
    log: FaultyLog,
}

impl fmt::Debug for FaultyReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.receipt.fmt(f)
    }
}

impl FaultyReceipt {
    fn fate(&self, settle: Settle) -> Fate {
        let FaultyLog {
            wire, is_ordered, ..
        } = &self.log;
        if settle == Settle::Progress && *is_ordered {
            // A process that is silent for so long has lost an ordered Subscription, and what it
            // is in the middle of may be done twice at once: nothing can help that.
            return Fate::Done;
        }
        if !wire.happens(wire.faults.lost) {
            return Fate::Done;
        }
        match wire.happens(0.5) {
            true => Fate::Lost,
            false => Fate::Refused,
        }
    }

    fn note(&self, settle: Settle, fate: Fate) {
        let FaultyLog { record, of, .. } = &self.log;
        if settle != Settle::Progress {
            record.note(What::Settled(*of, self.sequence, settle, fate));
        }
    }
}

fn refused() -> SettleError {
    SettleError {
        detail: "by script".to_owned(),
    }
}

impl Receipt for FaultyReceipt {
    async fn settle(&self, settle: Settle) -> Result<(), SettleError> {
        let fate = self.fate(settle);
        self.note(settle, fate);
        match fate {
            Fate::Done => self.receipt.settle(settle).await,
            Fate::Lost => Ok(()),
            Fate::Refused => Err(refused()),
        }
    }

    async fn settle_surely(&self, settle: Settle) -> Result<(), SettleError> {
        let fate = self.fate(settle);
        self.note(settle, fate);
        match fate {
            Fate::Done => self.receipt.settle_surely(settle).await,
            Fate::Lost | Fate::Refused => Err(refused()),
        }
    }
}
