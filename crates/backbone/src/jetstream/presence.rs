//! Who is there: whoever is answers requests on a subject of its own, and stores nothing.
//!
//! What it is there for, and what follows when it is not, is not known here.

use std::{sync::Arc, time::Duration};

use async_nats::{Message, Request, RequestError, RequestErrorKind, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::task::JoinHandle;

use super::link::{CONTROL_TIMEOUT, LOST, Link, NOT_CONNECTED};
use crate::ControlError;

/// How long an answer may take. Who does not answer in time is there all the same: where nobody
/// listens, the server says so at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Somebody is seen as long as it is held and its connection stands.
#[derive(Debug)]
pub struct JetstreamPresence {
    answering: JoinHandle<()>,
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
    let presence = JetstreamPresence {
        answering: tokio::spawn(answer(Arc::clone(link), requests)),
    };
    // The server reads in order: whoever answers this, it has read the subscription before.
    let asked = ask(link, subject, CONTROL_TIMEOUT).await;
    asked.map_err(|error| failed(error.to_string()))?;
    Ok(presence)
}

/// Whether somebody answers on the subject, or is there at least.
pub(super) async fn is_seen(link: &Link, subject: &str) -> Result<bool, ControlError> {
    let failed = |detail: String| ControlError {
        action: format!("looking who is on {subject}"),
        detail,
    };
    let losses = link.losses();
    if !link.is_connected() {
        return Err(failed(NOT_CONNECTED.to_owned()));
    }
    let Err(error) = ask(link, subject, ANSWER_TIMEOUT).await else {
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

async fn ask(link: &Link, subject: &str, within: Duration) -> Result<Message, RequestError> {
    let request = Request::new().timeout(Some(within));
    link.client()
        .send_request(subject.to_owned(), request)
        .await
}

async fn answer(link: Arc<Link>, mut requests: Subscriber) {
    while let Some(request) = requests.next().await {
        let Some(reply) = request.reply else {
            continue;
        };
        // Who asked and hears nothing asks again.
        drop(link.client().publish(reply, Bytes::new()).await);
    }
}
