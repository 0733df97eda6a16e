//! How Subscriptions stand: written by those who run them, read by operators.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use super::pauses::Paused;
use crate::folder::FileMistake;

/// How one Subscription stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Its consumer is being made: it gets nothing yet.
    Opening,
    /// It gets every event that is stored.
    Open,
    /// It cannot run.
    Unusable(String),
    /// Other processes deliver for it: this one has doors only.
    Elsewhere,
}

/// How all of them stand, and what is wrong with documents.
#[derive(Clone, Debug, Default)]
pub(crate) struct States(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    states: HashMap<String, (State, SystemTime)>,
    mistakes: Vec<FileMistake>,
    paused: HashMap<String, Paused>,
}

impl States {
    pub(super) fn set(&self, subscription: &str, state: State) {
        let mut inner = self.lock();
        let known = inner.states.get(subscription);
        if known.is_none_or(|(known, _)| *known != state) {
            let since = (state, SystemTime::now());
            inner.states.insert(subscription.to_owned(), since);
        }
    }

    pub(super) fn remove(&self, subscription: &str) {
        self.lock().states.remove(subscription);
    }

    pub(super) fn set_mistakes(&self, mistakes: Vec<FileMistake>) {
        self.lock().mistakes = mistakes;
    }

    /// All that are paused, by id.
    pub(super) fn set_paused(&self, paused: HashMap<String, Paused>) {
        self.lock().paused = paused;
    }

    /// What pauses one.
    pub(crate) fn paused(&self, subscription: &str) -> Option<Paused> {
        self.lock().paused.get(subscription).cloned()
    }

    /// How one stands, and since when.
    pub(crate) fn of(&self, subscription: &str) -> Option<(State, SystemTime)> {
        self.lock().states.get(subscription).cloned()
    }

    /// What is wrong with documents, with file and line.
    pub(crate) fn mistakes(&self) -> Vec<FileMistake> {
        self.lock().mistakes.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is complete before anything in it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
