//! What goes to members, and what they make of it.

use std::sync::Arc;

use tidegate_backbone::{Delivery, Settle};
use tokio::time::Instant;

use super::{Given, Id, Next, OwnEvents, Settles, State};
use crate::shared::{OwnTaken, Way};

impl<R> State<R> {
    pub(in crate::shared) fn pull(&mut self, id: Id, feed: u64, max: usize, now: Instant) -> Next {
        let Some(member) = self.members.get_mut(&id) else {
            return Next::Lost;
        };
        if !matches!(&member.feed, Some((attached, _)) if *attached == feed) {
            return Next::Lost;
        }
        match self.ledger.way(id) {
            None => return Next::Lost,
            Some(Way::Away | Way::Returning { .. }) => return Next::Own,
            Some(Way::Leaving { .. }) => return Next::Wait(None),
            Some(Way::Shared { .. }) => {}
        }
        while let Some(&(due, place)) = member.later.first()
            && due <= now
        {
            member.later.pop_first();
            member.waits.push_front(place);
        }
        let mut given = Vec::new();
        while given.len() < max
            && let Some(place) = member.waits.pop_front()
        {
            let Some(in_hand) = self.in_hand.get(&place) else {
                continue;
            };
            let tries = member.tries.entry(place).or_default();
            given.push(Given {
                event: in_hand.event.clone(),
                subject: in_hand.subject.clone(),
                sequence: place,
                attempt: in_hand.attempt.saturating_add(tries.made),
                stored_at: in_hand.stored_at,
            });
            tries.made = tries.made.saturating_add(1);
            member.out.insert(place);
        }
        self.given += u64::try_from(given.len()).unwrap_or(0);
        if given.is_empty() {
            return Next::Wait(member.later.first().map(|(due, _)| *due));
        }
        Next::Events(given)
    }

    /// What a member's own consumer brought.
    pub(in crate::shared) fn take_own(
        &mut self,
        id: Id,
        deliveries: Vec<Delivery<R>>,
        now: Instant,
    ) -> OwnEvents<R> {
        let mut own = OwnEvents {
            events: Vec::new(),
            kept: Vec::new(),
            settle: Vec::new(),
        };
        let Some(member) = self.members.get_mut(&id) else {
            own.events = deliveries;
            return own;
        };
        for mut delivery in deliveries {
            let place = delivery.sequence;
            match self.ledger.take_own(id, place) {
                OwnTaken::Done => own.settle.push((Arc::new(delivery.receipt), Settle::Ack)),
                OwnTaken::Waits => {
                    member.kept.insert(place);
                    own.kept.push(delivery);
                }
                OwnTaken::Try if member.out.contains(&place) => {
                    member.twins.insert(place, Arc::new(delivery.receipt));
                }
                OwnTaken::Try => {
                    if let Some(tries) = member.tries.get_mut(&place) {
                        if let Some(due) = tries.due.take().filter(|due| *due > now) {
                            // Its next delivery counts this one.
                            tries.made = tries.made.saturating_sub(1);
                            let delay = due - now;
                            own.settle
                                .push((Arc::new(delivery.receipt), Settle::Retry { delay }));
                            continue;
                        }
                        delivery.attempt = delivery.attempt.saturating_add(tries.made);
                    }
                    own.events.push(delivery);
                }
            }
        }
        own
    }

    /// What a member made of an event that it has from the shared consumer.
    pub(in crate::shared) fn settle(
        &mut self,
        name: &str,
        place: u64,
        settle: Settle,
        now: Instant,
    ) -> Settles<R> {
        let Some(&id) = self.names.get(name) else {
            return Vec::new();
        };
        let Some(member) = self.members.get_mut(&id) else {
            return Vec::new();
        };
        let twin = match settle {
            Settle::Progress => member.twins.get(&place).cloned(),
            Settle::Ack | Settle::Terminate | Settle::Retry { .. } => member.twins.remove(&place),
        };
        let mut settles: Settles<R> = twin.into_iter().map(|twin| (twin, settle)).collect();
        match settle {
            Settle::Progress => {}
            Settle::Ack | Settle::Terminate => {
                if !member.out.remove(&place) {
                    // It came again meanwhile, as to a new reader.
                    member.waits.retain(|waits| *waits != place);
                    member.later.retain(|(_, later)| *later != place);
                }
                member.tries.remove(&place);
                if self.ledger.settled(id, place) {
                    settles.extend(self.release([place]));
                }
            }
            Settle::Retry { delay } => {
                if !member.out.remove(&place) {
                    return settles;
                }
                match self.ledger.way(id) {
                    Some(Way::Shared { .. }) if delay.is_zero() => member.waits.push_front(place),
                    Some(Way::Shared { .. }) => {
                        member.later.insert((now + delay, place));
                    }
                    Some(Way::Leaving { .. } | Way::Away | Way::Returning { .. }) | None
                        if settles.is_empty() =>
                    {
                        let tries = member.tries.entry(place).or_default();
                        tries.due = Some(now + delay);
                    }
                    Some(Way::Leaving { .. } | Way::Away | Way::Returning { .. }) | None => {}
                }
                member.wake();
            }
        }
        settles
    }
}
