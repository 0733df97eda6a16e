//! The streams as configured: made when absent, compared and mended when not.

use std::{fmt, time::Duration};

use async_nats::jetstream::{
    ErrorCode,
    context::{CreateStreamErrorKind, GetStreamErrorKind},
    stream::{self, DiscardPolicy, RetentionPolicy, StorageType},
};

use super::{Jetstream, control};
use crate::{Config, ControlError, Storage, StreamConfig};

/// How long readiness waits for the server.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// One way in which a stream differs from its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The stream.
    pub stream: String,
    /// What differs.
    pub field: &'static str,
    /// As configured.
    pub configured: String,
    /// As found.
    pub actual: String,
    /// Whether it was brought to its configuration.
    pub repaired: bool,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, field, configured, actual, repaired } = self;
        let outcome = if *repaired { "changed to the configuration" } else { "left as it is" };
        write!(f, "stream {stream}: {field} is {actual}, configured is {configured}; {outcome}")
    }
}

impl Jetstream {
    /// Makes the streams, or brings them to their configuration where that loses nothing; says
    /// what differed.
    pub async fn ensure(&self) -> Result<Vec<Drift>, ControlError> {
        let config = &self.0.config;
        let events = wanted(config, &config.events, &config.events_root(), "Events");
        let dead =
            wanted(config, &config.dead_letters, &config.dead_letters_root(), "Dead letters");
        let mut drifts = self.ensure_stream(events).await?;
        drifts.extend(self.ensure_stream(dead).await?);
        Ok(drifts)
    }

    async fn ensure_stream(&self, wanted: stream::Config) -> Result<Vec<Drift>, ControlError> {
        let name = wanted.name.clone();
        let context = &self.0.context;
        match context.get_stream(&name).await {
            Ok(stream) => self.mend(wanted, stream.cached_info()).await,
            Err(error) if is_not_found(&error.kind()) => {
                context.create_stream(wanted).await.map_err(|error| {
                    control(format!("making the stream {name}"), why_not_made(&error.kind(), &error))
                })?;
                Ok(Vec::new())
            }
            Err(error) => Err(control(format!("reading the stream {name}"), error)),
        }
    }

    async fn mend(
        &self,
        wanted: stream::Config,
        found: &stream::Info,
    ) -> Result<Vec<Drift>, ControlError> {
        let (mut mended, actual) = (found.config.clone(), &found.config);
        let mut drifts = Vec::new();
        let mut differ = |field, configured: String, actual: String, repaired: bool| {
            if configured != actual {
                let stream = wanted.name.clone();
                drifts.push(Drift { stream, field, configured, actual, repaired });
            }
        };
        // Shrinking below what is stored would evict; so would another retention.
        let fits = u64::try_from(wanted.max_bytes).is_ok_and(|max| max >= found.state.bytes);
        differ("size_max", wanted.max_bytes.to_string(), actual.max_bytes.to_string(), fits);
        differ("age_max", text(wanted.max_age), text(actual.max_age), true);
        differ("duplicate_window", text(wanted.duplicate_window), text(actual.duplicate_window), true);
        differ("replicas", wanted.num_replicas.to_string(), actual.num_replicas.to_string(), true);
        differ("discard", text(wanted.discard), text(actual.discard), true);
        differ("storage", text(wanted.storage), text(actual.storage), false);
        differ("retention", text(wanted.retention), text(actual.retention), false);
        differ("subjects", wanted.subjects.join(" "), actual.subjects.join(" "), true);
        if !drifts.iter().any(|drift| drift.repaired) {
            return Ok(drifts);
        }
        if fits {
            mended.max_bytes = wanted.max_bytes;
        }
        mended.max_age = wanted.max_age;
        mended.duplicate_window = wanted.duplicate_window;
        mended.num_replicas = wanted.num_replicas;
        mended.discard = wanted.discard;
        mended.subjects = wanted.subjects;
        let action = || format!("changing the stream {}", wanted.name);
        self.0.context.update_stream(&mended).await.map_err(|error| control(action(), error))?;
        Ok(drifts)
    }

    /// Whether an event would be stored now.
    pub(super) async fn check_ready(&self) -> Result<(), ControlError> {
        let action = || format!("asking for the stream {}", self.0.config.events.stream);
        if !self.connected() {
            return Err(control(action(), "not connected to nats-server"));
        }
        let asked = self.0.context.get_stream(&self.0.config.events.stream);
        match tokio::time::timeout(READY_TIMEOUT, asked).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(control(action(), error)),
            Err(_) => Err(control(action(), format!("no answer within {READY_TIMEOUT:?}"))),
        }
    }
}

fn wanted(
    config: &Config,
    stream: &StreamConfig,
    root: &str,
    description: &str,
) -> stream::Config {
    stream::Config {
        name: stream.stream.clone(),
        description: Some(format!("{description} of Tidegate")),
        subjects: vec![format!("{root}.>")],
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        max_bytes: i64::try_from(stream.size_max.as_u64()).unwrap_or(i64::MAX),
        max_age: stream.age_max,
        duplicate_window: stream.duplicate_window,
        num_replicas: config.replicas,
        storage: match config.storage {
            Storage::File => StorageType::File,
            Storage::Memory => StorageType::Memory,
        },
        allow_direct: true,
        ..stream::Config::default()
    }
}

fn text(value: impl fmt::Debug) -> String {
    format!("{value:?}")
}

fn is_not_found(kind: &GetStreamErrorKind) -> bool {
    matches!(kind, GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

fn why_not_made(kind: &CreateStreamErrorKind, error: &dyn fmt::Display) -> String {
    let code = match kind {
        CreateStreamErrorKind::JetStream(error) => error.error_code(),
        _ => return error.to_string(),
    };
    let advice = match code {
        ErrorCode::STREAM_SUBJECT_OVERLAP => {
            "another stream has these subjects; set backbone.subject_root"
        }
        ErrorCode::INSUFFICIENT_RESOURCES | ErrorCode::STORAGE_RESOURCES_EXCEEDED => {
            "the server has less storage; lower size_max of backbone.events and backbone.dead_letters"
        }
        _ => return error.to_string(),
    };
    format!("{error}: {advice}")
}
