//! How far a consumer is behind, and whether it has to wait for its turn to read on.

use super::{
    reply::Place,
    turns::{Turn, Turns},
};

/// Who is less behind than that reads what the server has at hand.
const FAR: u64 = 10_000;

/// Whoever wants one in so many of the events reads on without turns: most of what the server
/// looks at for it, it wants.
const SPARSE: u64 = 16;

/// Places that the server looks through in a turn, as far as that is known: some 0.3 ms, for which
/// whoever publishes waits.
const PLACES: u64 = 1_000;

/// Most events of a turn.
const STEP_MAX: u64 = 256;

/// One consumer, by what is known of it here.
#[derive(Debug)]
pub(super) struct Behind {
    turns: Turns,
    /// Up to where the server has looked for events; not known before the first.
    searched: Option<u64>,
    /// How many more there were, when the last one came.
    pending: u64,
    /// In how many places the last one was the only one.
    gap: u64,
    turn: Option<Turn>,
}

impl Behind {
    pub(super) fn new(turns: Turns) -> Self {
        Self {
            turns,
            searched: None,
            pending: 0,
            gap: PLACES,
            turn: None,
        }
    }

    /// An event has come.
    pub(super) fn delivered(&mut self, place: &Place) {
        self.turns.seen(place.sequence);
        if let Some(searched) = self.searched
            && place.sequence > searched
        {
            self.gap = place.sequence - searched;
        }
        self.searched = self.searched.max(Some(place.sequence));
        self.pending = place.pending;
        if place.pending == 0 {
            self.searched_all();
        }
    }

    /// There is no more, for now.
    pub(super) fn searched_all(&mut self) {
        self.searched = self.searched.max(Some(self.turns.head()));
        self.pending = 0;
    }

    /// Whether the next event is far away, among many that are not wanted.
    pub(super) fn is_far(&self) -> bool {
        let Some(searched) = self.searched else {
            return false;
        };
        let distance = self.turns.head().saturating_sub(searched);
        distance > FAR && self.pending.saturating_mul(SPARSE) < distance
    }

    /// How many events to ask for in a turn: as many as there are in so many places, if they go on as
    /// they are.
    pub(super) fn step(&self) -> usize {
        let events = (PLACES / self.gap.max(1)).clamp(1, STEP_MAX);
        usize::try_from(events).unwrap_or(1)
    }

    /// Whether it may read on, having to wait for that.
    pub(super) fn take_turn(&mut self) -> bool {
        let (turns, place) = (&self.turns, self.searched.unwrap_or(0));
        let turn = self.turn.get_or_insert_with(|| turns.wait(place));
        turn.take()
    }

    /// It has what it asked for.
    pub(super) fn end_step(&mut self) {
        if self.turn.as_ref().is_some_and(Turn::is_taken) {
            self.turn = None;
        }
    }

    /// It wants nothing now, or nothing for which it has to wait.
    pub(super) fn end_turn(&mut self) {
        self.turn = None;
    }

    /// Waits until it may be its turn; for ever where it does not wait for one.
    pub(super) async fn may_be_its_turn(&self) {
        match &self.turn {
            Some(turn) => turn.may_be_taken().await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn place(sequence: u64, pending: u64) -> Place {
        Place {
            sequence,
            attempt: 1,
            delivery: 1,
            stored_at: SystemTime::UNIX_EPOCH,
            pending,
        }
    }

    /// Only who has much to look through for little.
    #[test]
    fn few_events_in_an_old_part_are_far() {
        let turns = Turns::default();
        let mut behind = Behind::new(turns.clone());
        turns.seen(100_000);
        assert!(!behind.is_far(), "nothing is known");
        behind.delivered(&place(10, 500));
        assert!(behind.is_far());
        behind.delivered(&place(95_000, 20));
        assert!(!behind.is_far(), "it is near");
        turns.seen(200_000);
        assert!(behind.is_far());
        behind.delivered(&place(100_000, 50_000));
        assert!(!behind.is_far(), "it wants every other");
        behind.searched_all();
        assert!(!behind.is_far(), "there is none");
        turns.seen(300_000);
        assert!(behind.is_far(), "and nobody has looked since");
    }

    /// A turn is as long as the server looks, and not as long as events are few.
    #[test]
    fn where_events_are_close_a_turn_has_many() {
        let mut behind = Behind::new(Turns::default());
        assert_eq!(behind.step(), 1, "nothing is known");
        let mut step = |sequence| {
            behind.delivered(&place(sequence, 100));
            behind.step()
        };
        assert_eq!([step(10), step(11)], [1, 256]);
        assert_eq!([step(21), step(521), step(5_000)], [100, 2, 1]);
        assert_eq!(step(4_999), 1, "one that comes again tells nothing");
    }
}
