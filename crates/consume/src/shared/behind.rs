//! How far everybody is behind, at the cost of listing consumers alone: nothing is counted for each
//! of those who share one.

use std::collections::HashSet;

use tidegate_backbone::{ControlError, Log, Pending, Register};

use super::{SharedLog, entry, state::Standing};

/// How far one is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// As what it is known: the name of its consumer.
    pub consumer: String,
    /// Events that it has not been offered. Where it shares a consumer, of those that were read.
    pub undelivered: u64,
    /// Events that it was offered and has not settled.
    pub unsettled: u64,
    /// The place up to which it has nothing left.
    pub settled_to: u64,
    /// Subjects that it reads; none for all.
    pub filters: Vec<String>,
}

/// How far all are behind of whom this process knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BehindAll {
    /// Those with a consumer of their own, and those that share one which this process reads.
    pub consumers: Vec<Behind>,
    /// What nobody has read yet from the shared consumers which this process reads.
    pub unread: Vec<Unread>,
}

/// What nobody has read from a shared consumer. So much more, at most, has each of those that share
/// it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The number of its shard.
    pub shard: u32,
    /// The name of the consumer.
    pub consumer: String,
    /// How many events.
    pub events: u64,
    /// How many were read and are not settled.
    pub in_hand: u64,
    /// The place in the log up to which it was read.
    pub read_to: u64,
}

impl<L: Log, R: Register> SharedLog<L, R> {
    /// How far each is behind whose events are its own, or in the hands of this process.
    pub async fn behind(&self) -> Result<BehindAll, ControlError> {
        let (shared, own): (Vec<_>, Vec<_>) = self
            .log
            .consumers()
            .await?
            .into_iter()
            .partition(|one| entry::shard_of(&one.name).is_some());
        let listed: HashSet<String> = own.iter().map(|one| one.name.clone()).collect();
        let mut all = BehindAll {
            consumers: own.into_iter().map(Behind::from).collect(),
            unread: Vec::new(),
        };
        for hub in &*self.hubs {
            let its = shared
                .iter()
                .filter(|one| entry::shard_of(&one.name) == Some(hub.0.shard));
            let Some(shared) = its.max_by_key(|one| one.delivered) else {
                continue;
            };
            // Another process may read it, and knows.
            let Some(standings) = hub.0.with(|state, _| state.standings()) else {
                continue;
            };
            all.unread.push(Unread {
                shard: hub.0.shard.number,
                consumer: shared.name.clone(),
                events: shared.undelivered,
                in_hand: shared.unsettled,
                read_to: shared.delivered,
            });
            let has_own =
                |standing: &Standing| standing.is_away || listed.contains(&standing.spec.name);
            let here = standings.into_iter().filter(|one| !has_own(one));
            all.consumers
                .extend(here.map(|standing| Behind::shared(standing, shared)));
        }
        Ok(all)
    }
}

// === impl Behind ===

impl Behind {
    fn shared(standing: Standing, shared: &Pending) -> Self {
        let unsettled = standing.open.min(standing.tried);
        let first = standing.first_open.filter(|_| standing.open > 0);
        Self {
            consumer: standing.spec.name,
            undelivered: standing.open - unsettled,
            unsettled,
            settled_to: first.map_or(shared.delivered, |first| first.saturating_sub(1)),
            filters: standing.spec.filters,
        }
    }
}

impl From<Pending> for Behind {
    fn from(own: Pending) -> Self {
        Self {
            undelivered: own.undelivered,
            unsettled: own.unsettled,
            settled_to: own.settled_to(),
            consumer: own.name,
            filters: own.filters,
        }
    }
}
