//! `tidegate check`: configuration, Subscriptions, Applications and sources, validated by the code that
//! runs them.
#![expect(clippy::print_stdout, reason = "the result is for standard output")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use tidegate_application::{Application, KafkaSource};
use tidegate_document::Mistake;
use tidegate_subscription::Subscription;

use crate::{
    cli::ConfigFile,
    config::{Config, Mistakes},
    folder::{FileMistake, Folder, Resource},
    kafka,
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
    /// Subscription, Application or KafkaSource files; without any, those of the configured folders
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
        if let Some(folder) = config.sources_folder() {
            counts.sources += loaded::<KafkaSource>(folder, &mut mistakes);
        }
    }
    if counts.sources > 0 {
        mistakes.extend(kafka::ABSENT.map(str::to_owned));
    }
    if mistakes.is_empty() {
        let Counts {
            subscriptions,
            applications,
            sources,
        } = counts;
        println!(
            "configuration, {subscriptions} Subscriptions, {applications} Applications and {sources} \
             sources are fine"
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
    sources: usize,
}

impl Counts {
    /// A file holds documents of one kind, as in a folder: that of its first document.
    fn add_file(&mut self, file: &Path, text: &str, mistakes: &mut Vec<String>) {
        let kind = text.lines().find_map(|line| line.strip_prefix("kind:"));
        let (count, found) = match kind.map(str::trim) {
            Some("Application") => counted::<Application>(text, &mut self.applications),
            Some("KafkaSource") => counted::<KafkaSource>(text, &mut self.sources),
            Some(_) | None => counted::<Subscription>(text, &mut self.subscriptions),
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

fn counted<T: Resource>(text: &str, count: &mut usize) -> (usize, Vec<Mistake>) {
    let parsed = T::parse(text);
    *count += parsed.documents.len();
    (parsed.documents.len(), parsed.mistakes)
}

fn loaded<T: Resource>(folder: PathBuf, mistakes: &mut Vec<String>) -> usize {
    let loaded = Folder::<T>::new(folder).load();
    mistakes.extend(loaded.mistakes.iter().map(ToString::to_string));
    loaded.resources.len()
}
