//! Subscriptions that are applied and removed while events flow, with two dispatchers: whether each
//! gets every event from the time at which it is ready, and none from the time at which it is gone.

use std::{
    cell::{Cell, RefCell},
    fs,
    net::SocketAddr,
    path::Path,
    rc::Rc,
    time::Duration,
};

use anyhow::bail;
use clap::{Args, value_parser};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{
    arrivals::Arrivals,
    consumers::Consumers,
    function::{self, Manner},
    mesh::{self, Binaries, Mesh, SUBSCRIPTIONS, Setting},
    nats::NatsServer,
    output::Output,
    progress::say,
    report::{Run, Summary},
    request::numbered,
    schedule::{Flow, Kind, Schedule},
    standing::{self, Standing},
};

/// The type of the events that flow.
const FLOWS: &str = "load.flows.v1";

/// So many-th events are for those that were there from the beginning, each in turn.
const STANDING_EVERY: u32 = 100;

/// Before the first one is applied: connections are open, and code is warm.
const WARM: Duration = Duration::from_secs(2);

/// How long nothing may come of what is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at what came.
const LOOK: Duration = Duration::from_millis(20);

/// Longer than any run: the flow ends when the last one was watched.
const FLOW_MAX: Duration = Duration::from_hours(12);

#[derive(Clone, Debug, Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    binaries: Binaries,
    /// Events a second; one of a hundred is for those that were there from the beginning
    #[arg(long, default_value_t = 10_000, value_parser = value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 96, value_parser = value_parser!(u32).range(1..=1_024))]
    connections: u32,
    /// Subscriptions that are there from the beginning, each with a type of its own
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(1..=5_000))]
    subscriptions: u32,
    /// How often one is applied and removed
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u32).range(1..=1_000))]
    times: u32,
    /// Seconds from when it is ready until it is removed
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u64).range(1..=600))]
    hold: u64,
    /// Seconds for which it is watched after it is gone
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u64).range(1..=600))]
    watch: u64,
    /// `maxInFlight` of what is applied
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u32).range(1..=1_024))]
    max_in_flight: u32,
    /// Consumers to run with: one for each, or one that is shared
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Consumers::Own, Consumers::Shared])]
    consumers: Vec<Consumers>,
    #[command(flatten)]
    output: Output,
}

/// What came to whom.
#[derive(Default)]
struct Sink {
    standing: RefCell<Arrivals>,
    /// By the number in the path.
    applied: RefCell<Vec<Arrivals>>,
}

impl Manner for Sink {
    fn arrived(&self, path: &str, id: &str) -> Duration {
        let Ok(event) = id.parse() else {
            return Duration::ZERO;
        };
        let mut applied = self.applied.borrow_mut();
        let number = path.strip_prefix("/applied/");
        let number = number.and_then(|number| number.parse::<usize>().ok());
        match number.and_then(|number| applied.get_mut(number)) {
            Some(arrivals) => arrivals.add(event),
            None => self.standing.borrow_mut().add(event),
        };
        Duration::ZERO
    }
}

/// When one was there, in numbers of events.
#[derive(Clone, Copy, Debug)]
struct Applied {
    until_ready: Duration,
    until_gone: Duration,
    /// Sent after it was ready: this one and all behind it.
    ready: u32,
    /// The first one that is not waited for: its removal began.
    removed: u32,
    /// Sent after it was gone: this one and all behind it.
    gone: u32,
}

/// What runs.
struct Landscape {
    sink: Rc<Sink>,
    address: SocketAddr,
    folder: TempDir,
    meshes: [Mesh; 2],
    // Last, since it outlives those who use it.
    _nats: NatsServer,
}

/// What a run came to.
struct Outcome {
    runs: Vec<Run>,
    is_well: bool,
}

pub(crate) async fn run(arguments: &Apply) -> anyhow::Result<()> {
    let mut columns = Vec::new();
    let mut is_well = true;
    for &consumers in &arguments.consumers {
        let outcome = one(arguments, consumers).await?;
        is_well &= outcome.is_well;
        columns.push((consumers.name().to_owned(), outcome.runs));
    }
    let title = format!(
        "{} Subscriptions applied and removed one after the other beside {} others, two processes, {} \
         events/s",
        arguments.times, arguments.subscriptions, arguments.rate
    );
    arguments
        .output
        .write(&Summary::beside(title, &columns), &[])?;
    if !is_well {
        bail!("events are lost, or were delivered after a removal");
    }
    Ok(())
}

async fn one(arguments: &Apply, consumers: Consumers) -> anyhow::Result<Outcome> {
    let landscape = Landscape::start(arguments, consumers).await?;
    let subscriptions = arguments.subscriptions;
    let flow = Flow::new(arguments.connections, move |event| Kind {
        r#type: standing_of(event, subscriptions).map_or(FLOWS.to_owned(), numbered),
        subject: String::from("load"),
    });
    let doors = landscape
        .meshes
        .each_ref()
        .map(|mesh| Cell::new(mesh.receive));
    let schedule = Schedule::new(arguments.rate, FLOW_MAX);
    let applying = async {
        let applied = landscape.apply_all(arguments, consumers, &flow).await?;
        flow.end();
        anyhow::Ok(applied)
    };
    let ((), applied) = tokio::try_join!(schedule.flow(&doors, &flow), applying)?;
    let rate = f64::from(flow.answered()) / schedule.began.elapsed().as_secs_f64();
    let is_held = schedule.held(&flow);
    let sent = flow.next();
    let standing = || (0..sent).filter(|event| is_standing(*event));
    settle(|| landscape.sink.standing.borrow().missing(standing())).await;
    let outcome = landscape.outcome(&applied, sent, rate);
    if outcome.is_well {
        is_held?;
    } else {
        for line in landscape.meshes.iter().flat_map(Mesh::warnings) {
            say(&line);
        }
    }
    Ok(outcome)
}

impl Landscape {
    async fn start(arguments: &Apply, consumers: Consumers) -> anyhow::Result<Self> {
        let nats = NatsServer::start(&arguments.binaries.nats_server).await?;
        let sink = Rc::new(Sink::default());
        let address = function::listen(Rc::clone(&sink)).await?;
        let folder = tempfile::tempdir()?;
        let subscriptions = folder.path().join(SUBSCRIPTIONS);
        fs::create_dir(&subscriptions)?;
        let all = (0..arguments.subscriptions).map(|number| {
            document(
                &format!("standing-{number}"),
                address,
                "standing",
                &numbered(number),
                16,
            )
        });
        mesh::write(folder.path(), &all.collect::<String>())?;
        let subscriptions = subscriptions.to_string_lossy();
        let [shared] = consumers.variables();
        let variables = [
            shared,
            // Both read one folder.
            ("TIDEGATE__SUBSCRIPTIONS__FOLDER", &*subscriptions),
        ];
        let setting = Setting {
            nats: Some(&nats.url),
            variables: &variables,
        };
        let start = || Mesh::start(&arguments.binaries, "", setting);
        let meshes = [start().await?, start().await?];
        Ok(Self {
            sink,
            address,
            folder,
            meshes,
            _nats: nats,
        })
    }

    async fn apply_all(
        &self,
        arguments: &Apply,
        consumers: Consumers,
        flow: &Flow,
    ) -> anyhow::Result<Vec<Applied>> {
        sleep(WARM).await;
        let mut all = Vec::new();
        for number in 0..arguments.times {
            let applied = self.apply(arguments, flow, number).await?;
            say(&format!(
                "{}, {} of {}: ready after {:.2} s at {}, gone after {:.2} s",
                consumers.name(),
                number + 1,
                arguments.times,
                applied.until_ready.as_secs_f64(),
                applied.ready,
                applied.until_gone.as_secs_f64(),
            ));
            all.push(applied);
        }
        Ok(all)
    }

    /// One is applied, gets events, and is removed.
    async fn apply(&self, arguments: &Apply, flow: &Flow, number: u32) -> anyhow::Result<Applied> {
        let name = format!("applied-{number}");
        let path = format!("applied/{number}");
        let document = document(&name, self.address, &path, FLOWS, arguments.max_in_flight);
        self.sink.applied.borrow_mut().push(Arrivals::default());
        let file = self
            .folder
            .path()
            .join(SUBSCRIPTIONS)
            .join(format!("{name}.yaml"));
        let admins = self.meshes.each_ref().map(|mesh| mesh.admin);
        put(self.folder.path(), &file, &document)?;
        let until_ready = standing::all(&admins, &name, Standing::Ready).await?;
        let ready = flow.next();
        sleep(Duration::from_secs(arguments.hold)).await;
        let removed = flow.next();
        // What is on its way when it is removed is for nobody.
        settle(|| self.missing(number, ready..removed)).await;
        fs::remove_file(&file)?;
        let until_gone = standing::all(&admins, &name, Standing::Unknown).await?;
        let gone = flow.next();
        sleep(Duration::from_secs(arguments.watch)).await;
        Ok(Applied {
            until_ready,
            until_gone,
            ready,
            removed,
            gone,
        })
    }

    fn missing(&self, number: u32, events: std::ops::Range<u32>) -> u32 {
        let applied = self.sink.applied.borrow();
        let wanted = events.filter(|event| !is_standing(*event));
        applied
            .get(number as usize)
            .map_or(0, |arrivals| arrivals.missing(wanted))
    }

    fn outcome(&self, applied: &[Applied], sent: u32, rate: f64) -> Outcome {
        let standing = self.sink.standing.borrow();
        let standing_missing = standing.missing((0..sent).filter(|event| is_standing(*event)));
        let mut is_well = standing_missing == 0;
        let mut runs = Vec::new();
        for (number, (one, arrivals)) in (0..).zip(applied.iter().zip(&*self.sink.applied.borrow()))
        {
            let missing = self.missing(number, one.ready..one.removed);
            let after = arrivals.since(one.gone);
            is_well &= missing == 0 && after == 0;
            let mut run = Run::default();
            run.add("s until ready", one.until_ready.as_secs_f64());
            run.add("s until gone", one.until_gone.as_secs_f64());
            let wanted = (one.ready..one.removed).filter(|event| !is_standing(*event));
            run.add("events while it was ready", wanted.count() as f64);
            run.add("missing", missing.into());
            run.add("delivered after it was gone", after as f64);
            run.add("delivered again", arrivals.repeated() as f64);
            run.add("missing to the others", standing_missing.into());
            run.add("delivered again to the others", standing.repeated() as f64);
            run.add("events/s published", rate);
            runs.push(run);
        }
        Outcome { runs, is_well }
    }
}

/// Waits until none is missing; in the end what does not come is.
async fn settle(missing: impl Fn() -> u32) {
    let mut last = (u32::MAX, Instant::now());
    loop {
        let left = missing();
        if left < last.0 {
            last = (left, Instant::now());
        }
        if left == 0 || last.1.elapsed() > PATIENCE {
            return;
        }
        sleep(LOOK).await;
    }
}

fn is_standing(event: u32) -> bool {
    event.is_multiple_of(STANDING_EVERY)
}

/// Which one of those that were there from the beginning gets this event.
fn standing_of(event: u32, subscriptions: u32) -> Option<u32> {
    is_standing(event).then_some(event / STANDING_EVERY % subscriptions)
}

/// A file as a whole, so that nobody reads half of it.
fn put(folder: &Path, file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(folder.join("new"), text)?;
    fs::rename(folder.join("new"), file)?;
    Ok(())
}

fn document(name: &str, sink: SocketAddr, path: &str, r#type: &str, max_in_flight: u32) -> String {
    format!(
        "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
         metadata: {{ name: {name} }}\nspec:\n  sink: {{ uri: 'http://{sink}/{path}' }}\n  \
         filters: [{{ exact: {{ type: {type} }} }}]\n  delivery: {{ maxInFlight: {max_in_flight} }}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of those that were there from the beginning gets some, and all the rest flows.
    #[test]
    fn one_of_a_hundred_is_for_the_others() {
        let to = |event| standing_of(event, 3);
        assert_eq!([0, 100, 200, 300].map(to), [0, 1, 2, 0].map(Some));
        assert_eq!((1..100).filter_map(to).count(), 0);
    }

    /// What comes is told apart by the path.
    #[test]
    fn arrivals_are_those_of_a_path() {
        let sink = Sink::default();
        sink.applied.borrow_mut().resize_with(2, Arrivals::default);
        for (path, id) in [("/standing", "0"), ("/applied/1", "7"), ("/applied/1", "7")] {
            assert!(sink.arrived(path, id).is_zero());
        }
        let applied = sink.applied.borrow();
        let count = |one: &Arrivals| (one.count(), one.repeated());
        assert_eq!(
            applied.iter().map(count).collect::<Vec<_>>(),
            [(0, 0), (1, 1)]
        );
        assert_eq!(count(&sink.standing.borrow()), (1, 0));
    }
}
