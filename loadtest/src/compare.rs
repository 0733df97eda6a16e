//! Two doors in turn, A B A B, so that what else the machine does hits both; or one door and two ways
//! in which events travel.

use anyhow::Context;
use clap::Args;

use crate::{
    jetstream::Stream,
    load::Load,
    measure::Door,
    output::Output,
    publish::{add_baseline, alone},
    report::{Run, Summary},
    request::Mode,
};

#[derive(Clone, Debug, Args)]
pub(crate) struct Compare {
    /// One door
    #[arg(long, value_name = "URL")]
    a: String,
    /// The other; each pair of runs begins with the one before it
    #[arg(long, value_name = "URL")]
    b: String,
    #[command(flatten)]
    load: Load,
    /// How an event travels to the other, where that differs
    #[arg(long, value_enum)]
    mode_b: Option<Mode>,
    /// A process of the first to account for, as NAME=PID; the first must be the one that listens
    #[arg(long = "pid-a", value_name = "NAME=PID")]
    pids_a: Vec<String>,
    /// The same of the other, in the same order
    #[arg(long = "pid-b", value_name = "NAME=PID")]
    pids_b: Vec<String>,
    /// The NATS server of both, to count what is stored, and for a baseline beside each pair
    #[arg(long)]
    nats: Option<String>,
    /// The stream of the first
    #[arg(long, default_value = "TIDEGATE_EVENTS")]
    stream_a: String,
    /// The stream of the other
    #[arg(long, default_value = "REFERENCE_EVENTS")]
    stream_b: String,
    /// A subject of the first one's stream for the baseline
    #[arg(long, default_value = "tidegate.events.loadtest.baseline")]
    subject: String,
    /// Delete everything in the streams before each pair, so that long runs do not fill them
    #[arg(long, requires = "nats")]
    purge: bool,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: &Compare) -> anyhow::Result<()> {
    let Compare { load, nats, .. } = arguments;
    let load_b = &Load {
        mode: arguments.mode_b.unwrap_or(load.mode),
        ..load.clone()
    };
    let (mut streams, sides) = (Vec::new(), [&arguments.stream_a, &arguments.stream_b]);
    for name in sides {
        streams.push(match nats {
            Some(url) => Some(Stream::open(url, name).await?),
            None => None,
        });
    }
    let mut streams = streams.into_iter().flatten();
    let a = Door::new(&arguments.a, load, &arguments.pids_a, streams.next()).await;
    let a = a.context("--a")?;
    let b = Door::new(&arguments.b, load_b, &arguments.pids_b, streams.next()).await;
    let b = b.context("--b")?;
    let names = if load.mode == load_b.mode {
        names(&a, &b)
    } else {
        [load.mode.name(), load_b.mode.name()]
    };
    let mut pairs = Vec::new();
    for number in 1..=load.repeat.get() {
        if arguments.purge {
            a.purge().await?;
            b.purge().await?;
        }
        let baseline = match nats {
            Some(nats) => Some(alone(nats, &arguments.stream_a, &arguments.subject, load).await?),
            None => None,
        };
        let mut pair = Vec::new();
        for (door, load, name) in [(&a, load, &names[0]), (&b, load_b, &names[1])] {
            let says = format!("pair {number} of {}, {name}", load.repeat);
            let mut run = door.run(load, &says).await.context(name.clone())?;
            if let Some(baseline) = baseline {
                add_baseline(&mut run, baseline);
            }
            pair.push(run);
        }
        let mut pair = pair.into_iter();
        pairs.extend(pair.next().zip(pair.next()));
    }
    let [first, second] = &names;
    let summary = Summary::of_pairs(load.title(), [first, second], &pairs);
    let runs: Vec<(String, Run)> = (1..)
        .zip(pairs)
        .flat_map(|(number, (a, b))| {
            [
                (format!("{first} {number}"), a),
                (format!("{second} {number}"), b),
            ]
        })
        .collect();
    arguments.output.write(&summary, &runs)
}

/// What both are called: their first processes, where these have different names.
fn names(a: &Door, b: &Door) -> [String; 2] {
    let first = |door: &Door| door.names().into_iter().next().unwrap_or_default();
    let (a, b) = (first(a), first(b));
    if a == b {
        ["A".to_owned(), "B".to_owned()]
    } else {
        [a, b]
    }
}
