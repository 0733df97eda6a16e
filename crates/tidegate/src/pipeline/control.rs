//! What runs once a process: the Subscription folder, pauses, replays, and the room in the log.

mod pausing;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tidegate_backbone::{Log, jetstream::JetstreamRegister};
use tidegate_subscription::Subscription;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{
    Roles,
    pauses::{self, Pauses},
    replays::{self, Ask, Refused, Replays, Status, Wanted},
    sharing::Consumers,
    states::{self, States},
    worker::{Command, Subscriptions},
};
use crate::{config::Config, documents::Documents, folder::Loaded};

/// How often the room in the log is looked at. At 100,000 events of 1 KiB a second, a log of
/// 4 GiB gets 2 % fuller meanwhile; the mark for reclaiming is 80 %.
const RECLAIM_EVERY: Duration = Duration::from_secs(1);

/// How often a lasting trouble is said.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// How long the doors stay closed for a Subscription that cannot be opened, after the last one
/// that could.
const OPENING_PATIENCE: Duration = Duration::from_secs(10);

/// Where what operators ask for arrives.
pub(super) struct Asked {
    pub(super) replays: mpsc::Receiver<Ask>,
    pub(super) pauses: mpsc::Receiver<pauses::Ask>,
}

/// The running control task.
pub(super) struct Control {
    task: JoinHandle<()>,
}

impl Control {
    /// Starts, and returns when the first Subscriptions are open.
    pub(super) async fn start(
        mut state: State,
        mut documents: Documents<Subscription>,
        poll: Duration,
        asked: Asked,
    ) -> Self {
        let opened = state.apply(documents.load().await).await;
        documents.is_applied();
        let awaited = match state.roles.dispatcher {
            true => state.running.keys().cloned().collect(),
            false => HashSet::new(),
        };
        for subscription in closed(awaited, opened).await {
            tracing::error!(
                subscription,
                "not open yet; it misses what is stored until it is, as the doors open now"
            );
        }
        if state.roles.dispatcher {
            state.meet_consumers().await;
        }
        state.meet_pauses();
        Self {
            task: tokio::spawn(state.run(documents, poll, asked)),
        }
    }

    pub(super) async fn stop(self) {
        self.task.abort();
        // Aborted is how it ends.
        self.task.await.ok();
    }
}

/// What runs, and what is known of it.
pub(super) struct State {
    roles: Roles,
    log: Consumers,
    workers: Vec<mpsc::Sender<Command>>,
    subscriptions: watch::Sender<Subscriptions>,
    states: States,
    /// What documents say.
    documents: Vec<Arc<Subscription>>,
    pauses: Pauses<JetstreamRegister>,
    /// By id: the Subscription, paused or not, and the worker that delivers for it.
    running: HashMap<String, (Arc<Subscription>, usize)>,
    /// By consumer: when its Subscription, of this id, went.
    removed: HashMap<String, (Instant, String)>,
    replays: Replays,
    /// How long a consumer outlives its Subscription, so that a file which is being replaced, or
    /// was deleted by mistake, loses nothing.
    deleted_kept: Duration,
    next: usize,
    /// When it was last said that the room cannot be made.
    held_up_said: Option<Instant>,
}

impl State {
    pub(super) fn new(
        (config, roles): (&Config, Roles),
        log: Consumers,
        workers: Vec<mpsc::Sender<Command>>,
        subscriptions: watch::Sender<Subscriptions>,
        (states, pauses): (States, Pauses<JetstreamRegister>),
    ) -> Self {
        Self {
            roles,
            documents: Vec::new(),
            pauses,
            deleted_kept: config.subscriptions.deleted_kept,
            replays: Replays::new(log.log().clone(), Arc::new(config.clone())),
            log,
            workers,
            subscriptions,
            states,
            running: HashMap::new(),
            removed: HashMap::new(),
            next: 0,
            held_up_said: None,
        }
    }

    async fn run(
        mut self,
        mut documents: Documents<Subscription>,
        poll: Duration,
        mut asked: Asked,
    ) {
        let mut poll = interval(poll);
        let mut reclaim = interval(RECLAIM_EVERY);
        for ticker in [&mut poll, &mut reclaim] {
            ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            tokio::select! {
                _ = poll.tick() => {
                    let are_new = self.look_at_pauses().await;
                    match documents.poll().await {
                        Some(loaded) => {
                            drop(self.apply(loaded).await);
                            documents.is_applied();
                        }
                        None if are_new => drop(self.bring().await),
                        None => {}
                    }
                    if self.roles.dispatcher {
                        self.remove_old().await;
                    }
                }
                _ = reclaim.tick(), if self.roles.dispatcher => {
                    self.reclaim().await;
                    self.look_at_replays().await;
                }
                Some(ask) = asked.replays.recv() => self.answer(ask).await,
                Some(ask) = asked.pauses.recv() => self.answer_of_pause(ask).await,
            }
        }
    }

    /// Whoever asked may have gone; that changes nothing.
    async fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Begin(wanted, answer) => answer.send(self.begin_replay(wanted).await).is_ok(),
            Ask::List(answer) => {
                self.look_at_replays().await;
                answer.send(Ok(self.replays.list())).is_ok()
            }
            Ask::Cancel(name, answer) => {
                let cancelled = self.replays.cancel(&name).await;
                if let Ok(status) = &cancelled {
                    self.stop_replay(name, status.subscription()).await;
                }
                answer.send(cancelled).is_ok()
            }
        };
    }

    async fn begin_replay(&mut self, wanted: Wanted) -> Result<Status, Refused> {
        if !self.roles.dispatcher {
            let message = "this process delivers nothing; ask one whose --role is dispatcher";
            return Err(Refused::Invalid(message.to_owned()));
        }
        let id = wanted.subscription().to_owned();
        let running = self.running.get(&id);
        let (subscription, _) = running.ok_or_else(|| Refused::NoSubscription(id.clone()))?;
        let subscription = Arc::clone(subscription);
        let name = self.replays.begin(wanted, &subscription).await?;
        self.run_replay(&id).await;
        self.replays.status(&name)
    }

    /// Gives a Subscription's replay, if it has one, to the worker that delivers for it.
    async fn run_replay(&mut self, id: &str) {
        let (Some(assigned), Some((subscription, worker))) =
            (self.replays.of(id), self.running.get(id))
        else {
            return;
        };
        let (name, is_waiting) = (assigned.replay.name.clone(), subscription.pause);
        let command = Command::Replay(Arc::clone(subscription), Box::new(assigned));
        self.tell(*worker, command).await;
        self.replays.set_waiting(&name, is_waiting);
    }

    async fn stop_replay(&self, name: String, subscription: &str) {
        if let Some((_, worker)) = self.running.get(subscription) {
            self.tell(*worker, Command::Stop(name)).await;
        }
    }

    async fn look_at_replays(&mut self) {
        for status in self.replays.look().await {
            self.stop_replay(status.name().to_owned(), status.subscription())
                .await;
        }
    }

    async fn reclaim(&mut self) {
        let reclaimed = match self.log.log().reclaim().await {
            Ok(reclaimed) => reclaimed,
            Err(error) => {
                tracing::debug!(%error, "the room in the log is not known");
                return;
            }
        };
        if reclaimed.events > 0 {
            tracing::info!(events = reclaimed.events, "settled events purged for room");
        }
        let due = self
            .held_up_said
            .is_none_or(|said| said.elapsed() >= SAY_AGAIN);
        if let (Some(consumer), true) = (reclaimed.held_by, due) {
            self.held_up_said = Some(Instant::now());
            tracing::warn!(
                consumer,
                "the log fills up: this consumer is furthest behind"
            );
        }
    }

    /// Brings what runs to what documents say. Tells the id of each Subscription that is open.
    async fn apply(&mut self, loaded: Loaded<Subscription>) -> mpsc::Receiver<String> {
        for mistake in &loaded.mistakes {
            tracing::error!(%mistake, "a subscription is not usable");
        }
        self.states.set_mistakes(loaded.mistakes);
        self.documents = loaded.resources.into_iter().map(Arc::new).collect();
        self.bring().await
    }

    /// Brings what runs to what documents and pauses say.
    async fn bring(&mut self) -> mpsc::Receiver<String> {
        let (wanted, paused) = self.wanted();
        let gone: Vec<String> = self
            .running
            .keys()
            .filter(|id| !wanted.contains_key(*id))
            .cloned()
            .collect();
        for id in gone {
            self.end(id).await;
        }
        let (opened, are_open) = mpsc::channel(wanted.len().max(1));
        for (id, subscription) in wanted {
            let worker = match self.running.get(&id) {
                Some((running, _)) if **running == *subscription => continue,
                Some((_, worker)) => *worker,
                None => self.next_worker(),
            };
            self.removed.remove(&subscription.consumer_name());
            if self.roles.dispatcher {
                self.states.set(&id, states::State::Opening);
                let command = Command::Run(Arc::clone(&subscription), opened.clone());
                self.tell(worker, command).await;
            } else {
                self.states.set(&id, states::State::Elsewhere);
            }
            self.running.insert(id.clone(), (subscription, worker));
            self.run_replay(&id).await;
        }
        // Not before: until it is opened anew, one that was running is not paused yet.
        self.states.set_paused(paused);
        let running = self
            .running
            .values()
            .map(|(subscription, _)| Arc::clone(subscription));
        self.subscriptions.send_replace(Arc::new(running.collect()));
        are_open
    }

    /// What runs no more, as its document is gone.
    async fn end(&mut self, id: String) {
        let Some((subscription, worker)) = self.running.remove(&id) else {
            return;
        };
        tracing::info!(subscription = id, "subscription removed");
        self.states.remove(&id);
        if let Some(assigned) = self.replays.of(&id) {
            let name = assigned.replay.name;
            self.replays.set_waiting(&name, true);
            self.tell(worker, Command::Stop(name)).await;
        }
        let went = (Instant::now(), id.clone());
        self.removed.insert(subscription.consumer_name(), went);
        self.tell(worker, Command::Stop(id)).await;
    }

    async fn tell(&self, worker: usize, command: Command) {
        if let Some(worker) = self.workers.get(worker)
            && worker.send(command).await.is_err()
        {
            tracing::error!("a worker has ended");
        }
    }

    fn next_worker(&mut self) -> usize {
        self.next = (self.next + 1) % self.workers.len().max(1);
        self.next
    }

    /// Deletes the consumers of Subscriptions that are gone for good.
    async fn remove_old(&mut self) {
        let now = Instant::now();
        let old: Vec<(String, String)> = self
            .removed
            .iter()
            .filter(|(_, (since, _))| now.duration_since(*since) >= self.deleted_kept)
            .map(|(consumer, (_, id))| (consumer.clone(), id.clone()))
            .collect();
        for (consumer, id) in old {
            if let Some(assigned) = self.replays.of(&id)
                && let Err(error) = self.replays.cancel(&assigned.replay.name).await
            {
                tracing::warn!(subscription = id, %error, "replay not ended yet");
                continue;
            }
            if let Err(error) = self.log.remove(&consumer).await {
                tracing::warn!(consumer, %error, "consumer not deleted yet");
                continue;
            }
            // Its pause holds as long as its place is kept.
            if let Err(error) = self.forget_pause(&id).await {
                tracing::warn!(subscription = id, %error, "pause not taken away yet");
                continue;
            }
            tracing::info!(consumer, "consumer of a removed subscription deleted");
            self.removed.remove(&consumer);
        }
    }

    /// Goes on with replays, and names consumers without a Subscription: they hold room in the
    /// log, and deleting them would lose what they have not delivered. That is for an operator to
    /// decide.
    async fn meet_consumers(&mut self) {
        let consumers = match self.log.consumers().await {
            Ok(consumers) => consumers,
            Err(error) => {
                tracing::warn!(%error, "consumers without a subscription are not known");
                return;
            }
        };
        self.replays.resume(&consumers);
        for status in self.replays.list() {
            self.run_replay(status.subscription()).await;
        }
        for consumer in consumers {
            if replays::is_replay(&consumer.name) {
                continue;
            }
            let known = self
                .running
                .values()
                .any(|(subscription, _)| subscription.consumer_name() == consumer.name);
            if !known {
                tracing::warn!(
                    consumer = consumer.name,
                    description = consumer.description,
                    undelivered = consumer.undelivered,
                    unsettled = consumer.unsettled,
                    "a consumer has no subscription and holds room in the log"
                );
            }
        }
    }
}

/// Waits until every Subscription is open, or until none of them was for a while; those that are
/// not.
async fn closed(
    mut subscriptions: HashSet<String>,
    mut opened: mpsc::Receiver<String>,
) -> HashSet<String> {
    while !subscriptions.is_empty() {
        match timeout(OPENING_PATIENCE, opened.recv()).await {
            Ok(Some(id)) => subscriptions.remove(&id),
            Ok(None) | Err(_) => break,
        };
    }
    subscriptions
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However many there are, as long as they open; one that does not costs a bounded time.
    #[tokio::test(start_paused = true)]
    async fn one_that_cannot_be_opened_keeps_the_doors_closed_for_a_while() {
        let began = Instant::now();
        let (open, opened) = mpsc::channel(3);
        let opening = tokio::spawn(async move {
            for id in ["a", "b"] {
                tokio::time::sleep(OPENING_PATIENCE / 2).await;
                open.send(id.to_owned()).await.unwrap();
            }
            open
        });
        let all = ["a", "b", "c"].map(str::to_owned).into();
        assert_eq!(closed(all, opened).await, HashSet::from(["c".to_owned()]));
        assert_eq!(began.elapsed(), OPENING_PATIENCE * 2);
        drop(opening);
    }

    /// One whose worker has given it up is not waited for.
    #[tokio::test(start_paused = true)]
    async fn one_that_is_given_up_is_not_waited_for() {
        let began = Instant::now();
        let (open, opened) = mpsc::channel(1);
        drop(open);
        let all = HashSet::from(["a".to_owned()]);
        assert_eq!(closed(all.clone(), opened).await, all);
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
