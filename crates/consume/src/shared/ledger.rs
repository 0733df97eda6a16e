//! Who still has to settle which event, and who gets its events from where.
//!
//! Only places in the log are known here. What follows has to be durable before it is said here:
//! that a consumer is made ([`Ledger::left`]) or gone ([`Ledger::returned`]).

mod places;

use std::collections::{BTreeMap, BTreeSet};

use places::Places;

/// Of the events that a shared consumer has delivered here, who still has to settle each.
#[derive(Clone, Debug)]
pub(super) struct Ledger<M> {
    /// How many have to settle it yet, by place.
    events: BTreeMap<u64, usize>,
    members: BTreeMap<M, Member>,
    /// The last place that was delivered.
    read: u64,
    /// What was delivered here: once it is not in `events` any more, it is settled.
    seen: Places,
    /// How many deliveries there were.
    number: u64,
    /// The first and the last place of what may be unsettled and is not in hand here: delivered to
    /// whoever had the consumer before, or lost on its way.
    left_over: Option<(u64, u64)>,
    /// How often deliveries were seen to be lost.
    losses: u64,
}

/// What comes of a delivery of the shared consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Taken<M> {
    /// It came again while it is in hand.
    Again,
    /// Nobody here has to do anything with it: it may be settled.
    Done,
    /// It goes to these, and may be settled when nobody needs it here any more.
    Waits(Vec<M>),
}

/// What comes of a delivery of a member's own consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnTaken {
    /// It goes to the member.
    Try,
    /// It was settled before: it may be settled there too.
    Done,
    /// It goes to the member from the shared consumer, if the return comes to its end. Until then it
    /// is settled nowhere: who comes next finds it in one of the two.
    Waits,
}

#[derive(Clone, Debug)]
struct Member {
    way: Way,
    /// What went to it and is not settled by it.
    open: BTreeSet<u64>,
    /// What it settled of the events that a consumer of its own would bring again.
    done: BTreeSet<u64>,
    /// The last place that a consumer of its own has brought it; the shared one may be behind.
    own_read: u64,
}

/// Where a member's events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From the shared consumer, behind this place.
    Shared {
        /// This one, and all before it, came from elsewhere.
        since: u64,
    },
    /// From this place on, from a consumer of its own that is being made. Until it is, they stay
    /// unsettled here.
    Leaving {
        /// Where that begins.
        from: u64,
    },
    /// From a consumer of its own.
    Away,
    /// From a consumer of its own up to this place, and then from the shared one.
    Returning {
        /// The last one of its own consumer.
        until: u64,
    },
}

impl<M: Copy + Ord> Ledger<M> {
    /// Of a shared consumer that has settled everything up to `floor`, and has delivered up to
    /// `delivered` in so many deliveries; what is between may come again.
    pub(super) fn new(floor: u64, delivered: u64, number: u64) -> Self {
        Self {
            events: BTreeMap::new(),
            members: BTreeMap::new(),
            read: delivered,
            seen: Places::default(),
            number,
            left_over: (floor < delivered).then_some((floor + 1, delivered)),
            losses: 0,
        }
    }

    /// A new member, which gets from the shared consumer what is stored behind this place.
    pub(super) fn join(&mut self, member: M, since: u64) {
        self.members
            .insert(member, Member::new(Way::Shared { since }, 0));
    }

    /// A new member with a consumer of its own, which has delivered up to this place.
    pub(super) fn join_away(&mut self, member: M, delivered: u64) {
        self.members
            .insert(member, Member::new(Way::Away, delivered));
    }

    /// If anything may be unsettled that is not in hand here: what to say to
    /// [`Self::is_settled_to`], of which the log has to be asked then.
    pub(super) fn is_left_over(&self) -> Option<u64> {
        self.left_over.map(|_| self.losses)
    }

    /// The log says that it has delivered up to the one place, and that everything up to the other is
    /// settled.
    pub(super) fn is_settled_to(&mut self, floor: u64, delivered: u64, losses: u64) {
        if losses != self.losses {
            // What was lost since may be behind that.
            return;
        }
        let left_over = self.left_over.map(|(first, last)| {
            // Whatever was lost was delivered.
            (first.max(floor + 1), last.min(delivered))
        });
        self.left_over = left_over.filter(|(first, last)| first <= last);
        self.forget();
    }

    fn forget(&mut self) {
        let left_over = self.first_left_over();
        for member in self.members.values_mut() {
            member.forget(left_over);
        }
    }

    fn first_left_over(&self) -> Option<u64> {
        self.left_over.map(|(first, _)| first)
    }

    /// The shared consumer delivered the event of this place, which these members want. `number` is
    /// the how many-th of its deliveries that is: where one is missing, it was lost with a
    /// connection, and its event comes again.
    pub(super) fn take(
        &mut self,
        number: u64,
        place: u64,
        wanted_by: impl IntoIterator<Item = M>,
    ) -> Taken<M> {
        if number != self.number + 1 {
            // A log that was killed may count from an earlier number again, and what got lost then is
            // not known either. One that was lost and is older is in hand here, or was settled. What
            // comes after a loss may be older than what was lost.
            let first = self.first_left_over().unwrap_or(u64::MAX);
            self.left_over = Some((first.min(self.read + 1), u64::MAX));
            self.losses += 1;
        }
        self.number = number;
        self.read = self.read.max(place);
        if self.events.contains_key(&place) {
            return Taken::Again;
        }
        if !self.seen.insert(place) {
            // The log does not know any more that it was settled, or never did.
            return Taken::Done;
        }
        let (mut to, mut count) = (Vec::new(), 0);
        for id in wanted_by {
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            let (is_wanted, goes) = match member.way {
                Way::Shared { since: behind } | Way::Returning { until: behind } => {
                    (place > behind, true)
                }
                // Kept for its own consumer.
                Way::Leaving { from } => (place >= from, false),
                Way::Away => (false, false),
            };
            if !is_wanted {
                continue;
            }
            member.open.insert(place);
            count += 1;
            if goes {
                to.push(id);
            }
        }
        if count == 0 {
            return Taken::Done;
        }
        self.events.insert(place, count);
        Taken::Waits(to)
    }

    /// A member is done with an event that it got from the shared consumer; `true` when that was
    /// the last one, and the event may be settled.
    pub(super) fn settled(&mut self, id: M, place: u64) -> bool {
        let left_over = self.first_left_over();
        let Some(member) = self.members.get_mut(&id) else {
            return false;
        };
        if !member.open.remove(&place) {
            return false;
        }
        member.done.insert(place);
        let counts = member.counts(place);
        member.forget(left_over);
        counts && self.release(place)
    }

    /// A member can take no more: at which place a consumer of its own has to begin. `None` if it
    /// has one, or one is being made.
    pub(super) fn leave(&mut self, id: M) -> Option<u64> {
        let (read, left_over) = (self.read, self.first_left_over());
        let member = self.members.get_mut(&id)?;
        let Way::Shared { since } = member.way else {
            return None;
        };
        let open = member.open.first().copied();
        let first = open.into_iter().chain(left_over).chain([read + 1]).min()?;
        let from = first.max(since + 1);
        member.way = Way::Leaving { from };
        Some(from)
    }

    /// The member's own consumer is there. What may be settled now is returned.
    pub(super) fn left(&mut self, id: M) -> Vec<u64> {
        let Some(member) = self.members.get_mut(&id) else {
            return Vec::new();
        };
        let Way::Leaving { .. } = member.way else {
            return Vec::new();
        };
        member.way = Way::Away;
        let open: Vec<u64> = member.open.iter().copied().collect();
        open.into_iter()
            .filter(|place| self.release(*place))
            .collect()
    }

    /// A member's own consumer delivered the event of this place.
    pub(super) fn take_own(&mut self, id: M, place: u64) -> OwnTaken {
        let Some(member) = self.members.get_mut(&id) else {
            return OwnTaken::Try;
        };
        match member.way {
            Way::Returning { until } if place > until => OwnTaken::Waits,
            Way::Shared { .. } | Way::Leaving { .. } | Way::Away | Way::Returning { .. } => {
                member.own_read = member.own_read.max(place);
                match member.done.remove(&place) {
                    true => OwnTaken::Done,
                    false => OwnTaken::Try,
                }
            }
        }
    }

    /// A member's own consumer has nothing left, or next to nothing: from here on its events come
    /// from the shared consumer again, and wait until it [has returned](Self::returned). Returned is
    /// the place up to which its own consumer has to be settled before it may go. `None` if it has
    /// none.
    pub(super) fn begin_return(&mut self, id: M) -> Option<u64> {
        let read = self.read;
        let member = self.members.get_mut(&id)?;
        if member.way != Way::Away {
            return None;
        }
        let until = read.max(member.own_read);
        member.way = Way::Returning { until };
        Some(until)
    }

    /// It does not return: its own consumer brings what waited. What may be settled now is
    /// returned.
    pub(super) fn give_up_return(&mut self, id: M) -> Vec<u64> {
        let Some(member) = self.members.get_mut(&id) else {
            return Vec::new();
        };
        let Way::Returning { until } = member.way else {
            return Vec::new();
        };
        member.way = Way::Away;
        let waited = member.open.split_off(&(until + 1));
        waited
            .into_iter()
            .filter(|place| self.release(*place))
            .collect()
    }

    /// The member's own consumer is gone.
    pub(super) fn returned(&mut self, id: M) {
        let left_over = self.first_left_over();
        if let Some(member) = self.members.get_mut(&id)
            && let Way::Returning { until } = member.way
        {
            member.way = Way::Shared { since: until };
            // What is older was its own consumer's.
            member.open = member.open.split_off(&(until + 1));
            member.forget(left_over);
        }
    }

    /// There is no such member any more. What may be settled now is returned.
    pub(super) fn remove(&mut self, id: M) -> Vec<u64> {
        let Some(member) = self.members.remove(&id) else {
            return Vec::new();
        };
        let open = member.open.iter().copied();
        let counted: Vec<u64> = open.filter(|place| member.counts(*place)).collect();
        counted
            .into_iter()
            .filter(|place| self.release(*place))
            .collect()
    }

    /// Where a member's events come from.
    pub(super) fn way(&self, id: M) -> Option<Way> {
        self.members.get(&id).map(|member| member.way)
    }

    /// How many events a member still has to settle of those that it got from the shared consumer.
    pub(super) fn open(&self, id: M) -> usize {
        self.members.get(&id).map_or(0, |member| member.open.len())
    }

    /// The first event that a member has to settle yet, of those that it got from the shared
    /// consumer.
    pub(super) fn first_open(&self, id: M) -> Option<u64> {
        self.members.get(&id)?.open.first().copied()
    }

    /// For which members the shared consumer waits with the first event in hand.
    pub(super) fn holders(&self) -> Vec<M> {
        let Some(&first) = self.events.keys().next() else {
            return Vec::new();
        };
        let holds = |member: &Member| member.open.contains(&first) && member.counts(first);
        let members = self.members.iter().filter(|(_, member)| holds(member));
        members.map(|(id, _)| *id).collect()
    }

    /// The place up to which everything is settled, as far as it is known here.
    pub(super) fn floor(&self) -> u64 {
        let in_hand = self.events.keys().next().copied();
        let first = in_hand.into_iter().chain(self.first_left_over()).min();
        first.map_or(self.read, |first| first - 1)
    }

    /// The last place that was delivered.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    /// How many places what is read is ahead of the first event in hand.
    pub(super) fn span(&self) -> u64 {
        let first = self.events.keys().next();
        first.map_or(0, |first| self.read - first)
    }

    /// One has to settle it no more; `true` when that was the last one.
    fn release(&mut self, place: u64) -> bool {
        let Some(count) = self.events.get_mut(&place) else {
            return false;
        };
        *count -= 1;
        let is_last = *count == 0;
        if is_last {
            self.events.remove(&place);
        }
        is_last
    }
}

impl Member {
    fn new(way: Way, own_read: u64) -> Self {
        Self {
            way,
            open: BTreeSet::new(),
            done: BTreeSet::new(),
            own_read,
        }
    }

    /// Whether the shared consumer waits for it to settle this event.
    fn counts(&self, place: u64) -> bool {
        match self.way {
            Way::Shared { .. } | Way::Leaving { .. } => true,
            Way::Away => false,
            Way::Returning { until } => place > until,
        }
    }

    /// Forgets what no consumer that it might leave for would bring again.
    fn forget(&mut self, left_over: Option<u64>) {
        if !matches!(self.way, Way::Shared { .. }) {
            return;
        }
        let first = self.open.first().copied().into_iter().chain(left_over);
        match first.min() {
            Some(first) => self.done = self.done.split_off(&first),
            None => self.done.clear(),
        }
    }
}

#[cfg(test)]
mod tests;
