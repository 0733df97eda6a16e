//! How full the streams are, and how old what they hold is.

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::Value;

use super::{
    Jetstream, Shared, expire,
    link::{ApiError, STREAM_NOT_FOUND},
};
use crate::ControlError;

/// What a stream holds, and may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The section of the configuration that makes it.
    pub section: &'static str,
    /// Bytes that it holds.
    pub bytes: u64,
    /// Bytes that it may hold; none without a limit.
    pub bytes_max: Option<u64>,
    /// Messages that it holds.
    pub messages: u64,
    /// Its consumers, whoever made them.
    pub consumers: u64,
}

#[derive(Deserialize)]
struct Info {
    state: State,
    config: Limits,
}

#[derive(Deserialize)]
struct State {
    bytes: u64,
    messages: u64,
    #[serde(default)]
    consumer_count: u64,
}

#[derive(Deserialize)]
struct Limits {
    max_bytes: i64,
}

impl Jetstream {
    /// How full each stream is that is there.
    pub async fn usage(&self) -> Result<Vec<Usage>, ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        let mut all = Vec::new();
        for (section, stream) in [
            ("events", &config.events.stream),
            ("dead_letters", &config.dead_letters.stream),
            ("history", &config.history.stream),
        ] {
            let info: Result<Info, ApiError> = link
                .call(&format!("STREAM.INFO.{stream}"), &Value::Null)
                .await;
            match info {
                Ok(Info { state, config }) => all.push(Usage {
                    section,
                    bytes: state.bytes,
                    bytes_max: u64::try_from(config.max_bytes).ok(),
                    messages: state.messages,
                    consumers: state.consumer_count,
                }),
                // There is none without a history.
                Err(error) if error.code() == Some(STREAM_NOT_FOUND) => {}
                Err(error) => return Err(error.during("asking how full the streams are")),
            }
        }
        Ok(all)
    }

    /// When the oldest event of these filters was stored, of any without filters, from this place
    /// on; a request to the log for each filter.
    pub async fn stored_at(
        &self,
        filters: &[String],
        from: u64,
    ) -> Result<Option<SystemTime>, ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        let stream = &config.events.stream;
        let all = [">".to_owned()];
        let filters = if filters.is_empty() { &all } else { filters };
        let mut oldest: Option<(u64, SystemTime)> = None;
        for filter in filters {
            let found = expire::at(link, stream, from, filter).await?;
            oldest = match (oldest, found) {
                (Some(oldest), Some(found)) => Some(oldest.min(found)),
                (oldest, found) => oldest.or(found),
            };
        }
        Ok(oldest.map(|(_, time)| time))
    }
}
