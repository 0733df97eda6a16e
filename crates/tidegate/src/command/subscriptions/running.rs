//! The Subscriptions of a running Tidegate, and how they stand.

use anyhow::bail;
use clap::Args;
use http::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::command::{
    admin_client::{AdminClient, AdminDoor},
    output::Printing,
};

const SUBSCRIPTIONS: &str = "/api/v1/subscriptions";

/// All of them.
#[derive(Debug, Args)]
pub(super) struct All {
    #[command(flatten)]
    admin: AdminDoor,
    #[command(flatten)]
    printing: Printing,
}

/// One of them.
#[derive(Debug, Args)]
pub(super) struct Named {
    #[command(flatten)]
    all: All,
    /// Its name, with its namespace before it where that is not "default"
    #[arg(value_name = "[NAMESPACE/]NAME")]
    name: String,
}

#[derive(Deserialize)]
struct Listed {
    items: Vec<Standing>,
    mistakes: Vec<String>,
}

impl Listed {
    fn lines(&self) -> String {
        // Where nobody shares, nothing has to be said of it.
        let mut items = self.items.iter();
        let is_shared = items.any(|one| one.shares_consumer != Some(false));
        let items = self.items.iter().map(|one| one.lines(is_shared));
        let mistakes = self.mistakes.iter().map(|mistake| format!("{mistake}\n"));
        items.chain(mistakes).collect()
    }
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
    /// Not told by an older Tidegate.
    rates: Option<Rates>,
}

/// What it gets, a second.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rates {
    delivered: f64,
    retried: f64,
    attempt_seconds: Option<f64>,
}

impl Rates {
    fn words(&self) -> String {
        let Self {
            delivered, retried, ..
        } = self;
        let took = self.attempt_seconds.map(|seconds| seconds * 1_000.0);
        let took = took.map(|millis| format!("  an attempt takes {millis:.1} ms"));
        let took = took.unwrap_or_default();
        format!("delivered {delivered:.1}/s  tried again {retried:.1}/s{took}")
    }
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

    /// A line, and one for each thing to know.
    fn lines(&self, is_shared: bool) -> String {
        let reason = self.conditions.first().map_or("", |one| &one.reason);
        let mut lines = vec![format!(
            "{}/{}  {reason}  undelivered {}  unsettled {}  {}",
            self.namespace,
            self.name,
            count(self.undelivered),
            count(self.unsettled),
            self.sink
        )];
        let comes_from = self.comes_from().filter(|_| is_shared);
        lines.extend(comes_from.map(|comes_from| format!("    {comes_from}")));
        for condition in self.conditions.iter().filter(|one| one.status != "True") {
            lines.push(format!("    {}: {}", condition.reason, condition.message));
        }
        lines.join("\n") + "\n"
    }

    /// All that is known of it.
    fn whole(&self) -> String {
        let mut lines = vec![format!("{}/{}", self.namespace, self.name)];
        let mut line = |label: &str, text: &str| lines.push(format!("  {label:<18}{text}"));
        line("sink", &self.sink);
        line("consumer", &self.consumer);
        if let Some(comes_from) = self.comes_from() {
            line("", &comes_from);
        }
        line("undelivered", &count(self.undelivered));
        line("unsettled", &count(self.unsettled));
        if let Some(rates) = &self.rates {
            line("now", &rates.words());
        }
        for condition in &self.conditions {
            let since = condition.last_transition_time.as_ref();
            let since = since.map(|since| format!(", since {since}"));
            let (reason, since) = (&condition.reason, since.unwrap_or_default());
            line(
                &condition.r#type,
                &format!("{reason}{since}: {}", condition.message),
            );
        }
        lines.join("\n") + "\n"
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

/// Asks for all or for one, and sees the answer, as often as is wanted.
fn asked(
    all: &All,
    one: Option<&str>,
    see: impl Fn(Value) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let admin = AdminClient::of(&all.admin)?;
    let once = async || {
        see(match one {
            None => admin.list(SUBSCRIPTIONS).await?,
            Some(one) => {
                let path = format!("{SUBSCRIPTIONS}/{one}");
                admin.ask(Method::GET, &path, None).await?
            }
        })
    };
    runtime.block_on(all.printing.run(once))
}

/// A count; `-` where it is not known.
fn count(number: Option<u64>) -> String {
    number.map_or("-".to_owned(), |number| number.to_string())
}

pub(super) fn show(named: &Named) -> anyhow::Result<()> {
    let name = &*named.name;
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    let path = format!("{namespace}/{name}?watch=1s");
    asked(&named.all, Some(&path), |answer| {
        let one: Standing = serde_json::from_value(answer.clone())?;
        named.all.printing.output().print(&answer, || one.whole())?;
        if one.is_in_trouble() {
            bail!("it is not ready");
        }
        Ok(())
    })
}

pub(super) fn list(all: &All) -> anyhow::Result<()> {
    asked(all, None, |answer| {
        let listed: Listed = serde_json::from_value(answer.clone())?;
        all.printing.output().print(&answer, || listed.lines())?;
        let Listed { items, mistakes } = listed;
        if !mistakes.is_empty() || items.iter().any(Standing::is_in_trouble) {
            bail!("not every Subscription is ready");
        }
        Ok(())
    })
}
