//! Sources that are not doors: documents of topics to read, and those that run.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tidegate_application::KafkaSource;
use tidegate_document::Parsed;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use crate::{
    folder::{Folder, Loaded, Resource},
    kafka::Running,
    pipeline::worker,
};

/// How a source stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stand {
    /// The partitions that this process reads, by topic.
    pub(crate) partitions: BTreeMap<String, Vec<i32>>,
    /// What is wrong, if something is.
    pub(crate) trouble: Option<String>,
}

/// The sources that there are, and how each stands.
pub(crate) type Known = watch::Receiver<Arc<Vec<(KafkaSource, Stand)>>>;

/// Keeps what runs as documents say.
pub(crate) struct Sources {
    folder: Folder<KafkaSource>,
    shared: worker::Shared,
    running: HashMap<String, (KafkaSource, Option<Running>)>,
    known: watch::Sender<Arc<Vec<(KafkaSource, Stand)>>>,
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

impl Sources {
    /// Those of a folder; nothing runs yet.
    pub(crate) fn new(folder: Folder<KafkaSource>, shared: worker::Shared) -> (Self, Known) {
        let (known, receiver) = watch::channel(Arc::default());
        let sources = Self {
            folder,
            shared,
            running: HashMap::new(),
            known,
        };
        (sources, receiver)
    }

    /// Runs them, and looks for changes this often.
    pub(crate) fn start(mut self, poll: Duration) -> Started {
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let loaded = self.folder.load();
            self.apply(loaded).await;
            let mut ticks = interval(poll);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    // An error means that the pipeline is gone.
                    _ = stopped.wait_for(|stop| *stop) => break,
                    _ = ticks.tick() => {}
                }
                if let Some(loaded) = self.folder.poll() {
                    self.apply(loaded).await;
                }
                self.retry().await;
                self.tell();
            }
            for (_, (_, running)) in self.running {
                if let Some(running) = running {
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
            if let Some((_, Some(running))) = self.running.remove(&name) {
                // The one in its place is in the same group: it waits for what is under way.
                running.end().await;
            }
        }
        for source in loaded.resources {
            let entry = self.running.entry(source.name.clone());
            entry.or_insert_with(|| (source, None));
        }
        self.retry().await;
        self.tell();
    }

    /// Starts those that do not run.
    async fn retry(&mut self) {
        for (source, running) in self.running.values_mut() {
            if running.is_some() {
                continue;
            }
            match Running::start(source, &self.shared).await {
                Ok(started) => {
                    tracing::info!(source = source.name, group = source.group, "a source runs");
                    *running = Some(started);
                }
                Err(error) => {
                    let source = &source.name;
                    tracing::warn!(
                        source,
                        error = format!("{error:#}"),
                        "a source does not run"
                    );
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
                    Some(running) => running.stand(),
                    None => Stand {
                        trouble: Some("it does not run; the log says why".to_owned()),
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
