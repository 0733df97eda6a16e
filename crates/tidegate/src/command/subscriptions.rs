//! `tidegate subscriptions`: what a Subscription wants and does, without running anything.
#![expect(clippy::print_stdout, reason = "the result is for standard output")]

use std::{
    fs,
    io::{self, Read as _},
    path::PathBuf,
};

use anyhow::{Context, bail};
use bytes::Bytes;
use bytesize::ByteSize;
use clap::{Args, Subcommand};
use http::Method;
use serde::Deserialize;
use serde_json::Value;
use tidegate_consume::shared::shard_of;
use tidegate_event::{Event, Leniency, json};
use tidegate_subscription::{
    Auth, DeadLetter, Delivery, Format, Matching, OnDeadLetter, Start, Subscription, parse,
};

use super::admin_client::{AdminClient, AdminDoor};
use crate::{
    cli::ConfigFile,
    config::{Config, Mistakes},
    folder::{FileMistake, Folder},
};

const EXAMPLES: &str = "\
Examples:
  tidegate subscriptions list
  tidegate subscriptions show shop/billing
  tidegate subscriptions explain billing --config tidegate.yaml
  tidegate subscriptions explain --document subscription.yaml
  tidegate subscriptions match shop/billing --config tidegate.yaml < event.json
  tidegate subscriptions schema > subscription.schema.json

explain prints what the nats-server filters, what is matched after it, and how events are delivered.
match reads a CloudEvent as JSON, and prints the part of the Subscription that decides.
Exit codes: 0 done; 1 something failed, match: it does not want the event, list and
show: one is not ready;
2 wrong use or wrong configuration.";

/// Longest event that is read.
const EVENT_BYTES_MAX: u64 = 64 << 20;

/// What to do with Subscriptions.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the Subscriptions of a running Tidegate, how they stand, and what waits for them
    #[command(after_help = EXAMPLES)]
    List(AdminDoor),
    /// Print how a Subscription of a running Tidegate stands
    #[command(after_help = EXAMPLES)]
    Show(Named),
    /// Print what a Subscription reads, matches and does
    #[command(after_help = EXAMPLES)]
    Explain(Which),
    /// Tell whether a Subscription wants an event, and which part of it decides
    #[command(after_help = EXAMPLES)]
    Match(Which),
    /// Print the JSON Schema of Tidegate's own Subscription, for editors
    #[command(after_help = EXAMPLES)]
    Schema,
}

/// One of a running Tidegate.
#[derive(Debug, Args)]
struct Named {
    #[command(flatten)]
    admin: AdminDoor,
    /// Its name, with its namespace before it where that is not "default"
    #[arg(value_name = "[NAMESPACE/]NAME")]
    name: String,
}

/// Which Subscription.
#[derive(Debug, Args)]
struct Which {
    #[command(flatten)]
    config: ConfigFile,
    /// Its name, with its namespace before it where that is not "default"
    #[arg(value_name = "[NAMESPACE/]NAME", required_unless_present = "document")]
    name: Option<String>,
    /// A file with its document, in the place of the configured folder
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.command {
        Command::List(door) => list(door),
        Command::Show(named) => show(named),
        Command::Explain(which) => {
            let config = which.config()?;
            explain(&which.subscription(&config)?, &config);
            Ok(())
        }
        Command::Schema => {
            let schema = tidegate_subscription::schema();
            println!("{}", serde_json::to_string_pretty(&schema)?);
            Ok(())
        }
        Command::Match(which) => {
            let subscription = which.subscription(&which.config()?)?;
            let event = event()?;
            let decision = subscription.decide(&event);
            if !decision.passes {
                bail!("{} does not want it: {decision}", subscription.id());
            }
            println!("{} wants it: {decision}", subscription.id());
            Ok(())
        }
    }
}

#[derive(Deserialize)]
struct Listed {
    items: Vec<Standing>,
    mistakes: Vec<String>,
}

/// A Subscription, as the door tells of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    namespace: String,
    name: String,
    sink: String,
    consumer: String,
    ready: bool,
    conditions: Vec<Condition>,
    undelivered: Option<u64>,
    unsettled: Option<u64>,
    shares_consumer: Option<bool>,
    own_consumer_reason: Option<String>,
}

impl Standing {
    /// Where its events come from, if that can be anywhere else.
    fn comes_from(&self) -> Option<String> {
        match (self.shares_consumer, &self.own_consumer_reason) {
            (Some(true), _) => Some("from the shared consumer".to_owned()),
            (_, Some(reason)) => Some(format!("from a consumer of its own: {reason}")),
            (Some(false), None) => None,
            (None, None) => Some("delivered by another process".to_owned()),
        }
    }

    /// A pause is meant.
    fn is_in_trouble(&self) -> bool {
        let is_paused = self.conditions.iter().any(|one| one.reason == "Paused");
        !self.ready && !is_paused
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    r#type: String,
    status: String,
    reason: String,
    message: String,
    last_transition_time: Option<String>,
}

fn asked(door: &AdminDoor, path: &str) -> anyhow::Result<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let admin = AdminClient::of(door)?;
    runtime.block_on(admin.ask(Method::GET, &format!("/api/v1/subscriptions{path}"), None))
}

/// A count; `-` where it is not known.
fn count(number: Option<u64>) -> String {
    number.map_or("-".to_owned(), |number| number.to_string())
}

fn show(named: &Named) -> anyhow::Result<()> {
    let name = &*named.name;
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    let answer = asked(&named.admin, &format!("/{namespace}/{name}"))?;
    let one: Standing = serde_json::from_value(answer)?;
    println!("{}/{}", one.namespace, one.name);
    let line = |label: &str, text: &str| println!("  {label:<18}{text}");
    line("sink", &one.sink);
    line("consumer", &one.consumer);
    if let Some(comes_from) = one.comes_from() {
        line("", &comes_from);
    }
    line("undelivered", &count(one.undelivered));
    line("unsettled", &count(one.unsettled));
    for condition in &one.conditions {
        let since = condition.last_transition_time.as_ref();
        let since = since.map(|since| format!(", since {since}"));
        let (reason, since) = (&condition.reason, since.unwrap_or_default());
        line(
            &condition.r#type,
            &format!("{reason}{since}: {}", condition.message),
        );
    }
    if one.is_in_trouble() {
        bail!("it is not ready");
    }
    Ok(())
}

fn list(door: &AdminDoor) -> anyhow::Result<()> {
    let answer = asked(door, "")?;
    let Listed { items, mistakes } = serde_json::from_value(answer)?;
    // Where nobody shares, nothing has to be said of it.
    let is_shared = items.iter().any(|one| one.shares_consumer != Some(false));
    for one in &items {
        let reason = one.conditions.first().map_or("", |one| &one.reason);
        println!(
            "{}/{}  {reason}  undelivered {}  unsettled {}  {}",
            one.namespace,
            one.name,
            count(one.undelivered),
            count(one.unsettled),
            one.sink
        );
        if let Some(comes_from) = one.comes_from().filter(|_| is_shared) {
            println!("    {comes_from}");
        }
        for condition in one.conditions.iter().filter(|one| one.status != "True") {
            println!("    {}: {}", condition.reason, condition.message);
        }
    }
    for mistake in &mistakes {
        println!("{mistake}");
    }
    if !mistakes.is_empty() || items.iter().any(Standing::is_in_trouble) {
        bail!("not every Subscription is ready");
    }
    Ok(())
}

impl Which {
    fn config(&self) -> anyhow::Result<Config> {
        Ok(Config::load(self.config.config.as_deref())?)
    }

    fn subscription(&self, config: &Config) -> anyhow::Result<Subscription> {
        let found = match &self.document {
            Some(file) => {
                let text = fs::read_to_string(file)
                    .with_context(|| format!("cannot read {}", file.display()))?;
                let parsed = parse(&text);
                let mistakes = parsed.mistakes.iter();
                let mistakes: Vec<String> = mistakes
                    .map(|mistake| FileMistake::new(file, mistake).to_string())
                    .collect();
                if !mistakes.is_empty() {
                    return Err(Mistakes(mistakes).into());
                }
                parsed.documents.into_iter().map(|(_, one)| one).collect()
            }
            None => {
                Folder::<Subscription>::new(config.subscriptions_folder())
                    .load()
                    .resources
            }
        };
        let Some(name) = &self.name else {
            return match <[Subscription; 1]>::try_from(found) {
                Ok([only]) => Ok(only),
                Err(several) => bail!("the file has {} Subscriptions: name one", several.len()),
            };
        };
        let id = match name.split_once('/') {
            Some(_) => name.clone(),
            None => format!("default/{name}"),
        };
        let known: Vec<String> = found.iter().map(Subscription::id).collect();
        found
            .into_iter()
            .find(|one| one.id() == id)
            .with_context(|| match known.as_slice() {
                [] => format!("no Subscription {id}: there is none at all, see `tidegate check`"),
                known => format!("no Subscription {id}; there are {}", known.join(", ")),
            })
    }
}

fn event() -> anyhow::Result<Event> {
    let mut text = Vec::new();
    let mut input = io::stdin().lock().take(EVENT_BYTES_MAX);
    input.read_to_end(&mut text).context("standard input")?;
    json::decode(Bytes::from(text), Leniency::Lowercase)
        .map_err(|error| anyhow::anyhow!("standard input is no CloudEvent as JSON: {error}"))
}

fn explain(subscription: &Subscription, config: &Config) {
    let line = |name: &str, text: String| println!("{name:<10} {text}");
    println!("{}", subscription.id());
    line("sink", subscription.sink.to_string());
    let root = config.backbone.events_root();
    for (index, subject) in tidegate_consume::filters(&root, subscription)
        .into_iter()
        .enumerate()
    {
        line(if index == 0 { "reads" } else { "" }, subject);
    }
    let stream = &config.backbone.events.stream;
    let consumer = subscription.consumer_name();
    let shared = &config.consume.shared;
    let (shared, own) = match subscription.delivery.order {
        _ if !shared.enabled => (None, ""),
        Some(_) => (None, ", its own for the sake of its order"),
        None => (shard_of(&consumer, shared.shards), ""),
    };
    match shared {
        None => line(
            "",
            format!("of the stream {stream}, as consumer {consumer}{own}"),
        ),
        Some(shard) => {
            let shared = shard.name("shared");
            line(
                "",
                format!("of the stream {stream}, with others, as consumer {shared}_<number>"),
            );
            let text = format!(
                "while it cannot take its events, as consumer {consumer}: subscriptions list tells"
            );
            line("", text);
        }
    }
    line("matches", matched(&subscription.matching));
    for (index, text) in delivery(subscription, config).into_iter().enumerate() {
        line(if index == 0 { "delivers" } else { "" }, text);
    }
    line("starts", start(subscription.start));
    if subscription.pause {
        line(
            "pause",
            "nothing is delivered; what it wants is kept".to_owned(),
        );
    }
}

/// What is left to do after the nats-server has filtered.
fn matched(matching: &Matching) -> String {
    match matching {
        Matching::Standard { .. } => "nothing more: the subjects say it all".to_owned(),
        Matching::Exact { .. } => "types, after Kyma's cleaning, of every event".to_owned(),
        Matching::Filters(filters) if filters.is_empty() => "every event".to_owned(),
        Matching::Filters(_) => "spec.filters, on every event that is read".to_owned(),
    }
}

fn delivery(subscription: &Subscription, config: &Config) -> Vec<String> {
    let delivery = &subscription.delivery;
    let (own, retry) = (&delivery.retry, &config.consume.retry);
    let shown = |duration| humantime::format_duration(duration).to_string();
    let format = match delivery.format {
        Format::Binary => "binary".to_owned(),
        Format::Structured => "structured".to_owned(),
        Format::Batch { size, wait } => {
            format!(
                "batches of at most {size} that wait {} for more",
                shown(wait)
            )
        }
    };
    let timeout = delivery.timeout.unwrap_or(config.deliver.timeout);
    let attempts = own.attempts_max.map_or(retry.attempts_max, Into::into);
    let (delay, max) = (
        own.backoff_delay.unwrap_or(retry.backoff_delay),
        own.backoff_max.unwrap_or(retry.backoff_max),
    );
    let max = match delivery.order {
        // As the loop has it: whoever takes over an order waits for all that is unsettled.
        Some(_) => max.min(config.consume.ack_wait),
        None => max,
    };
    let delay = delay.min(max);
    let mut lines = vec![
        format!(
            "{format}, at most {} at once, {} for an attempt",
            delivery.max_in_flight,
            shown(timeout)
        ),
        format!(
            "at most {attempts} attempts, {} to {} apart, then a dead letter",
            shown(delay),
            shown(max)
        ),
    ];
    if let Some(order) = &delivery.order {
        let then = match order.on_dead_letter {
            OnDeadLetter::Continue => "",
            OnDeadLetter::Stop => {
                "; a key stops at a dead letter until that is sent again or deleted"
            }
        };
        lines.push(format!(
            "in order by {}, one of a key at a time{then}",
            order.key
        ));
    }
    lines.extend(credentials(delivery));
    if let Some(rate) = delivery.rate {
        lines.push(format!("at most {rate} attempts a second"));
    }
    if let Some(age) = own.age_max {
        lines.push(format!("and none {} after it was stored", shown(age)));
    }
    let DeadLetter {
        sink,
        age_max,
        bytes_max,
    } = &delivery.dead_letter;
    if let Some(sink) = sink {
        lines.push(format!("dead letters are offered to {sink}"));
    }
    let age = age_max.map(|age| format!("older than {}", shown(age)));
    let size = bytes_max.map(|bytes| format!("above {} in all", ByteSize::b(bytes)));
    let limits: Vec<String> = age.into_iter().chain(size).collect();
    if !limits.is_empty() {
        lines.push(format!("dead letters are deleted {}", limits.join(" or ")));
    }
    lines
}

/// What the sink knows Tidegate by, and what is asked of it. Secrets are named by the document, and not read here.
fn credentials(delivery: &Delivery) -> Vec<String> {
    let auth = delivery.auth.as_ref().map(|auth| match auth {
        Auth::Basic { username, .. } => format!("as the user {username}"),
        Auth::Bearer { .. } => "with a bearer token".to_owned(),
        Auth::OAuth2(oauth2) => format!("with tokens from {}", oauth2.token_url),
    });
    let signed = (!delivery.signing.is_empty()).then(|| {
        let keys = if delivery.signing.len() == 1 {
            "one key"
        } else {
            "two keys"
        };
        format!("signed by Standard Webhooks with {keys}")
    });
    let shown = delivery.tls.client.as_ref();
    let shown = shown.map(|_| "with a client certificate".to_owned());
    let trusted = delivery.tls.ca.as_ref();
    let trusted = trusted.map(|_| "to a sink that the authorities of tls.ca vouch for".to_owned());
    let asked = delivery.webhook.as_ref();
    let asked = asked.map(|asked| format!("with the sink's permission for {}", asked.origin));
    let reply = delivery.reply.as_ref();
    let reply =
        reply.map(|reply| format!("replies from {} are published", reply.sources.join(", ")));
    let lines = [auth, signed, shown, trusted, asked, reply];
    lines.into_iter().flatten().collect()
}

fn start(start: Start) -> String {
    match start {
        Start::New => "with events that are stored after it was made".to_owned(),
        Start::All => "with the oldest event that is stored".to_owned(),
        Start::Since(time) => {
            format!("with events since {}", humantime::format_rfc3339(time))
        }
        Start::Sequence(sequence) => format!("with event number {sequence}"),
    }
}
