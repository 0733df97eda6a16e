//! The log, as the loops of Subscriptions see it: whether somebody shares a consumer shows in
//! nothing but its cost.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::SystemTime,
};

use tidegate_backbone::{
    Append, AppendError, ConsumerSpec, ControlError, DeadLetter, LettersOf, Log, Pending, Register,
    Shard, Sharer, Stored,
};

use super::{
    Way,
    entry::{self, At, Entry, OWNER, Owner},
    feed::Feed,
    hub::{Hub, Unwritten},
    state::{Id, Standing},
};

/// A log whose consumers may be shared. Clones are the same, over the same connection.
#[derive(Clone, Debug)]
pub struct SharedLog<L: Log, R: Register> {
    pub(super) log: L,
    /// One for each shard.
    pub(super) hubs: Arc<[Hub<L, R>]>,
}

/// Where the events of a Subscription come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// From the consumer that many share.
    Shared,
    /// From a consumer of its own, and why.
    Own(&'static str),
    /// Another process delivers.
    Elsewhere,
}

impl<L: Log, R: Register> SharedLog<L, R> {
    /// Consumers of this log are shared through the hubs of all shards; without any, none is.
    pub fn new(log: L, hubs: impl Into<Arc<[Hub<L, R>]>>) -> Self {
        Self {
            log,
            hubs: hubs.into(),
        }
    }

    /// The same log, where nobody shares anything.
    pub fn alone(&self) -> Self {
        Self {
            log: self.log.clone(),
            hubs: Arc::new([]),
        }
    }

    /// Through which a consumer is shared.
    fn hub_of(&self, consumer: &str) -> Option<&Hub<L, R>> {
        let shard = shard_of(consumer, u32::try_from(self.hubs.len()).ok()?)?;
        self.hubs.get(usize::try_from(shard.number).ok()?)
    }

    /// What is below.
    pub fn log(&self) -> &L {
        &self.log
    }

    /// Where the events of a Subscription with this consumer come from, and why.
    pub fn shape(&self, consumer: &str) -> Shape {
        let Some(hub) = self.hub_of(consumer) else {
            return Shape::Own("consume.shared.enabled is false");
        };
        let shape = hub.0.with(|state, _| {
            let Some(id) = state.id_of(consumer) else {
                return Shape::Own("it is ordered, or what it wants is too long to be registered");
            };
            match state.way(id) {
                Some(Way::Shared { .. }) | None => Shape::Shared,
                Some(Way::Leaving { .. } | Way::Away | Way::Returning { .. }) => {
                    Shape::Own(state.why(id))
                }
            }
        });
        shape.unwrap_or(Shape::Elsewhere)
    }

    /// Those who share consumers, as far as this process knows them.
    pub async fn sharers(&self) -> Result<Vec<Sharer>, ControlError> {
        let mut sharers = Vec::new();
        for hub in &*self.hubs {
            sharers.extend(hub.sharers().await?);
        }
        Ok(sharers)
    }

    /// It is no member any more; what consumer it has of its own stays.
    pub(super) async fn forget(
        &self,
        hub: &Hub<L, R>,
        term: u64,
        id: Id,
        name: &str,
    ) -> Result<(), ControlError> {
        match hub.0.write(name, None).await {
            Ok(()) => {}
            Err(Unwritten::Over | Unwritten::Refused) => {
                return Err(ControlError {
                    action: format!("removing {name} from the shared consumer"),
                    detail: "another process reads that now".to_owned(),
                });
            }
        }
        // An error means that who is in charge now has read that it is none.
        let removed = hub.0.settle_within(term, |state| state.remove(id));
        drop(removed.await);
        Ok(())
    }

    /// How the members stand, beside consumers of their own.
    async fn members(&self, own: Vec<Pending>) -> Result<Vec<Pending>, ControlError> {
        let (shared, mut all): (Vec<_>, Vec<_>) = own
            .into_iter()
            .partition(|one| entry::shard_of(&one.name).is_some());
        let listed: HashSet<String> = all.iter().map(|one| one.name.clone()).collect();
        for hub in &*self.hubs {
            let its = shared
                .iter()
                .filter(|one| entry::shard_of(&one.name) == Some(hub.0.shard));
            if let Some(shared) = its.max_by_key(|one| one.delivered) {
                let members = hub.members(shared).await?.into_iter();
                all.extend(members.filter(|one| !listed.contains(&one.name)));
            }
        }
        Ok(all)
    }
}

impl<L: Log, R: Register> Hub<L, R> {
    /// How those stand who share this consumer, each by its own events.
    async fn members(&self, shared: &Pending) -> Result<Vec<Pending>, ControlError> {
        let standings = match self.0.with(|state, _| state.standings()) {
            Some(standings) => standings,
            None => {
                let registered = self.0.register.read().await?;
                let entries = super::takeover::entries(&registered)?.into_iter();
                let standing = |(name, entry): (String, Entry)| Standing {
                    spec: entry.spec(&name, &self.0.config),
                    since: 0,
                    is_away: matches!(entry.at, At::Own(_)),
                    // What of it is settled only the process in charge knows.
                    open: shared.unsettled,
                    tried: shared.unsettled,
                    first_open: None,
                };
                entries.map(standing).collect()
            }
        };
        let mut counts = HashMap::new();
        let mut members = Vec::new();
        for standing in standings {
            let unread = self.unread(shared, &standing, &mut counts).await?;
            let Standing {
                spec, open, tried, ..
            } = standing;
            let unsettled = open.min(tried);
            members.push(Pending {
                name: spec.name,
                description: spec.description,
                undelivered: unread + (open - unsettled),
                unsettled,
                delivered: shared.delivered,
                settled: shared.settled,
                deliveries: shared.deliveries,
                wants: spec.wants,
                filters: spec.filters,
            });
        }
        Ok(members)
    }

    /// How many of a member's events the shared consumer has not brought yet.
    async fn unread(
        &self,
        shared: &Pending,
        standing: &Standing,
        counts: &mut HashMap<(Vec<String>, u64), u64>,
    ) -> Result<u64, ControlError> {
        if shared.undelivered == 0 {
            return Ok(0);
        }
        let place = shared.delivered.max(standing.since);
        let filters = &standing.spec.filters;
        if let Some(count) = counts.get(&(filters.clone(), place)) {
            return Ok(*count);
        }
        let count = self.0.log.stored_behind(filters, place).await?;
        counts.insert((filters.clone(), place), count);
        Ok(count)
    }

    /// Those who share a consumer, as far as this process knows them.
    async fn sharers(&self) -> Result<Vec<Sharer>, ControlError> {
        let standings = self
            .0
            .with(|state, _| (state.consumer(), state.standings()));
        if let Some((consumer, standings)) = standings {
            let shared = standings.into_iter().filter(|standing| !standing.is_away);
            let sharers = shared.map(|standing| Sharer {
                shares: consumer.clone(),
                consumer: standing.spec.name,
                filters: standing.spec.filters,
                unsettled: Some((standing.first_open.unwrap_or(0), standing.open)),
            });
            return Ok(sharers.collect());
        }
        let registered = self.0.register.read().await?;
        let owner = Owner::read(registered.values.get(OWNER));
        let entries = super::takeover::entries(&registered)?.into_iter();
        let shared = entries.filter(|(_, entry)| matches!(entry.at, At::Shared(_)));
        let sharer = |(name, entry): (String, Entry)| Sharer {
            shares: owner.consumer(self.0.shard),
            filters: entry.spec(&name, &self.0.config).filters,
            consumer: name,
            unsettled: None,
        };
        Ok(shared.map(sharer).collect())
    }
}

/// To which of so many shards a Subscription with this consumer belongs; the same wherever and
/// whenever it is asked (FNV-1a), since it says who reads what.
pub fn shard_of(consumer: &str, of: u32) -> Option<Shard> {
    let hash = consumer
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let number = hash.checked_rem(u64::from(of))?;
    let number = u32::try_from(number).ok()?;
    Some(Shard { number, of })
}

// === impl Log ===

impl<L: Log, R: Register> Log for SharedLog<L, R> {
    type Source = Feed<L, R>;

    async fn append(&self, append: &Append) -> Result<Stored, AppendError> {
        self.log.append(append).await
    }

    async fn append_all(&self, appends: &[Append]) -> Vec<Result<Stored, AppendError>> {
        self.log.append_all(appends).await
    }

    async fn bury(&self, letter: &DeadLetter) -> Result<Stored, AppendError> {
        self.log.bury(letter).await
    }

    async fn letters_of(&self, of: &LettersOf) -> Result<BTreeMap<u64, u64>, ControlError> {
        self.log.letters_of(of).await
    }

    async fn last(&self) -> Result<u64, ControlError> {
        self.log.last().await
    }

    async fn stored_behind(&self, filters: &[String], place: u64) -> Result<u64, ControlError> {
        self.log.stored_behind(filters, place).await
    }

    async fn open(&self, spec: ConsumerSpec) -> Result<Feed<L, R>, ControlError> {
        match self.hub_of(&spec.name) {
            None => Ok(Feed::alone(self.log.open(spec).await?)),
            Some(hub) if entry::may_share(&spec) => self.open_member(hub, spec).await,
            Some(hub) => self.open_alone(hub, spec).await,
        }
    }

    async fn narrow(&self, spec: &ConsumerSpec) -> Result<bool, ControlError> {
        let is_shared = |hub: &Hub<L, R>| {
            let way = hub.0.with(|state, _| {
                let id = state.id_of(&spec.name)?;
                state.way(id)
            });
            matches!(way.flatten(), Some(Way::Shared { .. }))
        };
        let hub = self.hub_of(&spec.name);
        if hub.is_some_and(is_shared) {
            // It left its own consumer when nothing of before was left.
            return Ok(true);
        }
        let is_narrow = self.log.narrow(spec).await?;
        if let Some(hub) = hub
            && is_narrow
        {
            hub.0.with(|state, _| {
                if let Some(id) = state.id_of(&spec.name) {
                    state.set_narrow(id, true);
                }
            });
        }
        Ok(is_narrow)
    }

    async fn remove(&self, consumer: &str) -> Result<(), ControlError> {
        let Some(hub) = self.hub_of(consumer) else {
            return self.log.remove(consumer).await;
        };
        let member = hub.0.with(|state, term| (term, state.id_of(consumer)));
        match member {
            Some((term, Some(id))) => {
                self.forget(hub, term, id, consumer).await?;
                self.log.remove(consumer).await
            }
            Some((_, None)) => self.log.remove(consumer).await,
            None => {
                let registered = hub.0.register.read().await?;
                match registered.values.contains_key(consumer) {
                    // The process in charge does that.
                    true => Ok(()),
                    false => self.log.remove(consumer).await,
                }
            }
        }
    }

    async fn consumers(&self) -> Result<Vec<Pending>, ControlError> {
        let own = self.log.consumers().await?;
        match self.hubs.is_empty() {
            true => Ok(own),
            false => self.members(own).await,
        }
    }

    async fn consumer(&self, name: &str) -> Result<Option<Pending>, ControlError> {
        if self.hubs.is_empty() {
            return self.log.consumer(name).await;
        }
        let mut all = self.consumers().await?.into_iter();
        Ok(all.find(|one| one.name == name))
    }

    fn now(&self) -> SystemTime {
        self.log.now()
    }

    async fn ready(&self) -> Result<(), ControlError> {
        self.log.ready().await
    }
}
