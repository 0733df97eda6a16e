//! The end of events by age, where the configuration sets one: counted and named for every
//! consumer that had not settled them, and announced before.
//!
//! Not left to the server, which deletes without a word.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    consumers::{self, Info},
    link::{ApiError, Link, MESSAGE_NOT_FOUND},
    reclaim,
};
use crate::{Config, ControlError, Sharer};

/// The part of the age from which on unsettled events are announced.
const ANNOUNCED_ABOVE: f64 = 0.8;

/// How long the server keeps a consumer that only counts.
const FORGET_AFTER: Duration = Duration::from_secs(5);

/// What age has done, and will do soon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// How many events were deleted.
    pub events: u64,
    /// For whom.
    pub missed: Vec<Missed>,
    /// Consumers that will miss events soon, and when the oldest of those is deleted.
    pub soon: Vec<(String, SystemTime)>,
}

/// What a consumer misses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// The consumer.
    pub consumer: String,
    /// Events that it was never offered.
    pub undelivered: u64,
    /// At most so many more that it was offered and had not settled; what is in an attempt may
    /// still be taken.
    pub unsettled: u64,
}

#[derive(Deserialize)]
struct Answer {
    message: Stored,
}

#[derive(Deserialize)]
struct Stored {
    seq: u64,
    time: String,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    first: u64,
    last: u64,
    first_time: SystemTime,
}

pub(super) async fn expire(
    link: &Link,
    config: &Config,
    now: SystemTime,
    sharers: &[Sharer],
) -> Result<Expired, ControlError> {
    let age_max = config.events.age_max;
    let stream = &config.events.stream;
    let mut expired = Expired::default();
    if age_max.is_zero() {
        return Ok(expired);
    }
    let Some(span) = span(link, stream).await? else {
        return Ok(expired);
    };
    let age = |time: SystemTime| now.duration_since(time).unwrap_or_default();
    if age(span.first_time) < age_max.mul_f64(ANNOUNCED_ABOVE) {
        return Ok(expired);
    }
    let since = now.checked_sub(age_max).unwrap_or(SystemTime::UNIX_EPOCH);
    let too_old = first_since(link, stream, span, since).await?;
    if too_old > span.first {
        for consumer in told(consumers::list(link, stream).await?, sharers) {
            expired
                .missed
                .extend(missed(link, stream, &consumer, too_old).await?);
        }
        // The server purges below `seq`.
        let purged: Value = link
            .call(
                &format!("STREAM.PURGE.{stream}"),
                &json!({ "seq": too_old }),
            )
            .await
            .map_err(|error| error.during("deleting old events"))?;
        expired.events = purged.get("purged").and_then(Value::as_u64).unwrap_or(0);
    }
    for consumer in told(consumers::list(link, stream).await?, sharers) {
        let oldest = reclaim::floor(&consumer, span.last).max(too_old - 1) + 1;
        if consumer.num_pending + consumer.num_ack_pending == 0 {
            continue;
        }
        if let Some((_, time)) = at(link, stream, oldest, ">").await?
            && age(time) >= age_max.mul_f64(ANNOUNCED_ABOVE)
        {
            let end = time.checked_add(age_max).unwrap_or(time);
            expired.soon.push((consumer.name, end));
        }
    }
    Ok(expired)
}

/// Those that are told of: in the place of a consumer that is shared, those that share it.
fn told(consumers: Vec<Info>, sharers: &[Sharer]) -> Vec<Info> {
    let mut told = Vec::new();
    for consumer in consumers {
        let its = sharers.iter().filter(|one| one.shares == consumer.name);
        let its: Vec<Info> = its
            .map(|one| consumer.shared_by(&one.consumer, &one.filters, one.unsettled))
            .collect();
        match its.is_empty() {
            true => told.push(consumer),
            false => told.extend(its),
        }
    }
    told
}

async fn span(link: &Link, stream: &str) -> Result<Option<Span>, ControlError> {
    let info: Value = link
        .call(&format!("STREAM.INFO.{stream}"), &Value::Null)
        .await
        .map_err(|error| error.during("asking for the oldest event"))?;
    let state = info.get("state");
    let number = |field: &str| state.and_then(|state| state.get(field)?.as_u64());
    let time = state.and_then(|state| state.get("first_ts")?.as_str());
    let time = time.and_then(|time| humantime::parse_rfc3339(time).ok());
    let (Some(first), Some(last), Some(first_time)) =
        (number("first_seq"), number("last_seq"), time)
    else {
        return Ok(None);
    };
    Ok((first <= last).then_some(Span {
        first,
        last,
        first_time,
    }))
}

/// The first place whose event was stored at this time or later; behind the last one if none was.
async fn first_since(
    link: &Link,
    stream: &str,
    span: Span,
    since: SystemTime,
) -> Result<u64, ControlError> {
    // What is before `low` is too old, what is from `high` on is not.
    let (mut low, mut high) = (span.first, span.last + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        match at(link, stream, middle, ">").await? {
            Some((sequence, time)) if time < since => low = sequence + 1,
            // The places from `middle` to the one that was found are empty.
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

/// The event of this place, or the next one that there is of a filter: its place, and when it was
/// stored.
pub(super) async fn at(
    link: &Link,
    stream: &str,
    sequence: u64,
    filter: &str,
) -> Result<Option<(u64, SystemTime)>, ControlError> {
    let asked = json!({ "seq": sequence, "next_by_subj": filter });
    let answer: Result<Answer, ApiError> =
        link.call(&format!("STREAM.MSG.GET.{stream}"), &asked).await;
    match answer {
        Ok(Answer { message }) => {
            let time = humantime::parse_rfc3339(&message.time);
            Ok(time.ok().map(|time| (message.seq, time)))
        }
        Err(error) if error.code() == Some(MESSAGE_NOT_FOUND) => Ok(None),
        Err(error) => Err(error.during("asking how old an event is")),
    }
}

/// What a consumer misses when everything before this place is deleted.
async fn missed(
    link: &Link,
    stream: &str,
    consumer: &Info,
    too_old: u64,
) -> Result<Option<Missed>, ControlError> {
    let filters = consumer.filters();
    let from = consumer.delivered.stream_seq + 1;
    let undelivered = if consumer.num_pending == 0 || from >= too_old {
        0
    } else {
        // What comes between the two makes it less, never more.
        let all = stored_from(link, stream, &filters, from).await?;
        let rest = stored_from(link, stream, &filters, too_old).await?;
        all.saturating_sub(rest)
    };
    let floor = consumer.ack_floor.stream_seq + 1;
    let unsettled = if consumer.num_ack_pending == 0 || floor >= too_old {
        0
    } else {
        // Some of what is unsettled is younger.
        let all = stored_from(link, stream, &filters, floor).await?;
        let rest = stored_from(link, stream, &filters, too_old).await?;
        let old = all.saturating_sub(rest).saturating_sub(undelivered);
        consumer.num_ack_pending.min(old)
    };
    let missed = Missed {
        consumer: consumer.name.clone(),
        undelivered,
        unsettled,
    };
    Ok((missed.undelivered + missed.unsettled > 0).then_some(missed))
}

/// How many events of these filters there are from a place on; without any, of all.
pub(super) async fn stored_from(
    link: &Link,
    stream: &str,
    filters: &[&str],
    from: u64,
) -> Result<u64, ControlError> {
    let config = json!({
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": from,
        "ack_policy": "none",
        "filter_subjects": filters,
        "mem_storage": true,
        "inactive_threshold": u64::try_from(FORGET_AFTER.as_nanos()).unwrap_or(u64::MAX),
    });
    let request = json!({ "stream_name": stream, "config": config });
    let counting: Info = link
        .call(&format!("CONSUMER.CREATE.{stream}"), &request)
        .await
        .map_err(|error| error.during("counting events"))?;
    consumers::remove(link, stream, &counting.name).await?;
    Ok(counting.num_pending)
}
