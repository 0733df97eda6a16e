//! One door under load: what it took, and what that cost which process.

use std::net::SocketAddr;

use anyhow::Context;

use crate::{
    driver::{self, Driven},
    guard,
    jetstream::Stream,
    load::Load,
    metrics::Allocations,
    process::{self, Named},
    report::Run,
    request::Target,
};

/// A door, who stands behind it, and where its events go.
pub(crate) struct Door {
    target: Target,
    processes: Vec<Named>,
    stream: Option<Stream>,
    /// The admin door of a Tidegate whose allocations count.
    counts: Option<SocketAddr>,
}

impl Door {
    /// The first of the processes must be the one that listens; without any nobody is looked at.
    pub(crate) async fn new(
        url: &str,
        load: &Load,
        pids: &[String],
        stream: Option<Stream>,
    ) -> anyhow::Result<Self> {
        let target = Target::new(url, &load.shape())?;
        let processes = process::named(pids)?;
        if !pids.is_empty()
            && let Some(first) = processes.first()
        {
            guard::only_listener(target.address, first.pid)?;
        }
        Ok(Self {
            target,
            processes,
            stream,
            counts: None,
        })
    }

    /// Counts what is allocated for each event, as this admin door says.
    pub(crate) fn count_allocations(&mut self, admin: Option<SocketAddr>) {
        self.counts = admin;
    }

    /// Names of its processes.
    pub(crate) fn names(&self) -> Vec<String> {
        self.processes.iter().map(|one| one.name.clone()).collect()
    }

    /// Begins with an empty stream.
    pub(crate) async fn purge(&self) -> anyhow::Result<()> {
        match &self.stream {
            Some(stream) => stream.purge().await,
            None => Ok(()),
        }
    }

    /// One run after its warm-up, void where fewer events are stored than were acknowledged.
    pub(crate) async fn run(&self, load: &Load, says: &str) -> anyhow::Result<Run> {
        if load.warmup > 0 {
            let pace = load.pace(load.warmup);
            let warm = driver::drive(&self.target, &pace, &format!("{says}, warm-up")).await;
            warm.context("warm-up")?;
        }
        let stored_before = self.stored().await?;
        let allocated = match self.counts {
            Some(admin) => Some((admin, Allocations::read(admin).await?)),
            None => None,
        };
        let before = process::usage(&self.processes)?;
        let driven = driver::drive(&self.target, &load.pace(load.seconds), says).await?;
        let after = process::usage(&self.processes)?;
        let stored = self.stored().await?.zip(stored_before);
        let stored = stored.map(|(now, then)| now - then);
        guard::stored_at_least(stored, driven.events)?;
        let events = driven.events;
        let mut run = self.figures(driven, &process::cpu(&self.processes, &before, &after))?;
        if let Some((admin, allocated)) = allocated {
            allocated.add(&mut run, admin, events).await?;
        }
        Ok(run)
    }

    fn figures(&self, driven: Driven, cpu: &[(String, u64)]) -> anyhow::Result<Run> {
        let events = driven.events.max(1) as f64;
        let mut run = Run::default();
        run.add("events/s, durable", events / driven.took.as_secs_f64());
        for (name, micros) in cpu {
            run.add(&format!("CPU µs/event, {name}"), *micros as f64 / events);
        }
        for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            run.add(
                &format!("latency ms, {name}"),
                driven.latencies.millis(share),
            );
        }
        run.add("latency ms, most", driven.latencies.most() as f64 / 1_000.0);
        run.add_memory(&self.processes)?;
        run.seconds = driven.seconds;
        run.latencies = driven.latencies;
        Ok(run)
    }

    async fn stored(&self) -> anyhow::Result<Option<u64>> {
        match &self.stream {
            Some(stream) => stream.last_sequence().await.map(Some),
            None => Ok(None),
        }
    }
}
