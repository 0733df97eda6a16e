//! What the scenarios of delivery stand on: a nats-server, a tidegate and a sink, each a process of
//! its own whose CPU is counted.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::{Instant, sleep};

use crate::{
    companion::{Companion, ask},
    driver::{self, Driven, Pace},
    exchange::Connection,
    guard,
    jetstream::Stream,
    mesh::{Binaries, Mesh, Setting},
    nats::NatsServer,
    process::Named,
    request::{Shape, Target},
    sink::Came,
};

/// Between two looks at how much came.
const LOOK: Duration = Duration::from_millis(10);

/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The stream that Tidegate makes.
pub(crate) const STREAM: &str = "TIDEGATE_EVENTS";

pub(crate) struct Stage {
    // Ended in this order.
    pub(crate) mesh: Mesh,
    pub(crate) sink: Companion,
    pub(crate) nats: NatsServer,
    asked: Connection,
    stored: Stream,
}

impl Stage {
    /// Starts all; `documents` are the Subscriptions for a sink at this address.
    pub(crate) async fn start(
        binaries: &Binaries,
        documents: impl FnOnce(std::net::SocketAddr) -> String,
    ) -> anyhow::Result<Self> {
        Self::start_with(binaries, &[], documents).await
    }

    /// The same, with keys of Tidegate's configuration as variables.
    pub(crate) async fn start_with(
        binaries: &Binaries,
        variables: &[(&str, &str)],
        documents: impl FnOnce(std::net::SocketAddr) -> String,
    ) -> anyhow::Result<Self> {
        let nats = NatsServer::start(&binaries.nats_server).await?;
        let sink = Companion::sink()?;
        let setting = Setting {
            nats: Some(&nats.url),
            variables,
        };
        let mesh = Mesh::start(binaries, &documents(sink.address), setting).await?;
        guard::only_listener(mesh.receive, mesh.pid())?;
        Ok(Self {
            asked: Connection::open(sink.address).await?,
            stored: Stream::open(&nats.url, STREAM).await?,
            mesh,
            sink,
            nats,
        })
    }

    /// Tidegate, the nats-server and the sink.
    pub(crate) fn processes(&self) -> Vec<Named> {
        vec![
            Named::new("tidegate", self.mesh.pid()),
            Named::new("nats-server", self.nats.pid()),
            Named::new("sink", self.sink.pid()),
        ]
    }

    /// Publishes through the door; void where fewer are stored than were acknowledged.
    pub(crate) async fn publish(
        &self,
        shape: &Shape,
        pace: &Pace,
        says: &str,
    ) -> anyhow::Result<Driven> {
        let target = Target::new(&format!("http://{}/publish", self.mesh.receive), shape)?;
        let before = self.stored.last_sequence().await?;
        let driven = driver::drive(&target, pace, says).await?;
        let stored = self.stored.last_sequence().await? - before;
        guard::stored_at_least(Some(stored), driven.events)?;
        Ok(driven)
    }

    /// Empties the stream, once all is delivered.
    pub(crate) async fn purge(&self) -> anyhow::Result<()> {
        self.stored.purge().await
    }

    /// What came to the sink.
    pub(crate) async fn came(&mut self) -> anyhow::Result<Came> {
        ask(&mut self.asked, "/").await
    }

    /// Counts anew.
    pub(crate) async fn reset(&mut self) -> anyhow::Result<Came> {
        ask(&mut self.asked, "/reset").await
    }

    /// Waits until so many came since the reset, and says how fast those behind the first came.
    pub(crate) async fn drained(&mut self, events: u64) -> anyhow::Result<f64> {
        let asked = Instant::now();
        let first = loop {
            let came = self.came().await?.requests;
            if came > 0 {
                break (came, Instant::now());
            }
            ensure!(asked.elapsed() < PATIENCE, "the run is void: nothing comes");
            sleep(LOOK).await;
        };
        self.settled(events).await?;
        let (count, since) = first;
        ensure!(count < events, "too few events to tell how fast they came");
        Ok((events - count) as f64 / since.elapsed().as_secs_f64())
    }

    /// Waits until so many came since the reset.
    pub(crate) async fn settled(&mut self, events: u64) -> anyhow::Result<Came> {
        let mut last = (0, Instant::now());
        loop {
            let came = self.came().await?;
            ensure!(
                came.requests <= events,
                "the run is void: {} deliveries of {events} events",
                came.requests
            );
            if came.requests == events {
                return Ok(came);
            }
            if came.requests > last.0 {
                last = (came.requests, Instant::now());
            }
            ensure!(
                last.1.elapsed() < PATIENCE,
                "the run is void: {} of {events} events came, then nothing",
                came.requests
            );
            sleep(LOOK).await;
        }
    }
}

/// A Subscription to everything.
pub(crate) fn subscription(
    name: &str,
    sink: std::net::SocketAddr,
    max_in_flight: u32,
    start: &str,
) -> String {
    format!(
        "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
         metadata: {{ name: {name} }}\nspec:\n  sink: {{ uri: 'http://{sink}/' }}\n  \
         delivery: {{ maxInFlight: {max_in_flight} }}\n  start: {start}\n"
    )
}
