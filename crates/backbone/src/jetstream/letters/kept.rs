//! How many dead letters are kept, how old and how large they are, and the end of the oldest.

use std::{
    collections::{BTreeMap, HashMap},
    time::SystemTime,
};

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{
    link::Link,
    look::{From, Look},
    reply,
};
use crate::{ControlError, LettersOf, subject};

/// Most letters of one Subscription that are looked at, the oldest: 24 bytes each here.
const LOOKED_AT_MAX: usize = 1_000_000;

/// A kept dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterSize {
    /// Its place among the dead letters.
    pub sequence: u64,
    /// When it became one.
    pub buried_at: SystemTime,
    /// Its bytes in the stream, headers included.
    pub bytes: u64,
}

/// The stream of the dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// How many there are.
    pub letters: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest became one; `None` when there is none.
    pub oldest: Option<SystemTime>,
    /// Changes whenever a letter comes.
    pub last_sequence: u64,
}

/// What is kept in all.
pub(in super::super) async fn all(link: &Link, stream: &str) -> Result<Kept, ControlError> {
    let info: Value = link
        .call(&format!("STREAM.INFO.{stream}"), &Value::Null)
        .await
        .map_err(|error| error.during("asking for the dead letters"))?;
    let number = |field: &str| {
        let found = info.pointer(&format!("/state/{field}"));
        found.and_then(Value::as_u64).unwrap_or(0)
    };
    let letters = number("messages");
    let oldest = info.pointer("/state/first_ts").and_then(Value::as_str);
    let oldest = oldest.and_then(|time| humantime::parse_rfc3339(time).ok());
    Ok(Kept {
        letters,
        bytes: number("bytes"),
        oldest: oldest.filter(|_| letters > 0),
        last_sequence: number("last_seq"),
    })
}

/// Most pages of subjects that are read: 100,000 Subscriptions each.
const PAGES_MAX: usize = 100;

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    total: usize,
    state: PageState,
}

#[derive(Deserialize)]
struct PageState {
    #[serde(default)]
    subjects: Option<HashMap<String, u64>>,
}

/// How many letters each Subscription (`namespace`, `name`) has; none that has none.
pub(in super::super) async fn of_each(
    link: &Link,
    stream: &str,
    root: &str,
) -> Result<HashMap<(String, String), u64>, ControlError> {
    let (mut counts, mut offset) = (HashMap::new(), 0);
    for _ in 0..PAGES_MAX {
        let asked = json!({ "subjects_filter": subject::all(root), "offset": offset });
        let page: Page = link
            .call(&format!("STREAM.INFO.{stream}"), &asked)
            .await
            .map_err(|error| error.during("counting the dead letters"))?;
        let subjects = page.state.subjects.unwrap_or_default();
        let is_last = subjects.is_empty();
        offset += subjects.len();
        let subjects = subjects.into_iter();
        counts
            .extend(subjects.filter_map(|(one, count)| Some((subject::parse(root, &one)?, count))));
        if is_last || offset >= page.total {
            break;
        }
    }
    Ok(counts)
}

/// The letters of a subject, oldest first.
pub(in super::super) async fn of(
    link: &Link,
    stream: &str,
    subject: &str,
) -> Result<Vec<LetterSize>, ControlError> {
    let mut found = Vec::new();
    each(link, stream, subject, 1, |message| {
        found.extend(size(message));
        found.len() < LOOKED_AT_MAX
    })
    .await?;
    Ok(found)
}

/// Which of these events have letters.
pub(in super::super) async fn among(
    link: &Link,
    stream: &str,
    subject: &str,
    of: &LettersOf,
) -> Result<BTreeMap<u64, u64>, ControlError> {
    let mut found = BTreeMap::new();
    each(link, stream, subject, of.from, |message| {
        if let Some((event, letter)) = letter_of(message, &of.consumer)
            && of.events.contains(&event)
        {
            found.insert(event, letter);
        }
        found.len() < of.events.len()
    })
    .await?;
    Ok(found)
}

/// Sees the letters of a subject without their data, oldest first, until it is enough.
async fn each(
    link: &Link,
    stream: &str,
    subject: &str,
    from: u64,
    wants_more: impl FnMut(&async_nats::Message) -> bool,
) -> Result<(), ControlError> {
    let look = Look {
        action: "looking at the dead letters",
        stream,
        filters: &[subject],
        from: From::Place(from),
        headers_only: true,
    };
    look.each(link, wants_more).await
}

/// The place of its event, and its own; `None` where another consumer gave the event up.
fn letter_of(message: &async_nats::Message, consumer: &str) -> Option<(u64, u64)> {
    let headers = message.headers.as_ref()?;
    let event = headers.get("tidegate-sequence")?.as_str().parse().ok()?;
    let is_its = headers.get("tidegate-consumer")?.as_str() == consumer;
    let letter = reply::parse(message.reply.as_deref()?)?.sequence;
    is_its.then_some((event, letter))
}

fn size(message: &async_nats::Message) -> Option<LetterSize> {
    let place = reply::parse(message.reply.as_deref()?)?;
    let of_data = message.headers.as_ref()?.get("Nats-Msg-Size")?;
    let of_data: u64 = of_data.as_str().parse().ok()?;
    Some(LetterSize {
        sequence: place.sequence,
        buried_at: place.stored_at,
        bytes: of_data + u64::try_from(message.length).unwrap_or(u64::MAX),
    })
}

/// Deletes the letters of a subject up to this place; how many.
pub(in super::super) async fn delete(
    link: &Link,
    stream: &str,
    subject: &str,
    up_to: u64,
) -> Result<u64, ControlError> {
    // The server purges below `seq`.
    let asked = json!({ "filter": subject, "seq": up_to.saturating_add(1) });
    let answer: Value = link
        .call(&format!("STREAM.PURGE.{stream}"), &asked)
        .await
        .map_err(|error| error.during("deleting dead letters"))?;
    Ok(answer.get("purged").and_then(Value::as_u64).unwrap_or(0))
}
