//! One place among those that wait, and the reply subject that goes with it.
//!
//! nats-server routes a subject that it had lately for a fraction of what a new one costs. So one is
//! used again, as long as all that ever came on it said: stored, at a place after those before. An
//! answer that comes once more for an earlier append says either a place from before, or that this
//! one was a duplicate; so neither counts for the append that waits, which is asked for again on a
//! subject that nothing was ever sent with (decision 0020).

use std::{mem, task::Waker};

use tokio::time::Instant;

use super::super::answer::Answer;
use crate::{AppendError, Stored};

#[derive(Debug)]
pub(super) struct Slot {
    /// Which subject: an answer on a former one meets nobody.
    generation: u32,
    /// The last place that was answered on this subject, if it was used before.
    last: Option<u64>,
    /// All that came in this use said: stored, at a new place.
    is_clean: bool,
    /// The former subject had all its answers: one more is one too many.
    was_answered: bool,
    appends: usize,
    missing: usize,
    /// Where those of this use are stored, in ascending order.
    places: Vec<u64>,
    pub(super) deadline: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    Free,
    Waiting(Option<Waker>),
    Answered(Answer),
}

/// What an answer leads to.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) waker: Option<Waker>,
    /// This one came although all answers had come before.
    pub(super) is_second: bool,
}

impl Slot {
    pub(super) fn new(deadline: Instant) -> Self {
        Self {
            generation: 0,
            last: None,
            is_clean: false,
            was_answered: false,
            appends: 0,
            missing: 0,
            places: Vec::new(),
            deadline,
            state: State::Free,
        }
    }

    /// Takes it for so many appends, with a subject that was never used if that is asked for. Which
    /// subject is returned.
    pub(super) fn take(&mut self, appends: usize, anew: bool, deadline: Instant) -> u32 {
        if anew && self.last.is_some() {
            self.abandon_subject();
            self.was_answered = true;
        }
        self.is_clean = true;
        self.appends = appends;
        self.missing = appends;
        self.places.clear();
        self.deadline = deadline;
        self.state = State::Waiting(None);
        self.generation
    }

    /// One is stored, as something new.
    pub(super) fn stored(&mut self, generation: u32, place: u64) -> Heard {
        if let Some(heard) = self.not_awaited(generation) {
            return heard;
        }
        let after = self.places.last().copied().or(self.last).unwrap_or(0);
        if place > after {
            self.places.push(place);
        } else {
            self.insert(place);
        }
        if !self.counts_last() {
            return Heard::default();
        }
        let answer = match self.places.last() {
            Some(&sequence) if self.is_clean => {
                self.last = Some(sequence);
                let duplicate = false;
                Answer::Stored(Stored {
                    sequence,
                    duplicate,
                })
            }
            _ => Answer::Unsure,
        };
        self.finish(answer)
    }

    /// Anything else was answered.
    pub(super) fn told(&mut self, generation: u32, answer: Answer) -> Heard {
        if let Some(heard) = self.not_awaited(generation) {
            return heard;
        }
        self.is_clean = false;
        let is_sure = self.appends == 1 && self.last.is_none();
        if !self.counts_last() {
            return Heard::default();
        }
        self.finish(if is_sure { answer } else { Answer::Unsure })
    }

    /// Who waits is told that nothing will come any more.
    pub(super) fn fail(&mut self, error: impl FnOnce(Instant) -> Option<AppendError>) -> Heard {
        if let State::Waiting(_) = self.state
            && let Some(error) = error(self.deadline)
        {
            return self.finish(Answer::Failed(error));
        }
        Heard::default()
    }

    pub(super) fn answer(&mut self, waker: &Waker) -> Option<Answer> {
        match &mut self.state {
            State::Answered(answer) => return Some(answer.clone()),
            State::Waiting(Some(waiting)) => waiting.clone_from(waker),
            State::Waiting(none) => *none = Some(waker.clone()),
            State::Free => {}
        }
        None
    }

    /// Where those of this use are stored, as far as it is known.
    pub(super) fn places(&mut self) -> Vec<u64> {
        mem::take(&mut self.places)
    }

    /// Nobody waits any more.
    pub(super) fn release(&mut self) {
        if !self.is_clean || self.missing > 0 {
            self.abandon_subject();
        }
        self.state = State::Free;
        self.places.clear();
        // The room of many is not kept for one.
        self.places.shrink_to(4);
    }

    /// What an answer means when no append waits for it.
    fn not_awaited(&mut self, generation: u32) -> Option<Heard> {
        let is_second = if generation != self.generation {
            self.was_answered && generation == self.generation.wrapping_sub(1)
        } else {
            match self.state {
                State::Waiting(_) => return None,
                // Or nothing had come in time, and now it does.
                State::Answered(_) => self.missing == 0,
                State::Free => {
                    self.abandon_subject();
                    self.was_answered = true;
                    true
                }
            }
        };
        Some(Heard {
            waker: None,
            is_second,
        })
    }

    /// A place that is not after all others.
    fn insert(&mut self, place: u64) {
        match self.places.binary_search(&place) {
            Err(at) if self.last.is_none_or(|last| place > last) => self.places.insert(at, place),
            Ok(_) | Err(_) => self.is_clean = false,
        }
    }

    /// One answer more; whether it is the last one.
    fn counts_last(&mut self) -> bool {
        self.missing = self.missing.saturating_sub(1);
        self.missing == 0
    }

    fn finish(&mut self, answer: Answer) -> Heard {
        let state = mem::replace(&mut self.state, State::Answered(answer));
        let State::Waiting(waker) = state else {
            return Heard::default();
        };
        Heard {
            waker,
            is_second: false,
        }
    }

    /// The next use has another one.
    fn abandon_subject(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.last = None;
        self.was_answered = false;
    }
}
