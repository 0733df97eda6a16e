//! The log, as the loops of Subscriptions see it: whether somebody shares a consumer shows in
//! nothing but its cost.

use std::{
    collections::{BTreeMap, HashSet},
    time::SystemTime,
};

use tidegate_backbone::{
    Append, AppendError, ConsumerSpec, ControlError, DeadLetter, LettersOf, Log, Pending, Register,
    Stored,
};

use super::{
    Way,
    entry::{self, SHARED},
    feed::Feed,
    hub::{Hub, Unwritten},
    state::{Id, Standing},
};

/// A log whose consumers may be shared. Clones are the same, over the same connection.
#[derive(Clone, Debug)]
pub struct SharedLog<L: Log, R: Register> {
    pub(super) log: L,
    hub: Option<Hub<L, R>>,
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
    /// Consumers of this log are shared through `hub`; without one, none is.
    pub fn new(log: L, hub: Option<Hub<L, R>>) -> Self {
        Self { log, hub }
    }

    /// The same log, where nobody shares anything.
    pub fn alone(&self) -> Self {
        Self {
            log: self.log.clone(),
            hub: None,
        }
    }

    /// What is below.
    pub fn log(&self) -> &L {
        &self.log
    }

    /// Where the events of a Subscription with this consumer come from, and why.
    pub fn shape(&self, consumer: &str) -> Shape {
        let Some(hub) = &self.hub else {
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
        let Some(hub) = &self.hub else {
            return Ok(own);
        };
        let (shared, mut all): (Vec<_>, Vec<_>) = own
            .into_iter()
            .partition(|one| one.name.starts_with(SHARED));
        let Some(shared) = shared.into_iter().max_by_key(|one| one.delivered) else {
            return Ok(all);
        };
        let listed: HashSet<String> = all.iter().map(|one| one.name.clone()).collect();
        let pending = |spec: ConsumerSpec, unsettled: u64| Pending {
            name: spec.name,
            description: spec.description,
            undelivered: shared.undelivered,
            unsettled,
            delivered: shared.delivered,
            settled: shared.settled,
            deliveries: shared.deliveries,
            wants: spec.wants,
        };
        let standings = hub.0.with(|state, _| state.standings());
        let members: Vec<Pending> = match standings {
            Some(standings) => standings
                .into_iter()
                .map(|Standing { spec, open }| pending(spec, u64::try_from(open).unwrap_or(0)))
                .collect(),
            None => {
                let registered = hub.0.register.read().await?;
                let entries = super::takeover::entries(&registered)?.into_iter();
                let specs = entries.map(|(name, entry)| entry.spec(&name, &hub.0.config));
                // What of it is settled only the process in charge knows.
                specs.map(|spec| pending(spec, shared.unsettled)).collect()
            }
        };
        all.extend(
            members
                .into_iter()
                .filter(|one| !listed.contains(&one.name)),
        );
        Ok(all)
    }
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

    async fn open(&self, spec: ConsumerSpec) -> Result<Feed<L, R>, ControlError> {
        match &self.hub {
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
        if self.hub.as_ref().is_some_and(is_shared) {
            // It left its own consumer when nothing of before was left.
            return Ok(true);
        }
        let is_narrow = self.log.narrow(spec).await?;
        if let Some(hub) = &self.hub
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
        let Some(hub) = &self.hub else {
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
        self.members(own).await
    }

    async fn consumer(&self, name: &str) -> Result<Option<Pending>, ControlError> {
        if self.hub.is_none() {
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
