//! `tidegate check`: configuration and Subscriptions, validated by the code that runs them.
#![expect(clippy::print_stdout, reason = "the result is for standard output")]

use std::{fs, path::PathBuf};

use clap::Args;
use tidegate_subscription::{Subscription, parse};

use crate::{
    cli::ConfigFile,
    config::{Config, Mistakes},
    folder::{FileMistake, Folder},
};

const EXAMPLES: &str = "\
Examples:
  tidegate check --config config/demo/tidegate.yaml
  tidegate check subscription.yaml

Prints every mistake as file:line: field: message, and exits 2 when there is one.";

/// What to check.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Subscription files; without any, those of the configured folder
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut mistakes = Vec::new();
    let config = match Config::load(arguments.file.config.as_deref()) {
        Ok(config) => Some(config),
        Err(Mistakes(found)) => {
            mistakes.extend(found);
            None
        }
    };
    let mut subscriptions = 0;
    for file in &arguments.files {
        match fs::read_to_string(file) {
            Ok(text) => {
                let parsed = parse(&text);
                subscriptions += parsed.documents.len();
                let told = |one| FileMistake::new(file, one).to_string();
                mistakes.extend(parsed.mistakes.iter().map(told));
            }
            Err(error) => mistakes.push(format!("{}: {error}", file.display())),
        }
    }
    let folder = config.as_ref().map(Config::subscriptions_folder);
    if let (Some(folder), true) = (folder, arguments.files.is_empty()) {
        // Without a configuration file the default folder need not be there.
        if arguments.file.config.is_some() || folder.exists() {
            let loaded = Folder::<Subscription>::new(folder).load();
            subscriptions += loaded.resources.len();
            mistakes.extend(loaded.mistakes.iter().map(ToString::to_string));
        }
    }
    if mistakes.is_empty() {
        println!("configuration and {subscriptions} Subscriptions are fine");
        return Ok(());
    }
    Err(Mistakes(mistakes).into())
}
