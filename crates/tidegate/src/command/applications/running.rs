//! The Applications of a running Tidegate.

use clap::Args;
use http::Method;
use serde_json::Value;

use crate::command::{
    admin_client::{AdminClient, AdminDoor},
    output::Printing,
};

const APPLICATIONS: &str = "/api/v1/applications";

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
    /// Its name
    name: String,
}

pub(super) fn list(all: &All) -> anyhow::Result<()> {
    asked(all, None, |answer| {
        let items = answer.get("items").and_then(Value::as_array);
        items.into_iter().flatten().map(line).collect()
    })
}

pub(super) fn show(named: &Named) -> anyhow::Result<()> {
    asked(&named.all, Some(&named.name), whole)
}

/// Asks for all or for one and prints, as often as is wanted.
fn asked(all: &All, one: Option<&str>, table: impl Fn(&Value) -> String) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let admin = AdminClient::of(&all.admin)?;
    let once = async || {
        let answer = match one {
            None => admin.list(APPLICATIONS).await?,
            Some(one) => {
                let path = format!("{APPLICATIONS}/{one}");
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

fn line(application: &Value) -> String {
    let names = ["name", "authentication", "format", "sources", "types"];
    let said = names.map(|name| text(application, name)).join("  ");
    let sent = application.get("sent").unwrap_or(&Value::Null);
    let [accepted, refused] = ["accepted", "refused"].map(|name| text(sent, name));
    let last = text(sent, "lastAcceptedAt");
    format!("{said}  accepted {accepted}  refused {refused}  last {last}\n")
}

fn whole(application: &Value) -> String {
    let mut lines = vec![text(application, "name")];
    let mut line = |name: &str, text: String| lines.push(format!("  {name:<18}{text}"));
    line("authentication", text(application, "authentication"));
    for (name, default) in [
        ("format", "seen from each message"),
        ("sources", "its name, and those of its namespace"),
        ("types", "all"),
    ] {
        let said = text(application, name);
        line(
            name,
            if said == "-" {
                default.to_owned()
            } else {
                said
            },
        );
    }
    let limits = application.get("limits").and_then(Value::as_object);
    let limits = limits.into_iter().flatten();
    for (name, limit) in limits.filter(|(_, limit)| !limit.is_null()) {
        line(name, limit.to_string());
    }
    let sent = application.get("sent").unwrap_or(&Value::Null);
    for (label, name) in [
        ("accepted", "accepted"),
        ("refused", "refused"),
        ("counted since", "since"),
        ("last accepted", "lastAcceptedAt"),
    ] {
        line(label, text(sent, name));
    }
    lines.join("\n") + "\n"
}
