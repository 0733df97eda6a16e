//! Who is there: whoever is answers requests on a subject of its own, and stores nothing.
//!
//! What it is there for, and what follows when it is not, is not known here.

use std::{sync::Arc, time::Duration};

use async_nats::{Message, Request, RequestError, RequestErrorKind, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::{sync::mpsc, task::JoinHandle};

use super::link::{CONTROL_TIMEOUT, LOST, Link, NOT_CONNECTED};
use crate::{ControlError, Presence};

/// How long an answer may take. Who does not answer in time is there all the same: where nobody
/// listens, the server says so at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Most that is said and not heard.
const SAID_MAX: usize = 16;

/// Somebody is seen as long as it is held and its connection stands.
#[derive(Debug)]
pub struct JetstreamPresence {
    answering: JoinHandle<()>,
    heard: mpsc::Receiver<u32>,
}

impl Presence for JetstreamPresence {
    async fn heard(&mut self) -> u32 {
        match self.heard.recv().await {
            Some(said) => said,
            None => std::future::pending().await,
        }
    }
}

impl Drop for JetstreamPresence {
    fn drop(&mut self) {
        // The subscription ends with the task that has it.
        self.answering.abort();
    }
}

pub(super) fn subject_of(bucket: &str, name: &str) -> String {
    format!("tidegate.presence.{bucket}.{name}")
}

/// Answers on the subject from now on. The server knows of it when this returns.
pub(super) async fn appear(
    link: &Arc<Link>,
    subject: &str,
) -> Result<JetstreamPresence, ControlError> {
    let failed = |detail: String| ControlError {
        action: format!("appearing on {subject}"),
        detail,
    };
    if !link.is_connected() {
        return Err(failed(NOT_CONNECTED.to_owned()));
    }
    let requests = link.client().subscribe(subject.to_owned()).await;
    let requests = requests.map_err(|error| failed(error.to_string()))?;
    let (says, heard) = mpsc::channel(SAID_MAX);
    let presence = JetstreamPresence {
        answering: tokio::spawn(answer(Arc::clone(link), requests, says)),
        heard,
    };
    // The server reads in order: whoever answers this, it has read the subscription before.
    let asked = ask(link, subject, None, CONTROL_TIMEOUT).await;
    asked.map_err(|error| failed(error.to_string()))?;
    Ok(presence)
}

/// Whether somebody answers on the subject, or is there at least.
pub(super) async fn is_seen(
    link: &Link,
    subject: &str,
    says: Option<u32>,
) -> Result<bool, ControlError> {
    let failed = |detail: String| ControlError {
        action: format!("looking who is on {subject}"),
        detail,
    };
    let losses = link.losses();
    if !link.is_connected() {
        return Err(failed(NOT_CONNECTED.to_owned()));
    }
    let Err(error) = ask(link, subject, says, ANSWER_TIMEOUT).await else {
        return Ok(true);
    };
    match error.kind() {
        RequestErrorKind::NoResponders => Ok(false),
        // Neither the question nor the answer survives the connection.
        RequestErrorKind::TimedOut if losses.has_changed().unwrap_or(true) => {
            Err(failed(LOST.to_owned()))
        }
        RequestErrorKind::TimedOut => Ok(true),
        RequestErrorKind::InvalidSubject
        | RequestErrorKind::MaxPayloadExceeded
        | RequestErrorKind::Other => Err(failed(error.to_string())),
    }
}

async fn ask(
    link: &Link,
    subject: &str,
    says: Option<u32>,
    within: Duration,
) -> Result<Message, RequestError> {
    let payload = says.map_or_else(Bytes::new, |says| says.to_string().into());
    let request = Request::new().payload(payload).timeout(Some(within));
    link.client()
        .send_request(subject.to_owned(), request)
        .await
}

async fn answer(link: Arc<Link>, mut requests: Subscriber, says: mpsc::Sender<u32>) {
    while let Some(request) = requests.next().await {
        let said = std::str::from_utf8(&request.payload);
        if let Some(said) = said.ok().and_then(|said| said.parse().ok()) {
            // Who has not heard the last ones does not need this one.
            says.try_send(said).ok();
        }
        let Some(reply) = request.reply else {
            continue;
        };
        // Who asked and hears nothing asks again.
        drop(link.client().publish(reply, Bytes::new()).await);
    }
}
