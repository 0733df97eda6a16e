//! One of the processes: what its loops have in common.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tidegate_backbone::{Shard, memory::Memory};
use tidegate_consume::{
    Budget, Gates, Metrics,
    shared::{Hub, Load, SharedLog},
};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    crash::Mortal,
    log::{FaultyLog, FaultyRegister, Wire},
    plan::Plan,
    record::Record,
};

type SharedHub = Hub<FaultyLog<Memory>, FaultyRegister>;
pub(crate) type Shared = SharedLog<FaultyLog<Memory>, FaultyRegister>;

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) gates: Gates,
    pub(crate) budget: Budget,
    /// Over which its loops see the log.
    pub(crate) log: Shared,
    readers: Vec<Reader>,
}

/// What reads a shared consumer.
#[derive(Debug)]
struct Reader {
    stop: oneshot::Sender<()>,
    task: JoinHandle<bool>,
}

/// What a process sees the world by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) memory: &'a Memory,
    pub(crate) wire: &'a Wire,
    pub(crate) record: &'a Record,
}

impl Sight<'_> {
    fn log(&self) -> FaultyLog<Memory> {
        FaultyLog {
            log: self.memory.clone(),
            wire: match self.plan.shards {
                // Its loops have all the faults.
                0 => self.wire.without_faults(),
                _ => self.wire.clone(),
            },
            of: None,
            record: self.record.clone(),
            is_ordered: false,
        }
    }

    fn hub(&self, log: &FaultyLog<Memory>, shard: Shard, load: &Load) -> SharedHub {
        let register = FaultyRegister {
            register: self.memory.register(shard),
            wire: self.wire.clone(),
        };
        let metrics = Metrics::default();
        Hub::new(
            &self.plan.config,
            log.clone(),
            (shard, register),
            load,
            &metrics,
        )
    }

    /// A process that ends what was shared in so many shards, unless it dies: whether it did.
    pub(crate) async fn dissolve(&self, shards: &[Shard], name: &str, polls: u64) -> bool {
        let log = self.log();
        let hubs: Vec<_> = shards
            .iter()
            .map(|shard| self.hub(&log, *shard, &Load::default()))
            .collect();
        let is_done = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&is_done);
        let name = name.to_owned();
        let life = async move {
            for hub in hubs {
                if hub.dissolve(&name).await.is_err() {
                    return;
                }
            }
            done.store(true, Ordering::Relaxed);
        };
        Mortal::new(life, polls).await;
        is_done.load(Ordering::Relaxed)
    }
}

impl Process {
    /// `name` is what no process before was called; it dies after so many steps.
    pub(crate) fn start(sight: Sight<'_>, name: &str, polls: u64) -> Self {
        let (log, load) = (sight.log(), Load::default());
        let plan = sight.plan;
        let shards = (0..plan.shards).map(|number| Shard {
            number,
            of: plan.shards,
        });
        let hubs: Vec<SharedHub> = shards.map(|shard| sight.hub(&log, shard, &load)).collect();
        let readers = hubs.iter().map(|hub| {
            let (stop, stopped) = oneshot::channel();
            let (hub, name) = (hub.clone(), name.to_owned());
            let life = async move { hub.run(&name, async { drop(stopped.await) }).await };
            Reader {
                stop,
                task: tokio::spawn(Mortal::new(life, polls)),
            }
        });
        Self {
            gates: Gates::new(&plan.config.breaker),
            budget: Budget::new(plan.config.held_bytes_total_max),
            readers: readers.collect(),
            log: SharedLog::new(log, hubs),
        }
    }

    /// Whether one of its readers died.
    pub(crate) fn is_dead(&self) -> bool {
        let mut readers = self.readers.iter();
        readers.any(|reader| reader.task.is_finished())
    }

    pub(crate) fn kill(&mut self) -> impl Future<Output = ()> + use<> {
        let readers = std::mem::take(&mut self.readers);
        async move {
            for reader in &readers {
                reader.task.abort();
            }
            for reader in readers {
                drop(reader.task.await);
            }
        }
    }

    pub(crate) fn stop(&mut self) -> impl Future<Output = ()> + use<> {
        let readers = std::mem::take(&mut self.readers);
        async move {
            let stopped = readers.into_iter().map(|reader| {
                reader.stop.send(()).ok();
                reader.task
            });
            for task in stopped.collect::<Vec<_>>() {
                drop(task.await);
            }
        }
    }
}
