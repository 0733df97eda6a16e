//! Tells the controller of a cluster, wherever that is, how far this process is and how documents
//! stand here. Nobody may listen; that changes nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::future::{pending, select_all};
use serde::Serialize;
use tidegate_backbone::{
    ControlError,
    jetstream::{Channel, Listener, Said},
};
use tidegate_snapshot::{
    ASK, Ask, BEAT, BEAT_EVERY, Beat, CALL, CHANNEL, Failure, Key, Kind, Page, Standing, State,
};
use tidegate_subscription::Subscription;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, sleep},
};

use super::{Operations, Roles, standing, states};
use crate::sources;

/// Documents of one answer: a few KiB each at most, of the MiB that a nats-server takes.
const PAGE: usize = 200;

/// How often is looked what was delivered since, which is how exact the time of the last delivery
/// is.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Until the next try to listen.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// What waits for each Subscription, as it was last seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting(Arc<Mutex<HashMap<String, Known>>>);

/// What is known of one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// Events that it has not been offered, or that are not settled.
    pub(crate) lag: u64,
    /// Its dead letters.
    pub(crate) dead_letters: u64,
}

impl Waiting {
    /// What is known now, by id.
    pub(crate) fn set(&self, known: HashMap<String, Known>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    fn of(&self, id: &str) -> Option<Known> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(id).copied()
    }
}

/// Who tells.
pub(super) struct Fleet {
    channel: Channel,
    process: String,
    roles: Roles,
    /// Up to which writing each kind of document is taken over.
    applied: Vec<watch::Receiver<u64>>,
    operations: Operations,
    seen: HashMap<String, Seen>,
}

/// What was counted of a Subscription when it was last looked at.
#[derive(Default)]
struct Seen {
    delivered: u64,
    retried: u64,
    delivered_at: Option<u64>,
    failure: Option<Failure>,
}

impl Fleet {
    pub(super) fn new(
        roles: Roles,
        applied: Vec<watch::Receiver<u64>>,
        operations: Operations,
    ) -> Self {
        Self {
            channel: operations.log.channel(CHANNEL),
            process: format!("{}-{:016x}", std::process::id(), fastrand::u64(..)),
            roles,
            applied,
            operations,
            seen: HashMap::new(),
        }
    }

    /// Tells until the process shuts down.
    pub(super) async fn run(mut self, mut draining: watch::Receiver<bool>) {
        let listening = async {
            loop {
                match self.listen().await {
                    Ok(listeners) => break listeners,
                    Err(error) => tracing::debug!(%error, "the controller cannot ask yet"),
                }
                sleep(LISTEN_AGAIN).await;
            }
        };
        let (mut calls, mut asks) = listening.await;
        let mut beat = interval(BEAT_EVERY);
        let mut look = interval(LOOK_EVERY);
        for ticker in [&mut beat, &mut look] {
            ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            tokio::select! {
                _ = beat.tick() => self.beat(false).await,
                () = changed(&mut self.applied) => self.beat(false).await,
                Some(_) = calls.next() => self.beat(false).await,
                Some(said) = asks.next() => self.answer(said).await,
                _ = look.tick() => self.look(),
                () = drained(&mut draining) => break,
            }
        }
        self.beat(true).await;
    }

    async fn listen(&self) -> Result<(Listener, Listener), ControlError> {
        let calls = self.channel.listen(CALL).await?;
        let asked = format!("{ASK}{}", self.process);
        Ok((calls, self.channel.listen(&asked).await?))
    }

    fn revision(&self) -> u64 {
        let applied = self.applied.iter().map(|applied| *applied.borrow());
        applied.min().unwrap_or(0)
    }

    async fn beat(&self, leaves: bool) {
        let beat = Beat {
            process: self.process.clone(),
            roles: self.roles.names(),
            revision: self.revision(),
            consumers_lost: self.operations.consume.consumers_lost(),
            leaves,
        };
        if let Err(error) = self.channel.say(BEAT, json(&beat)).await {
            tracing::debug!(%error, "the controller does not hear from this process");
        }
    }

    async fn answer(&self, said: Said) {
        // Whoever asks something else gets the first page.
        let Ask { after } = serde_json::from_slice(&said.payload).unwrap_or_default();
        // Before how they stand: what is newer than that does no harm.
        let revision = self.revision();
        let subscriptions = Arc::clone(&self.operations.subscriptions.borrow());
        let applications = Arc::clone(&self.operations.applications.borrow());
        let sources = Arc::clone(&self.operations.sources.borrow());
        let mut keys: Vec<(Key, Option<&Arc<Subscription>>)> = subscriptions
            .iter()
            .map(|one| (Key::subscription(&one.namespace, &one.name), Some(one)))
            .collect();
        let members = applications.members();
        keys.extend(members.map(|one| (Key::application(&one.application.name), None)));
        keys.extend(
            sources
                .iter()
                .map(|(one, _)| (Key::source(&one.name), None)),
        );
        keys.retain(|(key, _)| after.as_ref().is_none_or(|after| key > after));
        keys.sort_by(|(a, _), (b, _)| a.cmp(b));
        let is_last = keys.len() <= PAGE;
        let page = keys.into_iter().take(PAGE);
        let standings = page.map(|(key, subscription)| match subscription {
            Some(subscription) => self.standing(key, subscription),
            None => {
                let mistake = match key.kind {
                    Kind::Subscription | Kind::Application => applications.mistake(&key.name),
                    Kind::Source => trouble(&sources, &key.name),
                };
                let state = mistake.map(|mistake| State::Unusable(mistake.to_owned()));
                blank(key, state.unwrap_or(State::Open))
            }
        });
        let page = Page {
            revision,
            standings: standings.collect(),
            is_last,
        };
        said.answer(json(&page)).await;
    }

    fn standing(&self, key: Key, subscription: &Subscription) -> Standing {
        let Operations {
            states,
            consume,
            waiting,
            ..
        } = &self.operations;
        let id = subscription.id();
        let state = match states.of(&id) {
            Some((states::State::Open | states::State::Elsewhere, _)) => State::Open,
            Some((states::State::Unusable(reason), _)) => State::Unusable(reason),
            Some((states::State::Opening, _)) | None => State::Opening,
        };
        let away = standing::sink(&self.operations, subscription);
        let (seen, known) = (self.seen.get(&id), waiting.of(&id));
        Standing {
            paused: states.paused(&id).map(|paused| paused.words()),
            sink: away.map(|(reason, message)| (reason.to_owned(), message)),
            refuses_dead_letters: consume.refuses_dead_letters(&id),
            delivered_at: seen.and_then(|seen| seen.delivered_at),
            failure: seen.and_then(|seen| seen.failure.clone()),
            lag: known.map(|known| known.lag),
            dead_letters: known.map(|known| known.dead_letters),
            ..blank(key, state)
        }
    }

    /// What was delivered, and what went wrong, since it was last looked.
    fn look(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
        let subscriptions = Arc::clone(&self.operations.subscriptions.borrow());
        let mut before = std::mem::take(&mut self.seen);
        for subscription in subscriptions.iter() {
            let id = subscription.id();
            let mut seen = before.remove(&id).unwrap_or_default();
            let counted = self.operations.consume.counted(&id);
            if counted.delivered > seen.delivered {
                seen.delivered_at = Some(now);
            }
            if counted.retried > seen.retried {
                let message = self.operations.gates.failure(&subscription.sink_key());
                let message = message.unwrap_or_else(|| "an attempt failed".to_owned());
                seen.failure = Some(Failure { at: now, message });
            }
            (seen.delivered, seen.retried) = (counted.delivered, counted.retried);
            self.seen.insert(id, seen);
        }
    }
}

/// What is wrong with a source.
fn trouble<'a>(sources: &'a sources::All, name: &str) -> Option<&'a str> {
    let (_, stand) = sources.iter().find(|(source, _)| source.name == name)?;
    stand.trouble.as_deref()
}

fn blank(key: Key, state: State) -> Standing {
    Standing {
        key,
        state,
        paused: None,
        sink: None,
        refuses_dead_letters: false,
        delivered_at: None,
        failure: None,
        lag: None,
        dead_letters: None,
    }
}

async fn drained(draining: &mut watch::Receiver<bool>) {
    // An error means that the pipeline is gone, which ends this as well.
    draining.wait_for(|draining| *draining).await.ok();
}

/// Returns when one of them has changed.
async fn changed(applied: &mut [watch::Receiver<u64>]) {
    if applied.is_empty() {
        return pending().await;
    }
    let changes = applied
        .iter_mut()
        .map(|applied| Box::pin(applied.changed()));
    // An error means that its sender is gone with the pipeline.
    if select_all(changes).await.0.is_err() {
        pending().await
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
