//! What a process that reads a shared consumer has in its hands, and for whom.
//!
//! Everything here is done under one lock and waits for nothing; what is to be settled is returned.

mod giving;
mod moving;
mod room;
mod why;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::SystemTime,
};

use bytestring::ByteString;
use tidegate_backbone::{ConsumerSpec, Delivery, Settle, Unreadable};
use tidegate_event::Event;
use tidegate_subscription::Matching;
use tokio::{sync::Notify, time::Instant};

pub(super) use self::why::Why;
use super::{Ledger, Taken, Way, wanted::Wanted};

/// What an event is taken for until some were seen.
const BYTES_FIRST_GUESS: usize = 4 << 10;

/// A member, for as long as it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id(pub(super) u32);

impl Id {
    /// No member has it.
    pub(super) const NOBODY: Self = Self(0);
}

/// Most that a process may have in its hands; beyond half of each, whoever is slowest leaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) events_max: usize,
    pub(super) bytes_max: usize,
    /// Most places between the first event in hand and the last one that was read: so many come
    /// again at most if the process ends without a word.
    pub(super) span_max: u64,
    /// Most events that wait for one member.
    pub(super) waits_max: usize,
}

#[derive(Debug)]
pub(super) struct State<R> {
    /// The name of the shared consumer.
    consumer: String,
    limits: Limits,
    ledger: Ledger<Id>,
    names: HashMap<Arc<str>, Id>,
    members: BTreeMap<Id, Box<Member<R>>>,
    wanted: Wanted,
    /// By place: what somebody has to settle yet.
    in_hand: BTreeMap<u64, InHand<R>>,
    bytes: usize,
    /// Of an event, smoothed: how many will come is known, how large they are is not.
    bytes_average: usize,
    /// Whoever is to have a consumer of its own.
    to_leave: VecDeque<Id>,
    /// There was no room for more events.
    is_full: bool,
    /// How many events members were given, and how many when that was looked at.
    given: u64,
    given_before: u64,
    last_id: u32,
    last_feed: u64,
}

/// An event of the shared consumer.
#[derive(Debug)]
struct InHand<R> {
    event: Result<Event, Unreadable>,
    subject: ByteString,
    stored_at: SystemTime,
    attempt: u32,
    receipt: Arc<R>,
}

#[derive(Debug)]
struct Member<R> {
    name: Arc<str>,
    spec: ConsumerSpec,
    /// Where its own consumer began, if it left for that.
    own_from: Option<u64>,
    /// Events of the shared consumer that wait for it.
    waits: VecDeque<u64>,
    /// Events of the shared consumer that it has.
    out: HashSet<u64>,
    /// Events that are to be tried again, by when.
    later: BTreeSet<(Instant, u64)>,
    /// How often it got an event that its own consumer counts from the beginning.
    tries: HashMap<u64, Tries>,
    /// Deliveries of its own consumer of events that it has from the shared one: settled like those.
    twins: HashMap<u64, Arc<R>>,
    /// Places that its own consumer brought and that wait for its return.
    kept: BTreeSet<u64>,
    feed: Option<(u64, Arc<Notify>)>,
    /// Its own consumer wants what it wants, and nothing of before.
    is_narrow: bool,
    /// It is on its way to a consumer of its own, or back.
    moves: bool,
    /// Why it has a consumer of its own, if it has.
    why: Why,
    /// How often it has tried to return in vain, and until when it does not try again.
    tried: u32,
    stays_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    made: u32,
    /// Not before.
    due: Option<Instant>,
}

/// An event of the shared consumer for a member.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) event: Result<Event, Unreadable>,
    pub(super) subject: ByteString,
    pub(super) sequence: u64,
    pub(super) attempt: u32,
    pub(super) stored_at: SystemTime,
}

/// What there is for a member.
#[derive(Debug)]
pub(super) enum Next {
    Events(Vec<Given>),
    /// What its own consumer brings.
    Own,
    /// Nothing yet; look again at this time.
    Wait(Option<Instant>),
    /// It is no member any more, or another feed has its events.
    Lost,
}

/// What becomes of what a member's own consumer brought.
#[derive(Debug)]
pub(super) struct OwnEvents<R> {
    /// For the member.
    pub(super) events: Vec<Delivery<R>>,
    /// Settled nowhere until it has returned, or has not.
    pub(super) kept: Vec<Delivery<R>>,
    pub(super) settle: Settles<R>,
}

/// What is to be settled in the log, and how.
pub(super) type Settles<R> = Vec<(Arc<R>, Settle)>;

/// How a member stands.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) spec: ConsumerSpec,
    /// All its events come from its own consumer.
    pub(super) is_away: bool,
    /// Up to this place its events are settled, or come from elsewhere.
    pub(super) since: u64,
    /// Events of the shared consumer that it has not settled, how many of them it was given, and the
    /// first.
    pub(super) open: u64,
    pub(super) tried: u64,
    pub(super) first_open: Option<u64>,
}

impl<R> Member<R> {
    fn wake(&self) {
        if let Some((_, notify)) = &self.feed {
            notify.notify_one();
        }
    }
}

impl<R> InHand<R> {
    fn bytes(&self) -> usize {
        match &self.event {
            Ok(event) => event.data_len(),
            Err(unreadable) => unreadable.payload.len(),
        }
    }
}

impl<R> State<R> {
    pub(super) fn new(consumer: String, limits: Limits, ledger: Ledger<Id>) -> Self {
        Self {
            consumer,
            limits,
            ledger,
            names: HashMap::new(),
            members: BTreeMap::new(),
            wanted: Wanted::default(),
            in_hand: BTreeMap::new(),
            bytes: 0,
            bytes_average: BYTES_FIRST_GUESS,
            to_leave: VecDeque::new(),
            is_full: false,
            given: 0,
            given_before: 0,
            last_id: Id::NOBODY.0,
            last_feed: 0,
        }
    }

    // --- Who is a member ---

    /// A member that gets from the shared consumer what is stored behind this place, and stays there
    /// until it [has joined](Self::joined): until that is registered.
    pub(super) fn join(&mut self, spec: ConsumerSpec, matching: Matching, since: u64) -> Id {
        let id = self.add(spec, matching, None);
        self.ledger.join(id, since);
        self.set_moves(id, true);
        id
    }

    /// A member with a consumer of its own, which has delivered up to this place; where that began,
    /// if it is known.
    pub(super) fn join_away(
        &mut self,
        spec: ConsumerSpec,
        matching: Matching,
        delivered: u64,
        own_from: Option<u64>,
    ) -> Id {
        let id = self.add(spec, matching, own_from);
        self.ledger.join_away(id, delivered);
        id
    }

    fn add(&mut self, spec: ConsumerSpec, matching: Matching, own_from: Option<u64>) -> Id {
        self.last_id += 1;
        let id = Id(self.last_id);
        let name: Arc<str> = spec.name.as_str().into();
        self.names.insert(Arc::clone(&name), id);
        self.wanted.add(id, matching);
        let member = Member {
            name,
            spec,
            own_from,
            waits: VecDeque::new(),
            out: HashSet::new(),
            later: BTreeSet::new(),
            tries: HashMap::new(),
            twins: HashMap::new(),
            kept: BTreeSet::new(),
            feed: None,
            is_narrow: false,
            moves: false,
            why: own_from.map_or(Why::New, |_| Why::Before),
            tried: 0,
            stays_until: None,
        };
        self.members.insert(id, Box::new(member));
        id
    }

    pub(super) fn members(&self) -> Vec<(Id, Arc<str>)> {
        let members = self.members.iter();
        members
            .map(|(id, member)| (*id, Arc::clone(&member.name)))
            .collect()
    }

    pub(super) fn id_of(&self, name: &str) -> Option<Id> {
        self.names.get(name).copied()
    }

    pub(super) fn name_of(&self, id: Id) -> Option<Arc<str>> {
        self.members.get(&id).map(|member| Arc::clone(&member.name))
    }

    /// Whether it is on its way to a consumer of its own, or back.
    pub(super) fn moves(&self, id: Id) -> bool {
        self.members.get(&id).is_some_and(|member| member.moves)
    }

    /// How many events of the shared consumer a member has not settled.
    pub(super) fn open(&self, id: Id) -> u64 {
        u64::try_from(self.ledger.open(id)).unwrap_or(u64::MAX)
    }

    /// Why it has a consumer of its own, if it has.
    pub(super) fn why(&self, id: Id) -> &'static str {
        let why = self.members.get(&id).map(|member| member.why);
        why.unwrap_or(Why::New).text()
    }

    /// The name of the shared consumer.
    pub(super) fn consumer(&self) -> String {
        self.consumer.clone()
    }

    /// The last place that it has delivered.
    pub(super) fn read(&self) -> u64 {
        self.ledger.read()
    }

    pub(super) fn way(&self, id: Id) -> Option<Way> {
        self.ledger.way(id)
    }

    /// The consumer that a member has or would have, and where it began.
    pub(super) fn own_of(&self, id: Id) -> Option<(&ConsumerSpec, Option<u64>)> {
        let member = self.members.get(&id)?;
        Some((&member.spec, member.own_from))
    }

    /// A member wants something else of what its own consumer brings.
    pub(super) fn change(&mut self, id: Id, spec: ConsumerSpec, matching: Matching) {
        if let Some(member) = self.members.get_mut(&id) {
            member.spec = spec;
            self.wanted.add(id, matching);
        }
    }

    pub(super) fn set_narrow(&mut self, id: Id, is_narrow: bool) {
        if let Some(member) = self.members.get_mut(&id) {
            member.is_narrow = is_narrow;
        }
    }

    /// There is no such member any more.
    pub(super) fn remove(&mut self, id: Id) -> Settles<R> {
        if let Some(member) = self.members.remove(&id) {
            self.names.remove(&member.name);
            self.wanted.remove(id);
            member.wake();
        }
        let places = self.ledger.remove(id);
        self.release(places)
    }

    /// How many members get their events from the shared consumer, how many from their own, and how
    /// many events are in hand.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        let is_shared = |id: &&Id| matches!(self.way(**id), Some(Way::Shared { .. }));
        let shared = self.members.keys().filter(is_shared).count();
        (shared, self.members.len() - shared, self.in_hand.len())
    }

    pub(super) fn standings(&self) -> Vec<Standing> {
        let members = self.members.iter();
        let standings = members.map(|(id, member)| Standing {
            spec: member.spec.clone(),
            is_away: self.ledger.way(*id) == Some(Way::Away),
            since: match self.ledger.way(*id) {
                Some(Way::Shared { since } | Way::Returning { until: since }) => since,
                Some(Way::Leaving { .. } | Way::Away) | None => 0,
            },
            open: self.open(*id),
            tried: u64::try_from(member.tries.len()).unwrap_or(u64::MAX),
            first_open: self.ledger.first_open(*id),
        });
        standings.collect()
    }

    /// Who reads a member's events from now on.
    pub(super) fn attach(&mut self, id: Id, notify: Arc<Notify>) -> u64 {
        self.last_feed += 1;
        if let Some(member) = self.members.get_mut(&id) {
            // What the one before kept comes again.
            member.kept.clear();
            member.wake();
            member.feed = Some((self.last_feed, notify));
        }
        self.last_feed
    }

    pub(super) fn detach(&mut self, id: Id, feed: u64) {
        if let Some(member) = self.members.get_mut(&id)
            && matches!(&member.feed, Some((attached, _)) if *attached == feed)
        {
            member.feed = None;
            member.kept.clear();
        }
    }

    // --- What the shared consumer brings ---

    /// A receipt to acknowledge, if nobody here needs the event.
    pub(super) fn take(&mut self, delivery: Delivery<R>) -> Option<R> {
        let wanted = match &delivery.event {
            Ok(event) => self.wanted.find(event),
            Err(_) => self.readers_of(&delivery.subject),
        };
        let place = delivery.sequence;
        let to = match self.ledger.take(delivery.number, place, wanted) {
            Taken::Again => return None,
            Taken::Done => return Some(delivery.receipt),
            Taken::Waits(to) => to,
        };
        let in_hand = InHand {
            event: delivery.event,
            subject: delivery.subject,
            stored_at: delivery.stored_at,
            attempt: delivery.attempt,
            receipt: Arc::new(delivery.receipt),
        };
        self.bytes += in_hand.bytes();
        self.bytes_average = (self.bytes_average * 7 + in_hand.bytes()) / 8;
        self.in_hand.insert(place, in_hand);
        let is_alone = self.alone().is_some();
        for id in to {
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            member.waits.push_back(place);
            member.wake();
            if member.waits.len() > self.limits.waits_max && !is_alone {
                self.let_leave(id, Why::Slow);
            }
        }
        None
    }

    /// Those that would be asked about what is stored there.
    fn readers_of(&self, subject: &str) -> Vec<Id> {
        let reads = |member: &Member<R>| {
            let mut filters = member.spec.filters.iter();
            filters.any(|filter| tidegate_backbone::subject::matches(filter, subject))
        };
        let members = self.members.iter().filter(|(_, member)| reads(member));
        members.map(|(id, _)| *id).collect()
    }

    /// What to give signs of life for.
    pub(super) fn receipts(&self) -> Vec<Arc<R>> {
        let receipts = self.in_hand.values().map(|one| Arc::clone(&one.receipt));
        receipts.collect()
    }

    /// If anything may be unsettled that is not in hand: what to say with the log's answer.
    pub(super) fn is_left_over(&self) -> Option<u64> {
        self.ledger.is_left_over()
    }

    /// What the log says of that.
    pub(super) fn is_settled_to(&mut self, floor: u64, delivered: u64, losses: u64) {
        self.ledger.is_settled_to(floor, delivered, losses);
    }

    /// Up to where all that was read is settled.
    pub(super) fn floor(&self) -> u64 {
        self.ledger.floor()
    }

    /// Nobody needs these any more.
    fn release(&mut self, places: impl IntoIterator<Item = u64>) -> Settles<R> {
        let mut settles = Vec::new();
        for place in places {
            if let Some(in_hand) = self.in_hand.remove(&place) {
                self.bytes -= in_hand.bytes();
                settles.push((in_hand.receipt, Settle::Ack));
            }
        }
        settles
    }
}

#[cfg(test)]
mod tests;
