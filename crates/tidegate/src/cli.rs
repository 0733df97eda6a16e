//! The command line.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong use or wrong configuration.
#![expect(
    clippy::print_stderr,
    reason = "a command line speaks on standard error"
)]

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::{
    command::{
        applications, check, context, controller, dead_letters, events, listen, log_level, publish,
        replay, sources, status, subscriptions, up,
    },
    config::Mistakes,
};

const EXAMPLES: &str = "\
Examples:
  tidegate up --config config/demo/tidegate.yaml
  tidegate listen
  tidegate publish --type order.created.v1 --source commerce --data '{\"orderCode\":\"1\"}'

Exit codes: 0 done, 1 failed, 2 wrong use or wrong configuration.";

/// An event mesh for landscapes with SAP systems: receive, normalize, publish, consume, deliver.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Take events and deliver them, with a nats-server of its own or with --nats
    Up(up::Arguments),
    /// Look after the Subscriptions and Applications of a Kubernetes cluster
    Controller(controller::Arguments),
    /// See on one screen whether all is well, what is stuck, and what to do
    Status(status::Arguments),
    /// See connected systems, and what a payload of theirs becomes
    Applications(applications::Arguments),
    /// See which Kafka topics are read, and how each source stands
    Sources(sources::Arguments),
    /// See what a Subscription reads and matches, and why
    Subscriptions(subscriptions::Arguments),
    /// Find an event, and see what happened to it
    Events(events::Arguments),
    /// See what could not be delivered, send it again, or delete it
    DeadLetters(dead_letters::Arguments),
    /// Deliver stored events once more to a Subscription
    Replay(replay::Arguments),
    /// See what is logged, and change it while Tidegate runs
    LogLevel(log_level::Arguments),
    /// Validate configuration, Subscriptions and Applications without running anything
    Check(check::Arguments),
    /// Send an event to a door
    Publish(publish::Arguments),
    /// Stand in for a Function: print each event and answer it
    Listen(listen::Arguments),
    /// See which meshes there are, and which one the other commands speak to
    Context(context::Arguments),
    /// Print the manual page, or write one for each command
    #[command(
        after_help = "Examples:\n  tidegate man | man -l -\n  tidegate man --folder /usr/local/share/man/man1"
    )]
    Man {
        /// Write them into this folder, which is there
        #[arg(long, value_name = "DIR")]
        folder: Option<PathBuf>,
    },
    /// Print a completion script for a shell
    #[command(
        after_help = "Examples:\n  tidegate completion bash > /etc/bash_completion.d/tidegate"
    )]
    Completion {
        /// Which shell
        shell: Shell,
    },
}

/// A file of configuration, wherever a command takes one.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigFile {
    /// The configuration file; without one, the defaults and TIDEGATE__SECTION__KEY variables
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Runs the program.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Up(arguments) => up::run(&arguments),
        Command::Controller(arguments) => controller::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Applications(arguments) => applications::run(&arguments),
        Command::Sources(arguments) => sources::run(&arguments),
        Command::Subscriptions(arguments) => subscriptions::run(&arguments),
        Command::Events(arguments) => events::run(&arguments),
        Command::DeadLetters(arguments) => dead_letters::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::LogLevel(arguments) => log_level::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Publish(arguments) => publish::run(&arguments),
        Command::Listen(arguments) => listen::run(&arguments),
        Command::Context(arguments) => context::run(&arguments),
        Command::Man { folder } => man(folder.as_deref()),
        Command::Completion { shell } => {
            let mut command = Cli::command();
            clap_complete::generate(shell, &mut command, "tidegate", &mut io::stdout());
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidegate: {error:#}");
            ExitCode::from(if error.is::<Mistakes>() { 2 } else { 1 })
        }
    }
}

fn man(folder: Option<&Path>) -> anyhow::Result<()> {
    let command = Cli::command();
    match folder {
        None => clap_mangen::Man::new(command).render(&mut io::stdout())?,
        Some(folder) => clap_mangen::generate_to(command, folder)
            .with_context(|| format!("--folder {}", folder.display()))?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// clap's own check of names, conflicts and values.
    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Calls with the path of each command, however deep, and with its help.
    fn each(command: &mut clap::Command, path: &str, with: &mut impl FnMut(&str, &str)) {
        let path = format!("{path} {}", command.get_name());
        with(path.trim(), &command.render_long_help().to_string());
        let below = command.get_subcommands_mut();
        for below in below.filter(|below| below.get_name() != "help") {
            each(below, &path, with);
        }
    }

    /// The words of each example, without what a shell does with them before and behind.
    fn examples(help: &str) -> Vec<Vec<String>> {
        let examples = help.split("Examples:\n").skip(1);
        let lines = examples.map(|text| text.replace("\\\n", " "));
        let mut all = Vec::new();
        for line in lines.collect::<String>().lines() {
            let Some(at) = line.find("tidegate ").filter(|_| line.starts_with("  ")) else {
                continue;
            };
            let words = shlex::split(&line[at..]).unwrap_or_else(|| panic!("{line}"));
            let of_shell = |word: &String| matches!(&**word, "<" | ">" | "|");
            let end = words.iter().position(of_shell).unwrap_or(words.len());
            all.push(words[..end].to_vec());
        }
        all
    }

    /// Every command, however deep, shows how it is used, and each example is understood as it
    /// stands there.
    #[test]
    fn every_command_has_examples_that_are_understood() {
        let mut commands = 0;
        each(&mut Cli::command(), "", &mut |path, help| {
            commands += 1;
            let examples = examples(help);
            assert!(!examples.is_empty(), "{path} has no example: {help}");
            for example in examples {
                if let Err(error) = Cli::try_parse_from(&example) {
                    panic!("{path}: {example:?}: {error}");
                }
            }
        });
        assert!(commands > 20, "{commands}");
    }

    /// Where a command has commands of its own, an example of each of them stands there.
    #[test]
    fn every_command_stands_among_the_examples() {
        each(&mut Cli::command(), "", &mut |path, help| {
            if path.split(' ').count() < 3 {
                return;
            }
            let has_own = examples(help).iter().any(|words| {
                let words = words.join(" ");
                words == path || words.starts_with(&format!("{path} "))
            });
            assert!(has_own, "{path} is not among its examples: {help}");
        });
    }
}
