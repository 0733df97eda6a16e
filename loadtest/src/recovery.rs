//! A sink that slows down and recovers: what it gets meanwhile, and when all is as before.

use std::{
    cell::Cell,
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    function::{self, Manner},
    mesh::{Binaries, Mesh, Setting},
    metrics,
    schedule::Schedule,
};

const FAST: Duration = Duration::from_millis(5);
const SLOW: Duration = Duration::from_secs(2);

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Clone, Debug, Args)]
pub(crate) struct Recovery {
    #[command(flatten)]
    binaries: Binaries,
    /// Events a second
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// `maxInFlight` of the Subscription
    #[arg(long, default_value_t = 200)]
    max_in_flight: u32,
    /// Seconds before the sink slows, while it is slow, and after
    #[arg(long, num_args = 3, default_values_t = [10, 20, 30])]
    seconds: Vec<u64>,
    /// Where the plot goes
    #[arg(long, value_name = "PATH")]
    svg: Option<PathBuf>,
}

#[derive(Default)]
struct Sink {
    takes: Cell<Duration>,
    at_once: Cell<u32>,
    /// Since it was looked last.
    most: Cell<u32>,
    answered: Cell<u32>,
}

impl Manner for Sink {
    fn arrived(&self, _: &str, _: &str) -> Duration {
        self.at_once.set(self.at_once.get() + 1);
        self.most.set(self.most.get().max(self.at_once.get()));
        self.takes.get()
    }

    fn answered(&self) {
        self.at_once.set(self.at_once.get() - 1);
        self.answered.set(self.answered.get() + 1);
    }
}

/// What is drawn of a sample.
type Value = fn(&Sample) -> f64;

struct Sample {
    seconds: f64,
    per_second: f64,
    most: u32,
    window: f64,
}

/// One run.
pub(crate) async fn run(arguments: &Recovery) -> anyhow::Result<()> {
    let &[before, slow, after] = arguments.seconds.as_slice() else {
        anyhow::bail!("--seconds takes three numbers");
    };
    let sink = Rc::new(Sink::default());
    sink.takes.set(FAST);
    let address = function::listen(Rc::clone(&sink)).await?;
    let document = format!(
        "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
         metadata: {{ name: recovering }}\nspec:\n  sink: {{ uri: 'http://{address}/' }}\n  \
         delivery: {{ maxInFlight: {} }}\n",
        arguments.max_in_flight
    );
    let mesh = Mesh::start(&arguments.binaries, &document, Setting::default()).await?;
    let time = Duration::from_secs(before + slow + after);
    let schedule = Schedule::new(arguments.rate, time);
    let (slows, recovers) = (
        Duration::from_secs(before),
        Duration::from_secs(before + slow),
    );
    let watch = async {
        let mut samples = Vec::new();
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut last, mut last_at) = (0, Instant::now());
        while schedule.began.elapsed() < time {
            ticks.tick().await;
            let now = schedule.began.elapsed();
            let is_slow = slows <= now && now < recovers;
            sink.takes.set(if is_slow { SLOW } else { FAST });
            let (answered, took) = (sink.answered.get(), last_at.elapsed().as_secs_f64());
            samples.push(Sample {
                seconds: now.as_secs_f64(),
                per_second: f64::from(answered - last) / took.max(1e-3),
                most: sink.most.replace(sink.at_once.get()),
                window: window(mesh.admin).await?,
            });
            (last, last_at) = (answered, Instant::now());
        }
        anyhow::Ok(samples)
    };
    let door = [Cell::new(mesh.receive)];
    let (samples, published) = tokio::join!(watch, schedule.publish(&door));
    published?;
    let samples = samples?;
    mesh.stop();
    report(
        arguments,
        &samples,
        slows.as_secs_f64(),
        recovers.as_secs_f64(),
    );
    if let Some(path) = &arguments.svg {
        plot(path, &samples, slows.as_secs_f64(), recovers.as_secs_f64())?;
    }
    Ok(())
}

fn report(arguments: &Recovery, samples: &[Sample], slows: f64, recovers: f64) {
    println!("| second | delivered/s | most at the sink at once | window |");
    println!("|---|---|---|---|");
    for sample in samples {
        println!(
            "| {:.1} | {:.0} | {} | {:.0} |",
            sample.seconds, sample.per_second, sample.most, sample.window
        );
    }
    let most = |from: f64, to: f64| {
        let of = samples
            .iter()
            .filter(|one| from < one.seconds && one.seconds <= to);
        of.map(|one| one.most).max().unwrap_or(0)
    };
    let mut later = samples.iter().filter(|one| one.seconds > recovers);
    let back = later.find(|one| one.per_second >= f64::from(arguments.rate));
    println!(
        "\nmost at the sink at once: {} before, {} in the last half of the slow time, {} after",
        most(0.0, slows),
        most(f64::midpoint(slows, recovers), recovers),
        most(recovers, f64::MAX)
    );
    match back {
        Some(one) => println!(
            "back at {}/s after {:.1} s",
            arguments.rate,
            one.seconds - recovers
        ),
        None => println!("not back at {}/s in this run", arguments.rate),
    }
}

/// The Subscription's window, as its metric says.
async fn window(admin: SocketAddr) -> anyhow::Result<f64> {
    let text = metrics::text(admin).await?;
    metrics::value(&text, "tidegate_consume_window{").context("no window among the metrics")
}

/// Two curves over time: deliveries a second, and the window.
fn plot(path: &Path, samples: &[Sample], slows: f64, recovers: f64) -> anyhow::Result<()> {
    const WIDTH: f64 = 720.0;
    const HEIGHT: f64 = 160.0;
    const LEFT: f64 = 60.0;
    let end = samples.last().map_or(1.0, |one| one.seconds);
    let x = |seconds: f64| LEFT + seconds / end * WIDTH;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        WIDTH + 80.0,
        HEIGHT * 2.0 + 100.0
    );
    let curves: [(&str, Value); 2] = [
        ("deliveries a second", |one| one.per_second),
        ("window (line) and most at the sink at once (dots)", |one| {
            one.window
        }),
    ];
    for (number, (name, value)) in curves.into_iter().enumerate() {
        let top = if number == 0 { 30.0 } else { HEIGHT + 80.0 };
        let largest = |one: &Sample| {
            if number == 0 {
                value(one)
            } else {
                value(one).max(f64::from(one.most))
            }
        };
        let most = samples.iter().map(largest).fold(1.0, f64::max);
        let y = |value: f64| top + HEIGHT - value / most * HEIGHT;
        write!(
            svg,
            "<rect x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{HEIGHT}\" fill=\"#f3e6e6\"/>\n\
             <text x=\"{LEFT}\" y=\"{}\">{name}; shaded: the sink takes 2 s, otherwise 5 ms</text>\n\
             <text x=\"4\" y=\"{}\">{most:.0}</text><text x=\"4\" y=\"{}\">0</text>\n",
            x(slows),
            x(recovers) - x(slows),
            top - 8.0,
            top + 10.0,
            top + HEIGHT,
        )?;
        let points = samples
            .iter()
            .map(|one| format!("{:.1},{:.1}", x(one.seconds), y(value(one))));
        let points: Vec<String> = points.collect();
        writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"#1f4e79\" stroke-width=\"1.5\" points=\"{}\"/>",
            points.join(" ")
        )?;
        if number == 1 {
            for one in samples {
                writeln!(
                    svg,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"1.5\" fill=\"#b03a2e\"/>",
                    x(one.seconds),
                    y(f64::from(one.most))
                )?;
            }
        }
    }
    writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{}\">0 s</text><text x=\"{}\" y=\"{0}\">{end:.0} s</text>\n</svg>",
        HEIGHT * 2.0 + 96.0,
        WIDTH + LEFT - 30.0
    )?;
    fs::write(path, svg).with_context(|| format!("writing {}", path.display()))
}
