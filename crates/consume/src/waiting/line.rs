//! Events in no order: first come, first tried.

use std::collections::VecDeque;

/// Those in line, and those put aside because their sink failed when they were tried. They take
/// turns: neither do a few that fail hide one that would work, nor do new ones keep them waiting.
#[derive(Debug)]
pub(crate) struct Line<T> {
    line: VecDeque<T>,
    aside: VecDeque<T>,
    /// It had it last.
    aside_had_its_turn: bool,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            line: VecDeque::new(),
            aside: VecDeque::new(),
            aside_had_its_turn: false,
        }
    }
}

impl<T> Line<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty() && self.aside.is_empty()
    }

    /// How many are put aside.
    pub(super) fn aside(&self) -> usize {
        self.aside.len()
    }

    pub(super) fn push(&mut self, one: T) {
        self.line.push_back(one);
    }

    /// It is the next one again.
    pub(super) fn put_back(&mut self, one: T) {
        self.line.push_front(one);
    }

    /// After it, one in line has its turn.
    pub(super) fn put_aside(&mut self, one: T) {
        self.aside.push_back(one);
        self.aside_had_its_turn = true;
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        self.aside_had_its_turn = !self.aside_had_its_turn;
        let (first, second) = match self.aside_had_its_turn {
            true => (&mut self.aside, &mut self.line),
            false => (&mut self.line, &mut self.aside),
        };
        first.pop_front().or_else(|| second.pop_front())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.line.iter().chain(&self.aside)
    }

    /// All of them, out of here.
    pub(super) fn take(&mut self) -> impl Iterator<Item = T> + use<T> {
        let Self { line, aside, .. } = std::mem::take(self);
        line.into_iter().chain(aside)
    }
}
