//! Room behind a consumer that holds up the old end: of each large subject goes what everybody who
//! reads it has settled.
//!
//! No more in a pass than is bounded here: the next one goes on.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::{ACTION, Info, Link, floor};
use crate::{
    ControlError,
    jetstream::{
        is_before,
        link::{ApiError, MESSAGE_NOT_FOUND},
    },
    subject::matches,
};

/// Oldest nats-server on which it costs nobody an event: one before moves a consumer of several
/// subjects on to what is left of the purged one, past what it has still to get of the others.
const SERVER_MIN: (u64, u64) = (2, 15);

/// Most pages of subjects that are read; nats-server's have 100,000.
const PAGES_MAX: usize = 10;

/// A subject is large with more than this part of all events; there are fewer than so many. A purge
/// takes 12 ms where it looks through 120 MB, and to delete an event alone 50 us.
const LARGE_PART: u64 = 50;

/// Most purges of a pass; passes are a second apart.
const PURGES_MAX: usize = 100;

/// Which events consumers may need yet.
#[derive(Debug)]
pub(super) struct Holds<'a> {
    /// Up to where those have settled that read everything.
    all: u64,
    /// Up to where those have settled that read this.
    filters: BTreeMap<&'a str, u64>,
}

/// A subject of which something may go.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Subject {
    name: String,
    /// How many events there are, old and new.
    events: u64,
    /// No event of it is before this place.
    first: u64,
    /// Up to where everybody who reads it has settled.
    settled: u64,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    total: usize,
    state: Counts,
}

#[derive(Deserialize)]
struct Counts {
    #[serde(default)]
    subjects: Option<BTreeMap<String, u64>>,
}

#[derive(Deserialize)]
struct Answer {
    message: Stored,
}

#[derive(Deserialize)]
struct Stored {
    seq: u64,
}

/// Whether the nats-server purges single subjects without harm.
pub(super) fn are_purged(link: &Link) -> bool {
    !is_before(&link.client().server_info().version, SERVER_MIN)
}

/// Purges at most as many events as are missing; how many.
pub(super) async fn purge(
    link: &Link,
    stream: &str,
    holds: &Holds<'_>,
    messages: u64,
    missing: u64,
) -> Result<u64, ControlError> {
    let candidates = candidates(link, stream, holds, messages / LARGE_PART).await?;
    let mut subjects = with_first(link, stream, candidates).await?;
    let (mut purges, mut purged) = (0, 0);
    while let Some(up_to) = up_to(&subjects, missing.saturating_sub(purged)) {
        for subject in &mut subjects {
            let Some(below) = subject.below(up_to) else {
                continue;
            };
            if purges >= PURGES_MAX {
                return Ok(purged);
            }
            purges += 1;
            let what = json!({ "filter": subject.name, "seq": below });
            let gone = super::purge(link, stream, what).await?;
            subject.is_purged(below, gone);
            purged += gone;
        }
        subjects.retain(Subject::has_more);
    }
    Ok(purged)
}

/// Up to which place to purge: if everything from the oldest event on may go, what is missing goes
/// and no more. `None` when there is nothing to do.
fn up_to(subjects: &[Subject], missing: u64) -> Option<u64> {
    let oldest = subjects.iter().map(|subject| subject.first).min()?;
    let others = missing.checked_sub(1)?;
    Some(oldest.saturating_add(others))
}

/// The largest subjects of which something may go.
async fn candidates(
    link: &Link,
    stream: &str,
    holds: &Holds<'_>,
    least: u64,
) -> Result<Vec<Subject>, ControlError> {
    let (mut largest, mut offset) = (Vec::new(), 0);
    for _ in 0..PAGES_MAX {
        let asked = json!({ "subjects_filter": ">", "offset": offset });
        let page: Page = link
            .call(&format!("STREAM.INFO.{stream}"), &asked)
            .await
            .map_err(|error| error.during(ACTION))?;
        let subjects = page.state.subjects.unwrap_or_default();
        let is_last = subjects.is_empty();
        offset += subjects.len();
        largest.extend(subjects.into_iter().filter(|(_, events)| *events > least));
        if is_last || offset >= page.total {
            break;
        }
    }
    Ok(chosen(largest, holds))
}

fn chosen(largest: Vec<(String, u64)>, holds: &Holds<'_>) -> Vec<Subject> {
    let subjects = largest.into_iter().map(|(name, events)| Subject {
        settled: holds.settled(&name),
        name,
        events,
        first: 0,
    });
    let lowest = holds.lowest();
    // What is before that went from the old end.
    subjects
        .filter(|subject| subject.settled > lowest)
        .collect()
}

/// Those of which something is settled, with the place of their oldest event.
async fn with_first(
    link: &Link,
    stream: &str,
    subjects: Vec<Subject>,
) -> Result<Vec<Subject>, ControlError> {
    let mut found = Vec::new();
    for mut subject in subjects {
        let asked = json!({ "seq": 1, "next_by_subj": subject.name });
        let answer: Result<Answer, ApiError> =
            link.call(&format!("STREAM.MSG.GET.{stream}"), &asked).await;
        match answer {
            Ok(Answer { message }) => subject.first = message.seq,
            Err(error) if error.code() == Some(MESSAGE_NOT_FOUND) => continue,
            Err(error) => return Err(error.during(ACTION)),
        }
        if subject.has_more() {
            found.push(subject);
        }
    }
    Ok(found)
}

impl Subject {
    /// Below which place to purge it, if that takes anything.
    fn below(&self, up_to: u64) -> Option<u64> {
        let last = up_to.min(self.settled);
        (self.first <= last).then_some(last.saturating_add(1))
    }

    fn is_purged(&mut self, below: u64, gone: u64) {
        self.first = below;
        self.events = self.events.saturating_sub(gone);
    }

    /// Whether any of it may go.
    fn has_more(&self) -> bool {
        self.events > 0 && self.first <= self.settled
    }
}

impl<'a> Holds<'a> {
    /// Of all consumers; what is behind `certain` may be needed by any of them.
    pub(super) fn new(consumers: &'a [Info], certain: u64) -> Self {
        let mut holds = Self {
            all: certain,
            filters: BTreeMap::new(),
        };
        for consumer in consumers {
            let floor = floor(consumer, certain);
            let filters = consumer.filters();
            if filters.is_empty() {
                holds.all = holds.all.min(floor);
            }
            for filter in filters {
                let settled = holds.filters.entry(filter).or_insert(floor);
                *settled = floor.min(*settled);
            }
        }
        holds.filters.retain(|_, settled| *settled < certain);
        holds
    }

    /// Up to where everybody has settled.
    fn lowest(&self) -> u64 {
        let filters = self.filters.values().copied();
        filters.fold(self.all, u64::min)
    }

    /// How many comparisons it takes to know of a subject.
    pub(super) fn count(&self) -> usize {
        self.filters.len()
    }

    /// What those read who need something that is stored up to this place.
    pub(super) fn before(&self, place: u64) -> Vec<String> {
        let filters = self.filters.iter();
        let holding = filters.filter(|(_, settled)| **settled < place);
        holding.map(|(filter, _)| (*filter).to_owned()).collect()
    }

    /// Whether who holds up the old end reads but some subjects.
    pub(super) fn lets_some_go(&self) -> bool {
        self.lowest() < self.all
    }

    /// Up to where everybody has settled who reads this subject.
    pub(super) fn settled(&self, subject: &str) -> u64 {
        let readers = self.filters.iter();
        let readers = readers.filter(|(filter, _)| matches(filter, subject));
        readers.fold(self.all, |settled, (_, floor)| settled.min(*floor))
    }
}

#[cfg(test)]
pub(super) mod tests;
