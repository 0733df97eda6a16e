//! Whose events do not come although nothing is in their way: there are some, nothing is in hand,
//! and the place in the log does not move.
//!
//! Requests for events are renewed at least every half minute wherever events are read, so that one
//! that was lost is no matter. What is left is a consumer that the nats-server does not serve: one
//! that was paused with a tool of NATS, or whose leader in a cluster is stuck.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

/// Looks at consumers again and again.
#[derive(Debug)]
pub(super) struct Watchdog {
    /// How long a consumer may stand still.
    after: Duration,
    /// By consumer: its place, and since when it is there with events to come.
    still: HashMap<String, (u64, Instant)>,
    /// Those that are said to be stalled.
    told: Vec<String>,
}

/// A consumer whose events could be delivered now.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) consumer: &'a str,
    /// Events that it has not been offered.
    pub(super) undelivered: u64,
    /// Events that it was offered and that are not settled: it goes on with those first.
    pub(super) unsettled: u64,
    /// How far it is in the log.
    pub(super) place: u64,
}

/// What a look has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// All that are stalled.
    pub(super) stalled: Vec<String>,
    /// Those of them that were not before.
    pub(super) new: Vec<String>,
    /// Those that are no more.
    pub(super) over: Vec<String>,
}

impl Watchdog {
    pub(super) fn new(after: Duration) -> Self {
        Self {
            after,
            still: HashMap::new(),
            told: Vec::new(),
        }
    }

    pub(super) fn look<'a>(&mut self, seen: impl Iterator<Item = Seen<'a>>, now: Instant) -> Found {
        let mut before = std::mem::take(&mut self.still);
        for one in seen.filter(|one| one.undelivered > 0 && one.unsettled == 0) {
            let known = before.remove(one.consumer);
            let since = known.filter(|(place, _)| *place == one.place);
            let still = since.unwrap_or((one.place, now));
            self.still.insert(one.consumer.to_owned(), still);
        }
        let is_stalled = |(_, since): &&(u64, Instant)| now.duration_since(*since) >= self.after;
        let stalled = self.still.iter();
        let stalled = stalled.filter(|(_, still)| is_stalled(still));
        let mut stalled: Vec<String> = stalled.map(|(consumer, _)| consumer.clone()).collect();
        stalled.sort();
        let told = std::mem::replace(&mut self.told, stalled.clone());
        let not_in = |these: &[String], others: &[String]| {
            let missing = these.iter().filter(|one| !others.contains(one));
            missing.cloned().collect()
        };
        Found {
            new: not_in(&stalled, &told),
            over: not_in(&told, &stalled),
            stalled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(undelivered: u64, unsettled: u64, place: u64) -> Seen<'static> {
        Seen {
            consumer: "c",
            undelivered,
            unsettled,
            place,
        }
    }

    /// What each look finds, a minute after the other: `None` where nothing is stalled.
    fn looks(all: &[(u64, u64, u64)]) -> Vec<Option<Found>> {
        let mut watchdog = Watchdog::new(Duration::from_secs(100));
        let mut now = Instant::now();
        let mut look = |(undelivered, unsettled, place): &(u64, u64, u64)| {
            now += Duration::from_secs(60);
            let seen = seen(*undelivered, *unsettled, *place);
            let found = watchdog.look([seen].into_iter(), now);
            (found != Found::default()).then_some(found)
        };
        all.iter().map(&mut look).collect()
    }

    #[tokio::test]
    async fn who_gets_nothing_for_long_is_stalled_and_told_of_once() {
        let found = looks(&[(5, 0, 7), (6, 0, 7), (7, 0, 7), (8, 0, 7), (7, 0, 8)]);
        assert_eq!(found[..2], [None, None]);
        let one = vec!["c".to_owned()];
        let is = |new: &[String], over: &[String], stalled: &[String]| {
            Some(Found {
                new: new.to_vec(),
                over: over.to_vec(),
                stalled: stalled.to_vec(),
            })
        };
        assert_eq!(found[2], is(&one, &[], &one));
        assert_eq!(found[3], is(&[], &[], &one));
        assert_eq!(found[4], is(&[], &one, &[]));
    }

    /// A slow one, one with nothing to come, and one that has its hands full.
    #[tokio::test]
    async fn who_goes_on_or_has_to_do_is_not() {
        let (slow, idle) = ([(9, 0, 1), (9, 0, 2), (9, 0, 3)], [(0, 0, 1); 3]);
        let full = [(9, 0, 1), (9, 1, 1), (9, 0, 1)];
        for looks_at in [slow, idle, full] {
            assert_eq!(looks(&looks_at), [None, None, None], "{looks_at:?}");
        }
    }
}
