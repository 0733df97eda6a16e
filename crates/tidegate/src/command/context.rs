//! `tidegate context`: which mesh the other commands speak to.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{contexts::Contexts, output::Printing};

const EXAMPLES: &str = "\
Examples:
  tidegate context list
  tidegate context use production
  tidegate status --context production

They stand in ~/.config/tidegate/contexts.yaml:
  contexts:
    - { name: production, admin: 'https://tidegate.example.com', token_file: production.token }

--context counts most, then --admin and TIDEGATE_ADMIN, then the context in use.";

/// Which mesh.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The folder of contexts.yaml, in the place of ~/.config/tidegate
    #[arg(long, value_name = "DIR", env = "TIDEGATE_CONTEXTS", global = true)]
    contexts: Option<PathBuf>,
    #[command(flatten)]
    printing: Printing,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print those there are; the one in use has a star
    #[command(after_help = EXAMPLES)]
    List,
    /// Use this one from now on
    #[command(after_help = EXAMPLES)]
    Use {
        /// Its name
        name: String,
    },
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let contexts = Contexts::load(arguments.contexts.clone())?;
    match &arguments.command {
        Command::Use { name } => contexts.use_from_now_on(name),
        Command::List => {
            let items = json!({ "used": contexts.used, "items": contexts.all() });
            arguments.printing.output().print(&items, || {
                let lines = contexts.all().iter().map(|one| {
                    let is_used = contexts.used.as_ref() == Some(&one.name);
                    let star = if is_used { "*" } else { " " };
                    format!("{star} {}  {}\n", one.name, one.admin)
                });
                lines.collect()
            })
        }
    }
}
