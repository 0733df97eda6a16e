//! Makes the streams, and brings existing ones to their configuration.
//!
//! Nothing is ever deleted here, and no stream that stands in the way is touched. Configurations
//! are JSON objects as the server sent them, so that what this version does not know survives.

use std::{fmt, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};

use super::link::{ApiError, Link, STREAM_NOT_FOUND};
use crate::{Config, Durability, Storage, config::REPLICAS_QUORUM_MIN};

/// How long a dead letter's identity is remembered: longer than the retries of one burial.
const DEAD_DUPLICATE_WINDOW: Duration = Duration::from_mins(2);

/// JetStream's error code for a stream that takes one of the subjects already.
const SUBJECT_OVERLAP: u64 = 10_065;

/// Fields that JetStream cannot change afterwards.
const FIXED: [&str; 2] = ["storage", "retention"];

/// How many servers keep the stream.
const REPLICAS: &str = "num_replicas";

/// How much a bucket holds.
const BUCKET_BYTES_MAX: u64 = 64 << 20;

/// How many messages of one subject it keeps.
const PER_SUBJECT: &str = "max_msgs_per_subject";

/// What is refused or deleted when it is full.
const DISCARD: &str = "discard";

/// Whether it takes atomic batches.
const ATOMIC: &str = "allow_atomic";

/// A setting in which a stream differs from its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The stream's name.
    pub stream: String,
    /// The setting, in JetStream's words.
    pub field: &'static str,
    /// What the configuration says.
    pub configured: String,
    /// What the stream had.
    pub actual: String,
    /// Whether it has been brought to the configuration.
    pub repaired: bool,
    /// Why it has not.
    pub reason: Option<String>,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stream,
            field,
            configured,
            actual,
            ..
        } = self;
        write!(
            f,
            "stream {stream}: {field} was {actual}, configured is {configured}: "
        )?;
        match &self.reason {
            None => f.write_str("changed"),
            Some(reason) => write!(f, "left as it is: {reason}"),
        }
    }
}

impl Drift {
    /// Whether the stream, as it stays, keeps less than is promised.
    fn breaks(&self, durability: Durability) -> bool {
        let promised = match durability {
            Durability::Default => false,
            Durability::Replicated => {
                let replicas = self.actual.parse().unwrap_or(0);
                self.field == REPLICAS && replicas < REPLICAS_QUORUM_MIN
            }
            Durability::Fsync => ["storage", ATOMIC].contains(&self.field),
        };
        promised && !self.repaired
    }

    fn error(&self, durability: Durability) -> EnsureError {
        let advice = match durability {
            Durability::Replicated => {
                "backbone.durability: replicated needs a NATS cluster of at least as many servers"
            }
            Durability::Default | Durability::Fsync => {
                "backbone.durability: fsync is not kept by this stream: name another one, or set \
                 backbone.durability: default"
            }
        };
        let Self {
            field,
            configured,
            actual,
            ..
        } = self;
        let reason = self.reason.as_deref().unwrap_or_default();
        EnsureError {
            stream: self.stream.clone(),
            detail: format!("{field} is {actual} and cannot become {configured}: {reason}"),
            advice: advice.to_owned(),
        }
    }
}

/// A stream could not be made or looked at.
#[derive(Clone, Debug, thiserror::Error)]
#[error("stream {stream}: {detail}; {advice}")]
pub struct EnsureError {
    /// The stream's name.
    pub stream: String,
    /// Why it failed.
    pub detail: String,
    /// What to do.
    pub advice: String,
}

#[derive(Deserialize)]
struct Info {
    config: serde_json::Map<String, Value>,
}

/// A stream as it is configured.
#[derive(Debug)]
struct Wanted<'a> {
    /// The section of the configuration.
    section: &'static str,
    name: &'a str,
    subject: String,
    /// Field and value, in JetStream's words.
    fields: Vec<(&'static str, Value)>,
}

pub(super) async fn ensure(link: &Link, config: &Config) -> Result<Vec<Drift>, EnsureError> {
    let mut drifts = ensure_one(link, &events(config)).await?;
    drifts.extend(ensure_one(link, &dead_letters(config)).await?);
    match drifts.iter().find(|drift| drift.breaks(config.durability)) {
        Some(drift) => Err(drift.error(config.durability)),
        None => Ok(drifts),
    }
}

/// Makes a bucket of the key-value store, or brings it to what is needed.
pub(super) async fn ensure_bucket(
    link: &Link,
    config: &Config,
    name: &str,
    subject: &str,
) -> Result<Vec<Drift>, EnsureError> {
    let mut fields = fields(
        config,
        BUCKET_BYTES_MAX,
        Duration::ZERO,
        DEAD_DUPLICATE_WINDOW,
    );
    fields.retain(|(field, _)| *field != PER_SUBJECT);
    fields.extend([(PER_SUBJECT, json!(1)), ("allow_rollup_hdrs", json!(true))]);
    let wanted = Wanted {
        section: "events",
        name,
        subject: subject.to_owned(),
        fields,
    };
    ensure_one(link, &wanted).await
}

/// Makes the stream of what happened to events, or brings it to its configuration.
pub(super) async fn ensure_history(
    link: &Link,
    config: &Config,
) -> Result<Vec<Drift>, EnsureError> {
    let history = &config.history;
    let size_max = history.size_max.as_u64();
    let mut fields = fields(config, size_max, history.age_max, DEAD_DUPLICATE_WINDOW);
    fields.retain(|(field, _)| *field != DISCARD);
    // It tells of the latest, and never refuses.
    fields.push((DISCARD, json!("old")));
    let wanted = Wanted {
        section: "history",
        name: &history.stream,
        subject: config.history_subject(),
        fields,
    };
    ensure_one(link, &wanted).await
}

fn events(config: &Config) -> Wanted<'_> {
    let events = &config.events;
    let mut fields = fields(
        config,
        events.size_max.as_u64(),
        // Ours to keep, see `expire`.
        Duration::ZERO,
        events.duplicate_window,
    );
    if config.durability == Durability::Fsync {
        fields.push((ATOMIC, json!(true)));
    }
    Wanted {
        section: "events",
        name: &events.stream,
        subject: format!("{}.>", config.events_root()),
        fields,
    }
}

fn dead_letters(config: &Config) -> Wanted<'_> {
    let dead = &config.dead_letters;
    let window = match dead.age_max {
        Duration::ZERO => DEAD_DUPLICATE_WINDOW,
        age => age.min(DEAD_DUPLICATE_WINDOW),
    };
    Wanted {
        section: "dead_letters",
        name: &dead.stream,
        subject: format!("{}.>", config.dead_letters_root()),
        fields: fields(config, dead.size_max.as_u64(), dead.age_max, window),
    }
}

/// All that decides whether something accepted can get lost, or is refused.
fn fields(
    config: &Config,
    size_max: u64,
    age_max: Duration,
    window: Duration,
) -> Vec<(&'static str, Value)> {
    let storage = match config.storage {
        Storage::File => "file",
        Storage::Memory => "memory",
    };
    vec![
        ("storage", json!(storage)),
        ("retention", json!("limits")),
        (DISCARD, json!("new")),
        (REPLICAS, json!(config.replicas)),
        ("max_bytes", json!(size_max)),
        ("max_age", nanoseconds(age_max)),
        ("duplicate_window", nanoseconds(window)),
        ("max_msgs", json!(-1)),
        (PER_SUBJECT, json!(-1)),
        ("max_msg_size", json!(-1)),
        ("max_consumers", json!(-1)),
        ("no_ack", json!(false)),
        ("allow_direct", json!(true)),
    ]
}

fn nanoseconds(duration: Duration) -> Value {
    json!(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

async fn ensure_one(link: &Link, wanted: &Wanted<'_>) -> Result<Vec<Drift>, EnsureError> {
    let info: Result<Info, ApiError> = link
        .call(&format!("STREAM.INFO.{}", wanted.name), &Value::Null)
        .await;
    match info {
        Ok(Info { config }) => Ok(repair(link, wanted, config).await),
        Err(error) if error.code() == Some(STREAM_NOT_FOUND) => {
            create(link, wanted)
                .await
                .map_err(|error| wanted.error(&error))?;
            tracing::info!(
                stream = wanted.name,
                subject = wanted.subject,
                "stream created"
            );
            Ok(Vec::new())
        }
        Err(error) => Err(wanted.error(&error)),
    }
}

async fn create(link: &Link, wanted: &Wanted<'_>) -> Result<(), ApiError> {
    let mut config = json!({
        "name": wanted.name,
        "subjects": [wanted.subject],
        "metadata": { "tidegate.dev/managed": "true" },
    });
    for (field, value) in &wanted.fields {
        if let Some(object) = config.as_object_mut() {
            object.insert((*field).to_owned(), value.clone());
        }
    }
    let _: Info = link
        .call(&format!("STREAM.CREATE.{}", wanted.name), &config)
        .await?;
    Ok(())
}

/// Changes what differs, one field at a time, so that one refusal holds up no other.
async fn repair(
    link: &Link,
    wanted: &Wanted<'_>,
    mut config: serde_json::Map<String, Value>,
) -> Vec<Drift> {
    let mut drifts = Vec::new();
    for (field, configured, shown) in wanted.differences(&config) {
        let before = config.insert(field.to_owned(), configured);
        let refusal = if FIXED.contains(&field) {
            Some("JetStream cannot change it for an existing stream".to_owned())
        } else if field == REPLICAS && link.is_single_server() {
            // It would take the number, and keep one copy.
            Some("the nats-server is in no cluster".to_owned())
        } else {
            let changed = Value::Object(config.clone());
            let updated: Result<Info, _> = link
                .call(&format!("STREAM.UPDATE.{}", wanted.name), &changed)
                .await;
            updated.err().map(|error| error.to_string())
        };
        let actual = before
            .as_ref()
            .map_or_else(|| "not set".to_owned(), Value::to_string);
        if refusal.is_some() {
            match before {
                Some(before) => config.insert(field.to_owned(), before),
                None => config.remove(field),
            };
        }
        drifts.push(Drift {
            stream: wanted.name.to_owned(),
            field,
            configured: shown,
            actual,
            repaired: refusal.is_none(),
            reason: refusal,
        });
    }
    drifts
}

impl Wanted<'_> {
    /// Field, new value, and the configured one as text.
    fn differences(
        &self,
        config: &serde_json::Map<String, Value>,
    ) -> Vec<(&'static str, Value, String)> {
        let mut differences = Vec::new();
        let mut subjects = config
            .get("subjects")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        if !subjects
            .iter()
            .any(|subject| *subject == self.subject.as_str())
        {
            // Others may read what else the stream takes.
            subjects.push(json!(self.subject));
            differences.push(("subjects", Value::Array(subjects), self.subject.clone()));
        }
        for (field, configured) in &self.fields {
            if !same(config.get(*field), configured) {
                differences.push((field, configured.clone(), configured.to_string()));
            }
        }
        differences
    }

    fn error(&self, error: &ApiError) -> EnsureError {
        let section = self.section;
        let advice = match error {
            ApiError::Unreachable { .. } => {
                "is this a nats-server with JetStream (`jetstream {}` in its configuration)?"
                    .to_owned()
            }
            ApiError::Refused {
                code: SUBJECT_OVERLAP,
                ..
            } => format!(
                "another stream takes {} already: choose another backbone.subject_root, or set \
                 backbone.{section}.stream to that stream's name",
                self.subject
            ),
            ApiError::Refused {
                code: 10_023 | 10_028 | 10_047,
                ..
            } => format!(
                "lower backbone.{section}.size_max, or give the nats-server more storage \
                 (jetstream.max_file_store)"
            ),
            ApiError::Refused {
                code: 10_074 | 10_005,
                ..
            } => "lower backbone.replicas, or use a NATS cluster with as many servers".to_owned(),
            ApiError::Refused {
                code: 10_039 | 10_076,
                ..
            } => "enable JetStream on the nats-server, for this account".to_owned(),
            ApiError::Refused { .. } | ApiError::Unintelligible { .. } => {
                format!("check backbone.{section} against the nats-server's configuration")
            }
        };
        EnsureError {
            stream: self.name.to_owned(),
            detail: error.to_string(),
            advice,
        }
    }
}

/// Whether a field has its configured value; the server leaves out what is false, zero, or -1.
fn same(actual: Option<&Value>, configured: &Value) -> bool {
    match actual {
        Some(actual) if is_unset(actual) => is_unset(configured),
        Some(actual) => actual == configured,
        None => is_unset(configured),
    }
}

fn is_unset(value: &Value) -> bool {
    value.as_bool() == Some(false) || value.as_i64().is_some_and(|number| number <= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the server leaves out is no drift, and what is set against the configuration is one.
    #[test]
    fn unset_and_default_values_are_the_same() {
        assert!(same(None, &json!(false)));
        assert!(same(None, &json!(-1)));
        assert!(same(Some(&json!(0)), &json!(-1)));
        assert!(same(Some(&json!("file")), &json!("file")));
        assert!(!same(None, &json!(true)));
        assert!(!same(None, &json!("new")));
        assert!(!same(Some(&json!(5)), &json!(-1)));
        assert!(!same(Some(&json!(0)), &json!(5)));
    }
}
