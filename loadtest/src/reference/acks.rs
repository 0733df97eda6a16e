//! Which acknowledgements wait: a number for each request, and how many messages it has.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

/// Messages of one connection that wait for JetStream; more are refused.
const MESSAGES_MAX: u32 = 32_768;

#[derive(Debug, Default)]
pub(crate) struct Acks {
    table: RefCell<Table>,
}

#[derive(Debug, Default)]
struct Table {
    requests: Vec<Request>,
    free: Vec<u32>,
    /// Of all requests together.
    messages: u32,
}

#[derive(Debug, Default)]
struct Request {
    left: u32,
    is_refused: bool,
    /// Nobody waits any more; the number is free once everything came.
    is_abandoned: bool,
    waker: Option<Waker>,
}

/// JetStream refused one of the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// The acknowledgements of one request.
#[derive(Debug)]
pub(crate) struct Waiting {
    acks: Rc<Acks>,
    number: u32,
    is_done: bool,
}

impl Acks {
    /// A number for this many messages; none where too many wait.
    pub(crate) fn wait(self: &Rc<Self>, messages: u32) -> Option<Waiting> {
        let mut table = self.table.borrow_mut();
        let all = table.messages.checked_add(messages)?;
        if all > MESSAGES_MAX {
            return None;
        }
        table.messages = all;
        let request = Request {
            left: messages,
            ..Request::default()
        };
        let number = match table.free.pop() {
            Some(number) => {
                *table.requests.get_mut(number as usize)? = request;
                number
            }
            None => {
                table.requests.push(request);
                u32::try_from(table.requests.len() - 1).ok()?
            }
        };
        Some(Waiting {
            acks: Rc::clone(self),
            number,
            is_done: false,
        })
    }

    /// One message of this number is stored, or refused.
    pub(crate) fn answered(&self, number: u64, is_stored: bool) {
        let mut table = self.table.borrow_mut();
        let Some(request) = usize::try_from(number)
            .ok()
            .and_then(|number| table.requests.get_mut(number))
            .filter(|request| request.left > 0)
        else {
            return;
        };
        request.left -= 1;
        request.is_refused |= !is_stored;
        let is_last = request.left == 0;
        let waker = request.waker.take_if(|_| is_last);
        let is_free = is_last && request.is_abandoned;
        table.messages -= 1;
        if is_free {
            table.free.extend(u32::try_from(number));
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Messages that wait.
    pub(crate) fn messages(&self) -> u32 {
        self.table.borrow().messages
    }
}

impl Waiting {
    pub(crate) fn number(&self) -> u32 {
        self.number
    }
}

impl Future for Waiting {
    type Output = Result<(), Refused>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut table = self.acks.table.borrow_mut();
        let Some(request) = table.requests.get_mut(self.number as usize) else {
            return Poll::Ready(Err(Refused));
        };
        if request.left > 0 {
            request.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        let is_refused = request.is_refused;
        table.free.push(self.number);
        drop(table);
        self.is_done = true;
        Poll::Ready(if is_refused { Err(Refused) } else { Ok(()) })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.is_done {
            return;
        }
        let mut table = self.acks.table.borrow_mut();
        let Some(request) = table.requests.get_mut(self.number as usize) else {
            return;
        };
        request.is_abandoned = true;
        request.waker = None;
        if request.left == 0 {
            table.free.push(self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// A request is answered when the last of its messages is stored.
    #[test]
    fn a_request_waits_for_all_its_messages() {
        let acks = Rc::new(Acks::default());
        let mut waiting = acks.wait(2).unwrap();
        let number = u64::from(waiting.number());
        acks.answered(number, true);
        assert_eq!((&mut waiting).now_or_never(), None);
        acks.answered(number, true);
        assert_eq!((&mut waiting).now_or_never(), Some(Ok(())));
        drop(waiting);
        assert_eq!(acks.messages(), 0);
        assert_eq!(u64::from(acks.wait(1).unwrap().number()), number);
    }

    /// One message that is refused refuses the request.
    #[test]
    fn a_refusal_is_not_lost_among_acknowledgements() {
        let acks = Rc::new(Acks::default());
        let mut waiting = acks.wait(2).unwrap();
        acks.answered(waiting.number().into(), false);
        acks.answered(waiting.number().into(), true);
        assert_eq!((&mut waiting).now_or_never(), Some(Err(Refused)));
    }

    /// The number of a sender that went away is not given to another before everything came.
    #[test]
    fn an_abandoned_number_is_not_reused_too_early() {
        let acks = Rc::new(Acks::default());
        let waiting = acks.wait(1).unwrap();
        let number = waiting.number();
        drop(waiting);
        let other = acks.wait(1).unwrap();
        assert_ne!(other.number(), number);
        acks.answered(number.into(), true);
        assert_eq!(acks.wait(1).unwrap().number(), number);
    }

    /// More than the bound are refused, and an answer that nobody waits for is ignored.
    #[test]
    fn what_waits_is_bounded() {
        let acks = Rc::new(Acks::default());
        let _all = acks.wait(MESSAGES_MAX).unwrap();
        assert!(acks.wait(1).is_none());
        acks.answered(4_711, true);
        assert_eq!(acks.messages(), MESSAGES_MAX);
    }
}
