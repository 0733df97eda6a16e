//! A log, a process that is killed now and then, and members that leave and return: whatever
//! happens in which order, each gets each event that it wants, and none twice without a reason.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::*;

const MEMBERS: u8 = 4;
const STEPS: usize = 400;

/// A durable consumer, as the server knows it.
#[derive(Clone, Debug)]
struct Consumer {
    /// The next place that it delivers for the first time.
    next: u64,
    /// Delivered and not settled.
    unsettled: BTreeSet<u64>,
    /// How many deliveries there were.
    number: u64,
}

impl Consumer {
    fn from(next: u64) -> Self {
        Self {
            next,
            unsettled: BTreeSet::new(),
            number: 0,
        }
    }

    /// Up to where all is settled.
    fn floor(&self) -> u64 {
        self.unsettled.first().unwrap_or(&self.next) - 1
    }

    fn settle(&mut self, place: u64) {
        self.unsettled.remove(&place);
    }
}

/// What is durable of a member.
#[derive(Debug)]
struct Kept {
    /// The first place that it has to get.
    first: u64,
    /// That it is with the shared consumer, behind this place.
    shared: Option<u64>,
    own: Option<Consumer>,
}

/// How an event came to a member that is busy with it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Via {
    Shared,
    Own,
}

struct World {
    rng: Rng,
    /// Who wants the event of each place; the first is 1.
    stream: Vec<Vec<u8>>,
    shared: Consumer,
    /// What a killed server would know of it.
    synced: Consumer,
    connections: u64,
    kept: BTreeMap<u8, Kept>,
    got: BTreeMap<(u8, u64), u32>,
    /// How often it may have been repeated.
    excused: BTreeMap<(u8, u64), u32>,
    // What a process has in its memory.
    ledger: Ledger<u8>,
    hands: BTreeMap<(u8, u64), Via>,
    leaving: BTreeMap<u8, u64>,
    returning: BTreeMap<u8, u64>,
    /// Up to where deliveries were lost.
    lost: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            rng: Rng::with_seed(seed),
            stream: Vec::new(),
            shared: Consumer::from(1),
            synced: Consumer::from(1),
            connections: 0,
            kept: BTreeMap::new(),
            got: BTreeMap::new(),
            excused: BTreeMap::new(),
            ledger: Ledger::new(0, 0, 0),
            hands: BTreeMap::new(),
            leaving: BTreeMap::new(),
            returning: BTreeMap::new(),
            lost: 0,
        };
        for id in 0..MEMBERS {
            world.join(id);
        }
        world
    }

    fn last(&self) -> u64 {
        self.stream.len() as u64
    }

    fn wants(&self, place: u64) -> Vec<u8> {
        self.stream[usize::try_from(place - 1).unwrap()].clone()
    }

    /// Everything stored from now on is for it.
    fn join(&mut self, id: u8) {
        let since = self.last();
        self.ledger.join(id, since);
        let kept = Kept {
            first: since + 1,
            shared: Some(since),
            own: None,
        };
        self.kept.insert(id, kept);
    }

    fn step(&mut self) {
        let id = self.rng.u8(..MEMBERS);
        match self.rng.u8(..20) {
            0..3 => {
                let wants = (0..MEMBERS).filter(|_| self.rng.bool()).collect();
                self.stream.push(wants);
            }
            3..7 => self.deliver(),
            7..10 => self.finish(id),
            10 => self.fail(id),
            11..13 => self.leave(id),
            13..16 => self.deliver_own(id),
            16 => self.begin_return(id),
            17..19 => self.end_return(id),
            _ => match self.rng.u8(..8) {
                0 => self.crash(),
                1 => self.lose(),
                3 => self.synced = self.shared.clone(),
                4 => self.kill_server(),
                2 => self.give_up_return(id),
                _ => self.look(),
            },
        }
    }

    fn settle(&mut self, places: Vec<u64>) {
        for place in places {
            self.shared.settle(place);
        }
    }

    fn deliver(&mut self) {
        let again = self
            .rng
            .bool()
            .then(|| self.rng.choice(self.shared.unsettled.iter()));
        let place = match again.flatten() {
            Some(place) => *place,
            None if self.shared.next <= self.last() => {
                self.shared.next += 1;
                self.shared.next - 1
            }
            None => return,
        };
        self.shared.unsettled.insert(place);
        self.shared.number += 1;
        match self.ledger.take(self.number(), place, self.wants(place)) {
            Taken::Again => {}
            Taken::Done => self.shared.settle(place),
            Taken::Waits(to) => {
                for id in to {
                    self.hands.insert((id, place), Via::Shared);
                }
            }
        }
    }

    /// One that may be tried: what waits for a return may not.
    fn in_hand(&mut self, id: u8) -> Option<(u64, Via)> {
        let until = self.returning.get(&id).copied();
        let tried = self.hands.iter().filter(|((one, place), via)| {
            let waits = **via == Via::Shared && until.is_some_and(|until| *place > until);
            *one == id && !waits
        });
        let all: Vec<_> = tried.map(|((_, place), via)| (*place, *via)).collect();
        self.rng.choice(all)
    }

    /// An attempt ends well.
    fn finish(&mut self, id: u8) {
        let Some((place, via)) = self.in_hand(id) else {
            return;
        };
        self.hands.remove(&(id, place));
        *self.got.entry((id, place)).or_default() += 1;
        match via {
            Via::Shared => {
                if self.ledger.settled(id, place) {
                    self.shared.settle(place);
                }
            }
            Via::Own => {
                if let Some(own) = &mut self.kept.get_mut(&id).unwrap().own {
                    own.settle(place);
                }
            }
        }
    }

    /// An attempt fails: what came from the shared consumer cannot wait there.
    fn fail(&mut self, id: u8) {
        let Some((place, via)) = self.in_hand(id) else {
            return;
        };
        self.hands.remove(&(id, place));
        if via == Via::Shared
            && let Some(from) = self.ledger.leave(id)
        {
            assert!(from <= place, "{from} is behind {place}");
            self.leaving.insert(id, from);
        }
    }

    fn leave(&mut self, id: u8) {
        if !self.leaving.contains_key(&id) {
            if let Some(from) = self.ledger.leave(id) {
                self.leaving.insert(id, from);
            }
            return;
        }
        let from = self.leaving[&id];
        let kept = self.kept.get_mut(&id).unwrap();
        if kept.own.is_none() {
            kept.own = Some(Consumer::from(from));
            return;
        }
        kept.shared = None;
        self.leaving.remove(&id);
        let settled = self.ledger.left(id);
        self.settle(settled);
    }

    fn deliver_own(&mut self, id: u8) {
        if self.leaving.contains_key(&id) {
            return;
        }
        let (last, stream) = (self.last(), &self.stream);
        let Some(own) = &mut self.kept.get_mut(&id).unwrap().own else {
            return;
        };
        let again = self
            .rng
            .bool()
            .then(|| self.rng.choice(own.unsettled.iter()));
        let place = match again.flatten() {
            Some(place) => *place,
            None => {
                let wants =
                    |place: &u64| stream[usize::try_from(*place - 1).unwrap()].contains(&id);
                let next = (own.next..=last).find(wants);
                own.next = next.unwrap_or(last) + 1;
                let Some(place) = next else { return };
                place
            }
        };
        own.unsettled.insert(place);
        if self.hands.contains_key(&(id, place)) {
            // The loop has it, and takes it for the same.
            return;
        }
        match self.ledger.take_own(id, place) {
            OwnTaken::Try => drop(self.hands.insert((id, place), Via::Own)),
            OwnTaken::Done => own.settle(place),
            OwnTaken::Waits => {}
        }
    }

    fn begin_return(&mut self, id: u8) {
        if !self.leaving.contains_key(&id)
            && let Some(until) = self.ledger.begin_return(id)
        {
            self.returning.insert(id, until);
        }
    }

    fn end_return(&mut self, id: u8) {
        let Some(until) = self.returning.get(&id).copied() else {
            return;
        };
        let stream = &self.stream;
        let kept = self.kept.get_mut(&id).unwrap();
        if kept.shared.is_some() {
            // That is durable; its own consumer goes.
            kept.own = None;
            self.returning.remove(&id);
            self.ledger.returned(id);
            self.hands
                .retain(|(one, _), via| *one != id || *via == Via::Shared);
            return;
        }
        let own = kept.own.as_ref().unwrap();
        let wants = |place: &u64| stream[usize::try_from(*place - 1).unwrap()].contains(&id);
        let is_settled = own.floor() >= until || {
            let undelivered = (own.next..=until).any(|place| wants(&place));
            !undelivered && own.unsettled.range(..=until).next().is_none()
        };
        if is_settled {
            kept.shared = Some(until);
        }
    }

    fn give_up_return(&mut self, id: u8) {
        if self.kept[&id].shared.is_some() {
            return;
        }
        let given_up = self.ledger.give_up_return(id);
        if let Some(until) = self.returning.remove(&id) {
            self.hands
                .retain(|(one, place), via| *one != id || *via == Via::Own || *place <= until);
        }
        self.settle(given_up);
    }

    /// The process is killed, and another one takes over.
    fn crash(&mut self) {
        self.excuse();
        let (floor, next) = (self.shared.floor(), self.shared.next);
        self.ledger = Ledger::new(floor, next - 1, self.number());
        // It takes longer than a server is behind.
        self.synced = self.shared.clone();
        self.lost = next - 1;
        self.hands.clear();
        self.leaving.clear();
        self.returning.clear();
        for (id, kept) in &mut self.kept {
            match (&kept.own, kept.shared) {
                (Some(own), _) => {
                    kept.shared = None;
                    self.ledger.join_away(*id, own.next - 1);
                }
                (None, Some(since)) => self.ledger.join(*id, since),
                (None, None) => panic!("{id} is nowhere"),
            }
        }
    }

    /// The connection is lost, with a delivery: of a new event, or of one that came before.
    fn lose(&mut self) {
        self.excuse();
        self.shared.number += 1;
        if self.rng.bool() && self.shared.next <= self.last() {
            self.shared.unsettled.insert(self.shared.next);
            self.shared.next += 1;
        }
        self.lost = self.shared.next - 1;
    }

    /// It is there again at once, and has forgotten what became of the shared consumer lately.
    fn kill_server(&mut self) {
        self.connections += 1;
        self.shared = self.synced.clone();
    }

    /// A delivery's number tells its connection as well.
    fn number(&self) -> u64 {
        self.connections << 40 | self.shared.number
    }

    /// What is behind the place up to which all is settled may come twice.
    fn excuse(&mut self) {
        for (id, place) in self.got.keys() {
            let own = self.kept[id].own.as_ref();
            let floor = own.map_or(u64::MAX, Consumer::floor);
            if *place > self.shared.floor().min(floor) {
                *self.excused.entry((*id, *place)).or_default() += 1;
            }
        }
    }

    /// The log says what is settled.
    fn look(&mut self) {
        if let Some(losses) = self.ledger.is_left_over() {
            let delivered = self.shared.next - 1;
            self.ledger
                .is_settled_to(self.shared.floor(), delivered, losses);
        }
    }

    /// Everything comes to its end.
    fn drain(&mut self) {
        for _ in 0..200 {
            for id in 0..MEMBERS {
                for _ in 0..4 {
                    self.deliver();
                    self.deliver_own(id);
                    self.finish(id);
                }
                if self.leaving.contains_key(&id) {
                    self.leave(id);
                }
                self.end_return(id);
            }
        }
    }
}

#[test]
fn each_gets_each_event_and_none_twice_without_a_reason() {
    let (mut repeated, mut left, mut returned) = (0, 0, 0);
    for seed in 0..1_000 {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            let was = (world.leaving.len(), world.returning.len());
            world.step();
            left += usize::from(world.leaving.len() > was.0);
            returned += usize::from(world.returning.len() > was.1);
        }
        world.drain();
        for place in 1..=world.last() {
            for id in world.wants(place) {
                if place < world.kept[&id].first {
                    continue;
                }
                let got = world.got.get(&(id, place)).copied().unwrap_or(0);
                let excused = world.excused.get(&(id, place)).copied().unwrap_or(0);
                assert!(got >= 1, "seed {seed}: {id} lacks {place}");
                assert!(
                    got <= 1 + excused,
                    "seed {seed}: {id} got {place} {got} times"
                );
                repeated += u32::from(got > 1);
            }
        }
        assert!(
            world.ledger.events.is_empty(),
            "seed {seed}: {:?}",
            world.ledger
        );
        assert!(world.shared.unsettled.is_empty(), "seed {seed}");
    }
    // Or nothing was tested.
    assert!(
        repeated > 100 && left > 5_000 && returned > 2_000,
        "{repeated} {left} {returned}"
    );
}

fn waits(to: &[u8]) -> Taken<u8> {
    Taken::Waits(to.to_vec())
}

/// An event is settled when the last one is done with it, and what nobody wants at once.
#[test]
fn an_event_waits_for_all_who_want_it() {
    let mut ledger = Ledger::new(0, 0, 0);
    for id in [1, 2] {
        ledger.join(id, 0);
    }
    assert_eq!(ledger.take(1, 1, [1, 2, 3]), waits(&[1, 2]), "3 is unknown");
    assert_eq!(ledger.take(1, 1, [1, 2]), Taken::Again);
    assert_eq!(ledger.take(2, 2, []), Taken::Done);
    assert!(!ledger.settled(1, 1));
    assert!(!ledger.settled(1, 1), "a second word changes nothing");
    assert!(ledger.settled(2, 1));
    assert!(ledger.events.is_empty());
}

/// Who is no member any more holds nothing up, and nothing that others want is let go.
#[test]
fn a_member_that_goes_holds_nothing_up() {
    let mut ledger = Ledger::new(0, 0, 0);
    for id in [1, 2] {
        ledger.join(id, 0);
    }
    ledger.take(1, 1, [1, 2]);
    ledger.take(2, 2, [1]);
    assert_eq!(ledger.remove(1), [2]);
    assert!(!ledger.settled(1, 1));
    assert!(ledger.settled(2, 1));
    // One that returns was counted for what came since, and for nothing before.
    ledger.join(3, 2);
    ledger.take(3, 3, [2, 3]);
    assert_eq!(ledger.leave(3), Some(3));
    assert_eq!(ledger.left(3), [0; 0]);
    assert_eq!(ledger.begin_return(3), Some(3));
    ledger.take(4, 4, [3]);
    assert_eq!(ledger.remove(3), [4]);
    assert!(ledger.settled(2, 3));
}

/// What it was busy with when it left is counted once, also when it leaves again.
#[test]
fn who_leaves_twice_lets_go_once() {
    let mut ledger = Ledger::new(0, 0, 0);
    for id in [1, 2] {
        ledger.join(id, 0);
    }
    ledger.take(1, 1, [1, 2]);
    for from in [1, 2] {
        assert_eq!(ledger.leave(1), Some(from));
        assert_eq!(ledger.left(1), [0; 0], "2 has it yet");
        assert_eq!(ledger.begin_return(1), Some(1));
        ledger.returned(1);
    }
    assert_eq!(ledger.events.len(), 1);
    assert!(ledger.settled(2, 1));
}

/// No more is remembered than a consumer of its own could bring again.
#[test]
fn what_cannot_come_again_is_forgotten() {
    let mut ledger = Ledger::new(0, 1, 1);
    ledger.join(1, 0);
    for place in 2..100 {
        ledger.take(place, place, [1]);
        assert!(ledger.settled(1, place));
    }
    assert_eq!(ledger.members[&1].done.len(), 98, "1 may come yet");
    let losses = ledger.is_left_over().unwrap();
    ledger.is_settled_to(99, 99, losses);
    assert!(ledger.members[&1].done.is_empty());
    ledger.take(100, 100, [1]);
    ledger.take(101, 101, [1]);
    ledger.settled(1, 101);
    assert_eq!(ledger.members[&1].done.len(), 1);
    ledger.settled(1, 100);
    assert!(ledger.members[&1].done.is_empty());
    assert_eq!(ledger.leave(1), Some(102));
}

/// Whether its settlement was lost, or a log that was killed has forgotten it.
#[test]
fn what_was_settled_here_and_comes_again_is_settled_at_once() {
    let mut ledger = Ledger::new(3, 5, 5);
    for id in [1, 2] {
        ledger.join(id, 0);
    }
    assert_eq!(ledger.take(6, 4, [1]), waits(&[1]), "of whoever was before");
    ledger.take(7, 6, [1, 2]);
    assert!(!ledger.settled(1, 6));
    assert_eq!(ledger.take(8, 6, [1, 2]), Taken::Again, "2 has it");
    assert!(ledger.settled(2, 6));
    assert_eq!(ledger.take(9, 6, [1, 2]), Taken::Done);
    assert_eq!(ledger.take(4, 6, [1, 2]), Taken::Done, "counted anew");
    assert_eq!(ledger.take(5, 8, [1]), waits(&[1]), "7 was lost");
    assert_eq!(ledger.take(6, 7, [1]), waits(&[1]));
}

/// Also where a log that was killed counts from an earlier number again.
#[test]
fn a_delivery_that_does_not_follow_the_last_one_is_a_loss() {
    for (number, is_loss) in [(1, true), (2, true), (3, false), (4, true)] {
        let mut ledger = Ledger::new(0, 0, 0);
        ledger.join(1, 0);
        ledger.take(1, 1, [1]);
        ledger.take(2, 2, [1]);
        ledger.take(number, 5, [1]);
        assert_eq!(ledger.is_left_over().is_some(), is_loss, "{number}");
        let from = ledger.leave(1).unwrap();
        assert!(from <= 3, "{from}: 3 may be lost");
        ledger.take(number + 1, 6, [1]);
        assert_eq!(
            ledger.is_left_over().is_some(),
            is_loss,
            "it goes on from there"
        );
    }
}
