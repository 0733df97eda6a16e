//! How much is taken in hand, and whom that is too much for.

use super::{Id, Limits, Member, State, Why};

impl<R> State<R> {
    /// How many more events may be read.
    pub(in crate::shared) fn room(&mut self) -> usize {
        let Limits {
            events_max,
            bytes_max,
            span_max,
            ..
        } = self.limits;
        let by_bytes = bytes_max.saturating_sub(self.bytes) / self.bytes_average.max(1);
        // One that is larger than all of it is taken alone.
        let by_bytes = by_bytes.max(usize::from(self.in_hand.is_empty()));
        let room = events_max.saturating_sub(self.in_hand.len()).min(by_bytes);
        let is_far_ahead = self.ledger.span() >= span_max;
        let room = if is_far_ahead { 0 } else { room };
        let room = room.min(self.room_of_one());
        self.is_full = room == 0;
        room
    }

    /// Whether somebody waits for what was released since, and there is room now.
    pub(in crate::shared) fn was_full(&mut self) -> bool {
        self.is_full && self.room() > 0
    }

    /// When half of it is used, those that are slowest are to have a consumer of their own.
    pub(in crate::shared) fn make_room(&mut self) {
        let Limits {
            events_max,
            bytes_max,
            span_max,
            ..
        } = self.limits;
        let is_tight = self.in_hand.len() > events_max / 2
            || self.bytes > bytes_max / 2
            || self.ledger.span() > span_max / 2;
        if is_tight {
            for id in self.ledger.holders() {
                self.let_leave(id, Why::Slowest);
            }
        }
    }

    // --- One that holds nobody up ---

    /// The only member, if there is only one: nobody waits for what is not read while it has enough,
    /// and with a consumer of its own each event would come twice.
    pub(super) fn alone(&self) -> Option<(Id, &Member<R>)> {
        let (id, member) = self.members.first_key_value()?;
        (self.members.len() == 1).then_some((*id, member))
    }

    /// How much may wait for it. Many are asked for at once.
    fn room_of_one(&self) -> usize {
        let Some((_, member)) = self.alone() else {
            return usize::MAX;
        };
        let Limits { waits_max, .. } = self.limits;
        match member.waits.len() > waits_max / 2 {
            true => 0,
            false => waits_max - member.waits.len(),
        }
    }

    /// One that has enough and takes nothing, for as long as from look to look, leaves all the same:
    /// what it has in hand takes signs of life.
    pub(in crate::shared) fn look(&mut self) {
        let is_stuck = self.given == self.given_before && self.room_of_one() == 0;
        self.given_before = self.given;
        if is_stuck && let Some((id, _)) = self.alone() {
            self.let_leave(id, Why::Slow);
        }
    }
}
