//! `tidegate publish`: an event to a door, from flags, a file or standard input.
#![expect(clippy::print_stdout, reason = "the result is for standard output")]

use std::{fs, io::Read, path::Path};

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use http::{HeaderMap, HeaderValue, Method, Uri, header::CONTENT_TYPE};
use serde_json::Value;
use tidegate_event::{Event, Name, http as binding, is_json, json, validate};
use uuid::Uuid;

use super::http_client::{HttpClient, Trust};

const EXAMPLES: &str = "\
Examples:
  tidegate publish --type order.created.v1 --source commerce --data '{\"orderCode\":\"1\"}'
  tidegate publish --type t.v1 --source s --data @order.json --mode structured --door /shop/events
  tidegate publish --file event.json
  cat events.json | tidegate publish --file - --door /events
  tidegate publish --raw legacy.json --content-type application/json --door /shop/v1/events";

/// What to send, and where.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The gateway
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// The door
    #[arg(long, default_value = "/publish", value_name = "PATH")]
    door: String,
    /// The event's type
    #[arg(long, value_name = "TYPE", required_unless_present_any = ["file", "raw"])]
    r#type: Option<String>,
    /// The event's source
    #[arg(long, value_name = "SOURCE", required_unless_present_any = ["file", "raw"])]
    source: Option<String>,
    /// The event's id; without one, a new UUID
    #[arg(long)]
    id: Option<String>,
    /// The event's subject
    #[arg(long)]
    subject: Option<String>,
    /// The event's time, RFC 3339
    #[arg(long)]
    time: Option<String>,
    /// An extension attribute
    #[arg(long = "extension", value_name = "NAME=VALUE")]
    extensions: Vec<String>,
    /// The data: text, @FILE, or - for standard input
    #[arg(long, value_name = "DATA")]
    data: Option<String>,
    /// The data's media type
    #[arg(long, value_name = "TYPE", default_value = "application/json")]
    content_type: String,
    /// How the event travels
    #[arg(long, value_enum, default_value_t = Mode::Binary)]
    mode: Mode,
    /// A CloudEvent in JSON, or a batch of them, sent as it is; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["type", "source", "data", "raw"])]
    file: Option<String>,
    /// Bytes sent as they are with --content-type; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["type", "source", "data"])]
    raw: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// Attributes as headers
    Binary,
    /// One JSON document
    Structured,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let uri: Uri = format!("{}{}", arguments.url.trim_end_matches('/'), arguments.door)
        .parse()
        .with_context(|| format!("--url {} and --door {}", arguments.url, arguments.door))?;
    let (headers, body) = message(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let client = HttpClient::new(&Trust::default())?;
    let answered = client.send(Method::POST, &uri, headers, body);
    let (status, answer) = runtime.block_on(answered)?;
    if status.is_success() {
        println!("{status} {answer}");
        return Ok(());
    }
    let detail = serde_json::from_str::<Value>(&answer).ok();
    let detail = detail
        .as_ref()
        .and_then(|problem| Some((problem.get("code")?, problem.get("detail")?)));
    match detail {
        Some((code, detail)) => bail!("{uri} answered {status}: {code}: {detail}"),
        None => bail!("{uri} answered {status}: {}", answer.trim()),
    }
}

fn message(arguments: &Arguments) -> anyhow::Result<(HeaderMap, Bytes)> {
    let mut headers = HeaderMap::new();
    if let Some(file) = &arguments.raw {
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_str(&arguments.content_type)?,
        );
        return Ok((headers, read(file)?));
    }
    if let Some(file) = &arguments.file {
        let body = read(file)?;
        let is_batch = body.trim_ascii_start().first() == Some(&b'[');
        let content_type = if is_batch {
            binding::BATCH
        } else {
            binding::STRUCTURED
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        return Ok((headers, body));
    }
    let event = event(arguments)?;
    match arguments.mode {
        Mode::Binary => {
            binding::encode_binary(&event, &mut headers);
            Ok((headers, event.data.unwrap_or_default()))
        }
        Mode::Structured => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(binding::STRUCTURED));
            Ok((headers, json::encode(&event).into()))
        }
    }
}

fn event(arguments: &Arguments) -> anyhow::Result<Event> {
    let id = arguments
        .id
        .clone()
        .unwrap_or_else(|| Uuid::new_v4().to_string());
    let source = arguments.source.clone().unwrap_or_default();
    let mut event = Event::new(id, source, arguments.r#type.clone().unwrap_or_default());
    event.subject = arguments.subject.as_deref().map(Into::into);
    event.time = arguments.time.as_deref().map(Into::into);
    for extension in &arguments.extensions {
        let (name, value) = extension
            .split_once('=')
            .with_context(|| format!("--extension {extension}: must be NAME=VALUE"))?;
        let name = Name::new(name).with_context(|| {
            format!("--extension {extension}: a name is of lower-case letters and digits")
        })?;
        event.extensions.insert(name, value.into());
    }
    if let Some(data) = &arguments.data {
        let data = match data.strip_prefix('@') {
            Some(file) => read(file)?,
            None if data == "-" => read("-")?,
            None => Bytes::from(data.clone()),
        };
        let is_text_of_json = serde_json::from_slice::<serde::de::IgnoredAny>(&data).is_ok();
        if is_json(&arguments.content_type) && !is_text_of_json {
            bail!("--data is not JSON; give its --content-type, for example text/plain");
        }
        event.data = Some(data);
        event.datacontenttype = Some(arguments.content_type.as_str().into());
    }
    validate(&event)?;
    Ok(event)
}

fn read(file: &str) -> anyhow::Result<Bytes> {
    if file == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .read_to_end(&mut bytes)
            .context("standard input")?;
        return Ok(bytes.into());
    }
    let bytes = fs::read(Path::new(file)).with_context(|| format!("cannot read {file}"))?;
    Ok(bytes.into())
}
