//! `tidegate applications`: which connected systems there are, and what a payload of theirs becomes.
#![expect(clippy::print_stdout, reason = "the result is for standard output")]
#![expect(
    clippy::print_stderr,
    reason = "repairs are for people, beside the result"
)]

mod running;

use std::{
    fs,
    io::{self, Read as _},
    path::PathBuf,
};

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::{Args, Subcommand};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use tidegate_application::{Application, Format, parse};
use tidegate_event::{Leniency, json};
use tidegate_identity::hash_password;
use tidegate_normalize::{Input, Reading, normalize};
use zeroize::Zeroizing;

use self::running::{All, Named};
use crate::{
    cli::ConfigFile,
    config::{Config, Mistakes},
    folder::{FileMistake, Folder},
};

const EXAMPLES: &str = "\
Examples:
  tidegate applications list
  tidegate applications show commerce
  tidegate applications test order.json --config tidegate.yaml --application commerce
  tidegate applications test idoc.xml --document erp.yaml --format idoc
  tidegate applications hash < password.txt > applications/secrets/erp
  tidegate applications test body.json --format event-mesh-webhook \\
      --header 'x-address: topic:corp/s4/prod/ce/sap/s4/X/Changed/v1'

test prints one CloudEvent a line on standard output, and on standard error the format and every repair
that was made.
hash reads a password and prints what `basic: { passwordHash }` takes, an argon2id hash.
Exit codes: 0 the payload is taken, 1 it is refused, 2 wrong use or wrong configuration.";

/// Longest password; a header with more of it would not come in.
const PASSWORD_BYTES_MAX: u64 = 1024;

/// What to do with Applications.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the Applications of a running Tidegate: how each proves who it is, and what it may send
    #[command(after_help = EXAMPLES)]
    List(All),
    /// Print one of a running Tidegate
    #[command(after_help = EXAMPLES)]
    Show(Named),
    /// Print what a payload becomes, and what had to be mended
    Test(Test),
    /// Read a password from standard input, and print its hash for `basic`
    #[command(after_help = EXAMPLES)]
    Hash,
}

/// Which payload, of whom.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct Test {
    #[command(flatten)]
    config: ConfigFile,
    /// The payload, as the system sends it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The Application that sends it, one of the configured folder
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
    /// A file with the Application's document, in the place of the configured folder
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
    /// The format; without one, the Application's, or what the payload looks like
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// A header of the request; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The topic or queue in the path, for event-mesh-rest
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.command {
        Command::List(all) => running::list(all),
        Command::Show(named) => running::show(named),
        Command::Test(test) => test.run(),
        Command::Hash => hash(),
    }
}

fn hash() -> anyhow::Result<()> {
    let mut input = Zeroizing::new(String::new());
    let mut standard_input = io::stdin().lock().take(PASSWORD_BYTES_MAX + 3);
    standard_input
        .read_to_string(&mut input)
        .context("standard input")?;
    // What an editor or `echo` puts behind it is not meant.
    let password = input.strip_suffix('\n').unwrap_or(&input);
    let password = password.strip_suffix('\r').unwrap_or(password);
    let length = u64::try_from(password.len()).unwrap_or(u64::MAX);
    if length == 0 || length > PASSWORD_BYTES_MAX {
        bail!("standard input: must hold a password of 1 to {PASSWORD_BYTES_MAX} bytes");
    }
    let hash = hash_password(password.as_bytes()).map_err(anyhow::Error::msg)?;
    println!("{hash}");
    Ok(())
}

impl Test {
    fn run(&self) -> anyhow::Result<()> {
        let config = Config::load(self.config.config.as_deref())?;
        let application = self.application(&config)?;
        let body =
            fs::read(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        let headers = self.headers(&body)?;
        let own_max = application.limits.batch_events_max;
        let normalized = normalize(Input {
            reading: self.reading()?,
            application: &application,
            proven: true,
            headers: &headers,
            body: Bytes::from(body),
            topic: self.topic.as_deref(),
            place: None,
            batch_events_max: own_max.unwrap_or(config.receive.batch_events_max),
            received_at: Timestamp::now(),
        })
        .map_err(|error| anyhow::anyhow!("refused: {error} ({})", error.code()))?;
        let events = normalized.events.as_slice();
        eprintln!(
            "format {}, events: {}",
            normalized.format.name(),
            events.len()
        );
        for repair in &normalized.repairs {
            eprintln!("repair: {repair}");
        }
        for event in events {
            // Line breaks of the payload stand outside of strings, where JSON does not mind a space.
            let line = String::from_utf8_lossy(&json::encode(event)).replace(['\n', '\r'], " ");
            println!("{line}");
            if !application.grants_source(&event.source, normalized.format) {
                eprintln!(
                    "the doors would answer 403: source {:?} is not granted, see spec.sources",
                    event.source
                );
            }
            if !application.grants_type(&event.r#type) {
                eprintln!(
                    "the doors would answer 403: type {:?} is not granted, see spec.types",
                    event.r#type
                );
            }
        }
        Ok(())
    }

    /// The named Application, the only one there is, or one without a document.
    fn application(&self, config: &Config) -> anyhow::Result<Application> {
        let found = match &self.document {
            Some(file) => {
                let text = fs::read_to_string(file)
                    .with_context(|| format!("cannot read {}", file.display()))?;
                let parsed = parse(&text);
                let mistakes = parsed.mistakes.iter();
                let mistakes: Vec<String> = mistakes
                    .map(|mistake| FileMistake::new(file, mistake).to_string())
                    .collect();
                if !mistakes.is_empty() {
                    return Err(Mistakes(mistakes).into());
                }
                parsed.documents.into_iter().map(|(_, one)| one).collect()
            }
            None => match config.applications_folder() {
                Some(folder) => Folder::<Application>::new(folder).load().resources,
                None => Vec::new(),
            },
        };
        match (&self.application, <[Application; 1]>::try_from(found)) {
            (None, Ok([only])) if self.document.is_some() => Ok(only),
            (None, _) => Ok(without_document("application")),
            (Some(name), Ok([only])) if only.name == *name => Ok(only),
            (Some(name), Ok(_)) => bail!("no application {name:?} is known"),
            (Some(name), Err(found)) => {
                let undocumented = found.is_empty().then(|| without_document(name));
                let named = found.into_iter().find(|one| one.name == *name);
                let known = named.or(undocumented);
                known.with_context(|| format!("no application {name:?} is known"))
            }
        }
    }

    fn reading(&self) -> anyhow::Result<Reading> {
        let Some(name) = &self.format else {
            return Ok(Reading::Seen);
        };
        let format = Format::ALL.iter().find(|format| format.name() == name);
        let names: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
        match format {
            Some(format) => Ok(Reading::As(*format)),
            None => bail!(
                "--format: must be one of {}, got {name:?}",
                names.join(", ")
            ),
        }
    }

    /// The given headers; without a content type, the one of what the payload looks like.
    fn headers(&self, body: &[u8]) -> anyhow::Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        for given in &self.headers {
            let wrong = || format!("--header: must be 'name: value', got {given:?}");
            let (name, value) = given.split_once(':').with_context(wrong)?;
            let name: HeaderName = name.trim().parse().with_context(wrong)?;
            let value: HeaderValue = value.trim().parse().with_context(wrong)?;
            headers.append(name, value);
        }
        if !headers.contains_key(http::header::CONTENT_TYPE) {
            let is_xml = body.trim_ascii_start().first() == Some(&b'<');
            let guessed = if is_xml {
                "text/xml"
            } else {
                "application/json"
            };
            let guessed = HeaderValue::from_static(guessed);
            headers.insert(http::header::CONTENT_TYPE, guessed);
        }
        Ok(headers)
    }
}

fn without_document(name: &str) -> Application {
    Application {
        extension_names: Leniency::Lowercase,
        ..Application::unnamed(name)
    }
}
