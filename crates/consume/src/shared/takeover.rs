//! Taking over the shared consumer: from one that ended in order as it is, from one that was lost by
//! a new one in its place.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use tidegate_backbone::{ConsumerSpec, ControlError, Log, Register, Registered, Start};
use tokio::time::sleep;

use super::{
    Ledger,
    entry::{self, At, Entry, OWNER, Owner},
    hub::{Inner, LOOK, ReceiptOf, Writer},
    load::{Ask, Read},
    state::{State, Why},
};

/// So often in a row it has to be missing before somebody takes over: a connection that is lost may
/// come back.
const MISSING_MAX: u32 = 3;

/// For so many looks a shard is asked for that another process reads: to give it up takes a while.
const ASK_FOR: u32 = 4;

/// A term.
pub(super) struct Begun<S> {
    pub(super) term: u64,
    pub(super) source: S,
    pub(super) read: Read,
    /// The shared consumer's name.
    pub(super) shared: String,
}

impl<L: Log, R: Register> Inner<L, R> {
    /// Which other process is in charge, by what was read; `Err` with it if it is not seen.
    pub(super) async fn other(
        &self,
        registered: &Registered,
        process: &str,
        says: Option<u32>,
    ) -> Result<Option<Result<String, String>>, ControlError> {
        let owner = Owner::read(registered.values.get(OWNER)).process;
        let Some(other) = owner.filter(|owner| owner != process) else {
            return Ok(None);
        };
        let is_present = self.register.look(&other, says).await?;
        Ok(Some(if is_present { Ok(other) } else { Err(other) }))
    }

    /// Waits until nobody else is in charge.
    async fn vacant(&self, process: &str, is_new: bool) -> Result<Registered, ControlError> {
        // Who has just begun has not seen that the other one was ever there.
        let mut missing = if is_new { MISSING_MAX - 1 } else { 0 };
        let (mut looks, mut ask) = (0_u32, None);
        loop {
            if looks % ASK_FOR == 0 {
                // If it was this one, it is another one's turn now.
                ask = self.load.ask();
            }
            looks = looks.wrapping_add(1);
            let says = ask.as_ref().map(Ask::reads);
            let registered = self.register.read().await?;
            let other = match self.other(&registered, process, says).await? {
                None => return Ok(registered),
                Some(Ok(other)) => {
                    missing = 0;
                    other
                }
                Some(Err(other)) => {
                    missing += 1;
                    other
                }
            };
            if missing >= MISSING_MAX {
                tracing::info!(
                    process = other,
                    "the process that read the shared consumer is gone"
                );
                return Ok(registered);
            }
            self.standby.set(true);
            sleep(LOOK).await;
        }
    }

    /// Becomes the one in charge, as soon as nobody is.
    pub(super) async fn begin(
        &self,
        process: &str,
        is_new: bool,
    ) -> Result<Begun<L::Source>, ControlError> {
        let registered = self.vacant(process, is_new).await?;
        let read = self.load.read();
        let before = Owner::read(registered.values.get(OWNER));
        let consumers = self.log.consumers().await?;
        let is_shared = |name: &str| entry::shard_of(name) == Some(self.shard);
        // Of one that ended in order nothing is under way.
        let is_kept = before.process.is_none()
            && consumers
                .iter()
                .any(|one| one.name == before.consumer(self.shard));
        let owner = Owner {
            process: Some(process.to_owned()),
            number: before.number + u64::from(!is_kept),
        };
        let failed = |detail: String| ControlError {
            action: "becoming the reader of the shared consumer".to_owned(),
            detail,
        };
        let value = serde_json::to_string(&owner).map_err(|error| failed(error.to_string()))?;
        let written = self
            .register
            .write(OWNER, Some(&value), registered.revision)
            .await;
        let revision = written.map_err(|error| failed(error.to_string()))?;
        let entries = entries(&registered)?;
        let floors = consumers.iter().filter(|one| is_shared(&one.name));
        let floor = floors.map(|one| one.settled_to()).min();
        let since = entries.values().filter_map(|entry| match entry.at {
            At::Shared(since) => Some(since),
            At::Own(_) => None,
        });
        // One that this process had, and that somebody deleted.
        let had = self.floor.load(Ordering::Relaxed);
        let had = (before.process.as_deref() == Some(process) && had > 0).then_some(had);
        let start = match floor.or(had).or_else(|| since.min()) {
            Some(floor) => Start::Sequence(floor + 1),
            None => Start::New,
        };
        let name = owner.consumer(self.shard);
        let source = self.log.open(self.spec(&name, start)).await?;
        for old in consumers.iter().filter(|one| is_shared(&one.name)) {
            if old.name != name {
                self.log.remove(&old.name).await?;
            }
        }
        let info = self.log.consumer(&name).await?;
        let info = info.ok_or_else(|| failed(format!("{name} is gone already")))?;
        let ledger = Ledger::new(info.settled_to(), info.delivered, info.deliveries);
        let mut state = State::new(name.clone(), self.limits(), ledger);
        for (name, entry) in &entries {
            let own = consumers.iter().find(|one| one.name == *name);
            self.admit(&mut state, name, entry, own.map(|own| own.delivered))
                .await?;
        }
        self.standby.set(false);
        *self.writer.lock().await = Writer {
            owner: Some(owner),
            revision,
        };
        Ok(Begun {
            term: self.set(Some(state)),
            source,
            read,
            shared: name,
        })
    }

    /// A member that was registered before.
    async fn admit(
        &self,
        state: &mut State<ReceiptOf<L>>,
        name: &str,
        entry: &Entry,
        own: Option<u64>,
    ) -> Result<(), ControlError> {
        let spec = entry.spec(name, &self.config);
        let matching = entry::matching(&spec);
        let is_understood = matching.is_some();
        // Of what is not understood at least the subjects are, by a consumer of its own.
        let matching = matching.unwrap_or(entry::nothing());
        match entry.at {
            At::Shared(since) => {
                if own.is_some() {
                    self.log.remove(name).await?;
                }
                let id = state.join(spec, matching, since);
                state.joined(id);
                if !is_understood {
                    tracing::warn!(consumer = name, "what it wants is not understood");
                    state.let_leave(id, Why::Unknown);
                }
            }
            At::Own(from) => {
                let delivered = match own {
                    Some(delivered) => delivered,
                    None => {
                        let start = Start::Sequence(from);
                        drop(
                            self.log
                                .open(ConsumerSpec {
                                    start,
                                    ..spec.clone()
                                })
                                .await?,
                        );
                        from.saturating_sub(1)
                    }
                };
                state.join_away(spec, matching, delivered, Some(from));
            }
        }
        Ok(())
    }

    fn spec(&self, name: &str, start: Start) -> ConsumerSpec {
        ConsumerSpec {
            name: name.to_owned(),
            description: "All Subscriptions that are well".to_owned(),
            filters: Vec::new(),
            wants: None,
            start,
            ack_wait: self.config.ack_wait,
            unsettled_max: self.config.shared.events_max.saturating_mul(2),
            exclusive: false,
        }
    }
}

/// The members among what is registered. What is not understood may be one, whose events must not be
/// settled without it.
pub(super) fn entries(registered: &Registered) -> Result<BTreeMap<String, Entry>, ControlError> {
    let values = registered.values.iter();
    let entries = values.filter(|(name, _)| *name != OWNER);
    let read = entries.map(|(name, value)| Ok((name.clone(), Entry::read(name, value)?)));
    read.collect()
}
