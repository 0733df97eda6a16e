//! Pulling from the log in memory, and settling.

use std::sync::Arc;

use super::{Kept, Shared, consumer::Due};
use crate::{
    ControlError, Delivery, Former, Receipt, Settle, SettleError, Source, SourceError, numbered,
};

/// One opening of a durable consumer.
#[derive(Debug)]
pub struct MemorySource {
    shared: Arc<Shared>,
    name: String,
    incarnation: u64,
    /// Which opening it is.
    opening: u64,
    /// How often the log had died before.
    deaths: u64,
    /// It got events of an exclusive consumer, and nobody told it that this is over.
    is_owner: bool,
}

impl MemorySource {
    pub(super) fn new(shared: Arc<Shared>, name: String, incarnation: u64, opening: u64) -> Self {
        let deaths = shared.lock().deaths();
        Self {
            shared,
            name,
            incarnation,
            opening,
            deaths,
            is_owner: false,
        }
    }

    fn gone(&self) -> SourceError {
        SourceError::Gone {
            name: self.name.clone(),
            settled_to: None,
        }
    }

    fn delivery(&self, kept: &Kept, due: Due, connection: u64) -> Delivery<MemoryReceipt> {
        Delivery {
            event: kept.event.clone(),
            subject: kept.subject.clone(),
            sequence: kept.sequence,
            attempt: due.attempt,
            number: numbered(connection, due.number),
            stored_at: kept.stored_at,
            receipt: MemoryReceipt {
                shared: Arc::clone(&self.shared),
                name: self.name.clone(),
                incarnation: self.incarnation,
                sequence: kept.sequence,
            },
        }
    }
}

impl Source for MemorySource {
    type Receipt = MemoryReceipt;

    async fn pull(&mut self, max: usize) -> Result<Vec<Delivery<MemoryReceipt>>, SourceError> {
        let shared = Arc::clone(&self.shared);
        loop {
            let mut changed = std::pin::pin!(shared.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            let next_due = {
                let mut state = shared.lock();
                let connection = state.deaths() - self.deaths;
                let Some((consumer, events)) = state.consumer(&self.name, self.incarnation) else {
                    return Err(self.gone());
                };
                let is_owner = *consumer.owner() == Some(self.opening);
                if std::mem::replace(&mut self.is_owner, is_owner) && !is_owner {
                    return Err(SourceError::Lost {
                        name: self.name.clone(),
                    });
                }
                let may_take = is_owner || consumer.owner().is_none();
                // Nothing is ever under way here, so none is returned when none is asked for.
                let taken = match may_take {
                    true => consumer.take(events, max),
                    false => Vec::new(),
                };
                if !taken.is_empty() {
                    if consumer.is_exclusive() {
                        *consumer.owner() = Some(self.opening);
                        self.is_owner = true;
                    }
                    let taken = taken.into_iter();
                    return Ok(taken
                        .filter_map(|due| {
                            Some(self.delivery(events.get(due.index)?, due, connection))
                        })
                        .collect());
                }
                consumer.next_due().filter(|_| may_take && max > 0)
            };
            match next_due {
                Some(due) => tokio::select! {
                    biased;
                    () = changed => {}
                    () = tokio::time::sleep_until(due) => {}
                },
                None => changed.await,
            }
        }
    }

    fn former(&self) -> Vec<Former> {
        self.shared.lock().former(&self.name)
    }

    async fn unsettled(&mut self) -> Result<u64, ControlError> {
        let mut state = self.shared.lock();
        let consumer = state.consumer(&self.name, self.incarnation);
        Ok(consumer.map_or(0, |(consumer, _)| consumer.unsettled()))
    }

    async fn close(self) {}
}

impl Drop for MemorySource {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Some((consumer, _)) = state.consumer(&self.name, self.incarnation)
            && *consumer.owner() == Some(self.opening)
        {
            *consumer.owner() = None;
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }
}

/// How a delivery of the log in memory is settled.
#[derive(Debug)]
pub struct MemoryReceipt {
    shared: Arc<Shared>,
    name: String,
    incarnation: u64,
    sequence: u64,
}

impl Receipt for MemoryReceipt {
    async fn settle(&self, settle: Settle) -> Result<(), SettleError> {
        let mut state = self.shared.lock();
        if let Some((consumer, _)) = state.consumer(&self.name, self.incarnation) {
            consumer.settle(self.sequence, settle);
        }
        drop(state);
        self.shared.changed.notify_waiters();
        Ok(())
    }

    async fn settle_surely(&self, settle: Settle) -> Result<(), SettleError> {
        self.settle(settle).await
    }
}
