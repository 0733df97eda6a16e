//! `tidegate dead-letters`: what could not be delivered, and what is to become of it.
#![expect(clippy::print_stdout, reason = "the result is for standard output")]
#![expect(clippy::print_stderr, reason = "progress is for people, beside it")]

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::time::sleep;

use super::{
    admin_client::{AdminClient, AdminDoor, Refused},
    output::Printing,
};

const EXAMPLES: &str = "\
Examples:
  tidegate dead-letters list --subscription shop/billing
  tidegate dead-letters list --reason deliver/status-rejected --since 2026-11-20T00:00:00Z
  tidegate dead-letters show 17
  tidegate dead-letters redrive --subscription shop/billing --rate 50
  tidegate dead-letters redrive 17 --sink http://127.0.0.1:9000/
  tidegate dead-letters discard --subscription shop/old --dry-run
  tidegate dead-letters export --subscription shop/billing > letters.jsonl

A letter is taken away only when its sink has taken the event, so what is interrupted can be begun
again. Exit codes: 0 done, 1 failed or some were not taken, 2 wrong use.";

/// Letters of one page.
const PAGE: usize = 500;

/// What to do with dead letters.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    admin: AdminDoor,
    #[command(flatten)]
    printing: Printing,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print them, one a line
    #[command(after_help = EXAMPLES)]
    List(Which),
    /// Print one whole, with its event
    #[command(after_help = EXAMPLES)]
    Show {
        /// Its number
        sequence: u64,
    },
    /// Send them again
    #[command(after_help = EXAMPLES)]
    Redrive(Redrive),
    /// Delete them
    #[command(after_help = EXAMPLES)]
    Discard(Act),
    /// Print them whole, one JSON document a line
    #[command(after_help = EXAMPLES)]
    Export(Which),
}

/// Which letters; without anything, all.
#[derive(Debug, Default, Args)]
struct Which {
    /// Of this Subscription
    #[arg(long, value_name = "NAMESPACE/NAME")]
    subscription: Option<String>,
    /// With this reason
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// Of this type
    #[arg(long, value_name = "TYPE")]
    r#type: Option<String>,
    /// That became dead letters at this time or later
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// That became dead letters before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

#[derive(Debug, Args)]
struct Act {
    /// This one alone
    #[arg(conflicts_with_all = ["subscription", "reason", "type", "since", "until"])]
    sequence: Option<u64>,
    #[command(flatten)]
    which: Which,
    /// Do it for all dead letters there are
    #[arg(long)]
    all: bool,
    /// Only count them
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct Redrive {
    #[command(flatten)]
    act: Act,
    /// Send them to this address, in the place of the Subscription's sink
    #[arg(long, value_name = "URL")]
    sink: Option<String>,
    /// At most so many a second
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let admin = Letters(AdminClient::of(&arguments.admin)?);
    let printing = &arguments.printing;
    let output = printing.output();
    runtime.block_on(async {
        match &arguments.command {
            Command::List(which) => {
                let print = |letter: &Value| output.print(letter, || line(letter) + "\n");
                printing.run(async || admin.each(which, print).await).await
            }
            Command::Show { sequence } => {
                let path = format!("/{sequence}");
                let show = async || {
                    let letter = admin.ask(Method::GET, &path).await?;
                    let pretty = serde_json::to_string_pretty(&letter)?;
                    output.print(&letter, || pretty + "\n")
                };
                printing.run(show).await
            }
            Command::Export(which) => admin.export(which).await,
            Command::Discard(act) => admin.act(act, Method::DELETE, "", None, "discarded").await,
            Command::Redrive(redrive) => {
                let sink = redrive.sink.as_ref();
                let query = sink.map(|sink| format!("?sink={}", escaped(sink)));
                let path = format!("/redrive{}", query.unwrap_or_default());
                let every = redrive.rate.map(|rate| Duration::from_secs(1) / rate);
                admin
                    .act(&redrive.act, Method::POST, &path, every, "redriven")
                    .await
            }
        }
    })
}

/// The dead letters behind an admin door.
struct Letters(AdminClient);

impl Letters {
    async fn ask(&self, method: Method, path: &str) -> anyhow::Result<Value> {
        let path = format!("/api/v1/dead-letters{path}");
        self.0.ask(method, &path, None).await
    }

    /// Calls with each letter, page by page.
    async fn each(
        &self,
        which: &Which,
        mut with: impl FnMut(&Value) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut from = 1;
        loop {
            let (letters, next) = self.page(which, from).await?;
            letters.iter().try_for_each(&mut with)?;
            match next {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }

    async fn page(&self, which: &Which, from: u64) -> anyhow::Result<(Vec<Value>, Option<u64>)> {
        let mut query = format!("?from={from}&limit={PAGE}");
        for (name, value) in [
            ("subscription", &which.subscription),
            ("reason", &which.reason),
            ("type", &which.r#type),
            ("since", &which.since),
            ("until", &which.until),
        ] {
            if let Some(value) = value {
                query.push_str(&format!("&{name}={}", escaped(value)));
            }
        }
        let mut page = self.ask(Method::GET, &query).await?;
        let next = page.get("next").and_then(Value::as_u64);
        match page.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok((items, next)),
            _ => bail!("the answer has no items"),
        }
    }

    async fn export(&self, which: &Which) -> anyhow::Result<()> {
        let mut from = 1;
        loop {
            let (letters, next) = self.page(which, from).await?;
            for letter in &letters {
                let whole = self
                    .ask(Method::GET, &format!("/{}", sequence(letter)?))
                    .await?;
                println!("{whole}");
            }
            match next {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }

    /// Does it with each letter. What one letter meets holds up no other.
    async fn act(
        &self,
        act: &Act,
        method: Method,
        path: &str,
        every: Option<Duration>,
        done: &str,
    ) -> anyhow::Result<()> {
        let Which {
            subscription,
            reason,
            r#type,
            since,
            until,
        } = &act.which;
        let narrowed = [subscription, reason, r#type, since, until];
        let chosen = narrowed.iter().any(|one| one.is_some()) || act.sequence.is_some();
        if !chosen && !act.all {
            bail!("name a letter, narrow it down (see --help), or say --all");
        }
        let mut progress = Progress::new(done);
        if let Some(sequence) = act.sequence {
            if act.dry_run {
                self.ask(Method::GET, &format!("/{sequence}")).await?;
                progress.done += 1;
            } else {
                self.ask(method, &format!("/{sequence}{path}")).await?;
                progress.done += 1;
            }
            return progress.end(act.dry_run);
        }
        let mut from = 1;
        loop {
            let (letters, next) = self.page(&act.which, from).await?;
            for letter in &letters {
                if act.dry_run {
                    progress.done += 1;
                    continue;
                }
                let path = format!("/{}{path}", sequence(letter)?);
                match self.ask(method.clone(), &path).await {
                    Ok(_) => progress.done += 1,
                    Err(error) => progress.failed(letter, error)?,
                }
                progress.show();
                if let Some(every) = every {
                    sleep(every).await;
                }
            }
            match next {
                Some(next) => from = next,
                None => return progress.end(act.dry_run),
            }
        }
    }
}

/// How far it has come, for people who look at it.
struct Progress<'a> {
    word: &'a str,
    done: usize,
    failed: usize,
    is_shown: bool,
}

impl<'a> Progress<'a> {
    fn new(word: &'a str) -> Self {
        Self {
            word,
            done: 0,
            failed: 0,
            is_shown: io::stderr().is_terminal(),
        }
    }

    fn show(&self) {
        if self.is_shown {
            eprint!("\r{} {}, {} failed ", self.done, self.word, self.failed);
            io::stderr().flush().ok();
        }
    }

    /// A letter that was not taken is told; a door that is away ends it all.
    fn failed(&mut self, letter: &Value, error: anyhow::Error) -> anyhow::Result<()> {
        match error.downcast_ref::<Refused>() {
            // Somebody else has seen to it.
            Some(refused) if refused.status == StatusCode::NOT_FOUND => Ok(()),
            Some(refused) if refused.status != StatusCode::SERVICE_UNAVAILABLE => {
                self.failed += 1;
                let clear = if self.is_shown { "\r" } else { "" };
                eprintln!("{clear}{}: {refused}", sequence(letter)?);
                Ok(())
            }
            Some(_) | None => Err(error.context(format!(
                "stopped after {} {}; begin again to go on",
                self.done, self.word
            ))),
        }
    }

    fn end(&self, dry_run: bool) -> anyhow::Result<()> {
        if self.is_shown {
            eprintln!();
        }
        let would = if dry_run { "would be " } else { "" };
        println!("{} {would}{}", self.done, self.word);
        if self.failed > 0 {
            bail!(
                "{} were not {}; they are still there",
                self.failed,
                self.word
            );
        }
        Ok(())
    }
}

fn sequence(letter: &Value) -> anyhow::Result<u64> {
    let sequence = letter.get("sequence").and_then(Value::as_u64);
    sequence.context("a letter without a number")
}

fn line(letter: &Value) -> String {
    let text = |name: &str| match letter.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    };
    let names = [
        "sequence",
        "buriedAt",
        "subscription",
        "reason",
        "attempts",
        "type",
        "id",
        "detail",
    ];
    names.map(text).join("  ")
}

/// A value of a query.
fn escaped(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}
