//! `tidegate listen`: a stand-in for a Function that prints each event and answers it.
#![expect(clippy::print_stderr, reason = "it prints what it receives")]

use std::{
    io::{self, Write},
    net::SocketAddr,
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use anyhow::Context;
use axum::{Router, body::Bytes, extract::DefaultBodyLimit, extract::State};
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, sync::Notify};

const EXAMPLES: &str = "\
Examples:
  tidegate listen
  tidegate listen --listen 127.0.0.1:9000 --delay 2s
  tidegate listen --fail-every 3
  tidegate listen --status 503
  tidegate listen --json --count 10";

/// Larger than any event that the doors take by default.
const BODY_BYTES_MAX: usize = 16 << 20;

/// How much of an event's data is printed.
const SHOWN_BYTES_MAX: usize = 4 << 10;

/// How to listen and answer.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// The status of every answer
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(200..600))]
    status: u16,
    /// How long to work on each event before the answer
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    delay: Option<Duration>,
    /// Answer each N-th event with 500
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    fail_every: Option<u64>,
    /// One JSON object a line, for scripts
    #[arg(long)]
    json: bool,
    /// End after so many events were answered with 2xx
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

#[derive(Clone)]
struct Function {
    arguments: Arc<Arguments>,
    received: Arc<AtomicU64>,
    taken: Arc<AtomicU64>,
    enough: Arc<Notify>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(listen(arguments.clone()))
}

async fn listen(arguments: Arguments) -> anyhow::Result<()> {
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("--listen: cannot listen on {}", arguments.listen))?;
    eprintln!("listening on http://{}/", listener.local_addr()?);
    let enough = Arc::new(Notify::new());
    let function = Function {
        arguments: Arc::new(arguments),
        received: Arc::default(),
        taken: Arc::default(),
        enough: Arc::clone(&enough),
    };
    let routes = Router::new()
        .fallback(answer)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(function);
    axum::serve(listener, routes)
        .with_graceful_shutdown(async move { enough.notified().await })
        .await?;
    Ok(())
}

async fn answer(State(function): State<Function>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let arguments = &function.arguments;
    let number = function.received.fetch_add(1, Ordering::Relaxed) + 1;
    if let Some(delay) = arguments.delay {
        tokio::time::sleep(delay).await;
    }
    let fails = arguments
        .fail_every
        .is_some_and(|every| number.is_multiple_of(every));
    let status = if fails { 500 } else { arguments.status };
    let shown = if arguments.json {
        line(&headers, &body, status)
    } else {
        readable(&headers, &body, status)
    };
    // Printed before it is answered: what a sender calls delivered has been seen here.
    if print(&shown).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    if status.is_success() {
        let taken = function.taken.fetch_add(1, Ordering::Relaxed) + 1;
        if arguments.count.is_some_and(|count| taken >= count) {
            function.enough.notify_one();
        }
    }
    status
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("-")
}

fn readable(headers: &HeaderMap, body: &Bytes, status: u16) -> String {
    let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let clock = time.get(11..19).unwrap_or_default();
    let mut text = format!(
        "{clock}  {}  from {}  id {}  → {status}\n",
        header(headers, "ce-type"),
        header(headers, "ce-source"),
        header(headers, "ce-id"),
    );
    let shown = body
        .get(..body.len().min(SHOWN_BYTES_MAX))
        .unwrap_or_default();
    let data = match serde_json::from_slice::<Value>(body) {
        // As it came, to the byte; only other data is described.
        Ok(_) => String::from_utf8_lossy(shown).into_owned(),
        Err(_) if body.is_empty() => return text,
        Err(_) => match std::str::from_utf8(shown) {
            Ok(shown) => shown.to_owned(),
            Err(_) => format!(
                "{} bytes of {}",
                body.len(),
                header(headers, "content-type")
            ),
        },
    };
    for line in data.lines() {
        text.push_str("          ");
        text.push_str(line);
        text.push('\n');
    }
    if shown.len() < body.len() && !data.starts_with(char::is_numeric) {
        text.push_str(&format!("          … {} bytes in all\n", body.len()));
    }
    text
}

fn line(headers: &HeaderMap, body: &Bytes, status: u16) -> String {
    let all: Map<String, Value> = headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), Value::String(value))
        })
        .collect();
    let mut object = json!({
        "id": header(headers, "ce-id"),
        "source": header(headers, "ce-source"),
        "type": header(headers, "ce-type"),
        "status": status,
        "headers": all,
    });
    if let Some(members) = object.as_object_mut() {
        match std::str::from_utf8(body) {
            Ok(text) => members.insert("body".to_owned(), Value::String(text.to_owned())),
            Err(_) => members.insert(
                "body_base64".to_owned(),
                Value::String(STANDARD.encode(body)),
            ),
        };
    }
    format!("{object}\n")
}
