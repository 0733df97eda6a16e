//! Looking at what a stream holds, from some place or time on, without taking anything.

use std::time::{Duration, SystemTime};

use async_nats::{Message, StatusCode, Subject};
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::link::{CONTROL_TIMEOUT, Link};
use crate::ControlError;

/// Messages of one request.
const BATCH: usize = 1_000;

/// The same where they come with their data: some MB.
const BATCH_WITH_DATA: usize = 100;

/// After this time without a request the server forgets the consumer of a look.
const FORGET_AFTER: Duration = Duration::from_secs(30);

/// From where on.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    Place(u64),
    Time(SystemTime),
}

/// What is looked at.
#[derive(Debug)]
pub(super) struct Look<'a> {
    /// For whoever reads an error.
    pub(super) action: &'a str,
    pub(super) stream: &'a str,
    pub(super) filters: &'a [&'a str],
    pub(super) from: From,
    pub(super) headers_only: bool,
}

#[derive(Deserialize)]
struct Created {
    name: String,
}

impl Look<'_> {
    /// Sees one message after the other, oldest first, until there are no more or it is enough.
    pub(super) async fn each(
        &self,
        link: &Link,
        mut wants_more: impl FnMut(&Message) -> bool,
    ) -> Result<(), ControlError> {
        let failed = |detail: String| ControlError {
            action: self.action.to_owned(),
            detail,
        };
        let stream = self.stream;
        let Created { name } = link
            .call(&format!("CONSUMER.CREATE.{stream}"), &self.consumer())
            .await
            .map_err(|error| error.during(self.action))?;
        let client = link.client();
        let inbox = Subject::from(client.new_inbox());
        let subscribed = client.subscribe(inbox.clone()).await;
        let mut subscriber = subscribed.map_err(|error| failed(error.to_string()))?;
        let next: Subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}").into();
        let batch = if self.headers_only {
            BATCH
        } else {
            BATCH_WITH_DATA
        };
        let mut is_enough = false;
        while !is_enough {
            let request = json!({ "batch": batch, "no_wait": true }).to_string();
            client
                .publish_with_reply(next.clone(), inbox.clone(), request.into())
                .await
                .map_err(|error| failed(error.to_string()))?;
            for _ in 0..batch {
                let message = match timeout(CONTROL_TIMEOUT, subscriber.next()).await {
                    Ok(Some(message)) => message,
                    Ok(None) | Err(_) => return Err(failed("no answer".to_owned())),
                };
                is_enough = match message.status {
                    None => !wants_more(&message),
                    // There are no more.
                    Some(StatusCode::NOT_FOUND | StatusCode::TIMEOUT) => true,
                    Some(status) => return Err(failed(format!("refused: {status}"))),
                };
                if is_enough {
                    break;
                }
            }
        }
        // It would be forgotten in a while by itself.
        let deleted = format!("CONSUMER.DELETE.{stream}.{name}");
        if let Err(error) = link.call::<Value>(&deleted, &Value::Null).await {
            tracing::debug!(%error, "the consumer of a look stays for a while");
        }
        Ok(())
    }

    fn consumer(&self) -> Value {
        let mut config = json!({
            "ack_policy": "none",
            "headers_only": self.headers_only,
            "mem_storage": true,
            "inactive_threshold": u64::try_from(FORGET_AFTER.as_nanos()).unwrap_or(u64::MAX),
        });
        let mut set = |field: &str, value: Value| {
            if let Some(config) = config.as_object_mut() {
                config.insert(field.to_owned(), value);
            }
        };
        match self.filters {
            [filter] => set("filter_subject", json!(filter)),
            filters => set("filter_subjects", json!(filters)),
        }
        match self.from {
            From::Place(place) => {
                set("deliver_policy", json!("by_start_sequence"));
                set("opt_start_seq", json!(place.max(1)));
            }
            From::Time(time) => {
                set("deliver_policy", json!("by_start_time"));
                let time = humantime::format_rfc3339_nanos(time).to_string();
                set("opt_start_time", json!(time));
            }
        }
        json!({ "stream_name": self.stream, "config": config })
    }
}
