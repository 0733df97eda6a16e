//! The processes that run documents: which there are, how far they are, and how each document stands
//! in all of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidegate_backbone::{
    ControlError,
    jetstream::{Channel, Jetstream, Listener},
};
use tidegate_snapshot::{
    ASK, Ask, BEAT, BEAT_EVERY, Beat, CALL, CHANNEL, Key, Kind, Page, Role, Standing, State,
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::triggers::Triggers;

/// A process from which nothing is heard for so long is gone: three of its beats, and a little.
const GONE_AFTER: Duration = Duration::from_secs(7);

/// For so long after the first call it is not known who is there.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// How often is looked whether somebody is to be asked.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often everybody is asked though nothing has changed.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// How often somebody is asked where a document is opening.
const ASK_OPENING_EVERY: Duration = Duration::from_secs(1);

/// Most pages of one answer: some hundred thousand documents.
const PAGES_MAX: usize = 4_096;

/// Most processes that are listened to: whoever reaches NATS may say that it is one.
const PROCESSES_MAX: usize = 1_000;

/// All of them.
#[derive(Clone)]
pub(crate) struct Fleet {
    inner: Arc<Mutex<Inner>>,
    channel: Channel,
    triggers: Arc<Triggers>,
}

#[derive(Default)]
struct Inner {
    called: Option<Instant>,
    /// Consumers that processes have made anew since this one listens.
    consumers_lost: u64,
    processes: BTreeMap<String, Process>,
}

struct Process {
    beat: Beat,
    heard: Instant,
    asked: Option<Instant>,
    /// What it has said, and up to which writing it was then.
    revision: u64,
    standings: HashMap<Key, Standing>,
    /// Whether any of them is on its way.
    is_opening: bool,
}

/// How a document stands in all processes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Progress {
    /// It is not known yet who is there.
    Unknown,
    /// Nobody is there who could run it.
    Nobody,
    /// So many of so many have not taken it over.
    Behind(usize, usize),
    /// All have: how it stands.
    Stands(Box<Standing>),
}

impl Fleet {
    pub(crate) fn new(log: &Jetstream, triggers: &Arc<Triggers>) -> Self {
        Self {
            inner: Arc::default(),
            channel: log.channel(CHANNEL),
            triggers: Arc::clone(triggers),
        }
    }

    /// How what was written at a revision stands.
    pub(crate) fn progress(&self, key: &Key, revision: u64) -> Progress {
        self.lock().progress(key, revision)
    }

    /// Whether nobody runs what was taken out at a revision.
    pub(crate) fn is_out(&self, revision: u64) -> bool {
        self.lock().is_out(revision)
    }

    /// Consumers that processes have made anew since this one listens.
    pub(crate) fn consumers_lost(&self) -> u64 {
        self.lock().consumers_lost
    }

    /// So many processes of a role.
    pub(crate) fn count(&self, role: Role) -> usize {
        let inner = self.lock();
        let beats = inner.processes.values().map(|process| &process.beat);
        beats.filter(|beat| beat.roles.contains(&role)).count()
    }

    /// Hears and asks.
    pub(crate) async fn run(self) {
        let mut beats = self.listen().await;
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                said = beats.next() => match said {
                    Some(said) => self.heard(&said.payload),
                    None => beats = self.listen().await,
                },
                _ = look.tick() => {
                    self.forget_the_gone();
                    for process in self.to_be_asked() {
                        self.ask(&process).await;
                    }
                }
            }
        }
    }

    async fn listen(&self) -> Listener {
        loop {
            let heard: Result<Listener, ControlError> = async {
                let listener = self.channel.listen(BEAT).await?;
                self.channel.say(CALL, Vec::new()).await?;
                Ok(listener)
            }
            .await;
            match heard {
                Ok(listener) => {
                    self.lock().called = Some(Instant::now());
                    return listener;
                }
                Err(error) => tracing::debug!(%error, "the processes are not heard"),
            }
            sleep(BEAT_EVERY).await;
        }
    }

    fn heard(&self, payload: &[u8]) {
        let Ok(beat) = serde_json::from_slice::<Beat>(payload) else {
            tracing::debug!("a process says what is not understood");
            return;
        };
        let mut inner = self.lock();
        let moved = if beat.leaves {
            inner.processes.remove(&beat.process).is_some()
        } else {
            let now = Instant::now();
            let is_full = inner.processes.len() >= PROCESSES_MAX;
            let known = inner.processes.get_mut(&beat.process);
            match known {
                Some(process) => {
                    let moved = process.beat.revision != beat.revision;
                    let lost = process.beat.consumers_lost;
                    let lost = beat.consumers_lost.saturating_sub(lost);
                    (process.beat, process.heard) = (beat, now);
                    inner.consumers_lost = inner.consumers_lost.saturating_add(lost);
                    moved
                }
                None if is_full => {
                    tracing::warn!(
                        process = beat.process,
                        "too many processes; not listened to"
                    );
                    false
                }
                None => {
                    tracing::info!(process = beat.process, roles = ?beat.roles, "a process is there");
                    let process = Process {
                        heard: now,
                        asked: None,
                        revision: 0,
                        standings: HashMap::new(),
                        is_opening: false,
                        beat,
                    };
                    let name = process.beat.process.clone();
                    inner.processes.insert(name, process);
                    true
                }
            }
        };
        drop(inner);
        if moved {
            self.triggers.moved();
        }
    }

    fn forget_the_gone(&self) {
        let mut inner = self.lock();
        let before = inner.processes.len();
        inner.processes.retain(|name, process| {
            let is_there = process.heard.elapsed() < GONE_AFTER;
            if !is_there {
                tracing::warn!(process = name, "a process is gone");
            }
            is_there
        });
        let some_are_gone = inner.processes.len() < before;
        drop(inner);
        if some_are_gone {
            self.triggers.moved();
        }
    }

    fn to_be_asked(&self) -> Vec<String> {
        let inner = self.lock();
        let due = inner.processes.values().filter(|process| {
            let every = match process.is_opening {
                true => ASK_OPENING_EVERY,
                false => ASK_EVERY,
            };
            let is_old = process.asked.is_none_or(|asked| asked.elapsed() >= every);
            is_old || process.beat.revision > process.revision
        });
        due.map(|process| process.beat.process.clone()).collect()
    }

    /// Asks one for everything, and names what stands otherwise than before.
    async fn ask(&self, process: &str) {
        let (mut standings, mut after, mut revision) = (HashMap::new(), None, None);
        for _ in 0..PAGES_MAX {
            let ask = serde_json::to_vec(&Ask { after }).unwrap_or_default();
            let page = match self.channel.ask(&format!("{ASK}{process}"), ask).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::debug!(process, %error, "a process does not answer");
                    return;
                }
            };
            let Ok(page) = serde_json::from_slice::<Page>(&page) else {
                tracing::warn!(process, "a process answers what is not understood");
                return;
            };
            // That of the first page: what comes later may be newer.
            revision = revision.or(Some(page.revision));
            after = page.standings.last().map(|standing| standing.key.clone());
            let all = page.standings.into_iter();
            standings.extend(all.map(|standing| (standing.key.clone(), standing)));
            if page.is_last || after.is_none() {
                break;
            }
        }
        let mut inner = self.lock();
        let Some(known) = inner.processes.get_mut(process) else {
            return;
        };
        known.asked = Some(Instant::now());
        let revision = revision.unwrap_or(0);
        let moved = known.revision != revision;
        known.revision = revision;
        let changed: BTreeSet<Key> = standings
            .iter()
            .filter(|(key, standing)| known.standings.get(key) != Some(standing))
            .map(|(key, _)| key.clone())
            .collect();
        let is_opening = |standing: &Standing| standing.state == State::Opening;
        known.is_opening = standings.values().any(is_opening);
        known.standings = standings;
        drop(inner);
        self.triggers.changed(&changed);
        if moved {
            self.triggers.moved();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is complete before anything in it can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn progress(&self, key: &Key, revision: u64) -> Progress {
        if !self.is_settled() {
            return Progress::Unknown;
        }
        let role = role_of(key.kind);
        let able = self.processes.values();
        let able: Vec<&Process> = able.filter(|one| one.beat.roles.contains(&role)).collect();
        if able.is_empty() {
            return Progress::Nobody;
        }
        let (mut behind, mut all) = (0, None);
        for process in &able {
            match process.standings.get(key) {
                Some(standing) if process.revision >= revision => {
                    all = Some(match all {
                        None => standing.clone(),
                        Some(other) => worse(other, standing),
                    });
                }
                _ => behind += 1,
            }
        }
        match all {
            Some(standing) if behind == 0 => Progress::Stands(Box::new(standing)),
            _ => Progress::Behind(behind, able.len()),
        }
    }

    fn is_out(&self, revision: u64) -> bool {
        let mut beats = self.processes.values().map(|process| &process.beat);
        self.is_settled() && beats.all(|beat| beat.revision >= revision)
    }

    fn is_settled(&self) -> bool {
        self.called
            .is_some_and(|called| called.elapsed() >= SETTLED_AFTER)
    }
}

/// Who runs it.
fn role_of(kind: Kind) -> Role {
    match kind {
        Kind::Subscription => Role::Dispatcher,
        Kind::Application | Kind::Source => Role::Gateway,
    }
}

/// How it stands in both: what is wrong with it in one is wrong.
fn worse(mut one: Standing, other: &Standing) -> Standing {
    let rank = |state: &State| match state {
        State::Open => 0,
        State::Opening => 1,
        State::Unusable(_) => 2,
    };
    if rank(&other.state) > rank(&one.state) {
        one.state = other.state.clone();
    }
    one.paused = one.paused.or_else(|| other.paused.clone());
    one.sink = one.sink.or_else(|| other.sink.clone());
    one.refuses_dead_letters |= other.refuses_dead_letters;
    one.delivered_at = one.delivered_at.max(other.delivered_at);
    let at = |standing: &Standing| standing.failure.as_ref().map(|failure| failure.at);
    if at(other) > at(&one) {
        one.failure.clone_from(&other.failure);
    }
    one.lag = one.lag.max(other.lag);
    one
}

#[cfg(test)]
mod tests;
