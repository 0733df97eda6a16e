//! `tidegate check`: configuration, Subscriptions and Applications, validated by the code that
//! runs them.
#![expect(clippy::print_stdout, reason = "the result is for standard output")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use tidegate_application::Application;
use tidegate_subscription::Subscription;

use crate::{
    cli::ConfigFile,
    config::{Config, Mistakes},
    folder::{FileMistake, Folder, Resource},
};

const EXAMPLES: &str = "\
Examples:
  tidegate check --config config/demo/tidegate.yaml
  tidegate check subscription.yaml application.yaml

Prints every mistake as file:line: field: message, and exits 2 when there is one.";

/// What to check.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Subscription or Application files; without any, those of the configured folders
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
    let mut counts = Counts::default();
    for file in &arguments.files {
        match fs::read_to_string(file) {
            Ok(text) => counts.add_file(file, &text, &mut mistakes),
            Err(error) => mistakes.push(format!("{}: {error}", file.display())),
        }
    }
    if let (Some(config), true) = (&config, arguments.files.is_empty()) {
        let folder = config.subscriptions_folder();
        // Without a configuration file the default folder need not be there.
        if arguments.file.config.is_some() || folder.exists() {
            counts.subscriptions += loaded::<Subscription>(folder, &mut mistakes);
        }
        if let Some(folder) = config.applications_folder() {
            counts.applications += loaded::<Application>(folder, &mut mistakes);
        }
    }
    if mistakes.is_empty() {
        let Counts {
            subscriptions,
            applications,
        } = counts;
        println!(
            "configuration, {subscriptions} Subscriptions and {applications} Applications are fine"
        );
        return Ok(());
    }
    Err(Mistakes(mistakes).into())
}

/// How many resources were found.
#[derive(Default)]
struct Counts {
    subscriptions: usize,
    applications: usize,
}

impl Counts {
    /// A file holds documents of one kind, as in a folder: that of its first document.
    fn add_file(&mut self, file: &Path, text: &str, mistakes: &mut Vec<String>) {
        let is_application = text
            .lines()
            .find_map(|line| line.strip_prefix("kind:"))
            .is_some_and(|kind| kind.trim() == "Application");
        let (count, found) = if is_application {
            let parsed = tidegate_application::parse(text);
            self.applications += parsed.documents.len();
            (parsed.documents.len(), parsed.mistakes)
        } else {
            let parsed = tidegate_subscription::parse(text);
            self.subscriptions += parsed.documents.len();
            (parsed.documents.len(), parsed.mistakes)
        };
        let told = found
            .iter()
            .map(|one| FileMistake::new(file, one).to_string());
        mistakes.extend(told);
        if count == 0 && found.is_empty() {
            mistakes.push(format!("{}: no document", file.display()));
        }
    }
}

fn loaded<T: Resource>(folder: PathBuf, mistakes: &mut Vec<String>) -> usize {
    let loaded = Folder::<T>::new(folder).load();
    mistakes.extend(loaded.mistakes.iter().map(ToString::to_string));
    loaded.resources.len()
}
