//! Pausing a Subscription of a running Tidegate, and letting it go on.
#![expect(clippy::print_stdout, reason = "the result is for standard output")]

use clap::Args;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::command::admin_client::{AdminClient, AdminDoor};

/// Which is to be paused, and why.
#[derive(Debug, Args)]
pub(super) struct Pause {
    #[command(flatten)]
    which: Resume,
    /// Why, for whoever looks: a line of at most 300 characters
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Which is to go on.
#[derive(Debug, Args)]
pub(super) struct Resume {
    #[command(flatten)]
    admin: AdminDoor,
    /// Its name, with its namespace before it where that is not "default"
    #[arg(value_name = "[NAMESPACE/]NAME")]
    name: String,
}

/// What came of it, as the door tells.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pausing {
    subscription: String,
    is_new: bool,
    paused: Option<Paused>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Paused {
    by_document: bool,
    by_command: Option<ByCommand>,
}

#[derive(Deserialize)]
struct ByCommand {
    who: Option<String>,
    since: String,
    reason: Option<String>,
}

impl Pausing {
    /// For people.
    fn line(&self) -> String {
        let Self {
            subscription,
            is_new,
            paused,
        } = self;
        let Some(paused) = paused else {
            let was = if *is_new {
                "is resumed"
            } else {
                "was not paused"
            };
            return format!("{subscription} {was}");
        };
        let mut line = match (is_new, &paused.by_command) {
            (false, Some(first)) => {
                let who = first.who.as_ref().map(|who| format!(" of {who}"));
                let reason = first.reason.as_ref().map(|reason| format!(": {reason}"));
                let (who, reason) = (who.unwrap_or_default(), reason.unwrap_or_default());
                let since = &first.since;
                format!("{subscription} was paused already, by command{who} since {since}{reason}")
            }
            _ => format!("{subscription} is paused"),
        };
        if paused.by_document {
            line += "; its document pauses it, too";
        }
        line
    }
}

pub(super) fn pause(pause: &Pause) -> anyhow::Result<()> {
    let reason = pause.reason.as_ref();
    let body = reason.map(|reason| json!({ "reason": reason }));
    asked(&pause.which, "pause", body.as_ref())
}

pub(super) fn resume(which: &Resume) -> anyhow::Result<()> {
    asked(which, "resume", None)
}

fn asked(which: &Resume, what: &str, body: Option<&Value>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let admin = AdminClient::of(&which.admin)?;
    let name = &*which.name;
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    let path = format!("/api/v1/subscriptions/{namespace}/{name}/{what}");
    let answer = runtime.block_on(admin.ask(Method::POST, &path, body))?;
    let pausing: Pausing = serde_json::from_value(answer)?;
    println!("{}", pausing.line());
    Ok(())
}
