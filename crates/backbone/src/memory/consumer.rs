//! One durable consumer of the log in memory: its position, and what is unsettled.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::Kept;
use crate::{ConsumerSpec, Former, Pending, Settle, subject::matches};

#[derive(Debug)]
pub(super) struct Consumer {
    spec: ConsumerSpec,
    incarnation: u64,
    /// The sequence from which on nothing was looked at.
    next: u64,
    unsettled: BTreeMap<u64, Unsettled>,
    /// How many deliveries there were, repeated ones included.
    deliveries: u64,
    former: Vec<Former>,
    /// The opening that gets the events of an exclusive consumer.
    owner: Option<u64>,
    synced: Position,
}

/// What a server that is killed knows of an older state only.
#[derive(Clone, Debug)]
struct Position {
    next: u64,
    unsettled: BTreeMap<u64, Unsettled>,
    deliveries: u64,
}

#[derive(Clone, Debug)]
struct Unsettled {
    attempt: u32,
    /// When it is delivered again.
    due: Instant,
}

/// What is delivered: the index among the events, which attempt it is, and which delivery of the
/// consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) index: usize,
    pub(super) attempt: u32,
    pub(super) number: u64,
}

impl Consumer {
    pub(super) fn new(spec: ConsumerSpec, next: u64, incarnation: u64) -> Self {
        Self {
            spec,
            incarnation,
            next,
            unsettled: BTreeMap::new(),
            deliveries: 0,
            former: Vec::new(),
            owner: None,
            synced: Position {
                next,
                unsettled: BTreeMap::new(),
                deliveries: 0,
            },
        }
    }

    pub(super) fn sync(&mut self) {
        self.synced = Position {
            next: self.next,
            unsettled: self.unsettled.clone(),
            deliveries: self.deliveries,
        };
    }

    /// Nothing happened since it was synced.
    pub(super) fn forget(&mut self) {
        let Position {
            next,
            unsettled,
            deliveries,
        } = self.synced.clone();
        (self.next, self.unsettled, self.deliveries) = (next, unsettled, deliveries);
    }

    pub(super) fn is_exclusive(&self) -> bool {
        self.spec.exclusive
    }

    /// The opening that has its events, if it is exclusive.
    pub(super) fn owner(&mut self) -> &mut Option<u64> {
        &mut self.owner
    }

    pub(super) fn unsettled(&self) -> u64 {
        u64::try_from(self.unsettled.len()).unwrap_or(u64::MAX)
    }

    pub(super) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Takes a new form; the position stays. `last` is where the log ends.
    pub(super) fn update(&mut self, spec: ConsumerSpec, last: u64) {
        let before = std::mem::replace(&mut self.spec, spec);
        if let Some(wants) = before.wants
            && self.spec.wants.as_ref() != Some(&wants)
        {
            Former::add(&mut self.former, wants, last);
        }
    }

    pub(super) fn former(&self) -> Vec<Former> {
        self.former.clone()
    }

    /// Forgets what was wanted for events that are all settled; `true` when nothing is left.
    pub(super) fn narrow(&mut self, last: u64) -> bool {
        let unsettled = self.unsettled.keys().next().copied();
        // All before this one is settled.
        let first = unsettled.unwrap_or(self.next).min(self.next).min(last + 1);
        self.former.retain(|one| one.until >= first);
        self.former.is_empty()
    }

    /// Takes up to `max` events: what is due again first, then new ones.
    pub(super) fn take(&mut self, events: &[Kept], max: usize) -> Vec<Due> {
        let now = Instant::now();
        let due = now + self.spec.ack_wait;
        let mut taken = Vec::new();
        for (&sequence, unsettled) in &mut self.unsettled {
            if taken.len() == max {
                return taken;
            }
            if unsettled.due <= now {
                unsettled.attempt = unsettled.attempt.saturating_add(1);
                unsettled.due = due;
                self.deliveries += 1;
                taken.push(Due {
                    index: index(sequence),
                    attempt: unsettled.attempt,
                    number: self.deliveries,
                });
            }
        }
        let unsettled_max = usize::try_from(self.spec.unsettled_max).unwrap_or(usize::MAX);
        for event in events.iter().skip(index(self.next)) {
            if taken.len() == max || self.unsettled.len() >= unsettled_max {
                break;
            }
            self.next = event.sequence + 1;
            if self.wants(event) {
                self.unsettled
                    .insert(event.sequence, Unsettled { attempt: 1, due });
                self.deliveries += 1;
                taken.push(Due {
                    index: index(event.sequence),
                    attempt: 1,
                    number: self.deliveries,
                });
            }
        }
        taken
    }

    /// When the next unsettled event is due again.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.unsettled.values().map(|unsettled| unsettled.due).min()
    }

    /// Everything unsettled is due.
    pub(super) fn redeliver(&mut self) {
        let now = Instant::now();
        for unsettled in self.unsettled.values_mut() {
            unsettled.due = unsettled.due.min(now);
        }
    }

    /// Settles an event; one that is settled already stays so.
    pub(super) fn settle(&mut self, sequence: u64, settle: Settle) {
        let ack_wait = self.spec.ack_wait;
        let Some(unsettled) = self.unsettled.get_mut(&sequence) else {
            return;
        };
        match settle {
            Settle::Ack | Settle::Terminate => {
                self.unsettled.remove(&sequence);
            }
            Settle::Retry { delay } => unsettled.due = Instant::now() + delay,
            Settle::Progress => unsettled.due = Instant::now() + ack_wait,
        }
    }

    pub(super) fn pending(&self, events: &[Kept]) -> Pending {
        let undelivered = events
            .iter()
            .skip(index(self.next))
            .filter(|event| self.wants(event))
            .count();
        let open = self.unsettled.keys().next().copied();
        Pending {
            name: self.spec.name.clone(),
            description: self.spec.description.clone(),
            undelivered: undelivered.try_into().unwrap_or(u64::MAX),
            unsettled: self.unsettled(),
            delivered: self.next.saturating_sub(1),
            settled: open.unwrap_or(self.next).saturating_sub(1),
            deliveries: self.deliveries,
            wants: self.spec.wants.clone(),
            filters: self.spec.filters.clone(),
        }
    }

    fn wants(&self, event: &Kept) -> bool {
        self.spec.filters.is_empty()
            || !self.former.is_empty()
            || self
                .spec
                .filters
                .iter()
                .any(|filter| matches(filter, &event.subject))
    }
}

fn index(sequence: u64) -> usize {
    usize::try_from(sequence.saturating_sub(1)).unwrap_or(usize::MAX)
}
