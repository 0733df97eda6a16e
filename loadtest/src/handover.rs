//! Two dispatchers on one NATS, killed in turn: what is lost, repeated, out of order, and how long
//! nothing comes.

use std::{
    cell::{Cell, RefCell},
    mem,
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use anyhow::bail;
use clap::Args;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    arrivals::{Arrivals, Order},
    function::{self, Manner},
    mesh::{Binaries, Mesh, Setting},
    nats::NatsServer,
    output::Output,
    report::{Run, Summary},
    schedule::Schedule,
};

/// How long the last events may take after the last was published.
const PATIENCE: Duration = Duration::from_secs(180);

#[derive(Clone, Debug, Args)]
pub(crate) struct Handover {
    #[command(flatten)]
    binaries: Binaries,
    /// Events a second; each goes to both Subscriptions
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Seconds of the run
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Seconds between two kills
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..))]
    kill_every: u64,
    /// `consume.ack_wait` of both: after that, what a killed one held comes again
    #[arg(long, default_value = "5s")]
    ack_wait: String,
    #[command(flatten)]
    output: Output,
}

/// What came to one Subscription.
struct Came {
    arrivals: Arrivals,
    order: Order,
    gap: Duration,
    at: Instant,
}

impl Came {
    fn new() -> Self {
        Self {
            arrivals: Arrivals::default(),
            order: Order::default(),
            gap: Duration::ZERO,
            at: Instant::now(),
        }
    }

    fn add(&mut self, event: u32) {
        let now = Instant::now();
        self.gap = self.gap.max(now - self.at);
        self.at = now;
        self.arrivals.add(event);
        self.order.add(Schedule::key_of(event), event);
    }

    fn missing(&self, events: u32) -> u32 {
        self.arrivals.missing(0..events)
    }
}

struct Sink {
    ordered: RefCell<Came>,
    unordered: RefCell<Came>,
}

impl Manner for Sink {
    fn arrived(&self, path: &str, id: &str) -> Duration {
        let to = match path {
            "/ordered" => &self.ordered,
            _ => &self.unordered,
        };
        if let Ok(event) = id.parse() {
            to.borrow_mut().add(event);
        }
        Duration::ZERO
    }
}

/// One run.
pub(crate) async fn run(arguments: &Handover) -> anyhow::Result<()> {
    let nats = NatsServer::start(&arguments.binaries.nats_server).await?;
    let time = Duration::from_secs(arguments.seconds);
    let events = Schedule::new(arguments.rate, time).events;
    let sink = Rc::new(Sink {
        ordered: RefCell::new(Came::new()),
        unordered: RefCell::new(Came::new()),
    });
    let address = function::listen(Rc::clone(&sink)).await?;
    let variables = [("TIDEGATE__CONSUME__ACK_WAIT", arguments.ack_wait.as_str())];
    let setting = Setting {
        nats: Some(&nats.url),
        variables: &variables,
    };
    let documents = documents(address);
    let start = || Mesh::start(&arguments.binaries, &documents, setting);
    let (mut one, mut other) = (start().await?, start().await?);
    let doors = [Cell::new(one.receive), Cell::new(other.receive)];
    let [mut door, mut other_door] = doors.each_ref();
    for came in [&sink.ordered, &sink.unordered] {
        came.borrow_mut().at = Instant::now();
    }
    let schedule = Schedule::new(arguments.rate, time);
    let kills = Cell::new(0_usize);
    let killing = async {
        let mut at = Duration::ZERO;
        loop {
            at += Duration::from_secs(arguments.kill_every);
            if at >= time {
                break;
            }
            sleep_until(schedule.began + at).await;
            one.kill()?;
            one = start().await?;
            door.set(one.receive);
            mem::swap(&mut one, &mut other);
            mem::swap(&mut door, &mut other_door);
            kills.set(kills.get() + 1);
            progress(&sink, arguments, schedule.began.elapsed());
        }
        anyhow::Ok(())
    };
    let (published, killed) = tokio::join!(schedule.publish(&doors), killing);
    published?;
    killed?;
    let published = Instant::now();
    let missing =
        || sink.ordered.borrow().missing(events) + sink.unordered.borrow().missing(events);
    while missing() > 0 {
        if published.elapsed() > PATIENCE {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    report(arguments, &sink, events, kills.get())?;
    if missing() > 0 || sink.ordered.borrow().order.out_of_order() > 0 {
        bail!("events are lost or out of order");
    }
    Ok(())
}

fn report(arguments: &Handover, sink: &Sink, events: u32, kills: usize) -> anyhow::Result<()> {
    let mut run = Run::default();
    for (name, came) in [
        ("ordered by subject", &sink.ordered),
        ("without order", &sink.unordered),
    ] {
        let came = came.borrow();
        run.add(&format!("lost, {name}"), came.missing(events).into());
        run.add(
            &format!("delivered again, {name}"),
            came.arrivals.repeated() as f64,
        );
        run.add(&format!("longest gap s, {name}"), came.gap.as_secs_f64());
    }
    let out_of_order = sink.ordered.borrow().order.out_of_order();
    run.add("out of order, ordered by subject", out_of_order.into());
    run.add("kills", kills as f64);
    run.add("events for each", events.into());
    let title = format!(
        "two processes at {} events/s, one killed every {} s, {kills} kills, {events} events for each",
        arguments.rate, arguments.kill_every
    );
    arguments.output.write(&Summary::of(title, &[run]), &[])
}

#[expect(clippy::print_stderr, reason = "progress is for people")]
fn progress(sink: &Sink, arguments: &Handover, elapsed: Duration) {
    let came = |came: &RefCell<Came>| came.borrow().arrivals.count();
    eprintln!(
        "{:.0} of {} s: {} came in order, {} without",
        elapsed.as_secs_f64(),
        arguments.seconds,
        came(&sink.ordered),
        came(&sink.unordered)
    );
}

fn documents(sink: SocketAddr) -> String {
    let document = |name: &str, delivery: &str| {
        format!(
            "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
             metadata: {{ name: {name} }}\n\
             spec:\n  sink: {{ uri: 'http://{sink}/{name}' }}\n  delivery: {delivery}\n"
        )
    };
    document("ordered", "{ order: { key: subject } }") + &document("unordered", "{}")
}
