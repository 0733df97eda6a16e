//! Room in the stream of the events: what every consumer has settled is purged before it is full.
//!
//! Never past an event that a consumer still has to settle, whoever made that consumer: at the old
//! end, and where one holds that up, large subjects one by one, and of the others event by event.

mod singles;
mod subjects;

use serde::Deserialize;
use serde_json::{Value, json};

pub(super) use self::singles::Passed;
use self::subjects::Holds;
use super::{
    consumers::{self, Info},
    link::Link,
};
use crate::{Config, ControlError};

/// What is done, for errors.
const ACTION: &str = "making room";

/// How far below the mark is purged, as a part of the stream's size, so that not every event
/// makes a purge of its own.
const STEP: f64 = 0.05;

/// What was purged for room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// How many events.
    pub events: u64,
    /// The consumer that is furthest behind, when it is what keeps the room from being made.
    pub held_by: Option<String>,
}

#[derive(Deserialize)]
struct StreamInfo {
    state: State,
}

/// What the stream holds. There may be fewer messages than places, since single subjects are purged.
#[derive(Clone, Copy, Debug, Deserialize)]
struct State {
    messages: u64,
    bytes: u64,
    first_seq: u64,
    last_seq: u64,
    #[serde(default)]
    consumer_count: usize,
}

#[derive(Deserialize)]
struct Purged {
    #[serde(default)]
    purged: u64,
}

pub(super) async fn reclaim(
    link: &Link,
    config: &Config,
    passed: &Passed,
) -> Result<Reclaimed, ControlError> {
    let stream = &config.events.stream;
    // Before the consumers: what they have settled afterwards is no less.
    let StreamInfo { state } = link
        .call(&format!("STREAM.INFO.{stream}"), &Value::Null)
        .await
        .map_err(|error| error.during(ACTION))?;
    let Some(missing) = missing(state, config.events.size_max.as_u64(), config.reclaim_above)
    else {
        return Ok(Reclaimed::default());
    };
    let consumers = consumers::list(link, stream).await?;
    if consumers.len() < state.consumer_count {
        // One was deleted meanwhile, or is not seen: the next time will tell.
        return Ok(Reclaimed::default());
    }
    let certain = certain(state, config.replicas);
    let (settled, slowest) = settled(&consumers, certain);
    let wanted = wanted(state, missing);
    let up_to = wanted.min(settled);
    let mut events = 0;
    if up_to >= state.first_seq {
        events = purge(link, stream, json!({ "seq": up_to.saturating_add(1) })).await?;
    }
    let is_held = settled < wanted;
    let holds = Holds::new(&consumers, certain);
    if is_held && events < missing && holds.lets_some_go() {
        if subjects::are_purged(link) {
            let missing = missing - events;
            events += subjects::purge(link, stream, &holds, state.messages, missing).await?;
        }
        let missing = missing.saturating_sub(events);
        events += singles::delete(link, stream, &holds, passed, missing).await?;
    }
    let is_short = is_held && events < missing;
    Ok(Reclaimed {
        events,
        held_by: is_short.then_some(slowest).flatten(),
    })
}

/// How many are gone. The server purges below a `seq`.
async fn purge(link: &Link, stream: &str, what: Value) -> Result<u64, ControlError> {
    let purged: Result<Purged, _> = link.call(&format!("STREAM.PURGE.{stream}"), &what).await;
    let Purged { purged } = purged.map_err(|error| error.during(ACTION))?;
    Ok(purged)
}

/// How many events have to go for the room that is missing; `None` when none is.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate; a float cast saturates, and the result is bounded by what is there"
)]
fn missing(state: State, size_max: u64, above: f64) -> Option<u64> {
    let mark = size_max as f64 * above;
    let bytes = state.bytes as f64;
    if bytes <= mark || state.messages == 0 {
        return None;
    }
    let excess = bytes - (mark - size_max as f64 * STEP).max(0.0);
    let average = (bytes / state.messages as f64).max(1.0);
    Some(((excess / average).ceil() as u64).clamp(1, state.messages))
}

/// Up to which sequence a purge would make that room. From the new end there are hardly any gaps:
/// what was purged of single subjects was old.
fn wanted(state: State, missing: u64) -> u64 {
    let stay = state.messages.saturating_sub(missing);
    state.last_seq.saturating_sub(stay)
}

/// Up to which sequence a consumer that has nothing left surely has nothing left. On a cluster it
/// answers from another server, which may not have seen the newest events yet; that it has not
/// seen the older half of a stream that is nearly full is not possible.
fn certain(state: State, replicas: usize) -> u64 {
    if replicas > 1 {
        let newer = state.messages.saturating_sub(1) / 2;
        state.last_seq.saturating_sub(newer)
    } else {
        state.last_seq
    }
}

/// Up to which sequence every consumer has settled, and who is furthest behind.
fn settled(consumers: &[Info], last: u64) -> (u64, Option<String>) {
    let floors = consumers
        .iter()
        .map(|consumer| (floor(consumer, last), consumer));
    match floors.min_by_key(|(floor, _)| *floor) {
        Some((floor, consumer)) => (floor.min(last), Some(consumer.name.clone())),
        None => (last, None),
    }
}

/// Up to which sequence a consumer needs no event any more. With a filter, its acknowledgement
/// floor alone may stand at events long ago, though nothing since was for it.
pub(super) fn floor(consumer: &Info, last: u64) -> u64 {
    match (consumer.num_ack_pending, consumer.num_pending) {
        (0, 0) => last,
        (0, _) => consumer
            .ack_floor
            .stream_seq
            .max(consumer.delivered.stream_seq),
        (_, _) => consumer.ack_floor.stream_seq,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(messages: u64, bytes: u64) -> State {
        State {
            messages,
            bytes,
            first_seq: 11,
            last_seq: 10 + messages,
            consumer_count: 0,
        }
    }

    fn consumer(name: &str, floor: u64, delivered: u64, unsettled: u64, pending: u64) -> Info {
        serde_json::from_value(json!({
            "name": name,
            "delivered": { "stream_seq": delivered },
            "ack_floor": { "stream_seq": floor },
            "num_ack_pending": unsettled,
            "num_pending": pending,
            "config": {},
        }))
        .unwrap()
    }

    fn wanted_above(state: State, size_max: u64, above: f64) -> Option<u64> {
        missing(state, size_max, above).map(|missing| wanted(state, missing))
    }

    /// Below the mark nothing is purged, above it no more than needed.
    #[test]
    fn only_the_missing_room_is_made() {
        assert_eq!(wanted_above(state(80, 800), 1_000, 0.8), None);
        assert_eq!(wanted_above(state(0, 0), 1_000, 0.8), None);
        // 850 of 1,000 bytes, 10 each: down to 750.
        assert_eq!(wanted_above(state(85, 850), 1_000, 0.8), Some(20));
        assert_eq!(wanted_above(state(1, 900), 1_000, 0.8), Some(11));
        assert_eq!(wanted_above(state(2, u64::MAX), 10, 0.8), Some(12));
    }

    /// What is purged of single subjects leaves gaps at the old end: places there make no room.
    #[test]
    fn places_without_events_are_no_room() {
        let with_gaps = State {
            first_seq: 11,
            last_seq: 10_000,
            ..state(85, 850)
        };
        assert_eq!(wanted_above(with_gaps, 1_000, 0.8), Some(9_925));
        assert_eq!(certain(with_gaps, 3), 9_958);
    }

    /// The slowest consumer decides, and events that were never for one do not count as unsettled.
    #[test]
    fn nothing_unsettled_is_purged() {
        assert_eq!(settled(&[], 100), (100, None));
        let done = consumer("done", 3, 3, 0, 0);
        let idle = consumer("idle", 5, 60, 0, 4);
        let busy = consumer("busy", 40, 90, 2, 0);
        let behind = consumer("behind", 0, 0, 0, 100);
        assert_eq!(settled(&[done], 100).0, 100);
        assert_eq!(settled(&[idle], 100).0, 60);
        let (floor, slowest) = settled(&[busy, consumer("done", 3, 3, 0, 0)], 100);
        assert_eq!((floor, slowest.as_deref()), (40, Some("busy")));
        assert_eq!(settled(&[behind, consumer("busy", 40, 90, 2, 0)], 100).0, 0);
    }

    /// On a cluster a consumer that seems to have nothing left may not know the newest events.
    #[test]
    fn a_replica_that_lags_costs_no_event() {
        assert_eq!(certain(state(100, 1), 1), 110);
        assert_eq!(certain(state(100, 1), 3), 61);
    }

    /// A consumer that is ahead of what the stream said when it was asked moves nothing forward.
    #[test]
    fn a_later_look_at_a_consumer_purges_no_more() {
        assert_eq!(settled(&[consumer("ahead", 150, 150, 0, 1)], 100).0, 100);
    }
}
