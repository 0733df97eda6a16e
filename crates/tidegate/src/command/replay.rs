//! `tidegate replay`: stored events once more, for one Subscription.
#![expect(clippy::print_stdout, reason = "the result is for standard output")]
#![expect(clippy::print_stderr, reason = "progress is for people, beside it")]

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use anyhow::bail;
use clap::Args;
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::{
    admin_client::{AdminClient, AdminDoor, Refused},
    output::Printing,
};

const EXAMPLES: &str = "\
Examples:
  tidegate replay shop/billing --since 2026-11-20T08:00:00Z --dry-run
  tidegate replay shop/billing --since 2026-11-20T08:00:00Z --until 2026-11-20T09:00:00Z --rate 50
  tidegate replay shop/billing --from 1 --filter \"subject LIKE 'order-%'\"
  tidegate replay --list
  tidegate replay --list --output json
  tidegate replay --cancel replay-1795486096-7f3a

A replay runs in Tidegate, beside what comes; interrupting this command leaves it running. Events
that are sent by it say so: replayid. --output and --watch are for --list. Exit codes: 0 done, 1 failed, cancelled, or there are new
dead letters, 2 wrong use.";

const REPLAYS: &str = "/api/v1/replays";

/// How often it is asked how far it has come.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long Tidegate may be away while it is asked.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which events, for whom.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    admin: AdminDoor,
    #[command(flatten)]
    printing: Printing,
    /// The Subscription that gets them
    #[arg(
        value_name = "NAMESPACE/NAME",
        required_unless_present_any = ["list", "follow", "cancel"],
        requires = "begin"
    )]
    subscription: Option<String>,
    /// From the first event that was stored at this time or later
    #[arg(long, value_name = "TIME", group = "begin")]
    since: Option<String>,
    /// From the event of this number in the stream
    #[arg(long, value_name = "NUMBER", group = "begin")]
    from: Option<u64>,
    /// Events that were stored before this time; without it, all until now
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Of those that the Subscription wants, the ones for which this is true
    #[arg(long, value_name = "CESQL")]
    filter: Option<String>,
    /// At most so many attempts a second
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Only count them
    #[arg(long)]
    dry_run: bool,
    /// Print its name, and do not wait for its end
    #[arg(long)]
    detach: bool,
    /// Print the replays there are
    #[arg(long, conflicts_with_all = ["subscription", "follow", "cancel"])]
    list: bool,
    /// Wait for the end of this one
    #[arg(long, value_name = "REPLAY", conflicts_with_all = ["subscription", "cancel"])]
    follow: Option<String>,
    /// End this one
    #[arg(long, value_name = "REPLAY", conflicts_with = "subscription")]
    cancel: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let admin = AdminClient::of(&arguments.admin)?;
    runtime.block_on(async {
        if arguments.list {
            let printing = &arguments.printing;
            let once = async || {
                let answer = admin.list(REPLAYS).await?;
                let all: Listed = serde_json::from_value(answer.clone())?;
                let lines = || all.items.iter().map(|one| format!("{one}\n")).collect();
                printing.output().print(&answer, lines)
            };
            return printing.run(once).await;
        }
        if let Some(name) = &arguments.cancel {
            println!("{}", replay(&admin, Method::DELETE, name).await?);
            return Ok(());
        }
        if let Some(name) = &arguments.follow {
            return follow(&admin, name).await;
        }
        let wanted = wanted(arguments);
        let begun = admin.ask(Method::POST, REPLAYS, Some(&wanted)).await?;
        let Replay { name, .. } = serde_json::from_value(begun)?;
        if arguments.detach {
            println!("{name}");
            return Ok(());
        }
        eprintln!("{name} runs; to end it: tidegate replay --cancel {name}");
        follow(&admin, &name).await
    })
}

fn wanted(arguments: &Arguments) -> Value {
    let mut wanted = Map::new();
    for (name, value) in [
        ("subscription", json!(arguments.subscription)),
        ("since", json!(arguments.since)),
        ("from", json!(arguments.from)),
        ("until", json!(arguments.until)),
        ("filter", json!(arguments.filter)),
        ("rate", json!(arguments.rate)),
        ("dryRun", json!(arguments.dry_run)),
    ] {
        if !value.is_null() {
            wanted.insert(name.to_owned(), value);
        }
    }
    Value::Object(wanted)
}

#[derive(Deserialize)]
struct Listed {
    items: Vec<Replay>,
}

/// A replay, as the door tells of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Replay {
    name: String,
    subscription: String,
    phase: String,
    dry_run: bool,
    left: u64,
    unsettled: u64,
    delivered: u64,
    dead_letters: u64,
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            subscription,
            phase,
            left,
            delivered,
            dead_letters,
            ..
        } = self;
        write!(
            f,
            "{name}  {subscription}  {phase}  delivered {delivered}  left {left}  \
             dead letters {dead_letters}"
        )
    }
}

async fn replay(admin: &AdminClient, method: Method, name: &str) -> anyhow::Result<Replay> {
    let answer = admin
        .ask(method, &format!("{REPLAYS}/{name}"), None)
        .await?;
    Ok(serde_json::from_value(answer)?)
}

/// Shows how far it has come, until its end.
async fn follow(admin: &AdminClient, name: &str) -> anyhow::Result<()> {
    let is_shown = io::stderr().is_terminal();
    let mut reached: Option<Instant> = None;
    loop {
        let found = replay(admin, Method::GET, name).await;
        if found.is_ok() {
            reached = Some(Instant::now());
        }
        match found {
            Ok(replay) if matches!(&*replay.phase, "done" | "cancelled") => {
                if is_shown {
                    eprintln!();
                }
                return end(&replay);
            }
            Ok(replay) if is_shown => eprint!(
                "\r{} delivered, {} to be looked at, {} to be tried again ",
                replay.delivered, replay.left, replay.unsettled
            ),
            Err(error) if error.is::<Refused>() => return Err(error),
            Err(error) => match reached {
                // A restart: the replay goes on after it.
                Some(reached) if reached.elapsed() < PATIENCE => {}
                Some(_) => {
                    let again = format!("to see how it goes on: tidegate replay --follow {name}");
                    return Err(error.context(again));
                }
                None => return Err(error),
            },
            Ok(_) => {}
        }
        io::stderr().flush().ok();
        sleep(LOOK_EVERY).await;
    }
}

fn end(replay: &Replay) -> anyhow::Result<()> {
    let would_be = if replay.dry_run { "would be " } else { "" };
    println!("{} {would_be}delivered", replay.delivered);
    if replay.phase == "cancelled" {
        bail!("it was cancelled before its end");
    }
    if replay.dead_letters > 0 {
        bail!(
            "{} became dead letters: tidegate dead-letters list --subscription {}",
            replay.dead_letters,
            replay.subscription
        );
    }
    Ok(())
}
