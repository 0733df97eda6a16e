//! A durable consumer in memory: position, what is under way, what waits for its retry.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use super::{Entry, Memory, filter};
use crate::{ConsumerSpec, Delivery, Pending, Receipt, Settle, SettleError, Source, SourceError};

/// The position of a durable consumer.
#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) spec: ConsumerSpec,
    /// The last sequence that was looked at for a first delivery.
    seen: u64,
    /// What is delivered and not settled, by sequence.
    unsettled: BTreeMap<u64, Unsettled>,
}

#[derive(Clone, Copy, Debug)]
struct Unsettled {
    attempt: u32,
    /// When it comes again.
    due: Instant,
}

impl Consumer {
    pub(super) fn new(spec: ConsumerSpec, seen: u64) -> Self {
        Self { spec, seen, unsettled: BTreeMap::new() }
    }

    pub(super) fn pending(&self, events: &BTreeMap<u64, Entry>) -> Pending {
        let undelivered = events.range(self.seen + 1..).filter(|(_, entry)| self.wants(entry));
        Pending {
            name: self.spec.name.clone(),
            description: self.spec.description.clone(),
            undelivered: undelivered.count() as u64,
            unsettled: self.unsettled.len() as u64,
        }
    }

    fn wants(&self, entry: &Entry) -> bool {
        let filters = &self.spec.filters;
        filters.is_empty() || filters.iter().any(|one| filter::matches(one, &entry.subject))
    }

    /// The next event that is due, and which delivery of it this is.
    fn next(&mut self, events: &BTreeMap<u64, Entry>, now: Instant) -> Option<(u64, u32)> {
        let ack_wait = self.spec.ack_wait;
        if let Some((sequence, again)) =
            self.unsettled.iter_mut().find(|(_, unsettled)| unsettled.due <= now)
        {
            *again = Unsettled { attempt: again.attempt + 1, due: now + ack_wait };
            return Some((*sequence, again.attempt));
        }
        if self.unsettled.len() >= usize::try_from(self.spec.unsettled_max).unwrap_or(usize::MAX) {
            return None;
        }
        let (sequence, _) =
            events.range(self.seen + 1..).find(|(_, entry)| self.wants(entry))?;
        self.seen = *sequence;
        self.unsettled.insert(*sequence, Unsettled { attempt: 1, due: now + ack_wait });
        Some((*sequence, 1))
    }

    fn next_due(&self) -> Option<Instant> {
        self.unsettled.values().map(|unsettled| unsettled.due).min()
    }
}

/// The events of one durable consumer.
#[derive(Debug)]
pub struct MemorySource {
    log: Memory,
    consumer: String,
}

/// How one delivery is settled.
#[derive(Debug)]
pub struct MemoryReceipt {
    log: Memory,
    consumer: String,
    sequence: u64,
    attempt: u32,
}

impl MemorySource {
    pub(super) fn new(log: Memory, consumer: String) -> Self {
        Self { log, consumer }
    }

    fn take(&self, max: usize) -> Result<Taken, SourceError> {
        let mut state = self.log.lock();
        let state = &mut *state;
        let Some(consumer) = state.consumers.get_mut(&self.consumer) else {
            return Err(SourceError::Gone { name: self.consumer.clone() });
        };
        let now = Instant::now();
        let mut deliveries = Vec::new();
        while deliveries.len() < max {
            let Some((sequence, attempt)) = consumer.next(&state.events, now) else { break };
            let Some(entry) = state.events.get(&sequence) else { continue };
            deliveries.push(Delivery {
                event: Ok(entry.event.clone()),
                sequence,
                attempt,
                stored_at: entry.stored_at,
                receipt: MemoryReceipt {
                    log: self.log.clone(),
                    consumer: self.consumer.clone(),
                    sequence,
                    attempt,
                },
            });
        }
        Ok(Taken { deliveries, next_due: consumer.next_due() })
    }
}

struct Taken {
    deliveries: Vec<Delivery<MemoryReceipt>>,
    next_due: Option<Instant>,
}

/// When nothing is due, only a change can bring something.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3_600);

impl Source for MemorySource {
    type Receipt = MemoryReceipt;

    async fn pull(&mut self, max: usize) -> Result<Vec<Delivery<MemoryReceipt>>, SourceError> {
        loop {
            let changed = self.log.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that no change falls in between.
            changed.as_mut().enable();
            let taken = self.take(max)?;
            if !taken.deliveries.is_empty() {
                return Ok(taken.deliveries);
            }
            let due = taken.next_due.unwrap_or_else(|| Instant::now() + NEVER);
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(due) => {}
            }
        }
    }

    async fn close(self) {}
}

impl Receipt for MemoryReceipt {
    async fn settle(&self, settle: Settle) -> Result<(), SettleError> {
        {
            let mut state = self.log.lock();
            let Some(consumer) = state.consumers.get_mut(&self.consumer) else { return Ok(()) };
            let ack_wait = consumer.spec.ack_wait;
            // A settlement of an earlier delivery counts, as it does in JetStream.
            let Some(unsettled) = consumer.unsettled.get_mut(&self.sequence) else { return Ok(()) };
            match settle {
                Settle::Ack | Settle::Terminate => {
                    consumer.unsettled.remove(&self.sequence);
                }
                Settle::Retry { delay } if unsettled.attempt == self.attempt => {
                    unsettled.due = Instant::now() + delay;
                }
                Settle::Progress if unsettled.attempt == self.attempt => {
                    unsettled.due = Instant::now() + ack_wait;
                }
                Settle::Retry { .. } | Settle::Progress => {}
            }
        }
        self.log.changed.notify_waiters();
        Ok(())
    }
}
