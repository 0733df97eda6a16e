//! One run: things happen one after the other, and then everything has to come to rest.

mod processes;

use std::{collections::BTreeSet, num::NonZeroU32, sync::Arc, time::Duration};

use bytes::Bytes;
use fastrand::Rng;
use prometheus_client::registry::Registry;
use tidegate_backbone::{
    Append, DeadLetter, LettersOf, Log as _, Register as _, memory::Memory, subject,
};
use tidegate_consume::{Metrics, Pace, Service};
use tidegate_event::Event;
use tokio::{sync::oneshot, task::JoinHandle, time::sleep};

use crate::{
    crash::Mortal,
    log::{FaultyLog, Wire},
    plan::{BYTES_MAX, Plan, SOURCE, TYPE},
    process::Process,
    record::{Loop, Record, What},
    sink::{Mode, Sink, ToSink},
};

/// What events have of it, they share.
static DATA: [u8; BYTES_MAX] = [b'.'; BYTES_MAX];

const ROOT: &str = "tidegate.events";

/// After the last fault everything has to be at rest within this.
const REST: Duration = Duration::from_hours(24);

/// What is left of a run, beside its record.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) plan: Plan,
    /// By event, from 1: its key.
    pub(crate) keys: Vec<u64>,
    pub(crate) memory: Memory,
    /// Dead letters that were taken away.
    pub(crate) discarded: Vec<DeadLetter>,
    pub(crate) is_at_rest: bool,
}

struct World<'a> {
    plan: Plan,
    rng: Rng,
    memory: Memory,
    wire: Wire,
    record: &'a Record,
    sinks: Vec<Sink>,
    processes: Vec<Process>,
    paces: Vec<Option<Pace>>,
    loops: Vec<Running>,
    started: usize,
    is_calm: bool,
    keys: Vec<u64>,
    discarded: Vec<DeadLetter>,
}

struct Running {
    of: Loop,
    stop: oneshot::Sender<()>,
    task: JoinHandle<bool>,
}

pub(crate) async fn run(seed: u64, record: &Record) -> Ended {
    let mut rng = Rng::with_seed(seed);
    let plan = Plan::new(&mut rng);
    let mut world = World {
        wire: Wire::new(plan.faults, rng.fork()),
        sinks: (0..2)
            .map(|_| Sink::new(plan.faults.flaky, rng.fork()))
            .collect(),
        processes: Vec::new(),
        paces: vec![None; plan.subscriptions.len()],
        memory: Memory::default(),
        record,
        loops: Vec::new(),
        started: 0,
        is_calm: false,
        keys: Vec::new(),
        discarded: Vec::new(),
        plan,
        rng,
    };
    for _ in 0..world.plan.processes {
        let process = world.process(true);
        world.processes.push(process);
    }
    world.start_missing(true);
    world.wire.set_calm(false);
    for _ in 0..world.plan.steps {
        let pause = world.rng.u64(0..8_000);
        sleep(Duration::from_millis(pause)).await;
        world.reap().await;
        world.step().await;
    }
    let is_at_rest = world.rest().await;
    Ended {
        plan: world.plan,
        keys: world.keys,
        memory: world.memory,
        discarded: world.discarded,
        is_at_rest,
    }
}

impl World<'_> {
    async fn step(&mut self) {
        match self.rng.u8(0..19) {
            0..5 => self.publish().await,
            5 => self.kill().await,
            6 => self.stop_one().await,
            7 | 8 => self.start_missing(true),
            9 | 10 => self.change_sink(),
            11 => self.redeliver_or_unpin().await,
            12 => self.jump(),
            13 => self.discard().await,
            14 => self.replace_process(true).await,
            15 => self.replace_process(false).await,
            16 => self.log_dies().await,
            17 => self.change_shards().await,
            _ => self.change_subscription().await,
        }
    }

    async fn publish(&mut self) {
        for _ in 0..self.rng.usize(1..25) {
            let key = self.rng.u64(0..self.plan.keys);
            self.keys.push(key);
            let id = self.keys.len();
            let mut event = Event::new(id.to_string(), SOURCE.to_owned(), TYPE.to_owned());
            event.subject = Some(key.to_string().into());
            event.data = Some(Bytes::from_static(&DATA).slice(..self.plan.bytes));
            let Ok(subject) = subject::of(ROOT, SOURCE, TYPE) else {
                continue;
            };
            let append = Append {
                subject,
                message_id: None,
                event,
            };
            let stored = self.memory.append(&append).await;
            let sequence = stored.map_or(0, |stored| stored.sequence);
            self.record.note(What::Published(sequence));
        }
    }

    /// Those that died are gone, and with a process all of its loops.
    async fn reap(&mut self) {
        for number in 0..self.processes.len() {
            if self.processes.get(number).is_some_and(Process::is_dead) {
                self.replace(number, false, !self.is_calm).await;
            }
        }
        let record = self.record;
        self.loops.retain(|running| {
            let is_alive = !running.task.is_finished();
            if !is_alive {
                record.note(What::Died(running.of));
            }
            is_alive
        });
    }

    fn any(&mut self) -> Option<Running> {
        let number = self.rng.usize(0..self.loops.len().max(1));
        (number < self.loops.len()).then(|| self.loops.remove(number))
    }

    async fn kill(&mut self) {
        if let Some(running) = self.any() {
            self.die(running).await;
        }
    }

    async fn die(&mut self, running: Running) {
        running.task.abort();
        drop(running.task.await);
        self.record.note(What::Died(running.of));
    }

    async fn stop_one(&mut self) {
        if let Some(running) = self.any() {
            self.end(running).await;
        }
    }

    async fn end(&mut self, running: Running) {
        running.stop.send(()).ok();
        let what = match running.task.await {
            Ok(true) => What::Stopped(running.of),
            Ok(false) | Err(_) => What::Died(running.of),
        };
        self.record.note(what);
    }

    /// A loop for each Subscription in each process.
    fn start_missing(&mut self, may_die: bool) {
        for subscription in 0..self.plan.subscriptions.len() {
            for process in 0..self.plan.processes {
                let mut loops = self.loops.iter();
                let runs = |running: &Running| {
                    running.of.subscription == subscription && running.of.process == process
                };
                if !loops.any(runs) {
                    self.start(subscription, process, may_die);
                }
            }
        }
    }

    fn start(&mut self, subscription: usize, process: usize, may_die: bool) {
        let of = Loop {
            subscription,
            process,
            number: self.started,
        };
        self.started += 1;
        let polls = self.polls(may_die);
        let (Some(wanted), Some(its)) = (
            self.plan.subscriptions.get(subscription).cloned(),
            self.processes.get(process),
        ) else {
            return;
        };
        let number = self.plan.sinks.get(subscription).copied().unwrap_or(0);
        let Some(sink) = self.sinks.get(number).cloned() else {
            return;
        };
        let window = wanted.delivery.max_in_flight.get();
        self.record.note(What::Runs(of, window));
        let log = FaultyLog {
            log: its.log.clone(),
            wire: self.wire.clone(),
            of: Some(of),
            record: self.record.clone(),
            is_ordered: wanted.delivery.order.is_some(),
        };
        let to = ToSink {
            sink,
            of,
            record: self.record.clone(),
        };
        let gate = its.gates.of(wanted.sink.as_str());
        let metrics = Metrics::register(&mut Registry::default());
        let config = self.plan.config.clone();
        let seed = self.rng.u64(..);
        let mut service = Service::new(config, ROOT, wanted, log, to, &metrics, seed)
            .through(gate)
            .within(its.budget.clone());
        if let Some(Some(pace)) = self.paces.get(subscription) {
            service = service.paced(pace.clone());
        }
        let (stop, stopped) = oneshot::channel();
        let grace = Duration::from_millis(self.rng.u64(0..10_000));
        let record = self.record.clone();
        let opened = move || record.note(What::Opened(of));
        let life = service.run(opened, async move { drop(stopped.await) }, grace);
        let task = tokio::spawn(Mortal::new(life, polls));
        self.loops.push(Running { of, stop, task });
    }

    fn change_sink(&mut self) {
        let number = self.rng.usize(0..self.sinks.len());
        let mode = self.rng.choice(Mode::ALL).unwrap_or(Mode::Well);
        if let Some(sink) = self.sinks.get(number) {
            sink.set(mode);
            self.record.note(What::Sink(number, mode.name()));
            self.ask_again();
        }
    }

    fn ask_again(&self) {
        self.record.note(What::AskedAgain);
        for process in &self.processes {
            for wanted in &self.plan.subscriptions {
                process.gates.of(wanted.sink.as_str()).ask_again();
            }
        }
    }

    async fn redeliver_or_unpin(&mut self) {
        let number = self.rng.usize(0..self.plan.subscriptions.len());
        let Some(wanted) = self.plan.subscriptions.get(number) else {
            return;
        };
        if wanted.delivery.order.is_some() {
            self.record.note(What::Unpinned(number));
            self.memory.unpin(&wanted.consumer_name());
        } else {
            self.record.note(What::Redelivered(number));
            self.memory.redeliver(&wanted.consumer_name());
            for shared in self.memory.consumers().await.unwrap_or_default() {
                if self
                    .plan
                    .subscriptions
                    .iter()
                    .all(|one| one.consumer_name() != shared.name)
                {
                    self.memory.redeliver(&shared.name);
                }
            }
        }
    }

    /// What consumers did in the last moment is forgotten, and that something was delivered.
    async fn log_dies(&mut self) {
        self.memory.sync();
        let moment = self.rng.u64(0..2_000);
        sleep(Duration::from_millis(moment)).await;
        self.record.note(What::LogDied);
        self.memory.die();
    }

    fn jump(&mut self) {
        self.record.note(What::Clock);
        let by = Duration::from_secs(self.rng.u64(0..100_000));
        let now = self.memory.now();
        self.memory.set_clock(match self.rng.bool() {
            true => now + by,
            false => now - by,
        });
    }

    /// The dead letters that keys stopped at are taken away, as after they were sent again.
    async fn discard(&mut self) {
        for (number, wanted) in self.plan.subscriptions.iter().enumerate() {
            if !self.plan.stops(number) {
                continue;
            }
            let of = LettersOf {
                consumer: wanted.consumer_name(),
                namespace: wanted.namespace.clone(),
                subscription: wanted.name.clone(),
                events: (1..=u64::try_from(self.keys.len()).unwrap_or(u64::MAX)).collect(),
                from: 1,
            };
            let letters = self.memory.letters_of(&of).await.unwrap_or_default();
            let mut kept = self.memory.dead_letters();
            kept.retain(|letter| {
                letter.consumer == of.consumer && letters.contains_key(&letter.sequence)
            });
            self.discarded.extend(kept);
            for (event, letter) in letters {
                self.record.note(What::Discarded(number, event));
                self.memory.discard(letter);
            }
        }
    }

    /// A new form: all of its loops end, and begin anew with it.
    async fn change_subscription(&mut self) {
        let number = self.rng.usize(0..self.plan.subscriptions.len());
        let (mut its, others) = std::mem::take(&mut self.loops)
            .into_iter()
            .partition::<Vec<_>, _>(|running| running.of.subscription == number);
        self.loops = others;
        for running in its.drain(..) {
            self.end(running).await;
        }
        let window = NonZeroU32::MIN.saturating_add(self.rng.u32(0..20));
        let rate = self.rng.bool().then(|| self.rng.u32(1..200));
        let rate = rate.and_then(NonZeroU32::new);
        if let Some(wanted) = self.plan.subscriptions.get_mut(number) {
            Arc::make_mut(wanted).delivery.max_in_flight = window;
        }
        self.record
            .note(What::Paced(number, rate.map(NonZeroU32::get)));
        if let Some(pace) = self.paces.get_mut(number) {
            *pace = rate.map(Pace::new);
        }
        self.start_missing(true);
    }

    /// No more faults: whether everything comes to rest.
    async fn rest(&mut self) -> bool {
        self.record.note(What::Calm);
        self.wire.set_calm(true);
        self.is_calm = true;
        for sink in &self.sinks {
            sink.calm();
        }
        self.ask_again();
        let second = Duration::from_secs(1);
        let mut waited = Duration::ZERO;
        let mut is_at_rest = false;
        while !is_at_rest && waited < REST {
            self.reap().await;
            self.start_missing(false);
            self.discard().await;
            sleep(second).await;
            waited += second;
            is_at_rest = self.is_at_rest().await;
        }
        while let Some(running) = self.loops.pop() {
            self.end(running).await;
        }
        is_at_rest
    }

    /// Each Subscription has a consumer, or a share of one, and there is nothing left in any.
    async fn is_at_rest(&self) -> bool {
        let consumers = self.memory.consumers().await.unwrap_or_default();
        let mut registered = BTreeSet::new();
        for shard in self.memory.shards() {
            let register = self.memory.register(shard).read().await;
            registered.extend(register.unwrap_or_default().values.into_keys());
        }
        let mut subscriptions = self.plan.subscriptions.iter();
        let is_kept = subscriptions.all(|one| {
            let name = one.consumer_name();
            consumers.iter().any(|one| one.name == name) || registered.contains(&name)
        });
        is_kept
            && consumers
                .iter()
                .all(|one| one.undelivered == 0 && one.unsettled == 0)
    }
}
