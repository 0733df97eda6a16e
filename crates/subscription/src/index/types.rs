//! Who wants which types, of one source or of any.

use std::collections::hash_map::Entry;

use super::{Map, Place};
use crate::TypeInterest;

/// Beginnings of more parts are kept with those of so many, and asked by their filters.
const PARTS_MAX: usize = 64;

#[derive(Clone, Debug, Default)]
pub(super) struct Types {
    any: Vec<Place>,
    exact: Map<Vec<Place>>,
    /// By the dot-separated parts that a type begins with.
    below: Map<Vec<Place>>,
    /// Bit by bit, which numbers of parts occur there.
    depths: u64,
}

impl Types {
    pub(super) fn add(&mut self, wanted: TypeInterest<'_>, place: Place) {
        match wanted {
            TypeInterest::Any => self.any.push(place),
            TypeInterest::Exact(text) => put(self.exact.entry(text.into()), place),
            TypeInterest::Below(parts) => {
                let dots = parts.match_indices('.').map(|(at, _)| at);
                let ends: Vec<usize> = dots.chain([parts.len()]).collect();
                let depth = ends.len().min(PARTS_MAX);
                let end = ends.get(depth - 1).copied().unwrap_or(parts.len());
                self.depths |= 1 << (depth - 1);
                put(self.below.entry(parts[..end].into()), place);
            }
        }
    }

    /// Whoever may want an event of this type; the same one may come twice.
    pub(super) fn find(&self, r#type: &str, candidates: &mut Vec<Place>) {
        candidates.extend(&self.any);
        if !self.exact.is_empty() {
            candidates.extend(self.exact.get(r#type).into_iter().flatten());
        }
        if self.depths == 0 {
            return;
        }
        for (depth, (at, _)) in r#type.match_indices('.').take(PARTS_MAX).enumerate() {
            if self.depths >> depth & 1 == 1 {
                candidates.extend(self.below.get(&r#type[..at]).into_iter().flatten());
            }
        }
    }
}

fn put(entry: Entry<'_, Box<str>, Vec<Place>>, place: Place) {
    let places = entry.or_default();
    if places.last() != Some(&place) {
        places.push(place);
    }
}
