//! What is in hand and not under way.

use std::collections::VecDeque;

/// Those in line, and those put aside because their sink failed when they were tried. They take
/// turns: neither do a few that fail hide one that would work, nor do new ones keep them waiting.
#[derive(Debug)]
pub(crate) struct Waiting<T> {
    line: VecDeque<T>,
    aside: VecDeque<T>,
    /// It had it last.
    aside_had_its_turn: bool,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self {
            line: VecDeque::new(),
            aside: VecDeque::new(),
            aside_had_its_turn: false,
        }
    }
}

impl<T> Waiting<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.line.is_empty() && self.aside.is_empty()
    }

    /// How many are put aside.
    pub(crate) fn aside(&self) -> usize {
        self.aside.len()
    }

    pub(crate) fn push(&mut self, one: T) {
        self.line.push_back(one);
    }

    /// It is the next one again.
    pub(crate) fn put_back(&mut self, one: T) {
        self.line.push_front(one);
    }

    /// After it, one in line has its turn.
    pub(crate) fn put_aside(&mut self, one: T) {
        self.aside.push_back(one);
        self.aside_had_its_turn = true;
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        self.aside_had_its_turn = !self.aside_had_its_turn;
        let (first, second) = match self.aside_had_its_turn {
            true => (&mut self.aside, &mut self.line),
            false => (&mut self.line, &mut self.aside),
        };
        first.pop_front().or_else(|| second.pop_front())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.line.iter().chain(&self.aside)
    }

    /// All of them, out of here.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = T> + use<T> {
        let Self { line, aside, .. } = std::mem::take(self);
        line.into_iter().chain(aside)
    }
}
