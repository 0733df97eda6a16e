//! Where documents come from: a folder of files, or what the controller of a cluster has written
//! beside the log.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    time::Duration,
};

use tidegate_backbone::jetstream::{Jetstream, JetstreamRegister};
use tidegate_document::{Mistake, Parsed, Secret};
use tidegate_snapshot::{Entry, Key, Kind, REGISTER, Reader, Snapshot};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::folder::{FileMistake, Folder, Loaded, Resource};

/// How long a process that starts waits for the controller's first round, before it goes on with
/// nothing: as long as doors stay closed for a Subscription that does not open.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How often is looked meanwhile.
const LOOK: Duration = Duration::from_millis(250);

/// What documents of a cluster may not name.
const NOT_BELOW: &str = "a secret has to be { file: … } without .. and below the folder \
                         resources.secrets";

/// A resource that may be in a cluster.
pub(crate) trait Documented: Resource {
    /// What it is there.
    const KIND: Kind;

    /// The same, of which nothing is delivered for now.
    #[must_use]
    fn held(self) -> Self;

    /// What it names.
    fn secrets(&self) -> Vec<&Secret>;
}

/// Where documents come from.
pub(crate) enum Documents<T> {
    /// Files.
    Folder(Folder<T>),
    /// Beside the log.
    Register(Box<Follower<T>>),
}

impl<T: Documented> Documents<T> {
    /// Those that are there now.
    pub(crate) async fn load(&mut self) -> Loaded<T> {
        match self {
            Self::Folder(folder) => folder.load(),
            Self::Register(follower) => follower.load().await,
        }
    }

    /// Those that are there now, if they are others than before.
    pub(crate) async fn poll(&mut self) -> Option<Loaded<T>> {
        match self {
            Self::Folder(folder) => folder.poll(),
            Self::Register(follower) => follower.poll().await,
        }
    }

    /// What was last told is done.
    pub(crate) fn is_applied(&self) {
        if let Self::Register(follower) = self {
            follower.applied.send_replace(follower.revision);
        }
    }

    /// Up to which writing what is told is done; nobody writes where they are files.
    pub(crate) fn applied(&self) -> Option<watch::Receiver<u64>> {
        match self {
            Self::Folder(_) => None,
            Self::Register(follower) => Some(follower.applied.subscribe()),
        }
    }
}

/// Follows what the controller writes.
pub(crate) struct Follower<T> {
    reader: Reader<JetstreamRegister>,
    /// Until when it waits for the first round.
    patient_until: Instant,
    revision: u64,
    applied: watch::Sender<u64>,
    /// What was made of each text.
    known: BTreeMap<Key, Read<T>>,
}

struct Read<T> {
    text: String,
    /// Of this text, or of the last one that was good.
    resource: Option<T>,
    mistakes: Vec<FileMistake>,
}

impl<T: Documented> Follower<T> {
    /// Nothing is read yet, and that is waited for until then.
    pub(crate) async fn new(log: &Jetstream, patient_until: Instant) -> anyhow::Result<Self> {
        Ok(Self {
            reader: Reader::new(log.register_named(REGISTER).await?),
            patient_until,
            revision: 0,
            applied: watch::channel(0).0,
            known: BTreeMap::new(),
        })
    }

    async fn load(&mut self) -> Loaded<T> {
        loop {
            if let Some(loaded) = self.poll().await {
                return loaded;
            }
            if Instant::now() >= self.patient_until {
                tracing::error!(
                    "the controller has not written all resources yet; they follow when it has"
                );
                return Loaded::default();
            }
            sleep(LOOK).await;
        }
    }

    async fn poll(&mut self) -> Option<Loaded<T>> {
        match self.reader.look().await {
            Ok(snapshot) => Some(self.read(snapshot?)),
            Err(error) => {
                tracing::debug!(%error, "whether resources have changed is not known");
                None
            }
        }
    }

    fn read(&mut self, snapshot: Snapshot) -> Loaded<T> {
        self.revision = snapshot.revision;
        let mut before: HashMap<Key, Read<T>> =
            std::mem::take(&mut self.known).into_iter().collect();
        let mut loaded = Loaded::default();
        for (key, text) in snapshot.entries {
            if key.kind != T::KIND {
                continue;
            }
            let read = match before.remove(&key) {
                Some(known) if known.text == text => known,
                known => read(&key, text, known.and_then(|known| known.resource)),
            };
            loaded.resources.extend(read.resource.clone());
            loaded.mistakes.extend(read.mistakes.iter().cloned());
            self.known.insert(key, read);
        }
        loaded
    }
}

/// A document with mistakes leaves its last good form: the controller is newer than this process,
/// as it writes none that it does not understand.
fn read<T: Documented>(key: &Key, text: String, before: Option<T>) -> Read<T> {
    let (found, mistakes) = match parse(&text) {
        Ok((found, mistakes)) => (found, mistakes),
        Err(message) => (
            None,
            vec![Mistake {
                line: 1,
                object: None,
                field: String::new(),
                message,
            }],
        ),
    };
    let place = key.to_string();
    Read {
        text,
        resource: found.or(before),
        mistakes: mistakes
            .iter()
            .map(|mistake| FileMistake::new(Path::new(&place), mistake))
            .collect(),
    }
}

fn parse<T: Documented>(text: &str) -> Result<(Option<T>, Vec<Mistake>), String> {
    let entry = Entry::parse(text).map_err(|error| error.to_string())?;
    let Parsed {
        documents,
        mistakes,
    } = T::parse(&entry.document.to_string());
    let found = documents.into_iter().next().map(|(_, found)| found);
    let Some(found) = found else {
        return Ok((None, mistakes));
    };
    if !found.secrets().iter().all(|secret| secret.is_below()) {
        return Err(NOT_BELOW.to_owned());
    }
    let found = match entry.held {
        Some(_) => found.held(),
        None => found,
    };
    Ok((Some(found), mistakes))
}
