//! The configuration: defaults, then the file, then `TIDEGATE__SECTION__KEY` variables.
//!
//! Each section belongs to its room. All mistakes are reported at once.

mod admin;
mod layers;
mod resources;

use std::{
    collections::HashMap,
    env, fmt, fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tidegate_otlp::SettingsError;

use crate::kafka;

use self::layers::Layers;
pub(crate) use self::{
    admin::{Admin, Oidc, Role, Token},
    resources::Resources,
};

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Config {
    pub(crate) receive: tidegate_receive::Config,
    pub(crate) identity: tidegate_identity::Config,
    pub(crate) normalize: tidegate_normalize::Config,
    pub(crate) publish: tidegate_publish::Config,
    pub(crate) backbone: tidegate_backbone::Config,
    pub(crate) consume: tidegate_consume::Config,
    pub(crate) deliver: tidegate_deliver::Config,
    pub(crate) resources: Resources,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) applications: Applications,
    pub(crate) sources: Sources,
    pub(crate) kafka: kafka::Config,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) server: Server,
    pub(crate) admin: Admin,
    pub(crate) telemetry: tidegate_telemetry::Config,
    pub(crate) history: tidegate_history::Config,
    pub(crate) controller: tidegate_controller::Config,
    pub(crate) shutdown: Shutdown,
    /// What relative paths are relative to.
    #[serde(skip)]
    folder: PathBuf,
}

/// Where Subscriptions come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Subscriptions {
    /// The folder of Subscription files, relative to the configuration file.
    pub(crate) folder: PathBuf,
    /// How often it is looked at.
    #[serde(with = "humantime_serde")]
    pub(crate) poll_interval: Duration,
    /// How long what waits for a deleted Subscription is kept, in case that it comes back.
    #[serde(with = "humantime_serde")]
    pub(crate) deleted_kept: Duration,
}

/// What becomes of dead letters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DeadLetters {
    /// How long before the first deletion by a Subscription's retention it is announced.
    #[serde(with = "humantime_serde")]
    pub(crate) notice: Duration,
}

/// Where connected systems come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Applications {
    /// The folder of Application files, relative to the configuration file. Without one, a path
    /// may name any Application, and whoever `receive.anonymous` lets in may send.
    pub(crate) folder: Option<PathBuf>,
    /// How often it, and the secrets that its files name, are looked at.
    #[serde(with = "humantime_serde")]
    pub(crate) poll_interval: Duration,
}

/// Where sources that are not doors come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sources {
    /// The folder of KafkaSource files, relative to the configuration file; without one there are
    /// none.
    pub(crate) folder: Option<PathBuf>,
    /// How often it is looked at.
    #[serde(with = "humantime_serde")]
    pub(crate) poll_interval: Duration,
}

/// The nats-server that Tidegate runs itself when it is given none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    /// The binary; without one, the first `nats-server` on PATH.
    pub(crate) binary: Option<PathBuf>,
    /// Where it listens: loopback. Port 0 takes a free one.
    pub(crate) listen: SocketAddr,
}

/// How the process ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Shutdown {
    /// How long what is under way may take after SIGTERM.
    #[serde(with = "humantime_serde")]
    pub(crate) grace: Duration,
}

impl Subscriptions {
    /// Whether the folder is the one that is looked for where nobody has named another.
    pub(crate) fn is_usual_folder(&self) -> bool {
        self.folder == Self::default().folder
    }
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self {
            folder: "subscriptions".into(),
            poll_interval: Duration::from_secs(1),
            deleted_kept: Duration::from_secs(3_600),
        }
    }
}

impl Default for DeadLetters {
    fn default() -> Self {
        Self {
            notice: Duration::from_secs(3_600),
        }
    }
}

impl Default for Applications {
    fn default() -> Self {
        Self {
            folder: None,
            poll_interval: Duration::from_secs(1),
        }
    }
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            folder: None,
            poll_interval: Duration::from_secs(1),
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            binary: None,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(20),
        }
    }
}

/// Every mistake in a configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Mistakes(pub(crate) Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 {
            "mistake"
        } else {
            "mistakes"
        };
        write!(f, "{} {plural}:", self.0.len())?;
        self.0
            .iter()
            .try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl Config {
    /// Reads the file, if there is one, and the environment.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, Mistakes> {
        let text = match file {
            None => String::new(),
            Some(file) => fs::read_to_string(file).map_err(|error| {
                let file = file.display();
                Mistakes(vec![format!(
                    "--config {file}: cannot be read: {error}; without --config the defaults count"
                )])
            })?,
        };
        let name = file.map_or_else(String::new, |file| file.display().to_string());
        let variables = env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let mut config = Self::of(&name, &text, variables)?;
        config.folder = file
            .and_then(Path::parent)
            .map_or_else(PathBuf::new, Path::to_path_buf);
        config.receive.resolve(&config.folder);
        config.deliver.resolve(&config.folder);
        config.admin.resolve(&config.folder);
        Ok(config)
    }

    /// What is sent to a collector, by the configuration and by OpenTelemetry's own variables.
    pub(crate) fn exported(&self, version: &str) -> Result<tidegate_otlp::Settings, SettingsError> {
        let variables: HashMap<_, _> = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with("OTEL_"))
            .collect();
        let variable = |name: &str| variables.get(name).cloned();
        tidegate_otlp::Settings::of(&self.telemetry, version, variable)
    }

    fn of(
        file: &str,
        text: &str,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Mistakes> {
        let mut layers = Layers::new(file, text);
        layers.add_variables(variables);
        let config = Self {
            receive: section(&mut layers, "receive", tidegate_receive::Config::validate),
            identity: section(&mut layers, "identity", tidegate_identity::Config::validate),
            normalize: section(&mut layers, "normalize", |_| Vec::new()),
            publish: section(&mut layers, "publish", tidegate_publish::Config::validate),
            backbone: section(&mut layers, "backbone", tidegate_backbone::Config::validate),
            consume: section(&mut layers, "consume", tidegate_consume::Config::validate),
            deliver: section(&mut layers, "deliver", tidegate_deliver::Config::validate),
            resources: section(&mut layers, "resources", |_| Vec::new()),
            subscriptions: section(&mut layers, "subscriptions", Subscriptions::validate),
            applications: section(&mut layers, "applications", Applications::validate),
            sources: section(&mut layers, "sources", Sources::validate),
            kafka: section(&mut layers, "kafka", kafka::Config::validate),
            dead_letters: section(&mut layers, "dead_letters", |_| Vec::new()),
            server: section(&mut layers, "server", Server::validate),
            admin: section(&mut layers, "admin", Admin::validate),
            telemetry: section(
                &mut layers,
                "telemetry",
                tidegate_telemetry::Config::validate,
            ),
            history: section(&mut layers, "history", tidegate_history::Config::validate),
            controller: section(
                &mut layers,
                "controller",
                tidegate_controller::Config::validate,
            ),
            shutdown: section(&mut layers, "shutdown", |_| Vec::new()),
            folder: PathBuf::new(),
        };
        layers.refuse_the_rest();
        if config.publish.deadline >= config.receive.request_timeout {
            layers.mistake(format!(
                "publish.deadline: must be shorter than receive.request_timeout ({:?}), got {:?}",
                config.receive.request_timeout, config.publish.deadline
            ));
        }
        layers.finish().map(|()| config)
    }

    /// Where Application files are, if there are any.
    pub(crate) fn applications_folder(&self) -> Option<PathBuf> {
        let folder = self.applications.folder.as_ref()?;
        Some(self.folder.join(folder))
    }

    /// Where the secrets are that documents of this namespace name. A document of a cluster sees no
    /// others than those of its namespace.
    pub(crate) fn secrets_folder(&self, namespace: &str) -> PathBuf {
        if self.resources.are_in_a_cluster() {
            return self.folder.join(&self.resources.secrets).join(namespace);
        }
        self.subscriptions_folder()
    }

    /// Where the secrets are that Applications name; `None` where there are no Applications.
    pub(crate) fn application_secrets_folder(&self) -> Option<PathBuf> {
        if self.resources.are_in_a_cluster() {
            // No namespace is called so.
            let secrets = self.folder.join(&self.resources.secrets);
            return Some(secrets.join("_applications"));
        }
        self.applications_folder()
    }

    /// Where KafkaSource files are, if there are any.
    pub(crate) fn sources_folder(&self) -> Option<PathBuf> {
        let folder = self.sources.folder.as_ref()?;
        Some(self.folder.join(folder))
    }

    /// Where the secrets are that KafkaSources name.
    #[cfg(feature = "kafka")]
    pub(crate) fn source_secrets_folder(&self) -> PathBuf {
        if self.resources.are_in_a_cluster() {
            // No namespace is called so.
            let secrets = self.folder.join(&self.resources.secrets);
            return secrets.join("_sources");
        }
        self.sources_folder().unwrap_or_default()
    }

    /// Where Subscription files are.
    pub(crate) fn subscriptions_folder(&self) -> PathBuf {
        self.folder.join(&self.subscriptions.folder)
    }
}

fn section<T: DeserializeOwned + Serialize + Default>(
    layers: &mut Layers,
    name: &str,
    validate: impl Fn(&T) -> Vec<String>,
) -> T {
    let section = layers.section(name);
    for mistake in validate(&section) {
        layers.mistake(format!("{name}.{mistake}"));
    }
    section
}

impl Subscriptions {
    fn validate(&self) -> Vec<String> {
        poll_interval(self.poll_interval)
    }
}

impl Applications {
    fn validate(&self) -> Vec<String> {
        poll_interval(self.poll_interval)
    }
}

impl Sources {
    fn validate(&self) -> Vec<String> {
        poll_interval(self.poll_interval)
    }
}

/// A folder that is looked at without end would be all that a core does.
fn poll_interval(interval: Duration) -> Vec<String> {
    let fine = interval >= Duration::from_millis(10);
    (!fine)
        .then(|| "poll_interval: must be at least 10ms".to_owned())
        .into_iter()
        .collect()
}

impl Server {
    fn validate(&self) -> Vec<String> {
        let loopback = self.listen.ip().is_loopback();
        (!loopback)
            .then(|| format!("listen: must be a loopback address, got {}", self.listen))
            .into_iter()
            .collect()
    }
}

#[cfg(test)]
mod tests;
