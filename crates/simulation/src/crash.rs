//! A process that dies between any two of its steps.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// A future that is polled so often and then dropped.
#[derive(Debug)]
pub(crate) struct Mortal<F> {
    alive: Option<Pin<Box<F>>>,
    polls: u64,
}

impl<F> Mortal<F> {
    pub(crate) fn new(alive: F, polls: u64) -> Self {
        Self {
            alive: Some(Box::pin(alive)),
            polls,
        }
    }
}

impl<F: Future<Output = ()>> Future for Mortal<F> {
    /// Whether it ended by itself.
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        if self.polls == 0 {
            self.alive = None;
        }
        self.polls = self.polls.saturating_sub(1);
        match &mut self.alive {
            Some(alive) => alive.as_mut().poll(context).map(|()| true),
            None => Poll::Ready(false),
        }
    }
}
