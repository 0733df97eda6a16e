//! Processes of a world: they come, end, die, and are replaced by others.

use super::World;
use crate::{
    process::{Process, Sight},
    record::What,
};

impl World<'_> {
    pub(super) fn process(&mut self, may_die: bool) -> Process {
        self.started += 1;
        let polls = self.polls(may_die);
        let name = format!("process-{}", self.started);
        Process::start(self.sight(), &name, polls)
    }

    fn sight(&self) -> Sight<'_> {
        Sight {
            plan: &self.plan,
            memory: &self.memory,
            wire: &self.wire,
            record: self.record,
        }
    }

    /// After how many steps somebody dies.
    pub(super) fn polls(&mut self, may_die: bool) -> u64 {
        match may_die && self.rng.u8(0..3) == 0 {
            true => self.rng.u64(1..2_000),
            false => u64::MAX,
        }
    }

    /// All loops of a process end, or die with it; another is in its place.
    pub(super) async fn replace_process(&mut self, in_order: bool) {
        let number = self.rng.usize(0..self.processes.len().max(1));
        self.replace(number, in_order, true).await;
        self.start_missing(true);
    }

    pub(super) async fn replace(&mut self, number: usize, in_order: bool, may_die: bool) {
        let (its, others) = std::mem::take(&mut self.loops)
            .into_iter()
            .partition::<Vec<_>, _>(|running| running.of.process == number);
        self.loops = others;
        let next = self.process(may_die);
        let Some(process) = self.processes.get_mut(number) else {
            return;
        };
        let (killed, stopped) = match in_order {
            true => (None, Some(process.stop())),
            false => (Some(process.kill()), None),
        };
        *process = next;
        if let Some(killed) = killed {
            killed.await;
            for running in its {
                self.die(running).await;
            }
        } else {
            for running in its {
                self.end(running).await;
            }
        }
        if let Some(stopped) = stopped {
            stopped.await;
        }
    }

    /// All processes end, in order or not, and those that come share in another way, or not at all.
    pub(super) async fn change_shards(&mut self) {
        let in_order = self.rng.bool();
        for running in std::mem::take(&mut self.loops) {
            match in_order {
                true => self.end(running).await,
                false => self.die(running).await,
            }
        }
        for mut process in std::mem::take(&mut self.processes) {
            match in_order {
                true => process.stop().await,
                false => process.kill().await,
            }
        }
        self.plan.shards = self.rng.u32(0..4);
        self.plan.is_shared |= self.plan.shards > 0;
        loop {
            let of = self.plan.shards;
            let mut shards = self.memory.shards();
            shards.retain(|shard| shard.of != of);
            self.started += 1;
            let name = format!("process-{}", self.started);
            let polls = self.polls(true);
            if self.sight().dissolve(&shards, &name, polls).await {
                break;
            }
        }
        self.record.note(What::Shards(self.plan.shards));
        for _ in 0..self.plan.processes {
            let process = self.process(true);
            self.processes.push(process);
        }
        self.start_missing(true);
    }
}
