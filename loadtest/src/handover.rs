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
    function::{self, Manner},
    mesh::{Binaries, Mesh, Setting},
    nats::NatsServer,
    output::Output,
    report::{Run, Summary},
    schedule::{KEYS, Schedule},
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
    /// How often, by event.
    times: Vec<u16>,
    /// The last event of each key.
    last: Vec<Option<u32>>,
    out_of_order: u32,
    gap: Duration,
    at: Instant,
}

impl Came {
    fn new(events: u32) -> Self {
        Self {
            times: vec![0; events as usize],
            last: vec![None; KEYS as usize],
            out_of_order: 0,
            gap: Duration::ZERO,
            at: Instant::now(),
        }
    }

    fn add(&mut self, event: u32) {
        let now = Instant::now();
        self.gap = self.gap.max(now - self.at);
        self.at = now;
        if let Some(times) = self.times.get_mut(event as usize) {
            *times = times.saturating_add(1);
        }
        if let Some(last) = self.last.get_mut(Schedule::key_of(event) as usize) {
            // The same one again is a repetition, an earlier one is not in order.
            if last.is_some_and(|last| event < last) {
                self.out_of_order += 1;
            }
            *last = (*last).max(Some(event));
        }
    }

    fn missing(&self) -> usize {
        self.times.iter().filter(|times| **times == 0).count()
    }

    fn repeated(&self) -> u64 {
        let more = self.times.iter().map(|times| times.saturating_sub(1));
        more.map(u64::from).sum()
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
        ordered: RefCell::new(Came::new(events)),
        unordered: RefCell::new(Came::new(events)),
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
    while sink.ordered.borrow().missing() + sink.unordered.borrow().missing() > 0 {
        if published.elapsed() > PATIENCE {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    report(arguments, &sink, events, kills.get())?;
    let (ordered, unordered) = (sink.ordered.borrow(), sink.unordered.borrow());
    if ordered.missing() + unordered.missing() > 0 || ordered.out_of_order > 0 {
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
        run.add(&format!("lost, {name}"), came.missing() as f64);
        run.add(&format!("delivered again, {name}"), came.repeated() as f64);
        run.add(&format!("longest gap s, {name}"), came.gap.as_secs_f64());
    }
    let out_of_order = sink.ordered.borrow().out_of_order;
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
    let came = |came: &RefCell<Came>| {
        let came = came.borrow();
        came.times.len() - came.missing()
    };
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
