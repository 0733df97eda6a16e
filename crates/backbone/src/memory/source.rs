//! Pulling from the log in memory, and settling.

use std::sync::Arc;

use super::{Kept, Shared, consumer::Due};
use crate::{Delivery, Former, Receipt, Settle, SettleError, Source, SourceError};

/// One opening of a durable consumer.
#[derive(Debug)]
pub struct MemorySource {
    shared: Arc<Shared>,
    name: String,
    incarnation: u64,
}

impl MemorySource {
    pub(super) fn new(shared: Arc<Shared>, name: String, incarnation: u64) -> Self {
        Self {
            shared,
            name,
            incarnation,
        }
    }

    fn delivery(&self, kept: &Kept, due: Due) -> Delivery<MemoryReceipt> {
        Delivery {
            event: kept.event.clone(),
            sequence: kept.sequence,
            attempt: due.attempt,
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
        if max == 0 {
            // Nothing is ever under way here.
            return std::future::pending().await;
        }
        let shared = Arc::clone(&self.shared);
        loop {
            let mut changed = std::pin::pin!(shared.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            let next_due = {
                let mut state = shared.lock();
                let Some((consumer, events)) = state.consumer(&self.name, self.incarnation) else {
                    return Err(SourceError::Gone {
                        name: self.name.clone(),
                    });
                };
                let taken = consumer.take(events, max);
                if !taken.is_empty() {
                    let taken = taken.into_iter();
                    return Ok(taken
                        .filter_map(|due| Some(self.delivery(events.get(due.index)?, due)))
                        .collect());
                }
                consumer.next_due()
            };
            match next_due {
                Some(due) => tokio::select! {
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

    async fn close(self) {}
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
}
