//! Looking at what a stream holds, from some place on, without taking anything, and without data.

use std::time::Duration;

use async_nats::{Message, StatusCode, Subject};
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::link::{CONTROL_TIMEOUT, Link};
use crate::ControlError;

/// Messages of one request.
const BATCH: usize = 1_000;

/// After this time without a request the server forgets the consumer of a look.
const FORGET_AFTER: Duration = Duration::from_secs(30);

/// What is looked at.
#[derive(Debug)]
pub(super) struct Look<'a> {
    /// For whoever reads an error.
    pub(super) action: &'a str,
    pub(super) stream: &'a str,
    pub(super) filter: &'a str,
    /// From this place on.
    pub(super) from: u64,
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
        let mut is_enough = false;
        while !is_enough {
            let request = json!({ "batch": BATCH, "no_wait": true }).to_string();
            client
                .publish_with_reply(next.clone(), inbox.clone(), request.into())
                .await
                .map_err(|error| failed(error.to_string()))?;
            for _ in 0..BATCH {
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
        let config = json!({
            "ack_policy": "none",
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self.from.max(1),
            "filter_subject": self.filter,
            "headers_only": true,
            "mem_storage": true,
            "inactive_threshold": u64::try_from(FORGET_AFTER.as_nanos()).unwrap_or(u64::MAX),
        });
        json!({ "stream_name": self.stream, "config": config })
    }
}
