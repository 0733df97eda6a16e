//! Sinks that are down for long: what those beside them notice, and whether everything comes when
//! they are back, in order where that is asked for.

use std::{
    cell::{Cell, RefCell},
    fmt::Write as _,
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use anyhow::{bail, ensure};
use async_nats::jetstream::stream::State;
use clap::{Args, value_parser};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    arrivals::{Arrivals, Order},
    consumers::Consumers,
    function::{self, Manner, Outlet},
    histogram::Histogram,
    jetstream::Stream,
    mesh::{Binaries, Mesh, Setting},
    nats::NatsServer,
    output::Output,
    process::Named,
    progress::say,
    report::{Run, Summary},
    request::numbered,
    schedule::{Flow, Kind, Schedule},
    stage::STREAM,
};

/// Who shares the events.
const CONNECTIONS: u32 = 16;

/// Keys of each Subscription; those of one key come from one connection, one after the other.
const KEYS: u32 = CONNECTIONS;

/// Before anything counts: each Subscription has its connections.
const WARM: Duration = Duration::from_secs(5);

/// How long sinks that are back may take to get what waits, and the last events in the end.
const PATIENCE: Duration = Duration::from_secs(300);

/// Between two looks at what came.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Clone, Debug, Args)]
pub(crate) struct Outage {
    #[command(flatten)]
    binaries: Binaries,
    /// Events a second, for each Subscription in turn
    #[arg(long, default_value_t = 2_000, value_parser = value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Subscriptions, each with a type of its own
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u32).range(2..=5_000))]
    subscriptions: u32,
    /// How many of them have sinks that are down; every other of these is ordered by subject
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u32).range(1..=1_000))]
    down: u32,
    /// Seconds before the outage that count
    #[arg(long, default_value_t = 60, value_parser = value_parser!(u64).range(1..=3_600))]
    calm: u64,
    /// Seconds of the outage
    #[arg(long, default_value_t = 600, value_parser = value_parser!(u64).range(1..=36_000))]
    seconds: u64,
    /// Consumers to run with: one for each, or one that is shared
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Consumers::Own, Consumers::Shared])]
    consumers: Vec<Consumers>,
    #[command(flatten)]
    output: Output,
}

/// The parts of a run, by when an event arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Warm,
    Calm,
    Outage,
    After,
}

/// What came, to whom and how late.
struct Sinks {
    subscriptions: u32,
    down: u32,
    schedule: Cell<Option<Schedule>>,
    part: Cell<Part>,
    arrivals: RefCell<Arrivals>,
    order: RefCell<Order>,
    /// Those of the others, while it is calm, in the outage, and afterwards.
    late: [RefCell<Histogram>; 3],
    /// Events that came to a Subscription that does not want them.
    astray: Cell<u32>,
    /// Those of the sinks that were down which are waited for: up to this one, so many.
    behind: Cell<(u32, u32)>,
}

impl Manner for Sinks {
    fn arrived(&self, path: &str, id: &str) -> Duration {
        let number = path.strip_prefix('/').and_then(|path| path.parse().ok());
        if let (Some(number), Ok(event)) = (number, id.parse()) {
            self.came(number, event);
        }
        Duration::ZERO
    }
}

impl Sinks {
    fn new(arguments: &Outage) -> Self {
        Self {
            subscriptions: arguments.subscriptions,
            down: arguments.down,
            schedule: Cell::default(),
            part: Cell::new(Part::Warm),
            arrivals: RefCell::default(),
            order: RefCell::default(),
            late: <[RefCell<Histogram>; 3]>::default(),
            astray: Cell::default(),
            behind: Cell::default(),
        }
    }

    fn came(&self, number: u32, event: u32) {
        if self.of(event) != number {
            self.astray.set(self.astray.get() + 1);
            return;
        }
        let is_first = self.arrivals.borrow_mut().add(event);
        if is_ordered(number, self.down) {
            let key = event % (self.subscriptions * KEYS);
            self.order.borrow_mut().add(key, event);
        }
        if self.is_down(event) {
            let (until, count) = self.behind.get();
            if is_first && event < until {
                self.behind.set((until, count.saturating_sub(1)));
            }
            return;
        }
        let [calm, outage, after] = &self.late;
        let late = match self.part.get() {
            Part::Warm => return,
            Part::Calm => calm,
            Part::Outage => outage,
            Part::After => after,
        };
        if let Some(schedule) = self.schedule.get() {
            let micros = (Instant::now() - schedule.time_of(event)).as_micros();
            let micros = u64::try_from(micros).unwrap_or(u64::MAX);
            late.borrow_mut().add(micros);
        }
    }

    /// Whose event it is.
    fn of(&self, event: u32) -> u32 {
        event % self.subscriptions
    }

    fn is_down(&self, event: u32) -> bool {
        self.of(event) < self.down
    }

    /// Waits for what is due to the sinks that were down, of the events before this one; tells how
    /// many those are, and how long it took.
    async fn caught_up(&self, until: u32) -> anyhow::Result<(u32, Duration)> {
        let began = Instant::now();
        let due = (0..until).filter(|event| self.is_down(*event));
        let waited = self.arrivals.borrow().missing(due);
        self.behind.set((until, waited));
        while self.behind.get().1 > 0 {
            let left = self.behind.get().1;
            if began.elapsed() > PATIENCE {
                say(&format!("{left} of {waited} events did not come"));
                break;
            }
            sleep(LOOK).await;
        }
        Ok((waited, began.elapsed()))
    }
}

/// What runs.
struct Landscape {
    sinks: Rc<Sinks>,
    outlets: Vec<Outlet<Sinks>>,
    mesh: Mesh,
    stream: Stream,
    // Last, since it outlives those who use it.
    nats: NatsServer,
}

/// What the outage came to, beside what the sinks know.
struct Measured {
    /// In the beginning, at the end of the outage, and when all was over.
    states: Vec<State>,
    waited: u32,
    catching_up: Duration,
}

pub(crate) async fn run(arguments: &Outage) -> anyhow::Result<()> {
    ensure!(
        arguments.down < arguments.subscriptions,
        "some Subscriptions have to stay well"
    );
    let mut columns = Vec::new();
    let mut is_well = true;
    for &consumers in &arguments.consumers {
        say(consumers.name());
        let (run, was_well) = one(arguments, consumers).await?;
        is_well &= was_well;
        columns.push((consumers.name().to_owned(), vec![run]));
    }
    let title = format!(
        "{} of {} sinks down for {} s, {} events/s",
        arguments.down, arguments.subscriptions, arguments.seconds, arguments.rate
    );
    arguments
        .output
        .write(&Summary::beside(title, &columns), &[])?;
    if !is_well {
        bail!("events are lost, out of order or went to others");
    }
    Ok(())
}

/// One run, and whether all is well.
async fn one(arguments: &Outage, consumers: Consumers) -> anyhow::Result<(Run, bool)> {
    let mut landscape = Landscape::start(arguments, consumers).await?;
    let subscriptions = arguments.subscriptions;
    let flow = Flow::new(CONNECTIONS, move |event| Kind {
        r#type: numbered(event % subscriptions),
        subject: format!("k{}", event / subscriptions % KEYS),
    });
    let doors = [Cell::new(landscape.mesh.receive)];
    let time = WARM + Duration::from_secs(arguments.calm + arguments.seconds) + PATIENCE * 2;
    let schedule = Schedule::new(arguments.rate, time);
    landscape.sinks.schedule.set(Some(schedule));
    let outage = landscape.outage(arguments, &schedule, &flow);
    let ((), measured) = tokio::try_join!(schedule.flow(&doors, &flow), outage)?;
    let rate = f64::from(flow.answered()) / schedule.began.elapsed().as_secs_f64();
    schedule.held(&flow)?;
    landscape
        .finish(arguments, measured, flow.next(), rate)
        .await
}

impl Landscape {
    async fn start(arguments: &Outage, consumers: Consumers) -> anyhow::Result<Self> {
        let nats = NatsServer::start(&arguments.binaries.nats_server).await?;
        let sinks = Rc::new(Sinks::new(arguments));
        let well = function::listen(Rc::clone(&sinks)).await?;
        let outlets = (0..arguments.down).map(|_| Outlet::open(Rc::clone(&sinks)));
        let outlets = outlets.collect::<anyhow::Result<Vec<_>>>()?;
        let down = outlets.iter().map(|outlet| outlet.address);
        let sinks_of_all = down.chain(std::iter::repeat(well));
        let documents = documents(arguments, sinks_of_all);
        let setting = Setting {
            nats: Some(&nats.url),
            variables: &consumers.variables(),
        };
        let mesh = Mesh::start(&arguments.binaries, &documents, setting).await?;
        Ok(Self {
            stream: Stream::open(&nats.url, STREAM).await?,
            sinks,
            outlets,
            mesh,
            nats,
        })
    }

    /// Calm, the outage, and what follows; then the flow ends.
    async fn outage(
        &mut self,
        arguments: &Outage,
        schedule: &Schedule,
        flow: &Flow,
    ) -> anyhow::Result<Measured> {
        let mut states = vec![self.stream.state().await?];
        let goes_down = schedule.began + WARM + Duration::from_secs(arguments.calm);
        let comes_back = goes_down + Duration::from_secs(arguments.seconds);
        sleep_until(schedule.began + WARM).await;
        self.sinks.part.set(Part::Calm);
        sleep_until(goes_down).await;
        for outlet in &mut self.outlets {
            outlet.go_away().await?;
        }
        self.sinks.part.set(Part::Outage);
        say(&format!("{} sinks are down", arguments.down));
        sleep_until(comes_back).await;
        states.push(self.stream.state().await?);
        self.sinks.part.set(Part::After);
        for outlet in &mut self.outlets {
            outlet.come_back()?;
        }
        let (waited, catching_up) = self.sinks.caught_up(flow.next()).await?;
        let seconds = catching_up.as_secs_f64();
        say(&format!(
            "they are back; {waited} events waited, for {seconds:.1} s more"
        ));
        flow.end();
        Ok(Measured {
            states,
            waited,
            catching_up,
        })
    }

    /// Waits for the last events, and tells all.
    async fn finish(
        self,
        arguments: &Outage,
        mut measured: Measured,
        sent: u32,
        rate: f64,
    ) -> anyhow::Result<(Run, bool)> {
        let began = Instant::now();
        while self.sinks.arrivals.borrow().count() < sent && began.elapsed() < PATIENCE {
            sleep(LOOK).await;
        }
        measured.states.push(self.stream.state().await?);
        let arrivals = self.sinks.arrivals.borrow();
        let lost = arrivals.missing(0..sent);
        let out_of_order = self.sinks.order.borrow().out_of_order();
        let astray = self.sinks.astray.get();
        let is_well = (lost, out_of_order, astray) == (0, 0, 0);
        let mut run = Run::default();
        self.add_latencies(&mut run, arguments.subscriptions - arguments.down);
        run.add(
            "s until they have caught up",
            measured.catching_up.as_secs_f64(),
        );
        run.add("events that waited for them", measured.waited.into());
        run.add("lost", lost.into());
        run.add("out of order where that is asked for", out_of_order.into());
        run.add("to others", astray.into());
        run.add("delivered again", arrivals.repeated() as f64);
        run.add("events/s published", rate);
        let when = ["in the beginning", "after the outage", "in the end"];
        for (when, state) in when.iter().zip(&measured.states) {
            let mib = state.bytes as f64 / f64::from(1 << 20);
            run.add(&format!("stream MiB, {when}"), mib);
            run.add(&format!("stream messages, {when}"), state.messages as f64);
            run.add(
                &format!("first sequence, {when}"),
                state.first_sequence as f64,
            );
            run.add(&format!("consumers, {when}"), state.consumer_count as f64);
        }
        run.add_memory(&[
            Named::new("tidegate", self.mesh.pid()),
            Named::new("nats-server", self.nats.pid()),
        ])?;
        if !is_well {
            for line in self.mesh.warnings() {
                say(&line);
            }
        }
        Ok((run, is_well))
    }

    /// Until it arrives at a sink that is well.
    fn add_latencies(&self, run: &mut Run, well: u32) {
        let [calm, outage, after] = self.sinks.late.each_ref();
        let millis = |late: &RefCell<Histogram>, share| late.borrow().millis(share);
        let ratio = millis(outage, 0.99) / millis(calm, 0.99);
        run.add("p99 in the outage / p99 in the calm", ratio);
        let both = outage.borrow().with(&after.borrow());
        let ratio = both.millis(0.99) / millis(calm, 0.99);
        run.add("p99 until all have caught up / p99 in the calm", ratio);
        for (name, late) in [("calm", calm), ("outage", outage), ("afterwards", after)] {
            for (share, at) in [("p50", 0.5), ("p99", 0.99)] {
                let name = format!("ms until it arrives at {well} others, {name}, {share}");
                run.add(&name, millis(late, at));
            }
        }
    }
}

/// Every other one of those that are down.
fn is_ordered(number: u32, down: u32) -> bool {
    number < down && number.is_multiple_of(2)
}

fn documents(arguments: &Outage, sinks: impl Iterator<Item = SocketAddr>) -> String {
    let mut text = String::new();
    for (number, sink) in (0..arguments.subscriptions).zip(sinks) {
        let delivery = if is_ordered(number, arguments.down) {
            "{ order: { key: subject } }"
        } else {
            "{}"
        };
        // Writing to a String cannot fail.
        write!(
            text,
            "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
             metadata: {{ name: s{number} }}\nspec:\n  sink: {{ uri: 'http://{sink}/{number}' }}\n  \
             filters: [{{ exact: {{ type: {} }} }}]\n  delivery: {delivery}\n",
            numbered(number)
        )
        .ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Arguments {
        #[command(flatten)]
        outage: Outage,
    }

    fn arguments() -> Outage {
        let words = "loadtest --tidegate t --nats-server n --subscriptions 10 --down 4";
        let arguments = Arguments::try_parse_from(words.split(' ')).unwrap();
        arguments.outage
    }

    /// Half of those that are down are ordered, and nobody else.
    #[test]
    fn every_other_that_is_down_is_ordered() {
        let sink = SocketAddr::from(([127, 0, 0, 1], 9_000));
        let text = documents(&arguments(), std::iter::repeat(sink));
        assert_eq!(text.matches("kind: Subscription").count(), 10);
        assert_eq!(text.matches("order:").count(), 2);
    }

    /// Events of one key come from one connection, or their order would be nobody's.
    #[test]
    fn a_key_has_one_connection() {
        for subscriptions in [3, 10, 1_000] {
            assert_eq!(subscriptions * KEYS % CONNECTIONS, 0);
        }
    }

    /// Only the first time that an event comes to who was down brings that one nearer.
    #[test]
    fn what_waited_is_counted_down_once() {
        let sinks = Sinks::new(&arguments());
        sinks.behind.set((20, 2));
        for (number, event) in [(0, 10), (0, 10), (1, 31), (5, 5), (4, 5)] {
            sinks.came(number, event);
        }
        assert_eq!(sinks.behind.get(), (20, 1));
        assert_eq!(sinks.astray.get(), 1);
        assert_eq!(sinks.arrivals.borrow().repeated(), 1);
    }
}
