//! `tidegate up`: doors and deliveries in one process, or one of the two.
#![expect(
    clippy::print_stderr,
    reason = "the ready line is for scripts and people"
)]

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tidegate_backbone::{Durability, jetstream::ConnectError};
use tidegate_otlp::{Exporter, Settings};
use tidegate_telemetry::{logs::Level, metrics, spans};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    admin::{Admin, Inside, Scrape},
    cli::ConfigFile,
    config::Config,
    kyma_metrics::Names,
    nats_server::{Options, Supervisor},
    pipeline::{Half, Pipeline, Roles},
    survey::Survey,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

const EXAMPLES: &str = "\
Examples:
  tidegate up
  tidegate up --config config/demo/tidegate.yaml --data-dir /var/lib/tidegate
  tidegate up --nats nats://127.0.0.1:4222 --ready-file /run/tidegate/ready.json
  tidegate up --role dispatcher --nats nats://nats:4222
  TIDEGATE__RECEIVE__LISTEN=127.0.0.1:9090 tidegate up";

/// How to run.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Where the own nats-server keeps its data
    #[arg(long, value_name = "DIR", default_value = ".tidegate")]
    data_dir: PathBuf,
    /// Use this NATS server (several, comma separated) and start none
    #[arg(long, value_name = "URL")]
    nats: Option<String>,
    /// Do only this half of the work; processes on one NATS server share it (default: both)
    #[arg(long, value_name = "ROLE", value_delimiter = ',')]
    role: Vec<Half>,
    /// Write the addresses to this file, as JSON, when ready
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// What is logged, in the place of telemetry.log.level
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut config = Config::load(arguments.file.config.as_deref())?;
    if let Some(level) = &arguments.log {
        config.telemetry.log.level.clone_from(level);
    }
    let level = tidegate_telemetry::logs::init(&config.telemetry)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(up(arguments, config, level))
}

async fn up(arguments: &Arguments, config: Config, level: Level) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let settings = config.exported(VERSION)?;
    settings.check().context("telemetry cannot be sent")?;
    let are_files = !config.resources.are_in_a_cluster();
    if are_files && config.applications.folder.is_none() {
        tracing::warn!(
            anonymous = ?config.receive.anonymous,
            "applications.folder is not set: whoever sends from these networks may send anything"
        );
    }
    if let Some(file) = &arguments.ready_file {
        // A file of an earlier run would say that this one is ready.
        fs::remove_file(file).ok();
    }
    let admin = Admin::bind(&config.admin, &config.identity).await?;
    let nats = Nats::of(arguments, &config).await?;
    let started = tokio::select! {
        started = start(arguments, (&config, &settings), &nats, (admin, level)) => started,
        () = signals.first() => Err(anyhow!("stopped before it was ready")),
    };
    let result = match started {
        Ok((mut pipeline, exporter)) => {
            let failed = tokio::select! {
                () = signals.first() => false,
                () = pipeline.failed() => true,
            };
            tracing::info!("shutting down");
            tokio::select! {
                () = pipeline.shutdown(config.shutdown.grace) => {}
                () = signals.first() => tracing::warn!("ended at once by a second signal"),
            }
            if let Some(exporter) = exporter {
                exporter.stop().await;
            }
            if failed {
                Err(anyhow!("a worker ended by itself; see the log"))
            } else {
                Ok(())
            }
        }
        Err(error) => Err(error),
    };
    nats.stop().await;
    result
}

async fn start(
    arguments: &Arguments,
    (config, settings): (&Config, &Settings),
    nats: &Nats,
    (admin, level): (Admin, Level),
) -> anyhow::Result<(Pipeline, Option<Exporter>)> {
    let mut registry = Registry::default();
    let counted = spans::Metrics::register(&mut registry);
    let (tracer, recorded) = Exporter::tracer(settings, counted.clone());
    #[cfg(feature = "count-allocations")]
    crate::allocations::register(&mut registry);
    let roles = Roles::of(&arguments.role);
    let pipeline = Pipeline::start((config, roles), nats.url(), &mut registry, tracer).await;
    let pipeline = pipeline.map_err(|error| nats.advise(error))?;
    let mut readiness = pipeline.readiness();
    loop {
        let now = readiness.borrow_and_update().clone();
        let Err(reason) = now else { break };
        tracing::info!(reason, "not ready yet");
        readiness.changed().await?;
    }
    let said = Said {
        receive: pipeline.receive_addr(),
        tls: pipeline.tls_addr(),
        admin: admin.address(),
        admin_url: admin.url(),
    };
    let operations = pipeline.operations();
    let survey = Survey::new(config, operations.clone(), &mut registry);
    tokio::spawn(survey.run(pipeline.draining()));
    let scrape = scrape(registry, Names::wanted(config, &operations));
    let inside = Inside {
        scrape: Arc::clone(&scrape),
        operations,
        draining: pipeline.draining(),
        readiness,
        level,
    };
    tokio::spawn(admin.serve(inside));
    let exporter = match settings.targets() {
        None => None,
        Some(targets) => {
            tracing::info!(targets, "telemetry is sent");
            let text = move || scrape();
            let exporter = Exporter::start(settings, VERSION, (recorded, counted), text);
            Some(exporter.context("telemetry cannot be sent")?)
        }
    };
    said.tell(nats, arguments.ready_file.as_deref())?;
    Ok((pipeline, exporter))
}

/// What is scraped and what is sent are the same.
pub(super) fn scrape(registry: Registry, kyma: Option<Names>) -> Scrape {
    // Families are asked one after the other, which is not done twice at once.
    let registry = Mutex::new(registry);
    Arc::new(move || {
        let text = metrics::render(&registry.lock().unwrap_or_else(PoisonError::into_inner));
        match &kyma {
            Some(kyma) => kyma.beside(&text),
            None => text,
        }
    })
}

/// The NATS server: one of our own, or a given one.
enum Nats {
    Own(Box<Supervisor>, File),
    Given(String),
}

impl Nats {
    async fn of(arguments: &Arguments, config: &Config) -> anyhow::Result<Self> {
        let fsync = config.backbone.durability == Durability::Fsync;
        if let Some(url) = arguments.nats.as_ref().or(config.backbone.url.as_ref()) {
            if fsync {
                // It tells its version, but to nobody outside of its system account how it syncs.
                tracing::warn!(
                    "backbone.durability: fsync counts on `sync_interval: always` in the \
                     configuration of every nats-server, which cannot be asked for from here"
                );
            }
            return Ok(Self::Given(url.clone()));
        }
        let lock = lock(&arguments.data_dir)?;
        let supervisor = Supervisor::start(Options {
            binary: config.server.binary.clone(),
            listen: config.server.listen,
            folder: arguments.data_dir.join("nats"),
            message_bytes_max: config.receive.body_bytes_max.as_u64(),
            fsync,
        })
        .await?;
        tracing::info!(
            binary = %supervisor.binary().display(),
            version = supervisor.version(),
            url = supervisor.public_url(),
            "nats-server runs"
        );
        Ok(Self::Own(Box::new(supervisor), lock))
    }

    fn url(&self) -> &str {
        match self {
            Self::Own(supervisor, _) => supervisor.url(),
            Self::Given(url) => url,
        }
    }

    /// What to do where nobody is at the address that was given.
    fn advise(&self, error: anyhow::Error) -> anyhow::Error {
        match (self, error.downcast_ref()) {
            (Self::Given(_), Some(ConnectError::Unreachable { .. })) => anyhow!(
                "{error}; start a nats-server there, or leave --nats and backbone.url away: \
                 tidegate runs one of its own then"
            ),
            _ => error,
        }
    }

    async fn stop(self) {
        if let Self::Own(supervisor, _lock) = self {
            supervisor.stop().await;
        }
    }
}

/// One data directory has one owner.
fn lock(data_dir: &Path) -> anyhow::Result<File> {
    let failed = || format!("the data directory cannot be used: {}", data_dir.display());
    fs::create_dir_all(data_dir).with_context(failed)?;
    let file = File::create(data_dir.join("lock")).with_context(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "another tidegate runs on {}; stop it, or give another --data-dir",
            data_dir.display()
        ),
        Err(TryLockError::Error(error)) => Err(error).with_context(failed),
    }
}

/// What is told on the first ready moment.
struct Said {
    receive: Option<std::net::SocketAddr>,
    tls: Option<std::net::SocketAddr>,
    admin: std::net::SocketAddr,
    admin_url: String,
}

impl Said {
    fn tell(&self, nats: &Nats, file: Option<&Path>) -> anyhow::Result<()> {
        let Self {
            receive,
            tls,
            admin,
            admin_url,
        } = self;
        let (about, json) = match nats {
            Nats::Own(own, _) => {
                let (url, version, pid) = (own.public_url(), own.version(), own.pid());
                let about = format!("{url} (nats-server {version}, process {pid})");
                (about, json!({ "url": url, "version": version, "pid": pid }))
            }
            Nats::Given(url) => {
                let url = without_password(url);
                (
                    url.clone(),
                    json!({ "url": url, "version": null, "pid": null }),
                )
            }
        };
        let said = json!({
            "receive": receive.map(|address| address.to_string()),
            "tls": tls.map(|address| address.to_string()),
            "admin": admin.to_string(),
            "nats": json,
            "pid": std::process::id(),
            "version": VERSION,
        });
        let door = |name: &str, at: &Option<std::net::SocketAddr>| {
            at.map_or_else(String::new, |address| format!(" {name}://{address}"))
        };
        let (receive, tls) = (door("receive=http", receive), door("tls=https", tls));
        let line = format!("ready{receive}{tls} admin={admin_url} nats={about}");
        say_ready(file, &said, &line)
    }
}

/// For scripts by a file, if they want one, and for people by a line.
pub(super) fn say_ready(file: Option<&Path>, said: &Value, line: &str) -> anyhow::Result<()> {
    if let Some(file) = file {
        write_whole(file, &said.to_string())?;
    }
    eprintln!("{line}");
    Ok(())
}

fn without_password(url: &str) -> String {
    let public = |one: &str| match (one.find("://"), one.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => {
            let scheme = one.get(..scheme + 3).unwrap_or_default();
            format!("{scheme}{}", one.get(at + 1..).unwrap_or_default())
        }
        _ => one.to_owned(),
    };
    url.split(',')
        .map(|one| public(one.trim()))
        .collect::<Vec<_>>()
        .join(",")
}

/// Whoever waits for the file finds all of it.
fn write_whole(file: &Path, text: &str) -> anyhow::Result<()> {
    let part = file.with_extension("part");
    fs::write(&part, text)
        .and_then(|()| fs::rename(&part, file))
        .with_context(|| format!("--ready-file: cannot write {}", file.display()))
}

/// SIGTERM and SIGINT.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self {
            terminate,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn first(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::without_password;

    /// A password in an address is nobody else's business.
    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(
            without_password("nats://u:p@a:4222, nats://b:4222"),
            "nats://a:4222,nats://b:4222"
        );
    }
}
