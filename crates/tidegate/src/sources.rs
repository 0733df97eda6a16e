//! Sources that are not doors: documents of topics to read, and those that run.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tidegate_application::KafkaSource;
use tidegate_document::{Parsed, Secret};
use tidegate_snapshot::Kind;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use crate::{
    documents::{Documented, Documents},
    folder::{Loaded, Resource},
    kafka::Running,
    pipeline::worker,
};

/// How a source stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stand {
    /// The partitions that this process reads, by topic; and how many records of each are not stored
    /// yet, where that is known.
    pub(crate) partitions: BTreeMap<String, BTreeMap<i32, Option<i64>>>,
    /// What is wrong, if something is.
    pub(crate) trouble: Option<String>,
}

/// The sources that there are, by name, and how each stands.
pub(crate) type All = Arc<Vec<(KafkaSource, Stand)>>;

/// The same, as it changes.
pub(crate) type Known = watch::Receiver<All>;

/// Keeps what runs as documents say.
pub(crate) struct Sources {
    documents: Documents<KafkaSource>,
    shared: worker::Shared,
    /// Each running, or why not.
    running: HashMap<String, (KafkaSource, Result<Running, String>)>,
    known: watch::Sender<All>,
}

/// Running sources.
pub(crate) struct Started {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Resource for KafkaSource {
    fn parse(text: &str) -> Parsed<Self> {
        tidegate_application::parse_sources(text)
    }

    fn id(&self) -> String {
        self.name.clone()
    }
}

impl Documented for KafkaSource {
    const KIND: Kind = Kind::Source;

    /// What it reads is never held.
    fn held(self) -> Self {
        self
    }

    fn secrets(&self) -> Vec<&Secret> {
        self.cluster.secrets().collect()
    }
}

impl Sources {
    /// Those of these documents; nothing runs yet.
    pub(crate) fn new(
        documents: Documents<KafkaSource>,
        shared: worker::Shared,
        known: watch::Sender<All>,
    ) -> Self {
        Self {
            documents,
            shared,
            running: HashMap::new(),
            known,
        }
    }

    /// Runs them, and looks for changes this often.
    pub(crate) fn start(mut self, poll: Duration) -> Started {
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let loaded = self.documents.load().await;
            self.apply(loaded).await;
            let mut ticks = interval(poll);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    // An error means that the pipeline is gone.
                    _ = stopped.wait_for(|stop| *stop) => break,
                    _ = ticks.tick() => {}
                }
                if let Some(loaded) = self.documents.poll().await {
                    self.apply(loaded).await;
                }
                self.retry().await;
                self.tell();
            }
            for (_, (_, running)) in self.running {
                if let Ok(running) = running {
                    running.end().await;
                }
            }
        });
        Started { stop, task }
    }

    async fn apply(&mut self, loaded: Loaded<KafkaSource>) {
        for mistake in &loaded.mistakes {
            tracing::error!(%mistake, "a source is not usable");
        }
        let wanted: HashMap<&str, &KafkaSource> = loaded
            .resources
            .iter()
            .map(|source| (source.name.as_str(), source))
            .collect();
        let over: Vec<String> = self
            .running
            .iter()
            .filter(|(name, (source, _))| wanted.get(name.as_str()) != Some(&source))
            .map(|(name, _)| name.clone())
            .collect();
        for name in over {
            if let Some((_, Ok(running))) = self.running.remove(&name) {
                // The one in its place is in the same group: it waits for what is under way.
                running.end().await;
            }
        }
        for source in loaded.resources {
            let entry = self.running.entry(source.name.clone());
            entry.or_insert_with(|| (source, Err(String::new())));
        }
        self.retry().await;
        self.tell();
        self.documents.is_applied();
    }

    /// Starts those that do not run.
    async fn retry(&mut self) {
        for (source, running) in self.running.values_mut() {
            if running.as_ref().is_ok_and(Running::has_ended) {
                *running = Err(String::new());
            }
            let Err(reason) = running else {
                continue;
            };
            match Running::start(source, &self.shared).await {
                Ok(started) => {
                    tracing::info!(source = source.name, group = source.group, "a source runs");
                    *running = Ok(started);
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    // Told once, not at each try.
                    if *reason != error {
                        tracing::warn!(source = source.name, error, "a source does not run");
                        *reason = error;
                    }
                }
            }
        }
    }

    fn tell(&self) {
        let mut stands: Vec<_> = self
            .running
            .values()
            .map(|(source, running)| {
                let stand = match running {
                    Ok(running) => running.stand(),
                    Err(reason) => Stand {
                        trouble: Some(reason.clone()),
                        ..Stand::default()
                    },
                };
                (source.clone(), stand)
            })
            .collect();
        stands.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        self.known.send_if_modified(|known| {
            let changed = **known != stands;
            if changed {
                *known = Arc::new(stands);
            }
            changed
        });
    }
}

impl Started {
    /// Stops all, and waits for what is under way.
    pub(crate) async fn end(self) {
        // An error means that they have ended already.
        self.stop.send(true).ok();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "what runs sources has ended by a panic");
        }
    }
}
