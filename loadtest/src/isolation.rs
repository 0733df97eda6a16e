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
    #[arg(long, default_value_t = 3)]
    repeat: usize,
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
    println!("| run | deliveries | p50 ms | p99 ms | p99 ms with a dead and a slow sink | ratio |");
    println!("|---|---|---|---|---|---|");
    let mut ratios = Vec::new();
    for number in 1..=arguments.repeat {
        let without = one(arguments, false).await?;
        let with = one(arguments, true).await?;
        let ratio = with.p99 / without.p99;
        ratios.push(ratio);
        println!(
            "| {number} | {} | {:.2} | {:.2} | {:.2} | {ratio:.2} |",
            without.deliveries, without.p50, without.p99, with.p99
        );
    }
    ratios.sort_by(f64::total_cmp);
    if let Some(median) = ratios.get(ratios.len() / 2) {
        println!("\nmedian of the ratios: {median:.2}");
    }
    Ok(())
}

struct Measured {
    deliveries: usize,
    p50: f64,
    p99: f64,
}

async fn one(arguments: &Isolation, with_bad: bool) -> anyhow::Result<Measured> {
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
    Ok(Measured {
        deliveries: latencies.len(),
        p50: at(50),
        p99: at(99),
    })
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
