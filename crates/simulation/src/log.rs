//! A log, seen over a bad connection: the one in memory, or what shares its consumers.

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
    Pending, Receipt, Register, RegisterError, Registered, Settle, SettleError, Source,
    SourceError, Stored,
    memory::{MemoryPresence, MemoryRegister},
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

    pub(crate) fn without_faults(&self) -> Self {
        Self {
            is_calm: Arc::new(AtomicBool::new(true)),
            ..self.clone()
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

/// The log as one loop sees it, or as a process does.
#[derive(Clone, Debug)]
pub(crate) struct FaultyLog<L> {
    pub(crate) log: L,
    pub(crate) wire: Wire,
    /// Whose what happens is noted as; nobody's where it is a process that shares a consumer.
    pub(crate) of: Option<Loop>,
    pub(crate) record: Record,
    pub(crate) is_ordered: bool,
}

impl<L> FaultyLog<L> {
    fn note(&self, what: impl FnOnce(Loop) -> What) {
        if let Some(of) = self.of {
            self.record.note(what(of));
        }
    }
}

fn away(action: &str) -> ControlError {
    ControlError {
        action: action.to_owned(),
        detail: "by script".to_owned(),
    }
}

impl<L: Log> Log for FaultyLog<L> {
    type Source = FaultySource<L>;

    async fn append(&self, append: &Append) -> Result<Stored, AppendError> {
        self.log.append(append).await
    }

    async fn bury(&self, letter: &DeadLetter) -> Result<Stored, AppendError> {
        if self.of.is_none() {
            // The loop that asks has all the faults.
            return self.log.bury(letter).await;
        }
        if self.wire.is_away() {
            return Err(AppendError::Unreachable {
                detail: "by script".to_owned(),
            });
        }
        let stored = self.log.bury(letter).await?;
        let is_lost = self.wire.is_away();
        let fate = if is_lost { Fate::Lost } else { Fate::Done };
        self.note(|of| What::Buried(of, letter.sequence, fate));
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
        self.log.letters_of(of).await
    }

    async fn last(&self) -> Result<u64, ControlError> {
        if self.wire.is_away() {
            return Err(away("asking"));
        }
        self.log.last().await
    }

    async fn stored_behind(&self, filters: &[String], place: u64) -> Result<u64, ControlError> {
        self.log.stored_behind(filters, place).await
    }

    async fn open(&self, spec: ConsumerSpec) -> Result<FaultySource<L>, ControlError> {
        if self.wire.is_away() {
            return Err(away("opening"));
        }
        let is_ordered = self.is_ordered || spec.exclusive;
        let source = self.log.open(spec).await?;
        if self.of.is_none() && self.wire.is_away() {
            // It is made, and nobody hears of it.
            return Err(away("opening"));
        }
        Ok(FaultySource {
            source,
            log: Self {
                is_ordered,
                ..self.clone()
            },
        })
    }

    async fn narrow(&self, spec: &ConsumerSpec) -> Result<bool, ControlError> {
        self.log.narrow(spec).await
    }

    async fn remove(&self, consumer: &str) -> Result<(), ControlError> {
        if self.wire.is_away() {
            return Err(away("removing"));
        }
        self.log.remove(consumer).await?;
        match self.wire.is_away() {
            // It is gone, and nobody hears of it.
            true => Err(away("removing")),
            false => Ok(()),
        }
    }

    async fn consumers(&self) -> Result<Vec<Pending>, ControlError> {
        if self.wire.is_away() {
            return Err(away("listing"));
        }
        self.log.consumers().await
    }

    async fn consumer(&self, name: &str) -> Result<Option<Pending>, ControlError> {
        if self.wire.is_away() {
            return Err(away("asking"));
        }
        self.log.consumer(name).await
    }

    fn now(&self) -> SystemTime {
        self.log.now()
    }

    async fn ready(&self) -> Result<(), ControlError> {
        self.log.ready().await
    }
}

#[derive(Debug)]
pub(crate) struct FaultySource<L: Log> {
    source: L::Source,
    log: FaultyLog<L>,
}

impl<L: Log> Source for FaultySource<L> {
    type Receipt = FaultyReceipt<L>;

    async fn pull(&mut self, max: usize) -> Result<Vec<Delivery<FaultyReceipt<L>>>, SourceError> {
        if max > 0 && self.log.wire.is_away() {
            return Err(SourceError::Unreachable {
                detail: "by script".to_owned(),
            });
        }
        let log = &self.log;
        let pulled = self.source.pull(max).await.inspect_err(|error| {
            if let SourceError::Lost { .. } = error {
                log.note(What::Lost);
            }
        })?;
        // What is lost comes again after its time. An ordered Subscription loses its connection with
        // it, and a loop is not told by a number, as a process is.
        let may_lose = log.of.is_none() && !log.is_ordered;
        let comes = |_: &Delivery<_>| !may_lose || !log.wire.happens(log.wire.faults.lost);
        let deliveries = pulled.into_iter().filter(comes).map(|delivery| {
            let (sequence, attempt) = (delivery.sequence, delivery.attempt);
            let number = delivery.number;
            log.note(|of| What::Pulled(of, sequence, attempt));
            Delivery {
                event: delivery.event,
                subject: delivery.subject,
                sequence,
                attempt,
                number,
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

type ReceiptOf<L> = <<L as Log>::Source as Source>::Receipt;

pub(crate) struct FaultyReceipt<L: Log> {
    receipt: ReceiptOf<L>,
    sequence: u64,
    log: FaultyLog<L>,
}

impl<L: Log> fmt::Debug for FaultyReceipt<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.receipt.fmt(f)
    }
}

impl<L: Log> FaultyReceipt<L> {
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
        if settle != Settle::Progress {
            let what = |of| What::Settled(of, self.sequence, settle, fate);
            self.log.note(what);
        }
    }
}

fn refused() -> SettleError {
    SettleError {
        detail: "by script".to_owned(),
    }
}

impl<L: Log> Receipt for FaultyReceipt<L> {
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

/// The register beside the log, over a bad connection.
#[derive(Clone, Debug)]
pub(crate) struct FaultyRegister {
    pub(crate) register: MemoryRegister,
    pub(crate) wire: Wire,
}

impl Register for FaultyRegister {
    type Presence = MemoryPresence;

    async fn read(&self) -> Result<Registered, ControlError> {
        if self.wire.is_away() {
            return Err(away("reading"));
        }
        self.register.read().await
    }

    async fn revision(&self) -> Result<u64, ControlError> {
        if self.wire.is_away() {
            return Err(away("reading"));
        }
        self.register.revision().await
    }

    async fn get(&self, name: &str) -> Result<Option<String>, ControlError> {
        if self.wire.is_away() {
            return Err(away("reading"));
        }
        self.register.get(name).await
    }

    async fn write(
        &self,
        name: &str,
        value: Option<&str>,
        revision: u64,
    ) -> Result<u64, RegisterError> {
        let unreachable = || RegisterError::Unreachable {
            detail: "by script".to_owned(),
        };
        if self.wire.is_away() {
            return Err(unreachable());
        }
        let written = self.register.write(name, value, revision).await;
        match self.wire.is_away() {
            // It is written, and nobody hears of it.
            true => Err(unreachable()),
            false => written,
        }
    }

    async fn appear(&self, name: &str) -> Result<MemoryPresence, ControlError> {
        self.register.appear(name).await
    }

    async fn look(&self, name: &str, says: Option<u32>) -> Result<bool, ControlError> {
        // Whoever has lost its connection is not seen, and knows nothing of it.
        let is_seen = !self.wire.is_away();
        Ok(is_seen && self.register.look(name, says).await?)
    }
}
