//! `tidegate log-level`: what a running Tidegate logs.
#![expect(clippy::print_stdout, reason = "the result is for standard output")]

use clap::{Args, Subcommand};
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::admin_client::{AdminClient, AdminDoor};

const EXAMPLES: &str = "\
Examples:
  tidegate log-level show
  tidegate log-level set debug
  tidegate log-level set info,tidegate_deliver=debug

What is set counts until the process ends; telemetry.log.level is what counts after that.";

const PATH: &str = "/api/v1/log-level";

/// What is to be seen or set.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    admin: AdminDoor,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print what is logged, as it is without a word, too
    #[command(after_help = EXAMPLES)]
    Show,
    /// Log this from now on
    #[command(after_help = EXAMPLES)]
    Set {
        /// A level (off, error, warn, info, debug, trace), or directives for parts
        level: String,
    },
}

#[derive(Deserialize)]
struct Shown {
    level: String,
    configured: String,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let admin = AdminClient::of(&arguments.admin)?;
    let answer = runtime.block_on(async {
        match &arguments.command {
            None | Some(Command::Show) => admin.ask(Method::GET, PATH, None).await,
            Some(Command::Set { level }) => {
                let wanted = json!({ "level": level });
                admin.ask(Method::PUT, PATH, Some(&wanted)).await
            }
        }
    })?;
    let Shown { level, configured } = serde_json::from_value(answer)?;
    if level == configured {
        println!("{level}");
    } else {
        println!("{level} (after a restart: {configured})");
    }
    Ok(())
}
