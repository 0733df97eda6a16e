//! One of the processes: what its loops have in common.

use std::future::Future;

use tidegate_backbone::memory::Memory;
use tidegate_consume::{
    Budget, Gates, Metrics,
    shared::{Hub, SharedLog},
};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    crash::Mortal,
    log::{FaultyLog, FaultyRegister, Wire},
    plan::Plan,
    record::Record,
};

pub(crate) type Shared = SharedLog<FaultyLog<Memory>, FaultyRegister>;

#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) gates: Gates,
    pub(crate) budget: Budget,
    /// Over which its loops see the log.
    pub(crate) log: Shared,
    reader: Option<Reader>,
}

/// What reads the shared consumer.
#[derive(Debug)]
struct Reader {
    stop: oneshot::Sender<()>,
    task: JoinHandle<bool>,
}

impl Process {
    /// `name` is what no process before was called; it dies after so many steps.
    pub(crate) fn start(
        plan: &Plan,
        memory: &Memory,
        wire: &Wire,
        record: &Record,
        name: String,
        polls: u64,
    ) -> Self {
        let log = FaultyLog {
            log: memory.clone(),
            wire: match plan.is_shared {
                true => wire.clone(),
                // Its loops have all the faults.
                false => wire.without_faults(),
            },
            of: None,
            record: record.clone(),
            is_ordered: false,
        };
        let register = FaultyRegister {
            memory: memory.clone(),
            wire: wire.clone(),
        };
        let hub = plan
            .is_shared
            .then(|| Hub::new(&plan.config, log.clone(), register, &Metrics::default()));
        let reader = hub.clone().map(|hub| {
            let (stop, stopped) = oneshot::channel();
            let life = async move { hub.run(&name, async { drop(stopped.await) }).await };
            Reader {
                stop,
                task: tokio::spawn(Mortal::new(life, polls)),
            }
        });
        Self {
            gates: Gates::new(&plan.config.breaker),
            budget: Budget::new(plan.config.held_bytes_total_max),
            log: SharedLog::new(log, hub),
            reader,
        }
    }

    /// Whether its reader died.
    pub(crate) fn is_dead(&self) -> bool {
        let reader = self.reader.as_ref();
        reader.is_some_and(|reader| reader.task.is_finished())
    }

    pub(crate) fn kill(&mut self) -> impl Future<Output = ()> + use<> {
        let reader = self.reader.take();
        async move {
            if let Some(reader) = reader {
                reader.task.abort();
                drop(reader.task.await);
            }
        }
    }

    pub(crate) fn stop(&mut self) -> impl Future<Output = ()> + use<> {
        let reader = self.reader.take();
        async move {
            if let Some(reader) = reader {
                reader.stop.send(()).ok();
                drop(reader.task.await);
            }
        }
    }
}
