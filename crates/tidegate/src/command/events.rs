//! `tidegate events`: which events are stored, and what happened to each.

use std::{
    ops::ControlFlow,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use super::{
    admin_client::{AdminClient, AdminDoor},
    output::Output,
};

const EXAMPLES: &str = "\
Examples:
  tidegate events find --type order.created.v1 --since 10:10 --until 10:20
  tidegate events find --id 8c1f4c1e --since 2h
  tidegate events find --filter \"subject LIKE 'order-%' AND priority > 3\"
  tidegate events show 4711
  tidegate events show 8c1f4c1e --since 2h
  tidegate events tail --source commerce

TIME is 2026-11-27T10:14:00Z, or 10:14 of today (UTC), or 15m for a quarter of an hour ago.
What happened to an event is found a second later (history.flush_interval).
Exit codes: 0 done; 1 failed, show: there is no such event; 2 wrong use.";

/// Events of one page.
const PAGE: usize = 500;

/// A day.
const DAY: Duration = Duration::from_hours(24);

/// Find events, and see what happened to each.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    admin: AdminDoor,
    /// How it is printed
    #[arg(long, value_enum, default_value_t, global = true)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print those that are stored, one a line, oldest first
    #[command(after_help = EXAMPLES)]
    Find {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        when: When,
        /// So many at most
        #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = at_least_one)]
        limit: usize,
    },
    /// Print one with all that happened to it
    #[command(after_help = EXAMPLES)]
    Show {
        /// Its number, or its id
        event: String,
        /// An id is looked for from this time on
        #[arg(long, value_name = "TIME", value_parser = time, default_value = "24h")]
        since: SystemTime,
    },
    /// Print those that come from now on, until Ctrl-C
    #[command(after_help = EXAMPLES)]
    Tail {
        #[command(flatten)]
        which: Which,
        /// End after so many
        #[arg(long, value_name = "NUMBER")]
        count: Option<usize>,
    },
}

/// Which events; without anything, all.
#[derive(Debug, Default, Args)]
struct Which {
    /// Of this type
    #[arg(long, value_name = "TYPE")]
    r#type: Option<String>,
    /// Of this source
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// With this subject
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// With this id
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Of which this is true
    #[arg(long, value_name = "CESQL")]
    filter: Option<String>,
}

#[derive(Debug, Default, Args)]
struct When {
    /// That were stored at this time or later
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<SystemTime>,
    /// That were stored before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<SystemTime>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let events = Events {
        admin: AdminClient::of(&arguments.admin)?,
        output: arguments.output,
    };
    runtime.block_on(async {
        match &arguments.command {
            Command::Find { which, when, limit } => events.find(which, when, *limit).await,
            Command::Show { event, since } => events.show(event, *since).await,
            Command::Tail { which, count } => events.tail(which, *count).await,
        }
    })
}

/// A moment, as people say it.
fn time(text: &str) -> Result<SystemTime, String> {
    if let Ok(time) = humantime::parse_rfc3339_weak(text) {
        return Ok(time);
    }
    let now = SystemTime::now();
    if let Some(of_day) = of_day(text) {
        let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let days = since_1970.as_secs() / DAY.as_secs();
        return Ok(UNIX_EPOCH + Duration::from_secs(days * DAY.as_secs()) + of_day);
    }
    let ago = humantime::parse_duration(text).ok();
    ago.and_then(|ago| now.checked_sub(ago))
        .ok_or_else(|| "neither 2026-11-27T10:14:00Z nor 10:14 nor 15m".to_owned())
}

/// `10:14` or `10:14:03`.
fn of_day(text: &str) -> Option<Duration> {
    let mut parts = text.split(':');
    let mut part = |most: u64| {
        let number: u64 = parts.next()?.parse().ok()?;
        (number <= most).then_some(number)
    };
    let (hour, minute) = (part(23)?, part(59)?);
    let second = part(59);
    let seconds = match (second, text.matches(':').count()) {
        (Some(second), 2) => second,
        (None, 1) => 0,
        _ => return None,
    };
    Some(Duration::from_secs(hour * 3_600 + minute * 60 + seconds))
}

/// The events behind an admin door.
struct Events {
    admin: AdminClient,
    output: Output,
}

impl Events {
    /// A page, and where the next one begins.
    async fn page(
        &self,
        query: &str,
        from: Option<u64>,
        limit: usize,
    ) -> anyhow::Result<(Vec<Value>, Option<u64>)> {
        let mut path = format!("/api/v1/events?limit={limit}");
        if let Some(from) = from {
            path += &format!("&from={from}");
        }
        if !query.is_empty() {
            path += &format!("&{query}");
        }
        let mut page = self.admin.ask(Method::GET, &path, None).await?;
        let next = page.get("next").and_then(Value::as_u64);
        match page.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok((items, next)),
            _ => bail!("the answer has no items"),
        }
    }

    async fn find(&self, which: &Which, when: &When, limit: usize) -> anyhow::Result<()> {
        let query = query(which, when);
        let mut left = limit;
        let mut from = None;
        loop {
            let page = PAGE.min(left);
            let (items, next) = self.page(&query, from, page).await?;
            items.iter().try_for_each(|event| self.line(event))?;
            left = left.saturating_sub(items.len());
            match next {
                Some(next) if left > 0 => from = Some(next),
                Some(_) | None => return Ok(()),
            }
        }
    }

    async fn tail(&self, which: &Which, count: Option<usize>) -> anyhow::Result<()> {
        let path = format!("/api/v1/events/tail?{}", query(which, &When::default()));
        let mut left = count.unwrap_or(usize::MAX);
        let see = |event: &str, data: &str| {
            let data: Value = serde_json::from_str(data)?;
            if event == "end" {
                bail!("{}: {}", text(&data, "code"), text(&data, "detail"));
            }
            self.line(&data)?;
            left = left.saturating_sub(1);
            Ok(match left {
                0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            })
        };
        match count {
            Some(0) => Ok(()),
            Some(_) | None => self.admin.follow(&path, see).await,
        }
    }

    async fn show(&self, event: &str, since: SystemTime) -> anyhow::Result<()> {
        let number = match event.parse::<u64>() {
            Ok(number) => number,
            Err(_) => self.by_id(event, since).await?,
        };
        let path = format!("/api/v1/events/{number}");
        let shown = self.admin.ask(Method::GET, &path, None).await?;
        self.output.print(&shown, || whole(&shown))
    }

    /// The number of the last one with this id.
    async fn by_id(&self, id: &str, since: SystemTime) -> anyhow::Result<u64> {
        let which = Which {
            id: Some(id.to_owned()),
            ..Which::default()
        };
        let when = When {
            since: Some(since),
            until: None,
        };
        let (mut query, mut from, mut found) = (query(&which, &when), None, None);
        loop {
            let (items, next) = self.page(&query, from, PAGE).await?;
            found = items.last().and_then(sequence).or(found);
            match next {
                Some(next) => {
                    from = Some(next);
                    query = self::query(&which, &When::default());
                }
                None => {
                    return found.with_context(|| {
                        format!("no event has the id {id:?} since then; --since looks further back")
                    });
                }
            }
        }
    }

    fn line(&self, event: &Value) -> anyhow::Result<()> {
        let names = ["sequence", "storedAt", "type", "source", "subject", "id"];
        let line = || names.map(|name| text(event, name)).join("  ") + "\n";
        self.output.print(event, line)
    }
}

/// A number of events to ask for.
fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        Ok(_) => Err("none are wanted".to_owned()),
        Err(_) => Err("it is no number".to_owned()),
    }
}

fn query(which: &Which, when: &When) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in [
        ("type", &which.r#type),
        ("source", &which.source),
        ("subject", &which.subject),
        ("id", &which.id),
        ("filter", &which.filter),
    ] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    for (name, time) in [("since", when.since), ("until", when.until)] {
        if let Some(time) = time {
            let time = humantime::format_rfc3339_nanos(time).to_string();
            query.append_pair(name, &time);
        }
    }
    query.finish()
}

fn sequence(event: &Value) -> Option<u64> {
    event.get("sequence").and_then(Value::as_u64)
}

/// A member as people read it; `-` where there is none.
fn text(of: &Value, name: &str) -> String {
    match of.get(name) {
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

/// An event, what happened to it, and how it stands with each Subscription.
fn whole(event: &Value) -> String {
    let mut lines = vec![format!("event {}", text(event, "sequence"))];
    for name in ["id", "type", "source", "subject", "trace"] {
        lines.push(format!("  {name:<10}{}", text(event, name)));
    }
    lines.push(format!("  {:<10}{}", "stored at", text(event, "storedAt")));
    lines.push("history".to_owned());
    let steps = event.get("history").and_then(Value::as_array);
    let steps = steps.map_or(&[][..], Vec::as_slice);
    if steps.is_empty() {
        lines.push(
            "  nothing is known (history.enabled, history.sample, history.age_max)".to_owned(),
        );
    }
    lines.extend(
        steps
            .iter()
            .map(|step| format!("  {}  {}", text(step, "at"), told(step))),
    );
    lines.push("subscriptions".to_owned());
    let standings = event.get("subscriptions").and_then(Value::as_array);
    let standings = standings.map_or(&[][..], Vec::as_slice);
    if standings.is_empty() {
        lines.push("  none wants it: tidegate subscriptions match tells why".to_owned());
    }
    for standing in standings {
        let [subscription, state, message] =
            ["subscription", "state", "message"].map(|name| text(standing, name));
        lines.push(format!("  {subscription}  {state}: {message}"));
    }
    lines.join("\n") + "\n"
}

fn told(step: &Value) -> String {
    let text = |name| text(step, name);
    if text("what") == "received" {
        let from = match text("application").as_str() {
            "-" => "received".to_owned(),
            application => format!("received from {application}"),
        };
        let again = step.get("duplicate").and_then(Value::as_bool) == Some(true);
        return from + if again { ", once more" } else { "" };
    }
    let answer = match step.get("status").and_then(Value::as_u64) {
        Some(status) => format!("{status}"),
        None => "no answer".to_owned(),
    };
    let took = step.get("tookMs").and_then(Value::as_f64).unwrap_or(0.0);
    let replay = match text("replay").as_str() {
        "-" => String::new(),
        replay => format!(" by {replay}"),
    };
    let because = format!("{}: {}", text("code"), text("detail"));
    let outcome = match text("what").as_str() {
        "delivered" => "delivered".to_owned(),
        "again" => {
            let delay = step.get("delayMs").and_then(Value::as_u64).unwrap_or(0);
            let delay = humantime::format_duration(Duration::from_millis(delay));
            format!("tried again after {delay}; {because}")
        }
        "waits" => format!("waits for its sink; {because}"),
        "deadLetter" => format!("dead letter {}; {because}", text("letter")),
        other => other.to_owned(),
    };
    let (subscription, attempt) = (text("subscription"), text("attempt"));
    format!("{subscription}{replay}  attempt {attempt}  {answer} in {took:.1} ms  {outcome}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_moment_is_said_in_three_ways() {
        let whole = time("2026-11-27T10:14:00Z").unwrap();
        assert_eq!(time("2026-11-27T10:14:00").unwrap(), whole);
        let since_midnight = |text: &str| {
            let since_1970 = time(text).unwrap().duration_since(UNIX_EPOCH).unwrap();
            since_1970.as_secs() % DAY.as_secs()
        };
        assert_eq!(since_midnight("10:14"), 36_840);
        assert_eq!(since_midnight("00:00:01"), 1);
        let ago = time("15m").unwrap();
        let ago = SystemTime::now().duration_since(ago);
        assert!((900..960).contains(&ago.unwrap().as_secs()));
        for wrong in ["24:00", "10:60", "10", "10:14:", "10:14:03:1", "", "soon"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_history_reads_as_a_story() {
        let event = json!({
            "sequence": 7, "id": "1", "type": "t", "source": "/s", "subject": null,
            "trace": "4bf9", "storedAt": "10:14",
            "history": [
                { "at": "a", "what": "received", "application": "commerce", "duplicate": false },
                { "at": "b", "what": "again", "subscription": "shop/billing", "attempt": 1,
                  "status": 503, "tookMs": 1.25, "delayMs": 1_500, "code": "deliver/status-retryable",
                  "detail": "it answered 503" },
                { "at": "c", "what": "waits", "subscription": "shop/billing", "attempt": 2,
                  "tookMs": 0.5, "code": "deliver/connect", "detail": "refused" },
                { "at": "d", "what": "delivered", "subscription": "shop/billing", "attempt": 2,
                  "replay": "replay-1", "status": 204, "tookMs": 2.0 },
            ],
            "subscriptions": [
                { "subscription": "shop/billing", "state": "waits", "message": "it waits" },
            ],
        });
        let expected = "\
event 7
  id        1
  type      t
  source    /s
  subject   -
  trace     4bf9
  stored at 10:14
history
  a  received from commerce
  b  shop/billing  attempt 1  503 in 1.2 ms  tried again after 1s 500ms; deliver/status-retryable: it answered 503
  c  shop/billing  attempt 2  no answer in 0.5 ms  waits for its sink; deliver/connect: refused
  d  shop/billing by replay-1  attempt 2  204 in 2.0 ms  delivered
subscriptions
  shop/billing  waits: it waits
";
        assert_eq!(whole(&event), expected);
    }
}
