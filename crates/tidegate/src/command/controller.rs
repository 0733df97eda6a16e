//! `tidegate controller`: Subscriptions and Applications of a Kubernetes cluster.

use std::{io::Write as _, path::PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use prometheus_client::registry::Registry;
use tidegate_backbone::jetstream::Jetstream;
use tidegate_controller::{Controller, Metrics};
use tokio::sync::watch;

use super::up;
use crate::{admin::Admin, cli::ConfigFile, config::Config, pipeline::readiness};

const EXAMPLES: &str = "\
Examples:
  tidegate controller --config /etc/tidegate/tidegate.yaml
  KUBECONFIG=~/.kube/config tidegate controller --nats nats://127.0.0.1:4222
  tidegate controller definitions | kubectl apply --server-side -f -

In a pod it finds the cluster by itself. Of several, one is in charge; each is to have the same
configuration as the processes that take and deliver events, which have resources.from: kubernetes.";

/// How to run.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    file: ConfigFile,
    /// The NATS server (several, comma separated), in the place of backbone.url
    #[arg(long, value_name = "URL")]
    nats: Option<String>,
    /// Write the addresses to this file, as JSON, when ready
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// What is logged, in the place of telemetry.log.level
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the definitions of the custom resources
    #[command(
        after_help = "Examples:\n  tidegate controller definitions | kubectl apply --server-side -f -\n  \
                      tidegate controller definitions --folder charts/tidegate"
    )]
    Definitions {
        /// Also that of Kyma's Subscription, for clusters that have none
        #[arg(long, conflicts_with = "folder")]
        kyma: bool,
        /// Write them to where the chart has them, below this folder
        #[arg(long, value_name = "DIR")]
        folder: Option<PathBuf>,
    },
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(Command::Definitions { kyma, folder }) = &arguments.command {
        return definitions(*kyma, folder.as_deref());
    }
    let mut config = Config::load(arguments.file.config.as_deref())?;
    if let Some(level) = &arguments.log {
        config.telemetry.log.level.clone_from(level);
    }
    tidegate_telemetry::logs::init(&config.telemetry)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(control(arguments, config))
}

fn definitions(kyma: bool, folder: Option<&std::path::Path>) -> anyhow::Result<()> {
    for (name, definition) in tidegate_controller::definitions() {
        let text = serde_saphyr::to_string(&definition)?;
        match folder {
            Some(folder) => {
                let file = folder.join("files/crds").join(name);
                let failed = || format!("--folder: cannot write {}", file.display());
                if let Some(parent) = file.parent() {
                    std::fs::create_dir_all(parent).with_context(failed)?;
                }
                std::fs::write(&file, text).with_context(failed)?;
            }
            None if kyma || !name.starts_with("kyma") => {
                writeln!(std::io::stdout(), "---\n{text}").context("cannot print")?;
            }
            None => {}
        }
    }
    Ok(())
}

async fn control(arguments: &Arguments, config: Config) -> anyhow::Result<()> {
    let mut signals = up::Signals::new()?;
    if let Some(file) = &arguments.ready_file {
        // A file of an earlier run would say that this one is ready.
        std::fs::remove_file(file).ok();
    }
    let url = arguments.nats.as_ref().or(config.backbone.url.as_ref());
    let url = url.ok_or_else(|| {
        anyhow!("backbone.url is not set: name the NATS server there, or with --nats")
    })?;
    let admin = Admin::bind(&config.admin, &config.identity).await?;
    let log = Jetstream::connect(&config.backbone, url, "tidegate-controller").await?;
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let controller = Controller::new(config.controller.clone(), log.clone(), metrics).await?;
    let (readiness, follows) = readiness::follow(log);
    let (draining, drained) = watch::channel(false);
    let (address, door) = (admin.address(), admin.url());
    tokio::spawn(admin.serve_probes(up::scrape(registry, None), readiness, drained));
    up::say_ready(
        arguments.ready_file.as_deref(),
        &serde_json::json!({
            "admin": address.to_string(),
            "pid": std::process::id(),
            "version": env!("CARGO_PKG_VERSION"),
        }),
        &format!("ready admin={door}"),
    )?;
    controller.run(signals.first()).await;
    tracing::info!("shutting down");
    draining.send_replace(true);
    follows.abort();
    Ok(())
}
