//! Durable pull consumers: made, brought to their specification, listed, deleted.

use std::{collections::HashMap, time::Duration};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    link::{ApiError, CONSUMER_NOT_FOUND, Link, STREAM_NOT_FOUND},
    pin, reclaim,
};
use crate::{ConsumerSpec, ControlError, Former, Pending, Start};

/// Marks the consumers that this log made.
const MANAGED: &str = "tidegate.dev/managed";

/// What a consumer's owner wants.
const WANTS: &str = "tidegate.dev/wants";

/// What it wanted before, as JSON.
const FORMER: &str = "tidegate.dev/former";

/// Most pages of consumers that are read: 256 consumers each.
const PAGES_MAX: usize = 1_000;

/// A consumer as JetStream describes it.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    pub(super) name: String,
    pub(super) delivered: Position,
    pub(super) ack_floor: Position,
    #[serde(default)]
    pub(super) num_ack_pending: u64,
    #[serde(default)]
    pub(super) num_pending: u64,
    config: Described,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Position {
    #[serde(default)]
    pub(super) stream_seq: u64,
    #[serde(default)]
    consumer_seq: u64,
}

#[derive(Debug, Deserialize)]
struct Described {
    #[serde(default)]
    description: String,
    #[serde(default)]
    metadata: HashMap<String, String>,
    #[serde(default)]
    filter_subject: String,
    #[serde(default)]
    filter_subjects: Vec<String>,
}

impl Info {
    pub(super) fn is_managed(&self) -> bool {
        self.config
            .metadata
            .get(MANAGED)
            .is_some_and(|managed| managed == "true")
    }

    /// As one would look that has a part of it.
    pub(super) fn shared_by(
        &self,
        name: &str,
        filters: &[String],
        unsettled: Option<(u64, u64)>,
    ) -> Self {
        let (first, count) = match unsettled {
            Some((_, 0)) => (self.delivered.stream_seq + 1, 0),
            Some((first, count)) => (first, count),
            None => (self.ack_floor.stream_seq + 1, self.num_ack_pending),
        };
        Self {
            name: name.to_owned(),
            delivered: self.delivered,
            ack_floor: Position {
                stream_seq: first - 1,
                consumer_seq: 0,
            },
            num_ack_pending: count,
            num_pending: self.num_pending,
            config: Described {
                description: String::new(),
                metadata: HashMap::new(),
                filter_subject: String::new(),
                filter_subjects: filters.to_vec(),
            },
        }
    }

    /// The subjects that it reads; none for all.
    pub(super) fn filters(&self) -> Vec<&str> {
        let one = Some(self.config.filter_subject.as_str());
        let several = self.config.filter_subjects.iter().map(String::as_str);
        let filters = several.chain(one);
        filters.filter(|filter| !filter.is_empty()).collect()
    }
}

// === impl Pending ===

impl From<Info> for Pending {
    fn from(mut info: Info) -> Self {
        Self {
            filters: info.filters().into_iter().map(ToOwned::to_owned).collect(),
            description: info.config.description,
            undelivered: info.num_pending,
            unsettled: info.num_ack_pending,
            delivered: info.delivered.stream_seq,
            settled: info.ack_floor.stream_seq,
            deliveries: info.delivered.consumer_seq,
            wants: info.config.metadata.remove(WANTS),
            name: info.name,
        }
    }
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    total: usize,
    #[serde(default)]
    consumers: Option<Vec<Info>>,
    #[serde(default)]
    missing: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Existing {
    config: Map<String, Value>,
}

/// Makes the consumer, or brings it to `spec`; what it wanted before, and of a new one the place
/// behind which it begins. The position of one that was there stays.
pub(super) async fn bring(
    link: &Link,
    stream: &str,
    spec: &ConsumerSpec,
) -> Result<(Vec<Former>, Option<u64>), ControlError> {
    let action = || format!("opening consumer {}", spec.name);
    let existing: Result<Existing, ApiError> = link
        .call(
            &format!("CONSUMER.INFO.{stream}.{}", spec.name),
            &Value::Null,
        )
        .await;
    let mut config = match existing {
        Ok(Existing { config }) => config,
        Err(error) if error.code() == Some(CONSUMER_NOT_FOUND) => {
            let made = write(link, stream, spec, &new(spec)).await?;
            return Ok((Vec::new(), Some(made)));
        }
        Err(error) => return Err(error.during(action())),
    };
    let mut former = former(&config);
    let wanted = metadata(&config, WANTS).map(ToOwned::to_owned);
    if let Some(wants) = wanted.filter(|wanted| Some(wanted) != spec.wants.as_ref()) {
        // Everything is read first, and then it is seen up to where the old wish counts: between
        // the two nothing that either of them wants is passed over.
        remember(&mut config, &former);
        write(link, stream, spec, &without_filters(&config)).await?;
        let until = last_sequence(link, stream, &action()).await?;
        Former::add(&mut former, wants, until);
    }
    let before = config.clone();
    remember(&mut config, &former);
    let changed =
        changed(&before, &config, spec, !former.is_empty()).map_err(|detail| ControlError {
            action: action(),
            detail,
        })?;
    if let Some(changed) = changed {
        write(link, stream, spec, &changed).await?;
    }
    Ok((former, None))
}

/// Forgets what was wanted for events that are all settled; `true` when nothing is left.
pub(super) async fn narrow(
    link: &Link,
    stream: &str,
    spec: &ConsumerSpec,
) -> Result<bool, ControlError> {
    let action = || format!("narrowing consumer {}", spec.name);
    let last = last_sequence(link, stream, &action()).await?;
    let path = format!("CONSUMER.INFO.{stream}.{}", spec.name);
    let info: Value = link
        .call(&path, &Value::Null)
        .await
        .map_err(|error| error.during(action()))?;
    let understood = |error: serde_json::Error| ControlError {
        action: action(),
        detail: error.to_string(),
    };
    let state: Info = serde_json::from_value(info.clone()).map_err(understood)?;
    let Existing { mut config } = serde_json::from_value(info).map_err(understood)?;
    let floor = reclaim::floor(&state, last);
    let mut former = former(&config);
    former.retain(|one| one.until > floor);
    let is_done = former.is_empty();
    let before = config.clone();
    remember(&mut config, &former);
    let changed = changed(&before, &config, spec, !is_done).map_err(|detail| ControlError {
        action: action(),
        detail,
    })?;
    if let Some(changed) = changed {
        write(link, stream, spec, &changed).await?;
    }
    Ok(is_done)
}

/// Up to where all of it is settled then.
async fn write(
    link: &Link,
    stream: &str,
    spec: &ConsumerSpec,
    config: &Map<String, Value>,
) -> Result<u64, ControlError> {
    let request = json!({ "stream_name": stream, "config": config });
    let written: Info = link
        .call(&format!("CONSUMER.CREATE.{stream}.{}", spec.name), &request)
        .await
        .map_err(|error| error.during(format!("writing consumer {}", spec.name)))?;
    Ok(Pending::from(written).settled_to())
}

pub(super) async fn last_sequence(
    link: &Link,
    stream: &str,
    action: &str,
) -> Result<u64, ControlError> {
    let info: Value = link
        .call(&format!("STREAM.INFO.{stream}"), &Value::Null)
        .await
        .map_err(|error| error.during(action))?;
    let last = info.pointer("/state/last_seq").and_then(Value::as_u64);
    last.ok_or_else(|| ControlError {
        action: action.to_owned(),
        detail: "the stream does not say where it ends".to_owned(),
    })
}

fn metadata<'a>(config: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    config.get("metadata")?.get(key)?.as_str()
}

fn former(config: &Map<String, Value>) -> Vec<Former> {
    let text = metadata(config, FORMER).unwrap_or("[]");
    let pairs: Vec<(u64, Vec<String>)> = serde_json::from_str(text).unwrap_or_default();
    let pairs = pairs.into_iter();
    pairs
        .map(|(until, wants)| Former { wants, until })
        .collect()
}

fn remember(config: &mut Map<String, Value>, former: &[Former]) {
    let pairs: Vec<(u64, &[String])> = former.iter().map(|one| (one.until, &*one.wants)).collect();
    let entry = config.entry("metadata").or_insert_with(|| json!({}));
    let Some(metadata) = entry.as_object_mut() else {
        return;
    };
    if pairs.is_empty() {
        metadata.remove(FORMER);
    } else {
        metadata.insert(FORMER.to_owned(), json!(json!(pairs).to_string()));
    }
}

fn without_filters(config: &Map<String, Value>) -> Map<String, Value> {
    let mut config = config.clone();
    config.remove("filter_subject");
    config.remove("filter_subjects");
    config
}

/// Deletes it, if it is there.
pub(super) async fn remove(link: &Link, stream: &str, name: &str) -> Result<(), ControlError> {
    let deleted: Result<Value, ApiError> = link
        .call(&format!("CONSUMER.DELETE.{stream}.{name}"), &Value::Null)
        .await;
    match deleted {
        Ok(_) => Ok(()),
        Err(error) if matches!(error.code(), Some(CONSUMER_NOT_FOUND | STREAM_NOT_FOUND)) => Ok(()),
        Err(error) => Err(error.during(format!("deleting consumer {name}"))),
    }
}

/// Lets another client have the consumer's events at once.
pub(super) async fn unpin(link: &Link, stream: &str, name: &str) {
    let path = format!("CONSUMER.UNPIN.{stream}.{name}");
    let answer: Result<Value, ApiError> = link.call(&path, &json!({ "group": pin::GROUP })).await;
    if let Err(error) = answer {
        let error = error.during("handing over");
        tracing::debug!(consumer = name, %error, "another process gets the events after a while");
    }
}

/// The consumer; `None` when it is certain that it is no more.
pub(super) async fn find(link: &Link, stream: &str, name: &str) -> Result<Option<Info>, ApiError> {
    let info: Result<Info, ApiError> = link
        .call(&format!("CONSUMER.INFO.{stream}.{name}"), &Value::Null)
        .await;
    match info {
        Ok(info) => Ok(Some(info)),
        Err(error) if matches!(error.code(), Some(CONSUMER_NOT_FOUND | STREAM_NOT_FOUND)) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// All consumers of the stream, whoever made them; an error when one of them cannot be seen.
pub(super) async fn list(link: &Link, stream: &str) -> Result<Vec<Info>, ControlError> {
    let action = "listing the consumers";
    let mut all: Vec<Info> = Vec::new();
    for _ in 0..PAGES_MAX {
        let page: Page = link
            .call(
                &format!("CONSUMER.LIST.{stream}"),
                &json!({ "offset": all.len() }),
            )
            .await
            .map_err(|error| error.during(action))?;
        if let Some(missing) = page.missing.filter(|missing| !missing.is_empty()) {
            let detail = format!("no answer for {}", missing.join(", "));
            return Err(ControlError {
                action: action.to_owned(),
                detail,
            });
        }
        let consumers = page.consumers.unwrap_or_default();
        let last = consumers.is_empty();
        all.extend(consumers);
        if all.len() >= page.total {
            return Ok(all);
        }
        if last {
            break;
        }
    }
    let detail = format!("only {} of them were listed", all.len());
    Err(ControlError {
        action: action.to_owned(),
        detail,
    })
}

fn new(spec: &ConsumerSpec) -> Map<String, Value> {
    let mut config = Map::new();
    let start = match spec.start {
        Start::New => "new",
        Start::All => "all",
        Start::Since(time) => {
            let time = humantime::format_rfc3339_nanos(time).to_string();
            config.insert("opt_start_time".to_owned(), json!(time));
            "by_start_time"
        }
        Start::Sequence(sequence) => {
            config.insert("opt_start_seq".to_owned(), json!(sequence));
            "by_start_sequence"
        }
    };
    for (field, value) in [
        ("name", json!(spec.name)),
        ("durable_name", json!(spec.name)),
        ("deliver_policy", json!(start)),
        ("ack_policy", json!("explicit")),
        ("replay_policy", json!("instant")),
    ] {
        config.insert(field.to_owned(), value);
    }
    apply(&mut config, spec, false);
    config
}

/// The configuration that it needs; `None` when it has it. `reads_all` while something else was
/// wanted before.
fn changed(
    before: &Map<String, Value>,
    config: &Map<String, Value>,
    spec: &ConsumerSpec,
    reads_all: bool,
) -> Result<Option<Map<String, Value>>, String> {
    let text = |field: &str| {
        config
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    if !text("deliver_subject").is_empty() {
        return Err("a push consumer of this name exists".to_owned());
    }
    if text("ack_policy") != "explicit" {
        let policy = text("ack_policy");
        return Err(format!(
            "a consumer of this name exists with the ack policy {policy:?}"
        ));
    }
    let mut wanted = config.clone();
    apply(&mut wanted, spec, reads_all);
    let same = filters(&wanted) == filters(before)
        && is_exclusive(&wanted) == is_exclusive(before)
        && wanted
            .iter()
            .filter(|(field, _)| !field.starts_with("filter_subject"))
            .all(|(field, value)| before.get(field) == Some(value));
    Ok((!same).then_some(wanted))
}

/// What a specification says of a consumer, new or not.
fn apply(config: &mut Map<String, Value>, spec: &ConsumerSpec, reads_all: bool) {
    config.insert("description".to_owned(), json!(spec.description));
    config.insert("ack_wait".to_owned(), nanoseconds(spec.ack_wait));
    config.insert("max_deliver".to_owned(), json!(-1));
    config.insert("max_ack_pending".to_owned(), json!(spec.unsettled_max));
    config.remove("filter_subject");
    config.remove("filter_subjects");
    if !spec.filters.is_empty() && !reads_all {
        config.insert(
            "filter_subjects".to_owned(),
            json!(without_covered(&spec.filters)),
        );
    }
    for field in ["priority_groups", "priority_policy", "priority_timeout"] {
        config.remove(field);
    }
    if spec.exclusive {
        config.extend(pin::config(spec.ack_wait));
    }
    let mut metadata = Map::new();
    if let Some(Value::Object(existing)) = config.remove("metadata") {
        metadata = existing;
    }
    metadata.insert(MANAGED.to_owned(), json!("true"));
    match &spec.wants {
        Some(wants) => metadata.insert(WANTS.to_owned(), json!(wants)),
        None => metadata.remove(WANTS),
    };
    config.insert("metadata".to_owned(), Value::Object(metadata));
}

fn nanoseconds(duration: Duration) -> Value {
    json!(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

fn is_exclusive(config: &Map<String, Value>) -> bool {
    config.get("priority_policy").and_then(Value::as_str) == Some(pin::POLICY)
}

/// The filters of a configuration; the server writes one alone in another way than several.
fn filters(config: &Map<String, Value>) -> Vec<&str> {
    let one = config.get("filter_subject").and_then(Value::as_str);
    let several = config.get("filter_subjects").and_then(Value::as_array);
    let several = several.into_iter().flatten().filter_map(Value::as_str);
    let mut filters: Vec<&str> = one.into_iter().chain(several).collect();
    filters.retain(|filter| !filter.is_empty());
    filters.sort_unstable();
    filters
}

/// JetStream refuses filters that overlap; one that another covers adds nothing.
fn without_covered(filters: &[String]) -> Vec<&str> {
    let mut kept: Vec<&str> = Vec::new();
    for filter in filters {
        if kept.iter().any(|kept| covers(kept, filter)) {
            continue;
        }
        kept.retain(|kept| !covers(filter, kept));
        kept.push(filter);
    }
    kept
}

/// Whether every subject that `narrow` matches is matched by `wide`.
fn covers(wide: &str, narrow: &str) -> bool {
    let (mut wide, mut narrow) = (wide.split('.'), narrow.split('.'));
    loop {
        match (wide.next(), narrow.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) => return true,
            (Some(_), None) | (None, Some(_)) | (Some(_), Some(">")) => return false,
            (Some(wide), Some(narrow)) if wide != "*" && wide != narrow => return false,
            (Some(_), Some(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests;
