//! Which places there were, of a log that is read from one end to the other.

use std::collections::BTreeMap;

/// Most stretches that are remembered; the oldest are forgotten.
const STRETCHES_MAX: usize = 1_024;

/// Places, as stretches without a gap: from the first to the last of each.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(BTreeMap<u64, u64>);

impl Places {
    /// `false` if it was there, and was not forgotten.
    pub(super) fn insert(&mut self, place: u64) -> bool {
        let next = self.0.remove(&(place + 1));
        match self.0.range_mut(..=place).next_back() {
            Some((_, last)) if *last >= place => return false,
            Some((_, last)) if *last + 1 == place => *last = next.unwrap_or(place),
            Some(_) | None => {
                self.0.insert(place, next.unwrap_or(place));
            }
        }
        if self.0.len() > STRETCHES_MAX {
            self.0.pop_first();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_place_is_new_once() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut places, mut known) = (Places::default(), BTreeSet::new());
        for number in 0..3_000 {
            let place = number / 3 + rng.u64(1..200);
            assert_eq!(places.insert(place), known.insert(place), "{place}");
        }
        for place in 1..1_300 {
            places.insert(place);
        }
        assert_eq!(places.0.len(), 1, "without gaps it is one stretch");
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut places = Places::default();
        for place in (2..10_000).step_by(2) {
            assert!(places.insert(place));
        }
        assert_eq!(places.0.len(), STRETCHES_MAX);
        assert!(places.insert(2), "it was forgotten");
        assert!(!places.insert(9_998));
    }
}
