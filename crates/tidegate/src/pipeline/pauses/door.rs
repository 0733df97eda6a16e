//! How an operator pauses a Subscription, and lets it go on.

use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::Serialize;
use tidegate_backbone::ControlError;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{Pause, Paused, REASON_CHARS_MAX};

/// Questions that may wait.
const ASKED_MAX: usize = 16;

/// How long whoever asks waits until this process has begun with it: as long as a request to the log
/// may take. It is durable before.
const APPLIED_PATIENCE: Duration = Duration::from_secs(5);

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pausing {
    /// `namespace/name` of the Subscription.
    pub(crate) subscription: String,
    /// Whether anything is other than before.
    pub(crate) is_new: bool,
    /// What pauses it now; `null` where nothing does.
    pub(crate) paused: Option<Paused>,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("there is no Subscription {0}; `tidegate subscriptions list` shows those there are")]
    NoSubscription(String),
    #[error("{0}")]
    Reason(String),
    #[error("{subscription} is {}; {}", .paused.words(), .paused.way_out())]
    ByDocument {
        subscription: String,
        paused: Box<Paused>,
    },
    #[error(
        "{0} Subscriptions are paused by command, and no more can be; resume some, or write \
         pause: true into documents"
    )]
    TooMany(usize),
    #[error(transparent)]
    Log(#[from] ControlError),
    #[error("Tidegate is shutting down")]
    Stopping,
}

/// What came of it, and where the id arrives as soon as this process has begun with it.
pub(in crate::pipeline) type Done = (Pausing, mpsc::Receiver<String>);

type Answer = oneshot::Sender<Result<Done, Refused>>;

/// A request to the one who applies pauses.
pub(in crate::pipeline) enum Ask {
    Pause(Pause, Answer),
    Resume(String, Answer),
}

/// Asks the one who applies pauses.
#[derive(Clone, Debug)]
pub(crate) struct PauseDoor(mpsc::Sender<Ask>);

impl PauseDoor {
    pub(in crate::pipeline) fn new() -> (Self, mpsc::Receiver<Ask>) {
        let (ask, asked) = mpsc::channel(ASKED_MAX);
        (Self(ask), asked)
    }

    /// Answered when it is durable, and this process begins nothing more.
    pub(crate) async fn pause(
        &self,
        subscription: String,
        who: Option<String>,
        reason: Option<&str>,
    ) -> Result<Pausing, Refused> {
        let pause = Pause {
            subscription,
            who,
            since: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            reason: text(reason)?,
        };
        self.ask(|answer| Ask::Pause(pause, answer)).await
    }

    /// Answered when it is durable, and this process goes on.
    pub(crate) async fn resume(&self, subscription: String) -> Result<Pausing, Refused> {
        self.ask(|answer| Ask::Resume(subscription, answer)).await
    }

    async fn ask(&self, ask: impl FnOnce(Answer) -> Ask) -> Result<Pausing, Refused> {
        let (answer, answered) = oneshot::channel();
        let sent = self.0.send(ask(answer)).await;
        sent.map_err(|_| Refused::Stopping)?;
        let (pausing, mut opened) = answered.await.unwrap_or(Err(Refused::Stopping))?;
        let applied = async {
            while let Some(id) = opened.recv().await {
                if id == pausing.subscription {
                    break;
                }
            }
        };
        // It goes on with it, however long the log is away.
        timeout(APPLIED_PATIENCE, applied).await.ok();
        Ok(pausing)
    }
}

/// A reason that can be shown in a line. None and an empty one are the same.
pub(super) fn text(reason: Option<&str>) -> Result<Option<String>, Refused> {
    let Some(reason) = reason.map(str::trim).filter(|reason| !reason.is_empty()) else {
        return Ok(None);
    };
    if reason.chars().any(char::is_control) {
        let detail = "reason: must be text of one line, without control characters";
        return Err(Refused::Reason(detail.to_owned()));
    }
    let count = reason.chars().count();
    if count > REASON_CHARS_MAX {
        return Err(Refused::Reason(format!(
            "reason: has {count} characters, the limit is {REASON_CHARS_MAX}"
        )));
    }
    Ok(Some(reason.to_owned()))
}
