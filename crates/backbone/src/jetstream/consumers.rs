//! Durable pull consumers: made, changed in place, listed, deleted.

use std::collections::HashMap;

use async_nats::jetstream::{
    ErrorCode,
    consumer::{AckPolicy, DeliverPolicy, Info, pull},
    context::ConsumerInfoErrorKind,
};
use futures_util::TryStreamExt;

use super::{Jetstream, control, source::JetstreamSource};
use crate::{ConsumerSpec, ControlError, Pending, Start};

/// Marks what Tidegate made, for people and for [`Jetstream::pending_of_consumers`].
const MANAGED: (&str, &str) = ("tidegate.dev/managed", "true");

impl Jetstream {
    pub(super) async fn open_consumer(
        &self,
        spec: ConsumerSpec,
    ) -> Result<JetstreamSource, ControlError> {
        let stream = &self.0.config.events.stream;
        let action = || format!("opening the consumer {} of {}", spec.name, spec.description);
        let context = &self.0.context;
        let deliver_policy = match self.consumer_info(&spec.name).await? {
            // Cannot be changed, and must not be: the position is the consumer's own.
            Some(found) => found.config.deliver_policy,
            None => match spec.start {
                Start::New => DeliverPolicy::New,
                Start::All => DeliverPolicy::All,
            },
        };
        let config = pull::Config {
            durable_name: Some(spec.name.clone()),
            description: Some(spec.description.clone()),
            deliver_policy,
            ack_policy: AckPolicy::Explicit,
            ack_wait: spec.ack_wait,
            // Attempts are counted by the stage that decides about them.
            max_deliver: -1,
            max_ack_pending: i64::from(spec.unsettled_max),
            filter_subjects: spec.filters.clone(),
            metadata: HashMap::from([(MANAGED.0.to_owned(), MANAGED.1.to_owned())]),
            ..pull::Config::default()
        };
        context
            .create_consumer_on_stream(config, stream)
            .await
            .map_err(|error| control(action(), error))?;
        JetstreamSource::open(self.clone(), stream, spec.name.clone())
            .await
            .map_err(|error| control(action(), error))
    }

    async fn consumer_info(&self, name: &str) -> Result<Option<Info>, ControlError> {
        let stream = &self.0.config.events.stream;
        let context = &self.0.context;
        let stream = context
            .get_stream_no_info(stream)
            .await
            .map_err(|error| control(format!("reading the stream {stream}"), error))?;
        match stream.consumer_info(name).await {
            Ok(info) => Ok(Some(info)),
            Err(error) => match error.kind() {
                ConsumerInfoErrorKind::NotFound => Ok(None),
                ConsumerInfoErrorKind::JetStream(inner)
                    if inner.error_code() == ErrorCode::CONSUMER_NOT_FOUND =>
                {
                    Ok(None)
                }
                _ => Err(control(format!("reading the consumer {name}"), error)),
            },
        }
    }

    pub(super) async fn remove_consumer(&self, name: &str) -> Result<(), ControlError> {
        if self.consumer_info(name).await?.is_none() {
            return Ok(());
        }
        let stream = &self.0.config.events.stream;
        self.0
            .context
            .delete_consumer_from_stream(name, stream)
            .await
            .map(|_| ())
            .map_err(|error| control(format!("deleting the consumer {name}"), error))
    }

    pub(super) async fn pending_of_consumers(&self) -> Result<Vec<Pending>, ControlError> {
        let consumers = self.consumer_infos().await?;
        let ours = consumers
            .into_iter()
            .filter(|info| info.config.metadata.get(MANAGED.0).is_some_and(|value| value == MANAGED.1));
        Ok(ours
            .map(|info| Pending {
                name: info.name,
                description: info.config.description.unwrap_or_default(),
                undelivered: info.num_pending,
                unsettled: u64::try_from(info.num_ack_pending).unwrap_or(u64::MAX),
            })
            .collect())
    }

    /// Every consumer of the events stream, whoever made it.
    pub(super) async fn consumer_infos(&self) -> Result<Vec<Info>, ControlError> {
        let name = &self.0.config.events.stream;
        let action = || format!("listing the consumers of {name}");
        let stream = self
            .0
            .context
            .get_stream_no_info(name)
            .await
            .map_err(|error| control(action(), error))?;
        stream.consumers().try_collect().await.map_err(|error| control(action(), error))
    }
}
