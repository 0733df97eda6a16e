//! Which of many Subscriptions want an event, at a cost that follows how many do and not how many
//! there are.
//!
//! An event's source and type lead to candidates: by hash where a Subscription names them, and by
//! the dot-separated beginnings of the type where it names one of those. What source and type cannot
//! say is asked of the candidates alone, expressions last.

mod types;

use std::collections::HashMap;

use foldhash::fast::RandomState;
use tidegate_event::Event;

use self::types::Types;
use crate::{
    Filter, Matched, Matching,
    interest::{self, Interest},
    matching,
};

/// A map whose keys stand in documents. An event brings none, so none can be made to meet.
type Map<V> = HashMap<Box<str>, V, RandomState>;

/// Where a Subscription stands in the order in which they were added.
type Place = u32;

/// Subscriptions, by what they want.
#[derive(Clone, Debug, Default)]
pub struct Index {
    wanted: Vec<Wanted>,
    /// Those that want one source.
    of_source: Map<Types>,
    of_any_source: Types,
    /// Those that want types as Kyma names them.
    cleaned: Map<Vec<Place>>,
}

/// What is left to ask of a candidate.
#[derive(Clone, Debug)]
enum Wanted {
    /// Nothing: source and type said all.
    All,
    /// Whether the event has these types, by itself or after Kyma's cleaning.
    Exact(Vec<String>),
    /// Whether all of these let it pass.
    Filters(Vec<Filter>),
}

/// A Subscription that wants the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it stands in the order in which they were added.
    pub place: usize,
    /// How its sink sees the event.
    pub matched: Matched,
}

impl Index {
    /// Of what each of these wants.
    pub fn new<'a>(matchings: impl IntoIterator<Item = &'a Matching>) -> Self {
        let mut index = Self::default();
        for matching in matchings {
            index.add(matching);
        }
        index
    }

    fn add(&mut self, matching: &Matching) {
        let place = Place::try_from(self.wanted.len()).expect("fewer than four billion");
        let wanted = match matching {
            Matching::Standard { .. } => Wanted::All,
            Matching::Exact { types } => {
                for r#type in types {
                    let places = self.cleaned.entry(r#type.as_str().into()).or_default();
                    // The same type may be named twice.
                    if places.last() != Some(&place) {
                        places.push(place);
                    }
                }
                self.wanted.push(Wanted::Exact(types.clone()));
                return;
            }
            Matching::Filters(filters) => {
                let mut filters = filters.clone();
                filters.sort_by_key(cost);
                Wanted::Filters(filters)
            }
        };
        self.wanted.push(wanted);
        for Interest { source, r#type } in interest::of(matching) {
            let types = match source {
                Some(source) => self.of_source.entry(source.into()).or_default(),
                None => &mut self.of_any_source,
            };
            types.add(r#type, place);
        }
    }

    /// Those that want this event, each once, in the order in which they were added.
    pub fn find(&self, event: &Event) -> Vec<Found> {
        let mut candidates = Vec::new();
        let mut names = Vec::new();
        if let Some(types) = self.of_source.get(&*event.source) {
            types.find(&event.r#type, &mut candidates);
        }
        self.of_any_source.find(&event.r#type, &mut candidates);
        if !self.cleaned.is_empty() {
            names = matching::names(event);
            let all = [&*event.r#type].into_iter();
            for name in all.chain(names.iter().map(String::as_str)) {
                candidates.extend(self.cleaned.get(name).into_iter().flatten());
            }
        }
        candidates.sort_unstable();
        candidates.dedup();
        let wants = |place: Place| {
            let place = usize::try_from(place).ok()?;
            let matched = self.wanted.get(place)?.matches(event, &names)?;
            Some(Found { place, matched })
        };
        candidates.into_iter().filter_map(wants).collect()
    }

    /// How many Subscriptions there are.
    pub fn len(&self) -> usize {
        self.wanted.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }
}

impl Wanted {
    /// `names` are those of the event after Kyma's cleaning, where anybody wants them.
    fn matches(&self, event: &Event, names: &[String]) -> Option<Matched> {
        match self {
            Self::All => Some(Matched::default()),
            Self::Exact(types) => matching::exact(types, event, || names.to_vec()),
            Self::Filters(filters) => {
                let passes = filters.iter().all(|filter| filter.passes(event));
                passes.then(Matched::default)
            }
        }
    }
}

/// What a filter costs, roughly: an expression more than comparisons.
fn cost(filter: &Filter) -> usize {
    match filter {
        Filter::Exact(pairs) | Filter::Prefix(pairs) | Filter::Suffix(pairs) => pairs.len(),
        Filter::All(filters) | Filter::Any(filters) => filters.iter().map(cost).sum(),
        Filter::Not(filter) => cost(filter),
        Filter::Sql(_) => 100,
    }
}

#[cfg(test)]
mod tests;
