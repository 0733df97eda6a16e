//! Who wants an event, among members that come and go.

use std::collections::HashMap;

use tidegate_event::Event;
use tidegate_subscription::{Index, Matching};

use super::state::Id;

/// So many that came since are asked one by one.
const RECENT_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Wanted {
    members: HashMap<Id, Matching>,
    index: Index,
    /// Whose the places in the index are; some may be gone.
    places: Vec<Id>,
    /// Members that are not in the index.
    recent: Vec<Id>,
}

impl Wanted {
    /// Also in the place of what it wanted before.
    pub(super) fn add(&mut self, id: Id, matching: Matching) {
        self.remove(id);
        self.members.insert(id, matching);
        self.recent.push(id);
    }

    pub(super) fn remove(&mut self, id: Id) {
        if self.members.remove(&id).is_none() {
            return;
        }
        self.recent.retain(|recent| *recent != id);
        for place in &mut self.places {
            if *place == id {
                *place = Id::NOBODY;
            }
        }
    }

    /// Each member that wants it, once.
    pub(super) fn find(&mut self, event: &Event) -> Vec<Id> {
        if self.recent.len() > RECENT_MAX {
            self.build();
        }
        let found = self.index.find(event).into_iter();
        let ids = found.filter_map(|found| self.places.get(found.place).copied());
        let mut ids: Vec<Id> = ids.filter(|id| *id != Id::NOBODY).collect();
        let wants = |id: &&Id| {
            let matching = self.members.get(id);
            matching.is_some_and(|matching| matching.matches(event).is_some())
        };
        ids.extend(self.recent.iter().filter(wants));
        ids
    }

    fn build(&mut self) {
        self.recent.clear();
        self.places = self.members.keys().copied().collect();
        self.places.sort_unstable();
        let matchings = self.places.iter().filter_map(|id| self.members.get(id));
        self.index = Index::new(matchings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever came, changed and went: those that want an event now are found, each once.
    #[test]
    fn members_are_found_as_they_are_now() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut wanted = Wanted::default();
        let mut known: HashMap<Id, u32> = HashMap::new();
        let matching = |number: u32| Matching::Standard {
            source: "/s".to_owned(),
            types: vec![format!("t{number}")],
        };
        for _ in 0..2_000 {
            let id = Id(rng.u32(1..200));
            if rng.u8(..) < 80 {
                wanted.remove(id);
                known.remove(&id);
            } else {
                let number = rng.u32(..5);
                wanted.add(id, matching(number));
                known.insert(id, number);
            }
            let number = rng.u32(..5);
            let mut found = wanted.find(&Event::new("1", "/s", format!("t{number}")));
            found.sort_unstable();
            let mut expected: Vec<Id> = known
                .iter()
                .filter(|(_, one)| **one == number)
                .map(|(id, _)| *id)
                .collect();
            expected.sort_unstable();
            assert_eq!(found, expected);
        }
    }
}
