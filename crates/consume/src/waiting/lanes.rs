//! Events in order by key: a lane for each key, and of each lane one at a time.
//!
//! A lane knows all of its events that are not settled: those in hand, and the places of those
//! that wait in the log. It goes on with the first of them only, so that one which waits for its
//! retry is passed by none of its key, and by all others.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// What is called back from the log for a lane at once.
const CALLED_MAX: usize = 16;

/// What an event has to be in order with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// The events of this key.
    Named(Arc<str>),
    /// Itself, by its place.
    Alone(u64),
}

#[derive(Debug)]
pub(crate) struct Lanes<T, R> {
    /// Those that have any event. In order, so that a run can be repeated.
    lanes: BTreeMap<Key, Lane<T, R>>,
    /// Those whose first event is in hand, in the order of their turns.
    ready: VecDeque<Key>,
    in_hand: usize,
}

#[derive(Debug)]
struct Lane<T, R> {
    in_hand: BTreeMap<u64, T>,
    in_log: BTreeMap<u64, InLog<R>>,
    is_under_way: bool,
    is_ready: bool,
}

#[derive(Debug)]
struct InLog<R> {
    receipt: Arc<R>,
    /// It has a time of its own to come, or was told to come.
    is_coming: bool,
}

impl<T, R> Default for Lanes<T, R> {
    fn default() -> Self {
        Self {
            lanes: BTreeMap::new(),
            ready: VecDeque::new(),
            in_hand: 0,
        }
    }
}

impl<T, R> Default for Lane<T, R> {
    fn default() -> Self {
        Self {
            in_hand: BTreeMap::new(),
            in_log: BTreeMap::new(),
            is_under_way: false,
            is_ready: false,
        }
    }
}

impl<T, R> Lane<T, R> {
    /// Its first event is in hand, and nothing of it is under way.
    fn may_go_on(&self) -> bool {
        let first_in_log = self.in_log.keys().next().copied();
        let first = self.in_hand.keys().next();
        !self.is_under_way && first.is_some_and(|place| first_in_log.is_none_or(|log| *place < log))
    }

    fn is_empty(&self) -> bool {
        self.in_hand.is_empty() && self.in_log.is_empty() && !self.is_under_way
    }
}

impl<T, R> Lanes<T, R> {
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn aside(&self) -> usize {
        self.in_hand - self.ready.len()
    }

    pub(super) fn push(&mut self, key: Key, place: u64, one: T) {
        let lane = self.lanes.entry(key.clone()).or_default();
        lane.in_log.remove(&place);
        lane.in_hand.insert(place, one);
        self.in_hand += 1;
        self.refresh(&key);
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let key = self.ready.pop_front()?;
        let lane = self.lanes.get_mut(&key)?;
        lane.is_ready = false;
        lane.is_under_way = true;
        self.in_hand -= 1;
        lane.in_hand.pop_first().map(|(_, one)| one)
    }

    pub(super) fn put_back(&mut self, key: Key, place: u64, one: T) {
        self.end(&key);
        self.push(key.clone(), place, one);
        if self.ready.back() == Some(&key) {
            self.ready.rotate_right(1);
        }
    }

    pub(super) fn put_aside(&mut self, key: Key, place: u64, one: T) {
        self.end(&key);
        self.push(key, place, one);
    }

    pub(super) fn handed_back(&mut self, key: Key, place: u64, receipt: Arc<R>) {
        let lane = self.lanes.entry(key).or_default();
        lane.is_under_way = false;
        lane.in_log.insert(
            place,
            InLog {
                receipt,
                is_coming: true,
            },
        );
    }

    pub(super) fn settled(&mut self, key: &Key) -> Vec<Arc<R>> {
        self.end(key);
        self.go_on(key)
    }

    fn go_on(&mut self, key: &Key) -> Vec<Arc<R>> {
        let Some(lane) = self.lanes.get_mut(key) else {
            return Vec::new();
        };
        if lane.is_empty() {
            self.lanes.remove(key);
            return Vec::new();
        }
        let first = lane.in_hand.keys().next().copied().unwrap_or(u64::MAX);
        let next = lane.in_log.range_mut(..first).take(CALLED_MAX);
        let called = next
            .filter(|(_, one)| !one.is_coming)
            .map(|(_, one)| {
                one.is_coming = true;
                Arc::clone(&one.receipt)
            })
            .collect();
        self.refresh(key);
        called
    }

    fn end(&mut self, key: &Key) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.is_under_way = false;
        }
    }

    fn refresh(&mut self, key: &Key) {
        let Some(lane) = self.lanes.get_mut(key) else {
            return;
        };
        if !lane.is_ready && lane.may_go_on() {
            lane.is_ready = true;
            self.ready.push_back(key.clone());
        }
    }

    /// How many events it knows that are not under way.
    pub(crate) fn known(&self) -> usize {
        let in_log = self.lanes.values().map(|lane| lane.in_log.len());
        self.in_hand + in_log.sum::<usize>()
    }

    /// The places of all that is known, with their keys.
    pub(crate) fn places(&self) -> impl Iterator<Item = (u64, Key)> {
        self.lanes.iter().flat_map(|(key, lane)| {
            let places = lane.in_hand.keys().chain(lane.in_log.keys());
            places.map(|place| (*place, key.clone()))
        })
    }

    /// How one that waits in the log is settled.
    pub(crate) fn receipt_in_log(&self, key: &Key, place: u64) -> Option<Arc<R>> {
        let one = self.lanes.get(key)?.in_log.get(&place)?;
        Some(Arc::clone(&one.receipt))
    }

    /// One that waits here, out of here.
    pub(crate) fn remove(&mut self, key: &Key, place: u64) -> Option<T> {
        let lane = self.lanes.get_mut(key)?;
        let one = lane.in_hand.remove(&place)?;
        self.in_hand -= 1;
        if std::mem::take(&mut lane.is_ready) {
            self.ready.retain(|ready| ready != key);
        }
        self.refresh(key);
        Some(one)
    }

    /// One waits in the log until something else happens, and all behind it.
    pub(crate) fn stopped(&mut self, key: Key, place: u64, receipt: Arc<R>) {
        let lane = self.lanes.entry(key.clone()).or_default();
        let is_coming = true;
        lane.in_log.insert(place, InLog { receipt, is_coming });
        if std::mem::take(&mut lane.is_ready) {
            self.ready.retain(|ready| *ready != key);
        }
        self.refresh(&key);
    }

    /// One that waited in the log is settled. Returned is what is wanted here now.
    pub(crate) fn gone(&mut self, key: &Key, place: u64) -> Vec<Arc<R>> {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.in_log.remove(&place);
        }
        self.go_on(key)
    }

    /// An event that has come waits in the log again: its lane does not go on soon.
    pub(crate) fn sent_back(&mut self, key: Key, place: u64, receipt: Arc<R>) {
        let lane = self.lanes.entry(key).or_default();
        lane.in_log.insert(
            place,
            InLog {
                receipt,
                is_coming: false,
            },
        );
    }

    /// The later half of the longest lane, to make room for others. With `blocked_only`, of those
    /// that wait for an event in the log.
    pub(crate) fn spill(&mut self, blocked_only: bool) -> Vec<(u64, Key, T)> {
        let lanes = self.lanes.iter();
        let may = lanes
            .filter(|(_, lane)| !blocked_only || !(lane.is_under_way || lane.in_log.is_empty()));
        let longest = may.max_by_key(|(_, lane)| lane.in_hand.len());
        let Some((key, _)) = longest else {
            return Vec::new();
        };
        let key = key.clone();
        let Some(lane) = self.lanes.get_mut(&key) else {
            return Vec::new();
        };
        // One that may go on keeps its first.
        let kept = (lane.in_hand.len() / 2).max(usize::from(lane.is_ready));
        let later: Vec<u64> = lane.in_hand.keys().copied().skip(kept).collect();
        let spilt: Vec<_> = later
            .into_iter()
            .filter_map(|place| Some((place, key.clone(), lane.in_hand.remove(&place)?)))
            .collect();
        self.in_hand -= spilt.len();
        spilt
    }

    /// The later half of all that is in hand, whatever their lanes. Nothing is under way.
    pub(crate) fn spill_latest(&mut self) -> Vec<(u64, Key, T)> {
        let lanes = self.lanes.iter();
        let places = lanes.flat_map(|(key, lane)| lane.in_hand.keys().map(move |at| (*at, key)));
        let mut places: Vec<(u64, Key)> = places.map(|(at, key)| (at, key.clone())).collect();
        places.sort_unstable();
        let mut spilt = Vec::new();
        for (place, key) in places.split_off(places.len() / 2) {
            let Some(lane) = self.lanes.get_mut(&key) else {
                continue;
            };
            if let Some(one) = lane.in_hand.remove(&place) {
                if lane.in_hand.is_empty() && std::mem::take(&mut lane.is_ready) {
                    self.ready.retain(|ready| *ready != key);
                }
                spilt.push((place, key, one));
            }
        }
        self.in_hand -= spilt.len();
        spilt
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.lanes.values().flat_map(|lane| lane.in_hand.values())
    }

    pub(super) fn take(&mut self) -> (Vec<T>, Vec<Arc<R>>) {
        let (mut here, mut in_log) = (Vec::new(), Vec::new());
        for lane in std::mem::take(&mut self.lanes).into_values() {
            here.extend(lane.in_hand.into_values());
            in_log.extend(lane.in_log.into_values().map(|one| one.receipt));
        }
        self.ready.clear();
        self.in_hand = 0;
        (here, in_log)
    }
}
