//! What is in hand and not under way, and which of it is next.

mod lanes;
mod line;

use std::sync::Arc;

pub(crate) use self::lanes::Key;
use self::{lanes::Lanes, line::Line};

/// In no order, or in order by key. `T` is what is in hand, `R` how a delivery is settled.
#[derive(Debug)]
pub(crate) enum Waiting<T, R> {
    Line(Line<T>),
    Lanes(Lanes<T, R>),
}

impl<T, R> Waiting<T, R> {
    pub(crate) fn new(is_ordered: bool) -> Self {
        match is_ordered {
            true => Self::Lanes(Lanes::default()),
            false => Self::Line(Line::default()),
        }
    }

    /// Whether one may be tried now.
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::Line(line) => !line.is_empty(),
            Self::Lanes(lanes) => lanes.is_ready(),
        }
    }

    /// How many are here that are not to be tried next, whatever room there is for attempts.
    pub(crate) fn aside(&self) -> usize {
        match self {
            Self::Line(line) => line.aside(),
            Self::Lanes(lanes) => lanes.aside(),
        }
    }

    /// One has come.
    pub(crate) fn push(&mut self, key: Key, place: u64, one: T) {
        match self {
            Self::Line(line) => line.push(one),
            Self::Lanes(lanes) => lanes.push(key, place, one),
        }
    }

    /// The next one to try; it is under way then.
    pub(crate) fn pop(&mut self) -> Option<T> {
        match self {
            Self::Line(line) => line.pop(),
            Self::Lanes(lanes) => lanes.pop(),
        }
    }

    /// One that was under way is the next one again.
    pub(crate) fn put_back(&mut self, key: Key, place: u64, one: T) {
        match self {
            Self::Line(line) => line.put_back(one),
            Self::Lanes(lanes) => lanes.put_back(key, place, one),
        }
    }

    /// One that was under way is to be tried again when others had their turn.
    pub(crate) fn put_aside(&mut self, key: Key, place: u64, one: T) {
        match self {
            Self::Line(line) => line.put_aside(one),
            Self::Lanes(lanes) => lanes.put_aside(key, place, one),
        }
    }

    /// One that was under way waits in the log.
    pub(crate) fn handed_back(&mut self, key: Key, place: u64, receipt: Arc<R>) {
        if let Self::Lanes(lanes) = self {
            lanes.handed_back(key, place, receipt);
        }
    }

    /// One that was under way is settled. Returned is what waits in the log and is wanted here now.
    pub(crate) fn settled(&mut self, key: &Key) -> Vec<Arc<R>> {
        match self {
            Self::Line(_) => Vec::new(),
            Self::Lanes(lanes) => lanes.settled(key),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let (line, lanes) = match self {
            Self::Line(line) => (Some(line), None),
            Self::Lanes(lanes) => (None, Some(lanes)),
        };
        let line = line.into_iter().flat_map(Line::iter);
        line.chain(lanes.into_iter().flat_map(Lanes::iter))
    }

    /// All that is here, out of here, and what is known to wait in the log.
    pub(crate) fn take(&mut self) -> (Vec<T>, Vec<Arc<R>>) {
        match self {
            Self::Line(line) => (line.take().collect(), Vec::new()),
            Self::Lanes(lanes) => lanes.take(),
        }
    }
}
