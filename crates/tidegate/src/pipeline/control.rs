//! What runs once a process: the Subscription folder, and the room in the log.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tidegate_backbone::{Log, jetstream::Jetstream};
use tidegate_subscription::Subscription;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::worker::{Command, Subscriptions};
use crate::{
    config::Config,
    folder::{Folder, Loaded},
};

/// How often the room in the log is looked at. At 100,000 events of 1 KiB a second, a log of
/// 4 GiB gets 2 % fuller meanwhile; the mark for reclaiming is 80 %.
const RECLAIM_EVERY: Duration = Duration::from_secs(1);

/// How often a lasting trouble is said.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// How long a consumer outlives its Subscription, so that a file which is being replaced, or was
/// deleted by mistake, loses nothing.
const REMOVE_AFTER: Duration = Duration::from_secs(60);

/// How long the doors stay closed for a Subscription that cannot be opened, after the last one
/// that could.
const OPENING_PATIENCE: Duration = Duration::from_secs(10);

/// The running control task.
pub(super) struct Control {
    task: JoinHandle<()>,
}

impl Control {
    /// Starts, and returns when the first Subscriptions are open.
    pub(super) async fn start(
        config: &Config,
        log: Jetstream,
        folder: Folder<Subscription>,
        workers: Vec<mpsc::Sender<Command>>,
        subscriptions: watch::Sender<Subscriptions>,
    ) -> Self {
        let mut state = State {
            log,
            workers,
            subscriptions,
            running: HashMap::new(),
            removed: HashMap::new(),
            next: 0,
            held_up_said: None,
        };
        let mut folder = folder;
        let opened = state.apply(folder.load()).await;
        for subscription in closed(state.running.keys().cloned().collect(), opened).await {
            tracing::error!(
                subscription,
                "not open yet; it misses what is stored until it is, as the doors open now"
            );
        }
        state.report_orphans().await;
        let poll = config.subscriptions.poll_interval;
        Self {
            task: tokio::spawn(state.run(folder, poll)),
        }
    }

    pub(super) async fn stop(self) {
        self.task.abort();
        // Aborted is how it ends.
        self.task.await.ok();
    }
}

struct State {
    log: Jetstream,
    workers: Vec<mpsc::Sender<Command>>,
    subscriptions: watch::Sender<Subscriptions>,
    /// By id: the Subscription, and the worker that delivers for it.
    running: HashMap<String, (Arc<Subscription>, usize)>,
    /// By consumer: when its Subscription went.
    removed: HashMap<String, Instant>,
    next: usize,
    /// When it was last said that the room cannot be made.
    held_up_said: Option<Instant>,
}

impl State {
    async fn run(mut self, mut folder: Folder<Subscription>, poll: Duration) {
        let mut poll = interval(poll);
        let mut reclaim = interval(RECLAIM_EVERY);
        for ticker in [&mut poll, &mut reclaim] {
            ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            tokio::select! {
                _ = poll.tick() => {
                    if let Some(loaded) = folder.poll() {
                        self.apply(loaded).await;
                    }
                    self.remove_old().await;
                }
                _ = reclaim.tick() => self.reclaim().await,
            }
        }
    }

    async fn reclaim(&mut self) {
        let reclaimed = match self.log.reclaim().await {
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

    /// Brings what runs to what the folder says. Tells the id of each Subscription that is open.
    async fn apply(&mut self, loaded: Loaded<Subscription>) -> mpsc::Receiver<String> {
        for mistake in &loaded.mistakes {
            tracing::error!(%mistake, "a subscription is not usable");
        }
        let wanted: HashMap<String, Arc<Subscription>> = loaded
            .resources
            .into_iter()
            .map(|subscription| (subscription.id(), Arc::new(subscription)))
            .collect();
        let gone: Vec<String> = self
            .running
            .keys()
            .filter(|id| !wanted.contains_key(*id))
            .cloned()
            .collect();
        for id in gone {
            if let Some((subscription, worker)) = self.running.remove(&id) {
                tracing::info!(subscription = id, "subscription removed");
                self.removed
                    .insert(subscription.consumer_name(), Instant::now());
                self.tell(worker, Command::Stop(id)).await;
            }
        }
        let (opened, are_open) = mpsc::channel(wanted.len().max(1));
        for (id, subscription) in wanted {
            let worker = match self.running.get(&id) {
                Some((running, _)) if **running == *subscription => continue,
                Some((_, worker)) => *worker,
                None => self.next_worker(),
            };
            self.removed.remove(&subscription.consumer_name());
            let command = Command::Run(Arc::clone(&subscription), opened.clone());
            self.tell(worker, command).await;
            self.running.insert(id, (subscription, worker));
        }
        let running = self
            .running
            .values()
            .map(|(subscription, _)| Arc::clone(subscription));
        self.subscriptions.send_replace(Arc::new(running.collect()));
        are_open
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
        let old: Vec<String> = self
            .removed
            .iter()
            .filter(|(_, since)| now.duration_since(**since) >= REMOVE_AFTER)
            .map(|(consumer, _)| consumer.clone())
            .collect();
        for consumer in old {
            match self.log.remove(&consumer).await {
                Ok(()) => {
                    tracing::info!(consumer, "consumer of a removed subscription deleted");
                    self.removed.remove(&consumer);
                }
                Err(error) => tracing::warn!(consumer, %error, "consumer not deleted yet"),
            }
        }
    }

    /// Names consumers without a Subscription: they hold room in the log, and deleting them
    /// would lose what they have not delivered. That is for an operator to decide.
    async fn report_orphans(&self) {
        let consumers = match self.log.consumers().await {
            Ok(consumers) => consumers,
            Err(error) => {
                tracing::warn!(%error, "consumers without a subscription are not known");
                return;
            }
        };
        for consumer in consumers {
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
