//! `tidegate log-level`: what a running Tidegate logs.

use clap::{Args, Subcommand};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    admin_client::{AdminClient, AdminDoor},
    output::Printing,
};

const EXAMPLES: &str = "\
Examples:
  tidegate log-level show
  tidegate log-level show --output json
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
    #[command(flatten)]
    printing: Printing,
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

impl Shown {
    fn line(&self) -> String {
        let Self { level, configured } = self;
        if level == configured {
            format!("{level}\n")
        } else {
            format!("{level} (after a restart: {configured})\n")
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let admin = AdminClient::of(&arguments.admin)?;
    let printing = &arguments.printing;
    let see = |answer: &Value| {
        let shown: Shown = serde_json::from_value(answer.clone())?;
        printing.output().print(answer, || shown.line())
    };
    runtime.block_on(async {
        match &arguments.command {
            None | Some(Command::Show) => {
                let once = async || see(&admin.ask(Method::GET, PATH, None).await?);
                printing.run(once).await
            }
            Some(Command::Set { level }) => {
                let wanted = json!({ "level": level });
                see(&admin.ask(Method::PUT, PATH, Some(&wanted)).await?)
            }
        }
    })
}
