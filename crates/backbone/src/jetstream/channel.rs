//! What processes say to each other beside the log: said to whoever listens, and stored nowhere.
//!
//! What it means is not known here, nor whether anybody hears it.

use std::{sync::Arc, time::Duration};

use async_nats::{Message, Request, Subject, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::{
    Jetstream,
    link::{Link, NOT_CONNECTED},
};
use crate::ControlError;

/// How long an answer may take: it comes from memory.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// A place to talk, of those who share a log.
#[derive(Clone, Debug)]
pub struct Channel {
    link: Arc<Link>,
    root: Arc<str>,
}

/// What is said on topics, from the moment on when somebody began to listen.
#[derive(Debug)]
pub struct Listener {
    channel: Channel,
    said: Subscriber,
}

/// One thing that was said.
#[derive(Debug)]
pub struct Said {
    /// What it was said of.
    pub topic: String,
    /// What was said.
    pub payload: Bytes,
    reply: Option<Subject>,
    link: Arc<Link>,
}

impl Jetstream {
    /// A place to talk for those who share this log.
    pub fn channel(&self, name: &str) -> Channel {
        let stream = &self.shared.config.events.stream;
        Channel {
            link: Arc::clone(&self.shared.link),
            root: format!("tidegate.{name}.{stream}.").into(),
        }
    }
}

impl Channel {
    /// Says something to whoever listens now.
    pub async fn say(&self, topic: &str, payload: Vec<u8>) -> Result<(), ControlError> {
        let failed = |detail: String| self.failed("saying something of", topic, detail);
        if !self.link.is_connected() {
            return Err(failed(NOT_CONNECTED.to_owned()));
        }
        let said = self
            .link
            .client()
            .publish(self.subject(topic), payload.into());
        said.await.map_err(|error| failed(error.to_string()))
    }

    /// Asks the one who listens to this topic.
    pub async fn ask(&self, topic: &str, payload: Vec<u8>) -> Result<Bytes, ControlError> {
        let failed = |detail: String| self.failed("asking for", topic, detail);
        if !self.link.is_connected() {
            return Err(failed(NOT_CONNECTED.to_owned()));
        }
        let request = Request::new()
            .payload(payload.into())
            .timeout(Some(ANSWER_TIMEOUT));
        let answer = self
            .link
            .client()
            .send_request(self.subject(topic), request)
            .await;
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        Ok(answer.payload)
    }

    /// Listens to a topic; `*` is any of one word.
    pub async fn listen(&self, topic: &str) -> Result<Listener, ControlError> {
        let failed = |detail: String| self.failed("listening to", topic, detail);
        let said = self.link.client().subscribe(self.subject(topic)).await;
        Ok(Listener {
            channel: self.clone(),
            said: said.map_err(|error| failed(error.to_string()))?,
        })
    }

    fn subject(&self, topic: &str) -> String {
        format!("{}{topic}", self.root)
    }

    fn failed(&self, action: &str, topic: &str, detail: String) -> ControlError {
        ControlError {
            action: format!("{action} {}{topic}", self.root),
            detail,
        }
    }
}

impl Listener {
    /// What is said next; `None` when the connection is closed for good.
    pub async fn next(&mut self) -> Option<Said> {
        let Message {
            subject,
            payload,
            reply,
            ..
        } = self.said.next().await?;
        let topic = subject.strip_prefix(&*self.channel.root);
        Some(Said {
            topic: topic.unwrap_or_default().to_owned(),
            payload,
            reply,
            link: Arc::clone(&self.channel.link),
        })
    }
}

impl Said {
    /// Answers whoever has asked. One who hears nothing asks again.
    pub async fn answer(self, payload: Vec<u8>) {
        if let Some(reply) = self.reply {
            drop(self.link.client().publish(reply, payload.into()).await);
        }
    }
}
