//! `tidegate subscriptions`: what a Subscription wants and does, without running anything.
#![expect(clippy::print_stdout, reason = "the result is for standard output")]

mod pausing;
mod running;

use std::{
    fs,
    io::{self, Read as _},
    path::PathBuf,
};

use anyhow::{Context, bail};
use bytes::Bytes;
use bytesize::ByteSize;
use clap::{Args, Subcommand};
use tidegate_consume::shared::shard_of;
use tidegate_event::{Event, Leniency, json};
use tidegate_subscription::{
    Auth, DeadLetter, Delivery, Format, Matching, OnDeadLetter, Start, Subscription, parse,
};

use self::{
    pausing::{Pause, Resume},
    running::{All, Named},
};
use crate::{
    cli::ConfigFile,
    config::{Config, Mistakes},
    folder::{FileMistake, Folder},
};

const EXAMPLES: &str = "\
Examples:
  tidegate subscriptions list
  tidegate subscriptions list --output json
  tidegate subscriptions show shop/billing --watch
  tidegate subscriptions pause shop/billing --reason 'the ledger is closed until 18:00'
  tidegate subscriptions resume shop/billing
  tidegate subscriptions explain billing --config tidegate.yaml
  tidegate subscriptions explain --document subscription.yaml
  tidegate subscriptions match shop/billing --config tidegate.yaml < event.json
  tidegate subscriptions schema > subscription.schema.json

explain prints what the nats-server filters, what is matched after it, and how events are delivered.
match reads a CloudEvent as JSON, and prints the part of the Subscription that decides.
pause holds for every process of the mesh, also after a restart, until resume; what the Subscription
wants is kept for it meanwhile. Other processes follow within subscriptions.poll_interval (1s).
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
    List(All),
    /// Print how a Subscription of a running Tidegate stands
    #[command(after_help = EXAMPLES)]
    Show(Named),
    /// Deliver nothing to a Subscription from now on, and keep what it wants
    #[command(after_help = EXAMPLES)]
    Pause(Pause),
    /// Let a Subscription go on that was paused by this command
    #[command(after_help = EXAMPLES)]
    Resume(Resume),
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
        Command::List(all) => running::list(all),
        Command::Show(named) => running::show(named),
        Command::Pause(pause) => pausing::pause(pause),
        Command::Resume(which) => pausing::resume(which),
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
            "by its document: nothing is delivered; what it wants is kept".to_owned(),
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
