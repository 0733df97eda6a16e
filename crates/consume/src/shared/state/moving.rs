//! Members on their way to a consumer of their own, and back.

use std::time::Duration;

use tidegate_backbone::ConsumerSpec;
use tokio::time::Instant;

use super::{Id, Settles, State, Why};
use crate::shared::Way;

/// How long somebody stays away who has tried to return in vain, at first; doubled each time: one
/// whose sink is away has something left for long.
const STAYS_MIN: Duration = Duration::from_secs(1);
const STAYS_MAX: Duration = Duration::from_mins(1);

impl<R> State<R> {
    /// It is registered, and may move.
    pub(in crate::shared) fn joined(&mut self, id: Id) {
        self.set_moves(id, false);
    }

    pub(super) fn set_moves(&mut self, id: Id, moves: bool) {
        if let Some(member) = self.members.get_mut(&id) {
            member.moves = moves;
        }
    }

    /// It is to have a consumer of its own.
    pub(in crate::shared) fn let_leave(&mut self, id: Id, why: Why) {
        let is_shared = matches!(self.ledger.way(id), Some(Way::Shared { .. }));
        if let Some(member) = self.members.get_mut(&id)
            && is_shared
            && !member.moves
        {
            member.moves = true;
            member.why = why;
            self.to_leave.push_back(id);
        }
    }

    /// The next ones, so many at most.
    pub(in crate::shared) fn next_to_leave(&mut self, max: usize) -> Vec<Id> {
        let next = self.to_leave.len().min(max);
        self.to_leave.drain(..next).collect()
    }

    /// Where a consumer of its own has to begin. From here on it gets nothing of the shared one.
    pub(in crate::shared) fn begin_leave(&mut self, id: Id) -> Option<(ConsumerSpec, u64)> {
        let from = self.ledger.leave(id);
        let member = self.members.get_mut(&id)?;
        let Some(from) = from else {
            member.moves = false;
            return None;
        };
        member.waits.clear();
        for (due, place) in std::mem::take(&mut member.later) {
            member.tries.entry(place).or_default().due = Some(due);
        }
        Some((member.spec.clone(), from))
    }

    /// Its own consumer is there.
    pub(in crate::shared) fn left(&mut self, id: Id, from: u64) -> Settles<R> {
        if let Some(member) = self.members.get_mut(&id) {
            member.own_from = Some(from);
            member.is_narrow = true;
            member.moves = false;
            member.wake();
        }
        let places = self.ledger.left(id);
        self.release(places)
    }

    /// Those whose own consumer is read here, and that could do without.
    pub(in crate::shared) fn may_return(&self, now: Instant) -> Vec<Id> {
        let members = self.members.iter();
        let may = members.filter(|(id, member)| {
            let is_away = self.ledger.way(**id) == Some(Way::Away);
            let stays = member.stays_until.is_some_and(|until| now < until);
            is_away && member.is_narrow && !member.moves && member.feed.is_some() && !stays
        });
        may.map(|(id, _)| *id).collect()
    }

    /// Which of these consumers are those of members that need none.
    pub(in crate::shared) fn strays<'a>(
        &self,
        names: impl Iterator<Item = &'a String>,
    ) -> Vec<String> {
        let is_stray = |name: &&String| {
            self.names.get(name.as_str()).is_some_and(|id| {
                !self.moves(*id) && matches!(self.way(*id), Some(Way::Shared { .. }))
            })
        };
        names.filter(is_stray).cloned().collect()
    }

    /// From here on it gets new events from both.
    pub(in crate::shared) fn begin_return(&mut self, id: Id) -> Option<(ConsumerSpec, u64)> {
        let member = self.members.get_mut(&id)?;
        let until = self.ledger.begin_return(id)?;
        member.moves = true;
        member.kept.clear();
        Some((member.spec.clone(), until))
    }

    /// How many events its own consumer brought that wait for its return, and the place of the last.
    pub(in crate::shared) fn kept(&self, id: Id) -> (u64, u64) {
        let kept = self.members.get(&id).map(|member| &member.kept);
        let last = kept.and_then(|kept| kept.last().copied());
        let count = kept.map_or(0, |kept| kept.len());
        (u64::try_from(count).unwrap_or(u64::MAX), last.unwrap_or(0))
    }

    /// Whether its return has a chance still.
    pub(in crate::shared) fn may_go_on(&self, id: Id) -> bool {
        self.members.get(&id).is_some_and(|member| {
            let is_read = member.feed.is_some() && member.is_narrow;
            is_read && member.waits.len() <= self.limits.waits_max / 2
        })
    }

    /// It stays away after all.
    pub(in crate::shared) fn give_up_return(&mut self, id: Id, now: Instant) -> Settles<R> {
        if let Some(member) = self.members.get_mut(&id) {
            let pause = STAYS_MIN.saturating_mul(1 << member.tried.min(16));
            member.tried += 1;
            member.stays_until = Some(now + pause.min(STAYS_MAX));
            member.waits.clear();
            member.kept.clear();
            member.moves = false;
            member.wake();
        }
        let places = self.ledger.give_up_return(id);
        self.release(places)
    }

    /// Its own consumer is gone.
    pub(in crate::shared) fn returned(&mut self, id: Id) {
        self.ledger.returned(id);
        if let Some(member) = self.members.get_mut(&id) {
            member.own_from = None;
            (member.tried, member.stays_until) = (0, None);
            member.tries.clear();
            member.twins.clear();
            member.kept.clear();
            member.moves = false;
            member.wake();
        }
    }
}
