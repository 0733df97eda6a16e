//! Connected systems: their documents, made ready to be asked on every request.

mod counts;
mod quota;
mod secrets;

use std::{collections::HashMap, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use ipnet::IpNet;
use tidegate_application::{Application, Authentication};
use tidegate_event::Leniency;
use tidegate_identity::{Client, Identities, Memory, Mistake};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use self::secrets::Files;
pub(crate) use self::{
    counts::{Counts, Metrics},
    quota::Quota,
};
use crate::{documents::Documents, folder::Loaded};

/// What is known of the connected systems now.
pub(crate) type Known = watch::Receiver<Arc<Directory>>;

/// All connected systems.
pub(crate) struct Directory {
    members: HashMap<Arc<str>, Arc<Member>>,
    identities: Identities,
    /// Whether there are documents at all, or were. Without any, a path may name any Application,
    /// and who sends is not asked beyond `anonymous`. A folder says that there are to be some.
    documented: bool,
    /// Who may send without an identity.
    anonymous: Arc<[IpNet]>,
    /// Why some refuse everything, by name.
    mistakes: HashMap<Arc<str>, String>,
}

/// A connected system.
pub(crate) struct Member {
    pub(crate) application: Application,
    pub(crate) quota: Quota,
    /// What it has sent; nothing is counted of who is named by a caller alone.
    pub(crate) counts: Option<Arc<Counts>>,
}

impl Directory {
    /// Of no documents: doors that name an Application take any name.
    fn undocumented(anonymous: Arc<[IpNet]>, memory: &Arc<Memory>) -> Self {
        let (identities, _none) = Identities::new(Vec::new(), &Files::default(), memory);
        Self {
            members: HashMap::new(),
            identities,
            documented: false,
            anonymous,
            mistakes: HashMap::new(),
        }
    }

    fn new(
        applications: Vec<Application>,
        before: &Self,
        (secrets, metrics): (&Files, &Metrics),
        memory: &Arc<Memory>,
    ) -> (Self, Vec<Mistake>) {
        let documented = !applications.is_empty() || before.documented;
        let clients = applications
            .iter()
            .map(|application| Client {
                name: application.name.as_str().into(),
                authentication: application.authentication.clone(),
            })
            .collect();
        let (identities, mistakes) = Identities::new(clients, secrets, memory);
        let mut members = HashMap::new();
        for application in applications {
            let name: Arc<str> = application.name.as_str().into();
            // What it has used of its quota stays used, and what was counted stays counted.
            let member = match before.members.get(&name) {
                Some(member) if member.application == application => Arc::clone(member),
                known => Arc::new(Member {
                    quota: Quota::new(&application.limits),
                    counts: match known.and_then(|member| member.counts.as_ref()) {
                        Some(counts) => Some(Arc::clone(counts)),
                        None => Some(Arc::new(metrics.of(&name))),
                    },
                    application,
                }),
            };
            members.insert(name, member);
        }
        let gone = before.members.keys();
        for name in gone.filter(|name| !members.contains_key(*name)) {
            metrics.forget(name);
        }
        let told = mistakes.iter();
        let told = told.map(|mistake| (Arc::clone(&mistake.client), mistake.message.clone()));
        let directory = Self {
            members,
            identities,
            documented,
            anonymous: Arc::clone(&before.anonymous),
            mistakes: told.collect(),
        };
        (directory, mistakes)
    }

    /// Whether documents say who the connected systems are.
    pub(crate) fn is_documented(&self) -> bool {
        self.documented
    }

    /// Why one refuses everything, if it does.
    pub(crate) fn mistake(&self, name: &str) -> Option<&str> {
        self.mistakes.get(name).map(String::as_str)
    }

    /// Who sends.
    pub(crate) fn identities(&self) -> &Identities {
        &self.identities
    }

    /// A connected system.
    pub(crate) fn member(&self, name: &str) -> Option<Arc<Member>> {
        self.members.get(name).map(Arc::clone)
    }

    /// Whether an address may send without an identity.
    pub(crate) fn lets_in_anonymously(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.anonymous
            .iter()
            .any(|network| network.contains(&address))
    }

    /// All that documents describe, in no order.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values().map(Arc::as_ref)
    }

    /// The connected system that a source belongs to.
    pub(crate) fn claimed_by(&self, source: &str) -> Option<&str> {
        let mut members = self.members.values();
        let owner = members.find(|member| member.application.claims(source))?;
        Some(&owner.application.name)
    }
}

impl Member {
    /// Who sends without an identity through a door that names no Application.
    pub(crate) fn nobody(extension_names: Leniency) -> Self {
        Self::unlimited("", extension_names)
    }

    /// A system that no document describes: what SAP's own systems send is lower-cased rather
    /// than refused.
    pub(crate) fn undocumented(name: &str) -> Self {
        Self::unlimited(name, Leniency::Lowercase)
    }

    fn unlimited(name: &str, extension_names: Leniency) -> Self {
        let application = Application {
            extension_names,
            ..Application::unnamed(name)
        };
        Self {
            quota: Quota::new(&application.limits),
            counts: None,
            application,
        }
    }
}

/// Keeps what is known up to date with documents and with the secrets that they name.
pub(crate) struct Reader {
    documents: Documents<Application>,
    applications: Vec<Application>,
    secrets: Files,
    metrics: Metrics,
    memory: Arc<Memory>,
    known: watch::Sender<Arc<Directory>>,
}

impl Reader {
    /// Reads the documents, whose secrets are below the folder; without any everybody stays
    /// unknown. The task that goes on reading is started with [`Self::run`].
    pub(crate) async fn start(
        documents: Option<(Documents<Application>, PathBuf)>,
        anonymous: &[IpNet],
        memory: Arc<Memory>,
        metrics: Metrics,
    ) -> (Option<Self>, Known) {
        let mut undocumented = Directory::undocumented(anonymous.into(), &memory);
        undocumented.documented = matches!(documents, Some((Documents::Folder(_), _)));
        let (known, receiver) = watch::channel(Arc::new(undocumented));
        let Some((documents, secrets)) = documents else {
            return (None, receiver);
        };
        let mut reader = Self {
            secrets: Files::below(secrets),
            documents,
            applications: Vec::new(),
            metrics,
            memory,
            known,
        };
        let loaded = reader.documents.load().await;
        reader.apply(loaded);
        (Some(reader), receiver)
    }

    /// Up to which writing what a controller has written is known.
    pub(crate) fn applied(&self) -> Option<watch::Receiver<u64>> {
        self.documents.applied()
    }

    /// Reads again when something changes.
    pub(crate) fn run(mut self, poll: Duration) -> JoinHandle<()> {
        tokio::spawn(async move {
            let mut poll = interval(poll);
            poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                poll.tick().await;
                if let Some(loaded) = self.documents.poll().await {
                    self.apply(loaded);
                } else if self.secrets.have_changed() {
                    tracing::info!("a secret of an application changed");
                    self.publish();
                }
            }
        })
    }

    fn apply(&mut self, loaded: Loaded<Application>) {
        for mistake in &loaded.mistakes {
            tracing::error!(%mistake, "an application is not usable");
        }
        for application in &loaded.resources {
            let application_name = &application.name;
            if !self.applications.contains(application) {
                tracing::info!(application = application_name, "application known");
            }
            if is_open(application) {
                tracing::warn!(
                    application = application_name,
                    "authentication is none: whoever reaches its doors can send in its name"
                );
            }
        }
        self.applications = loaded.resources;
        self.publish();
        self.documents.is_applied();
    }

    fn publish(&self) {
        self.secrets.forget();
        let before = Arc::clone(&self.known.borrow());
        let (directory, mistakes) = Directory::new(
            self.applications.clone(),
            &before,
            (&self.secrets, &self.metrics),
            &self.memory,
        );
        for Mistake {
            client,
            index,
            message,
        } in mistakes
        {
            let field = index.map(|index| format!("spec.authentication[{index}]"));
            tracing::error!(
                application = &*client,
                field,
                mistake = message,
                "an application refuses everything until this is mended"
            );
        }
        self.known.send_replace(Arc::new(directory));
    }
}

fn is_open(application: &Application) -> bool {
    application
        .authentication
        .iter()
        .any(|method| matches!(method, Authentication::None(_)))
}
