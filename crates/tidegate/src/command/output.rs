//! How a result is printed, once or again and again.
#![expect(clippy::print_stdout, reason = "the result is for standard output")]
#![expect(
    clippy::print_stderr,
    reason = "what goes wrong meanwhile is beside it"
)]

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use clap::{Args, ValueEnum};
use serde_json::Value;
use tokio::time::sleep;

/// How often is looked again.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Moves to the upper left of an empty screen.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people
    #[default]
    #[value(alias = "text")]
    Table,
    /// One JSON document a line
    Json,
    /// YAML
    Yaml,
}

/// How a result is printed, and how often.
#[derive(Debug, Args)]
pub(super) struct Printing {
    /// How it is printed
    #[arg(long, value_enum, default_value_t, global = true)]
    output: Output,
    /// Look again every two seconds, until Ctrl-C
    #[arg(long, global = true)]
    watch: bool,
}

impl Output {
    /// Prints it; `table` is how people read it.
    pub(super) fn print(self, value: &Value, table: impl FnOnce() -> String) -> anyhow::Result<()> {
        match self {
            Self::Table => print!("{}", table()),
            Self::Json => println!("{value}"),
            Self::Yaml => print!("---\n{}", serde_saphyr::to_string(value)?),
        }
        Ok(())
    }
}

impl Printing {
    pub(super) fn output(&self) -> Output {
        self.output
    }

    /// Does it once, or until Ctrl-C: then what goes wrong is told, and it is done again.
    pub(super) async fn run(
        &self,
        mut once: impl AsyncFnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if !self.watch {
            return once().await;
        }
        loop {
            if io::stdout().is_terminal() {
                print!("{CLEAR}");
            }
            if let Err(error) = once().await {
                eprintln!("tidegate: {error:#}");
            }
            sleep(LOOK_EVERY).await;
        }
    }
}
