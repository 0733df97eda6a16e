//! What Tidegate takes before it does anything: until it is ready, idle, in memory.

use std::{fmt::Write, time::Duration};

use clap::{Args, value_parser};
use futures_util::future::try_join_all;
use tokio::time::{Instant, sleep};

use crate::{
    exchange::Connection,
    mesh::{Binaries, Mesh, Setting},
    nats::NatsServer,
    output::Output,
    payload::Payload,
    process::{self, Named},
    progress::say,
    report::{Run, Summary},
    request::{Mode, Requests, Shape, Target},
};

/// After a start, before anything is looked at.
const CALM: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, Args)]
pub(crate) struct Startup {
    #[command(flatten)]
    binaries: Binaries,
    /// Starts; the median counts
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..))]
    repeat: u32,
    /// Seconds of doing nothing
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u64).range(1..))]
    seconds: u64,
    /// Subscriptions whose memory is looked at
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u32).range(1..))]
    subscriptions: u32,
    /// Connections whose memory is looked at
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u16).range(1..=4_000))]
    connections: u16,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: &Startup) -> anyhow::Result<()> {
    let nats = NatsServer::start(&arguments.binaries.nats_server).await?;
    // The first one makes the streams, which is not what every start costs.
    drop(start(arguments, &nats, "").await?);
    let mut runs = Vec::new();
    for number in 1..=arguments.repeat {
        say(&format!("start {number} of {}", arguments.repeat));
        runs.push(one(arguments, &nats).await?);
    }
    let title = format!(
        "starts beside a nats-server that runs, {} of them",
        arguments.repeat
    );
    arguments.output.write(&Summary::of(title, &runs), &[])
}

async fn start(
    arguments: &Startup,
    nats: &NatsServer,
    documents: &str,
) -> anyhow::Result<(Mesh, Duration)> {
    let setting = Setting {
        nats: Some(&nats.url),
        ..Setting::default()
    };
    let began = Instant::now();
    let mesh = Mesh::start(&arguments.binaries, documents, setting).await?;
    Ok((mesh, began.elapsed()))
}

async fn one(arguments: &Startup, nats: &NatsServer) -> anyhow::Result<Run> {
    let mut run = Run::default();
    let (mesh, ready) = start(arguments, nats, "").await?;
    run.add("ready after, ms", ready.as_secs_f64() * 1_000.0);
    let tidegate = [Named::new("tidegate", mesh.pid())];
    sleep(CALM).await;
    let before = process::usage(&tidegate)?;
    sleep(Duration::from_secs(arguments.seconds)).await;
    let after = process::usage(&tidegate)?;
    let used: u64 = process::cpu(&tidegate, &before, &after)
        .iter()
        .map(|(_, used)| used)
        .sum();
    run.add(
        "CPU while idle, %",
        used as f64 / (arguments.seconds as f64 * 10_000.0),
    );
    let empty = resident(&tidegate)?;
    run.add("memory MiB, empty", empty / f64::from(1 << 20));
    let mut open = Open::new(arguments, &mesh).await?;
    let each = f64::from(arguments.connections) * 1_024.0;
    let connected = resident(&tidegate)?;
    run.add(
        "memory KiB for each idle connection",
        (connected - empty) / each,
    );
    nats.signal("-STOP")?;
    let waiting = open.while_waiting(|| resident(&tidegate), || nats.signal("-CONT"));
    run.add(
        "memory KiB for each event of 1 KiB in flight",
        (waiting.await? - connected) / each,
    );
    drop(open);
    mesh.stop();

    let documents = documents(arguments.subscriptions);
    let (mesh, ready) = start(arguments, nats, &documents).await?;
    let count = arguments.subscriptions;
    run.add(
        &format!("ready with {count} Subscriptions after, ms"),
        ready.as_secs_f64() * 1_000.0,
    );
    sleep(CALM).await;
    let full = resident(&[Named::new("tidegate", mesh.pid())])?;
    run.add(
        &format!("memory MiB, {count} Subscriptions"),
        full / f64::from(1 << 20),
    );
    run.add(
        "memory KiB for each Subscription",
        (full - empty) / f64::from(count) / 1_024.0,
    );
    mesh.stop();
    Ok(run)
}

/// Connections that had one event each and are idle.
struct Open(Vec<(Connection, Requests)>);

impl Open {
    async fn new(arguments: &Startup, mesh: &Mesh) -> anyhow::Result<Self> {
        let shape = Shape {
            mode: Mode::Binary,
            payload: Payload::Uniform,
            bytes: 1_024,
            batch: 1,
            types: 1,
            is_timed: false,
        };
        let target = Target::new(&format!("http://{}/publish", mesh.receive), &shape)?;
        let run = fastrand::u32(..);
        let mut open = Vec::new();
        for number in 0..arguments.connections {
            let mut connection = Connection::open(target.address).await?;
            let mut requests = target.requests(run, number.into());
            connection.exchange(requests.next(0).0).await?;
            open.push((connection, requests));
        }
        sleep(CALM).await;
        Ok(Self(open))
    }

    /// Sends one more event each, and `look`s while none is answered; they are once `end` was called.
    async fn while_waiting<T>(
        &mut self,
        look: impl FnOnce() -> anyhow::Result<T>,
        end: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<T> {
        let sent = self.0.iter_mut().map(|(connection, requests)| async {
            connection.exchange(requests.next(0).0).await.map(drop)
        });
        let looked = async {
            sleep(CALM).await;
            let seen = look();
            end()?;
            seen
        };
        let (seen, _answers) = tokio::try_join!(looked, try_join_all(sent))?;
        Ok(seen)
    }
}

fn resident(processes: &[Named]) -> anyhow::Result<f64> {
    let all = processes.iter().map(Named::memory_resident);
    let all: Vec<u64> = all.collect::<anyhow::Result<_>>()?;
    Ok(all.iter().sum::<u64>() as f64)
}

/// Subscriptions to types that nobody publishes.
fn documents(count: u32) -> String {
    let mut text = String::new();
    for number in 0..count {
        // Writing to a String cannot fail.
        write!(
            text,
            "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
             metadata: {{ name: s{number} }}\nspec:\n  sink: {{ uri: 'http://127.0.0.1:9/' }}\n  \
             filters: [{{ exact: {{ type: load.idle.t{number:05}.v1 }} }}]\n"
        )
        .ok();
    }
    text
}
