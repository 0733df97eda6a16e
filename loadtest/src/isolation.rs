//! What a dead sink and a slow one cost the sinks beside them.

use std::{
    cell::{Cell, RefCell},
    fmt::Write as _,
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use anyhow::bail;
use clap::Args;
use tokio::time::{Instant, sleep};

use crate::{
    function::{self, Manner},
    mesh::{Binaries, Mesh, Setting},
    output::Output,
    progress::say,
    report::{Run, Summary},
    schedule::Schedule,
};

/// Sinks that work.
const WELL: u32 = 98;

/// How long the slow one takes.
const SLOW: Duration = Duration::from_secs(2);

/// How long the last deliveries may take.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, Args)]
pub(crate) struct Isolation {
    #[command(flatten)]
    binaries: Binaries,
    /// Events a second; each goes to every Subscription
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Seconds of each run
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Pairs of runs, one without the bad sinks and one with them
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    #[command(flatten)]
    output: Output,
}

#[derive(Default)]
struct Sinks {
    schedule: Cell<Option<Schedule>>,
    /// Microseconds from an event's time to its arrival.
    latencies: RefCell<Vec<u32>>,
}

impl Manner for Sinks {
    fn arrived(&self, path: &str, id: &str) -> Duration {
        if path == "/slow" {
            return SLOW;
        }
        if let (Some(schedule), Ok(event)) = (self.schedule.get(), id.parse()) {
            let late = Instant::now() - schedule.time_of(event);
            let late = u32::try_from(late.as_micros()).unwrap_or(u32::MAX);
            self.latencies.borrow_mut().push(late);
        }
        Duration::ZERO
    }
}

/// Side by side, one after the other.
pub(crate) async fn run(arguments: &Isolation) -> anyhow::Result<()> {
    let mut pairs = Vec::new();
    for number in 1..=arguments.repeat {
        say(&format!("pair {number} of {}", arguments.repeat));
        let with = one(arguments, true).await?;
        pairs.push((with, one(arguments, false).await?));
    }
    let title = format!(
        "{WELL} sinks that work, {} events a second for {} s to each, {} pairs of runs",
        arguments.rate, arguments.seconds, arguments.repeat
    );
    let names = ["beside bad sinks", "without them"];
    let summary = Summary::of_pairs(title, names, &pairs);
    arguments.output.write(&summary, &[])
}

async fn one(arguments: &Isolation, with_bad: bool) -> anyhow::Result<Run> {
    let sinks = Rc::new(Sinks::default());
    let address = function::listen(Rc::clone(&sinks)).await?;
    let documents = documents(address, with_bad)?;
    let mesh = Mesh::start(&arguments.binaries, &documents, Setting::default()).await?;
    let schedule = Schedule::new(arguments.rate, Duration::from_secs(arguments.seconds));
    sinks.schedule.set(Some(schedule));
    schedule.publish(&[Cell::new(mesh.receive)]).await?;
    let expected = usize::try_from(schedule.events * WELL)?;
    let published = Instant::now();
    while sinks.latencies.borrow().len() < expected {
        if published.elapsed() > PATIENCE {
            let came = sinks.latencies.borrow().len();
            bail!("the run is void, {came} of {expected} were delivered");
        }
        sleep(Duration::from_millis(10)).await;
    }
    mesh.stop();
    let mut latencies = sinks.latencies.take();
    latencies.sort_unstable();
    let at = |part: usize| {
        let place = latencies.len() * part / 100;
        latencies.get(place).map_or(0.0, |at| f64::from(*at) / 1e3)
    };
    let mut run = Run::default();
    run.add("ms until it arrives, p50", at(50));
    run.add("ms until it arrives, p99", at(99));
    run.add("deliveries", latencies.len() as f64);
    Ok(run)
}

fn documents(sinks: SocketAddr, with_bad: bool) -> anyhow::Result<String> {
    let mut documents = String::new();
    let mut add = |name: &str, url: &str| {
        write!(
            documents,
            "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
             metadata: {{ name: {name} }}\nspec: {{ sink: {{ uri: '{url}' }} }}\n"
        )
    };
    for number in 0..WELL {
        add(
            &format!("well-{number}"),
            &format!("http://{sinks}/{number}"),
        )?;
    }
    if with_bad {
        add("slow", &format!("http://{sinks}/slow"))?;
        // Nobody listens on the discard port.
        add("dead", "http://127.0.0.1:9/")?;
    }
    Ok(documents)
}
