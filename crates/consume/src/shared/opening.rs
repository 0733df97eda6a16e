//! Opening what a Subscription gets its events from.

use std::{sync::Arc, time::Duration};

use tidegate_backbone::{ConsumerSpec, ControlError, Log, Register, Start};
use tidegate_subscription::Matching;
use tokio::time::{sleep, timeout};

use super::{
    SharedLog, Way,
    entry::{self, At, Entry},
    feed::{Feed, Member, Seat},
    hub::Hub,
    state::{Id, Why},
};

/// How long a standby waits for a change that only the process in charge can make, before it is
/// looked again.
const CHANGE_MAX: Duration = Duration::from_secs(1);

/// How often it is looked whether somebody who moves has arrived.
const LOOK: Duration = Duration::from_millis(20);

/// How a Subscription stands that is to be opened.
enum Found {
    /// Another process is in charge, or none yet.
    NotInCharge,
    Unknown,
    /// With the others; what it wants is the same.
    Shared(Id),
    /// It has a consumer of its own, which began here.
    Own(Id, Option<u64>),
    /// It is on its way.
    Moves,
    /// With the others, where it must not stay.
    ToLeave,
}

impl<L: Log, R: Register> SharedLog<L, R> {
    fn find(hub: &Hub<L, R>, spec: &ConsumerSpec) -> (u64, Found) {
        let found = hub.0.with(|state, term| {
            let Some(id) = state.id_of(&spec.name) else {
                return (term, Found::Unknown);
            };
            let (is_same, own_from, moves) = match state.own_of(id) {
                Some((known, from)) => {
                    let is_same = known.filters == spec.filters && known.wants == spec.wants;
                    (is_same, from, state.moves(id))
                }
                None => (false, None, false),
            };
            let found = match state.way(id) {
                None => Found::Unknown,
                Some(_) if moves => Found::Moves,
                Some(Way::Shared { .. }) if is_same && entry::may_share(spec) => Found::Shared(id),
                Some(Way::Shared { .. }) => {
                    state.let_leave(id, Why::Changed);
                    Found::ToLeave
                }
                Some(Way::Away) => Found::Own(id, own_from),
                Some(Way::Leaving { .. } | Way::Returning { .. }) => Found::Moves,
            };
            (term, found)
        });
        found.unwrap_or((0, Found::NotInCharge))
    }

    /// A member, with a seat while this process is in charge.
    pub(super) async fn open_member(
        &self,
        hub: &Hub<L, R>,
        spec: ConsumerSpec,
    ) -> Result<Feed<L, R>, ControlError> {
        let matching = entry::matching(&spec).unwrap_or_else(entry::nothing);
        loop {
            let changes = hub.0.term();
            let member = |own| Member::new(hub, &self.log, &spec.name, changes.clone(), own);
            let (term, found) = Self::find(hub, &spec);
            let mut member = match found {
                Found::NotInCharge => {
                    if self.is_kept_elsewhere(hub, &spec).await? {
                        return Ok(Feed::member(member(None)));
                    }
                    continue;
                }
                Found::Moves | Found::ToLeave => {
                    hub.0.work.notify_one();
                    sleep(LOOK).await;
                    continue;
                }
                Found::Shared(id) => {
                    let mut member = member(None);
                    member.seat = hub.seat(term, id, &member);
                    member
                }
                Found::Own(id, own_from) => {
                    let start = own_from.map_or(spec.start, Start::Sequence);
                    let spec = ConsumerSpec {
                        start,
                        ..spec.clone()
                    };
                    let mut member = member(Some(self.log.open(spec.clone()).await?));
                    member.seat = hub.changed(term, id, spec, &matching, &member);
                    member
                }
                Found::Unknown => {
                    let mut member = member(None);
                    let joined = self.join(hub, term, &spec, &matching).await?;
                    member.seat = joined.and_then(|id| hub.seat(term, id, &member));
                    if member.seat.is_none() {
                        member.own = Some(self.log.open(spec.clone()).await?);
                        let own = self.log.consumer(&spec.name).await?;
                        member.seat = own.and_then(|own| {
                            hub.joined(term, &spec, &matching, own.delivered, &member)
                        });
                    }
                    member
                }
            };
            if member.seat.is_some() {
                return Ok(Feed::member(member));
            }
            member.own = None;
        }
    }

    /// One that is new, and wants what is stored from now on, begins with the others, however much
    /// they have to read yet.
    async fn join(
        &self,
        hub: &Hub<L, R>,
        term: u64,
        spec: &ConsumerSpec,
        matching: &Matching,
    ) -> Result<Option<Id>, ControlError> {
        if spec.start != Start::New || self.log.consumer(&spec.name).await?.is_some() {
            return Ok(None);
        }
        let last = self.log.last().await?;
        let joining = hub.clone().join(term, spec.clone(), matching.clone(), last);
        // Whoever waits for it may go: half a member must not stay.
        let joined = tokio::spawn(joining).await;
        Ok(joined.ok().flatten())
    }

    /// Whether another process, which is in charge, keeps its events. Waits a moment for one.
    async fn is_kept_elsewhere(
        &self,
        hub: &Hub<L, R>,
        spec: &ConsumerSpec,
    ) -> Result<bool, ControlError> {
        let (mut standby, mut term) = (hub.0.standby.watch(), hub.0.term());
        if !hub.0.standby.get() {
            tokio::select! {
                biased;
                () = standby.changed() => {}
                () = term.changed() => {}
            }
            return Ok(false);
        }
        match hub.0.registered(&spec.name).await? {
            // It is ready when its consumer is there and wants what it wants, whoever delivers.
            None => drop(self.log.open(spec.clone()).await?),
            Some(entry) => match entry.at {
                At::Own(from) => {
                    let start = Start::Sequence(from);
                    let spec = spec.clone();
                    drop(self.log.open(ConsumerSpec { start, ..spec }).await?);
                    return Ok(true);
                }
                At::Shared(_) if entry.is_of(spec) => return Ok(true),
                At::Shared(_) => {
                    // The one in charge has to read the document first.
                    let changes = timeout(CHANGE_MAX, term.changed());
                    if changes.await.is_err() {
                        return Err(ControlError {
                            action: format!("changing {}", spec.name),
                            detail: "another process delivers, and has not done so yet".to_owned(),
                        });
                    }
                    return Ok(false);
                }
            },
        }
        if let Some(entry) = hub.0.registered(&spec.name).await?
            && matches!(entry.at, At::Shared(_))
        {
            // The one in charge was faster, and needs no other.
            self.log.remove(&spec.name).await?;
        }
        Ok(true)
    }

    /// Who may not share does not: not any more, if it did.
    pub(super) async fn open_alone(
        &self,
        hub: &Hub<L, R>,
        spec: ConsumerSpec,
    ) -> Result<Feed<L, R>, ControlError> {
        loop {
            let (term, found) = Self::find(hub, &spec);
            match found {
                Found::Unknown => {
                    return Ok(Feed::alone(self.log.open(spec).await?));
                }
                Found::NotInCharge => {
                    if hub.0.registered(&spec.name).await?.is_none() {
                        return Ok(Feed::alone(self.log.open(spec).await?));
                    }
                    sleep(LOOK * 10).await;
                }
                Found::Moves | Found::ToLeave | Found::Shared(_) => {
                    hub.0.work.notify_one();
                    sleep(LOOK).await;
                }
                Found::Own(id, _) => {
                    self.forget(hub, term, id, &spec.name).await?;
                }
            }
        }
    }
}

impl<L: Log, R: Register> Hub<L, R> {
    /// A place at the shared consumer, if this process is still in charge.
    fn seat(&self, term: u64, id: Id, member: &Member<L, R>) -> Option<Seat> {
        let notify = Arc::clone(&member.notify);
        let feed = self.0.within(term, |state| state.attach(id, notify)).ok()?;
        Some(Seat { term, id, feed })
    }

    /// A new member, which gets what is stored behind this place at least.
    async fn join(
        self,
        term: u64,
        spec: ConsumerSpec,
        matching: Matching,
        last: u64,
    ) -> Option<Id> {
        // Before it is registered: who reads there that it is, calls it ready.
        let joining = self.0.within(term, |state| {
            if state.id_of(&spec.name).is_some() {
                return None;
            }
            // What was read meanwhile was stored before it was ready.
            let since = last.max(state.read());
            Some((state.join(spec.clone(), matching, since), since))
        });
        let (id, since) = joining.ok()??;
        let entry = Entry::new(&spec, At::Shared(since));
        let is_written = self.0.write(&spec.name, entry.as_ref()).await.is_ok();
        let joined = self.0.settle_within(term, |state| {
            if is_written {
                state.joined(id);
                return Vec::new();
            }
            state.remove(id)
        });
        (joined.await.is_ok() && is_written).then_some(id)
    }

    /// The same, for a member whose own consumer has been brought to what it wants now.
    fn changed(
        &self,
        term: u64,
        id: Id,
        spec: ConsumerSpec,
        matching: &Matching,
        member: &Member<L, R>,
    ) -> Option<Seat> {
        let changed = self.0.within(term, |state| {
            state.change(id, spec, matching.clone());
            state.set_narrow(id, member.is_narrow());
        });
        changed.ok()?;
        self.seat(term, id, member)
    }

    /// The same, for a new member with a consumer of its own.
    fn joined(
        &self,
        term: u64,
        spec: &ConsumerSpec,
        matching: &Matching,
        delivered: u64,
        member: &Member<L, R>,
    ) -> Option<Seat> {
        let joined = self.0.within(term, |state| {
            if state.id_of(&spec.name).is_some() {
                return None;
            }
            let id = state.join_away(spec.clone(), matching.clone(), delivered, None);
            state.set_narrow(id, member.is_narrow());
            Some(id)
        });
        self.seat(term, joined.ok()??, member)
    }
}
