//! `tidegate status`: on one screen whether all is well, what flows, and what to do next.

use std::{collections::BTreeMap, time::Duration};

use anyhow::bail;
use clap::Args;
use http::Method;
use serde::Deserialize;

use super::{
    admin_client::{AdminClient, AdminDoor},
    output::Printing,
};

const EXAMPLES: &str = "\
Examples:
  tidegate status
  tidegate status --stuck-after 1h
  tidegate status --watch
  tidegate status --output json

What flows is of the process that answers, in a second; what is stuck is of all of them.
Exit codes: 0 all is well, 1 something is stuck or nobody answers, 2 wrong use.";

/// How it stands.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    admin: AdminDoor,
    /// An event that waits longer is stuck
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "5m")]
    stuck_after: Duration,
    /// How long what flows is watched, at most 10s; 0s leaves it out
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "1s")]
    over: Duration,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    is_well: bool,
    parts: Vec<Part>,
    flow: Option<Flow>,
    stuck: Vec<Stuck>,
    #[serde(default)]
    stuck_more: usize,
    paused: Vec<Paused>,
    #[serde(default)]
    paused_more: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    name: String,
    is_well: bool,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Flow {
    stored: f64,
    refused: BTreeMap<String, f64>,
    delivered: f64,
    retried: f64,
    dead_letters: f64,
}

#[derive(Deserialize)]
struct Paused {
    subscription: String,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stuck {
    kind: String,
    subscription: Option<String>,
    since: Option<String>,
    waiting: Option<u64>,
    message: String,
    next: String,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let admin = AdminClient::of(&arguments.admin)?;
    let shown = |duration| {
        humantime::format_duration(duration)
            .to_string()
            .replace(' ', "%20")
    };
    let path = format!(
        "/api/v1/status?stuckAfter={}&watch={}",
        shown(arguments.stuck_after),
        shown(arguments.over)
    );
    let printing = &arguments.printing;
    runtime.block_on(printing.run(async || {
        let answer = admin.ask(Method::GET, &path, None).await?;
        let status: Status = serde_json::from_value(answer.clone())?;
        printing.output().print(&answer, || screen(&status))?;
        if !status.is_well {
            bail!("not all is well");
        }
        Ok(())
    }))
}

fn screen(status: &Status) -> String {
    let mut lines = Vec::new();
    for part in &status.parts {
        let state = if part.is_well { "well" } else { "NOT WELL" };
        lines.push(format!("{:<9} {state:<9} {}", part.name, part.message));
    }
    if let Some(flow) = &status.flow {
        lines.push(format!(
            "flow      stored {:.1}/s  delivered {:.1}/s  tried again {:.1}/s  dead letters {:.1}/s",
            flow.stored, flow.delivered, flow.retried, flow.dead_letters
        ));
        for (code, rate) in &flow.refused {
            lines.push(format!("          refused {rate:.1}/s  {code}"));
        }
    }
    for Paused {
        subscription,
        message,
    } in &status.paused
    {
        lines.push(format!("paused    {subscription}  {message}"));
    }
    if status.paused_more > 0 {
        lines.push(format!("          and {} more", status.paused_more));
    }
    if status.stuck.is_empty() {
        lines.push("stuck     nothing".to_owned());
    }
    for stuck in &status.stuck {
        let waiting = stuck.waiting.map(|waiting| format!("  {waiting} wait"));
        let since = stuck.since.as_ref().map(|since| format!("  since {since}"));
        lines.push(format!(
            "stuck     {}  {}{}{}",
            stuck.subscription.as_deref().unwrap_or("-"),
            stuck.kind,
            waiting.unwrap_or_default(),
            since.unwrap_or_default(),
        ));
        lines.push(format!("          {}", stuck.message));
        lines.push(format!("          next: {}", stuck.next));
    }
    if status.stuck_more > 0 {
        let more = status.stuck_more;
        lines.push(format!(
            "stuck     and {more} more: tidegate subscriptions list"
        ));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is stuck stands with since when, why, and what to do; what is well takes a line.
    #[test]
    fn a_screen_says_what_to_do() {
        let status = json!({
            "isWell": false,
            "version": "0",
            "parts": [{ "name": "log", "isWell": true, "message": "it takes events" },
                      { "name": "delivery", "isWell": false, "message": "0 of 1" }],
            "flow": { "seconds": 1.0, "stored": 12.04, "refused": { "publish/busy": 3.0 },
                      "delivered": 0.0, "retried": 1.0, "deadLetters": 0.0 },
            "paused": [{ "subscription": "shop/old", "byDocument": true, "byCommand": null,
                         "message": "paused by its document (pause: true)" }],
            "pausedMore": 2,
            "stuckMore": 3,
            "stuck": [{ "kind": "Sink", "subscription": "shop/billing", "since": "10:14",
                        "waiting": 7, "message": "it fails", "next": "mend it" }],
        });
        let expected = "\
log       well      it takes events
delivery  NOT WELL  0 of 1
flow      stored 12.0/s  delivered 0.0/s  tried again 1.0/s  dead letters 0.0/s
          refused 3.0/s  publish/busy
paused    shop/old  paused by its document (pause: true)
          and 2 more
stuck     shop/billing  Sink  7 wait  since 10:14
          it fails
          next: mend it
stuck     and 3 more: tidegate subscriptions list
";
        assert_eq!(screen(&serde_json::from_value(status).unwrap()), expected);
    }
}
