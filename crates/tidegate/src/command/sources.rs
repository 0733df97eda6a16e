//! `tidegate sources`: topics that a running Tidegate reads, and how each stands.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use super::{
    admin_client::{AdminClient, AdminDoor},
    output::Printing,
};

const EXAMPLES: &str = "\
Examples:
  tidegate sources list
  tidegate sources show orders
  tidegate sources show orders --watch
  tidegate dead-letters list --subscription _kafka/orders

What is shown is of the process that answers: others in the group read other partitions.
Exit codes: 0 done, 1 failed, 2 wrong use.";

const SOURCES: &str = "/api/v1/sources";

/// What to see.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the sources of a running Tidegate, one a line
    #[command(after_help = EXAMPLES)]
    List(All),
    /// Print one of them, with its partitions and their lag
    #[command(after_help = EXAMPLES)]
    Show(Named),
}

#[derive(Debug, Args)]
struct All {
    #[command(flatten)]
    admin: AdminDoor,
    #[command(flatten)]
    printing: Printing,
}

#[derive(Debug, Args)]
struct Named {
    #[command(flatten)]
    all: All,
    /// Its name
    name: String,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.command {
        Command::List(all) => asked(all, None, |answer| {
            let items = answer.get("items").and_then(Value::as_array);
            items.into_iter().flatten().map(line).collect()
        }),
        Command::Show(named) => asked(&named.all, Some(&named.name), whole),
    }
}

/// Asks for all or for one and prints, as often as is wanted.
fn asked(all: &All, one: Option<&str>, table: impl Fn(&Value) -> String) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let admin = AdminClient::of(&all.admin)?;
    let once = async || {
        let answer = match one {
            None => admin.list(SOURCES).await?,
            Some(one) => {
                let path = format!("{SOURCES}/{one}");
                admin.ask(Method::GET, &path, None).await?
            }
        };
        all.printing.output().print(&answer, || table(&answer))
    };
    runtime.block_on(all.printing.run(once))
}

/// A member as people read it; `-` where nothing is said.
fn text(of: &Value, name: &str) -> String {
    match of.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(all)) => {
            let all: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
            all.join(", ")
        }
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

/// The topics, however they are said.
fn topics(source: &Value) -> String {
    match text(source, "topics") {
        said if said == "-" => text(source, "topicPattern"),
        said => said,
    }
}

fn partitions(source: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    let of = source.get("partitions").and_then(Value::as_object);
    of.into_iter().flatten().flat_map(|(topic, partitions)| {
        let of = partitions.as_object();
        of.into_iter()
            .flatten()
            .map(move |(one, lag)| (topic, one, lag))
    })
}

fn line(source: &Value) -> String {
    let said = ["name", "application", "group"].map(|name| text(source, name));
    let count = partitions(source).count();
    let (topics, lag) = (topics(source), text(source, "lag"));
    let stands = match text(source, "trouble") {
        none if none == "-" => "runs".to_owned(),
        trouble => format!("trouble: {trouble}"),
    };
    format!(
        "{}  {topics}  {count} partitions  lag {lag}  {stands}\n",
        said.join("  ")
    )
}

fn whole(source: &Value) -> String {
    let mut lines = vec![text(source, "name")];
    let mut line = |name: &str, text: String| lines.push(format!("  {name:<14}{text}"));
    line("topics", topics(source));
    for name in ["brokers", "group", "start"] {
        line(name, text(source, name));
    }
    let format = match text(source, "format") {
        none if none == "-" => "seen from each record".to_owned(),
        format => format,
    };
    line("format", format);
    line("application", text(source, "application"));
    line("trouble", text(source, "trouble"));
    for (topic, partition, lag) in partitions(source) {
        let lag = lag.as_i64();
        let lag = lag.map_or_else(|| "not known yet".to_owned(), |lag| lag.to_string());
        line("partition", format!("{topic}/{partition}  lag {lag}"));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is wrong is on the line, and a lag that nobody knows is no lag of nothing.
    #[test]
    fn people_see_how_a_source_stands() {
        let mut source = json!({
            "name": "orders", "application": "erp", "group": "mesh", "topics": null,
            "topicPattern": "^o", "lag": 7, "trouble": null, "format": null,
            "partitions": { "o1": { "0": 7, "1": null } },
        });
        assert_eq!(
            line(&source),
            "orders  erp  mesh  ^o  2 partitions  lag 7  runs\n"
        );
        let text = whole(&source);
        assert!(
            text.contains("o1/0  lag 7") && text.contains("o1/1  lag not known yet"),
            "{text}"
        );
        source["trouble"] = json!("no broker");
        assert!(line(&source).ends_with("trouble: no broker\n"));
    }
}
