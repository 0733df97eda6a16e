//! Room event by event, where there are many subjects with few events each, and on a server that
//! purges no subject without harm.
//!
//! A purge of one subject holds up whoever publishes for as long as it takes the server to look
//! through what is stored: with a thousand subjects that were seconds. To delete an event costs the
//! same wherever it is. Between two handfuls others have their turn.

use std::{collections::HashMap, sync::Mutex};

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::{ACTION, Link, subjects::Holds};
use crate::{
    ControlError,
    jetstream::{
        letters::is_missing,
        look::{From, Look},
        reply,
    },
};

/// Most events that are looked at in a pass, without their data: 3 us each.
const LOOKED_AT_MAX: usize = 100_000;

/// Most that are deleted in a pass: some 50 us each, and the pauses.
const DELETED_MAX: usize = 20_000;

/// So many at once.
const HANDFUL: usize = 16;

/// Others have their turn for so many times as long as a handful took.
const PAUSE: u32 = 2;

/// Most subjects of which is remembered how far they may go.
const SUBJECTS_MAX: usize = 10_000;

/// Most comparisons of a subject with what a consumer reads: 100 ns each, nothing else is done
/// meanwhile.
const COMPARISONS_MAX: usize = 1_000_000;

/// How far it has come, for the next pass: what is left before that is held.
#[derive(Debug, Default)]
pub(in crate::jetstream) struct Passed(Mutex<Option<Cursor>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Cursor {
    place: u64,
    /// By whom.
    held_by: Vec<String>,
}

/// What is looked for, as it is found.
#[derive(Debug)]
struct Found<'a> {
    holds: &'a Holds<'a>,
    /// How many more.
    missing: u64,
    /// Up to where its readers have settled each subject.
    settled: HashMap<String, u64>,
    looked_at: usize,
    compared: usize,
    /// The last that was looked at.
    last: u64,
    places: Vec<u64>,
}

/// Deletes the oldest events that nobody needs, as many as are missing; how many.
pub(super) async fn delete(
    link: &Link,
    stream: &str,
    holds: &Holds<'_>,
    passed: &Passed,
    missing: u64,
) -> Result<u64, ControlError> {
    if missing == 0 {
        return Ok(0);
    }
    let begin = passed.begin(holds);
    let mut found = Found::new(holds, missing);
    let look = Look {
        action: ACTION,
        stream,
        filters: &[">"],
        from: From::Place(begin),
        headers_only: true,
    };
    look.each(link, |message| {
        let place = message.reply.as_deref().and_then(reply::parse);
        place.is_none_or(|place| found.see(place.sequence, &message.subject))
    })
    .await?;
    let deleted = of_places(link, stream, &found.places).await?;
    // Once it has come to the end, some that were held before may be free.
    let is_over = found.wants_more();
    passed.set(if is_over { 0 } else { found.last }, holds);
    Ok(deleted)
}

async fn of_places(link: &Link, stream: &str, places: &[u64]) -> Result<u64, ControlError> {
    let mut deleted = 0;
    for handful in places.chunks(HANDFUL) {
        let began = Instant::now();
        let each = handful.iter().map(|place| link.delete(stream, *place));
        for one in join_all(each).await {
            match one {
                Ok(()) => deleted += 1,
                // By another process, or by whoever may.
                Err(error) if is_missing(&error) => {}
                Err(error) => return Err(error.during(ACTION)),
            }
        }
        sleep(began.elapsed() * PAUSE).await;
    }
    Ok(deleted)
}

impl Passed {
    fn begin(&self, holds: &Holds<'_>) -> u64 {
        let cursor = self.lock().clone();
        let known = cursor.filter(|cursor| cursor.held_by == holds.before(cursor.place));
        known.map_or(0, |cursor| cursor.place) + 1
    }

    fn set(&self, place: u64, holds: &Holds<'_>) {
        let held_by = holds.before(place);
        *self.lock() = Some(Cursor { place, held_by });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Cursor>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<'a> Found<'a> {
    fn new(holds: &'a Holds<'a>, missing: u64) -> Self {
        Self {
            holds,
            missing,
            settled: HashMap::new(),
            looked_at: 0,
            compared: 0,
            last: 0,
            places: Vec::new(),
        }
    }

    /// An event; whether more are to be seen.
    fn see(&mut self, place: u64, subject: &str) -> bool {
        self.looked_at += 1;
        self.last = place;
        if place <= self.settled(subject) {
            self.places.push(place);
        }
        self.wants_more()
    }

    fn wants_more(&self) -> bool {
        let found = self.places.len();
        let is_missing = u64::try_from(found).is_ok_and(|found| found < self.missing);
        let is_bounded = self.looked_at < LOOKED_AT_MAX && self.compared < COMPARISONS_MAX;
        is_missing && is_bounded && found < DELETED_MAX
    }

    fn settled(&mut self, subject: &str) -> u64 {
        if let Some(settled) = self.settled.get(subject) {
            return *settled;
        }
        let settled = self.holds.settled(subject);
        self.compared += self.holds.count();
        if self.settled.len() < SUBJECTS_MAX {
            self.settled.insert(subject.to_owned(), settled);
        }
        settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jetstream::reclaim::subjects::tests::behind;

    /// The oldest that nobody needs, and no more than are missing.
    #[test]
    fn what_nobody_needs_is_found() {
        let consumers = [behind(&["e.slow"], 10), behind(&["e.less"], 6)];
        let holds = Holds::new(&consumers, 100);
        let stored = ["e.slow", "e.less", "e.other"];
        let events = || (1..=90).zip(stored.iter().cycle());
        let mut found = Found::new(&holds, 1_000);
        for (place, subject) in events() {
            assert!(found.see(place, subject), "all are looked at");
        }
        let free: Vec<u64> = events()
            .filter(|(place, subject)| match **subject {
                "e.slow" => *place <= 10,
                "e.less" => *place <= 6,
                _ => true,
            })
            .map(|(place, _)| place)
            .collect();
        assert_eq!(found.places, free);

        let mut found = Found::new(&holds, 7);
        let last = events().find(|(place, subject)| !found.see(*place, subject));
        assert_eq!(last.map(|(place, _)| place), Some(free[6]));
        assert_eq!(found.places, free[..7]);
    }

    /// A pass is bounded in what it looks at, and in what it takes.
    #[test]
    fn a_pass_is_bounded() {
        let consumers = [behind(&["e.slow"], 0)];
        let holds = Holds::new(&consumers, u64::MAX);
        let mut places = 1..;
        let mut found = Found::new(&holds, u64::MAX);
        while found.see(places.next().unwrap(), "e.other") {}
        assert_eq!(found.places.len(), DELETED_MAX);
        let mut found = Found::new(&holds, u64::MAX);
        while found.see(places.next().unwrap(), "e.slow") {}
        assert_eq!((found.looked_at, found.places.len()), (LOOKED_AT_MAX, 0));
        let mut found = Found::new(&holds, u64::MAX);
        for number in 0..20_000_u64 {
            found.settled(&format!("e.{number}"));
        }
        assert_eq!(found.settled.len(), SUBJECTS_MAX);

        let filters: Vec<String> = (0..5_000).map(|number| format!("e.{number}")).collect();
        let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
        let consumers = [behind(&filters, 0)];
        let holds = Holds::new(&consumers, u64::MAX);
        let mut found = Found::new(&holds, u64::MAX);
        let seen = places.take_while(|place| found.see(*place, &format!("f.{place}")));
        assert_eq!(seen.count(), COMPARISONS_MAX / 5_000 - 1);
    }

    /// The next pass goes on, unless somebody holds less or something else.
    #[test]
    fn a_pass_goes_on_where_the_last_one_ended() {
        let passed = Passed::default();
        let slow = [behind(&["e.slow"], 10)];
        let holds = Holds::new(&slow, 100);
        assert_eq!(passed.begin(&holds), 1);
        passed.set(50, &holds);
        assert_eq!(passed.begin(&holds), 51);
        let others = [behind(&["e.slow"], 20), behind(&["e.new"], 90)];
        let and_newer = Holds::new(&others, 100);
        assert_eq!(
            passed.begin(&and_newer),
            51,
            "what is behind holds nothing there"
        );
        let others = [behind(&["e.slow"], 10), behind(&["e.less"], 40)];
        assert_eq!(passed.begin(&Holds::new(&others, 100)), 1);
        let nobody = [behind(&["e.slow"], 60)];
        assert_eq!(passed.begin(&Holds::new(&nobody, 100)), 1);
    }
}
