//! The sink alone: events posted straight to it, without a log before it. It bounds delivery from
//! above.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use clap::{Args, value_parser};
use futures_util::future::try_join_all;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use crate::{
    courier::{Courier, Sink},
    histogram::Histogram,
    output::Output,
    payload, process,
    progress::Progress,
    report::{Run, Summary},
};

#[derive(Clone, Debug, Args)]
pub(crate) struct Post {
    /// The sink
    #[arg(long, default_value = "http://127.0.0.1:9000/")]
    url: Sink,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u16).range(1..))]
    connections: u16,
    /// Seconds of each run
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u64).range(1..))]
    seconds: u64,
    /// Runs; the median counts
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..))]
    repeat: u32,
    /// Bytes of each event's data
    #[arg(long, default_value_t = 1_024)]
    bytes: usize,
    /// A process to account for, as NAME=PID
    #[arg(long = "pid", value_name = "NAME=PID")]
    pids: Vec<String>,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: &Post) -> anyhow::Result<()> {
    let mut runs = Vec::new();
    for number in 1..=arguments.repeat {
        let says = format!("run {number} of {}", arguments.repeat);
        runs.push((says.clone(), one(arguments, &says).await?));
    }
    let title = format!(
        "posts of {} bytes of data, {} connections, {} runs of {} s",
        arguments.bytes, arguments.connections, arguments.repeat, arguments.seconds
    );
    let figures: Vec<Run> = runs.iter().map(|(_, run)| run.clone()).collect();
    arguments.output.write(&Summary::of(title, &figures), &runs)
}

async fn one(arguments: &Post, says: &str) -> anyhow::Result<Run> {
    let processes = process::named(&arguments.pids)?;
    let mut couriers = Vec::new();
    for _ in 0..arguments.connections {
        couriers.push(Courier::connect(&arguments.url).await?);
    }
    let data = Bytes::from(payload::plain(arguments.bytes));
    let (latencies, seconds) = (RefCell::new(Histogram::default()), RefCell::new(Vec::new()));
    let count = Rc::new(Cell::new(0_u64));
    let time = Duration::from_secs(arguments.seconds);
    let before = process::usage(&processes)?;
    let progress = Progress::start(says, time, Rc::clone(&count));
    let began = Instant::now();
    let (data, latencies, seconds, count) = (&data, &latencies, &seconds, &count);
    let each = couriers.into_iter().map(|mut courier| async move {
        loop {
            let sent = Instant::now();
            if sent >= began + time {
                return anyhow::Ok(());
            }
            let number = count.get();
            count.set(number + 1);
            courier.post(headers(number)?, data.clone()).await?;
            let now = Instant::now();
            let took = u64::try_from((now - sent).as_micros())?;
            latencies.borrow_mut().add(took);
            add(&mut seconds.borrow_mut(), (now - began).as_secs() as usize);
        }
    });
    let ended = try_join_all(each).await;
    progress.end();
    ended?;
    let took = began.elapsed().as_secs_f64();
    let after = process::usage(&processes)?;
    let events = latencies.borrow().count().max(1) as f64;
    let mut run = Run::default();
    run.add("posts/s", events / took);
    for (name, micros) in process::cpu(&processes, &before, &after) {
        run.add(&format!("CPU µs/post, {name}"), micros as f64 / events);
    }
    for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
        let millis = latencies.borrow().millis(share);
        run.add(&format!("latency ms, {name}"), millis);
    }
    run.seconds = seconds.take();
    run.latencies = latencies.take();
    Ok(run)
}

/// One more in this second.
fn add(seconds: &mut Vec<u64>, second: usize) {
    if seconds.len() <= second {
        seconds.resize(second + 1, 0);
    }
    if let Some(count) = seconds.get_mut(second) {
        *count += 1;
    }
}

/// What a delivered event has.
fn headers(number: u64) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert("ce-specversion", HeaderValue::from_static("1.0"));
    headers.insert("ce-id", HeaderValue::try_from(number.to_string())?);
    headers.insert("ce-source", HeaderValue::from_static("loadtest"));
    headers.insert("ce-type", HeaderValue::from_static("load.posted.v1"));
    headers.insert("ce-time", HeaderValue::from_static("2026-09-14T07:31:05Z"));
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    Ok(headers)
}
