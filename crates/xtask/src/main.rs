//! `cargo xtask demo`, `test`, `metrics`, `lint`, `fuzz`, `sim`, `instructions`, `bench`: what this project is
//! worked on with. Each installs what it needs below `target/`, and nothing anywhere else.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for people, which reads the environment"
)]

mod bench;
mod cloudevents;
mod collector;
mod demo;
mod figures;
mod fuzz;
mod instructions;
mod kafka;
mod kubernetes;
mod lint;
mod nats;
mod process;
mod promcheck;
mod tidy;
mod tools;

use std::{
    env,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::bail;

use crate::process::{Run, cargo};

const HELP: &str = "\
cargo xtask <command>

  demo [--once]     the whole path on this machine: a nats-server, tidegate, a Function, SAP events;
                    runs until Ctrl-C, with --once it ends by itself and tells whether all arrived
  test [-- ARGS]    every test, on a real nats-server and Kafka; ARGS go to cargo test. Kafka needs
                    Java 17, and Maven, unless TIDEGATE_KAFKA names a folder of its jars; its
                    events are read with Python 3.10
  test --kubernetes [-- ARGS]
                    the tests on a real kube-apiserver and etcd, which it builds once, with kubectl
                    and helm, below TIDEGATE_CACHE (~/.cache/tidegate); KUBEBUILDER_ASSETS names a
                    folder that has them
  test --without-kafka [-- ARGS]
                    what a program says that is built without the feature kafka
  metrics           writes docs/metrics.md, what /metrics shows, from a running tidegate
  lint              format, clippy, and the project's own rules
  tidy              only the project's own rules
  fuzz [--seconds N] [--keep] [TARGET ...]
                    each fuzz target for N seconds (60), all or these; --keep adds to the kept inputs
  sim --seeds N [--from S]
                    delivery under faults, so many runs; what went wrong is named with its seed
  sim --seed S      one of them again, with a line for everything that happened
  instructions [--keep] [CASE ...]
                    counts what the hot paths take, all or these, beside what is kept, and fails
                    where it is more; --keep keeps what they take now. Needs valgrind
  bench [-- ARGS]   events per second and CPU per event through the real binary; ARGS go to the driver;
                    with --allocations, here and for together, also allocations per event
  bench compare [-- ARGS]
                    the same in turn with a reference that does only HTTP to JetStream
  bench backlog [-- ARGS]
                    how fast a backlog is delivered, beside a reference that does only that
  bench together [-- ARGS]
                    publishing and delivering at once; end to end at 10,000 events a second
  bench subscriptions [-- ARGS]
                    what 1 to 5,000 Subscriptions cost
  bench fan-out [-- ARGS]
                    what a delivery costs to 100 Subscriptions, beside one
  bench startup [-- ARGS]
                    time until ready, idle CPU, memory
  bench soak [-- ARGS]
                    an hour at full load, and whether memory stays as it is
  bench isolation [-- ARGS]
                    what a dead sink and a slow one cost 98 others
  bench recovery [-- ARGS]
                    a sink that slows from 5 ms to 2 s and recovers, second by second
  bench handover [-- ARGS]
                    two processes on one NATS, killed in turn for ten minutes
  bench apply [-- ARGS]
                    Subscriptions applied and removed under 10,000 events a second, one by one
  bench outage [-- ARGS]
                    20 of 1,000 sinks down for ten minutes, and what comes when they are back
  bench modes [-- ARGS]
                    structured mode beside binary mode
  bench kafka [-- ARGS]
                    a topic in and a topic out, beside Kafka's own consumer and producer; needs what
                    test needs of Kafka
  bench fsync [-- ARGS]
                    appends per second on a server that syncs each write, together and each alone
  bench batches [-- ARGS]
                    batch requests as fast batches of JetStream, beside each event for itself
  bench page [--only TABLE] [--quick] [--kept]
                    all of these but batches and the longest, five times each, which takes half an
                    hour, and writes the tables of docs/performance.md; --only renews these tables
                    alone (may be given again), --quick tries the way in minutes and writes below
                    target/figures, --kept measures nothing and takes the results of the last run

Examples:
  cargo xtask demo --once
  cargo xtask bench page --only doors
  cargo xtask test -- -p tidegate-event
  cargo xtask test --kubernetes
  cargo xtask test --kubernetes -- -p tidegate-testkit -- --nocapture
  KUBEBUILDER_ASSETS=/usr/local/kubebuilder/bin cargo xtask test --kubernetes
  cargo xtask fuzz --seconds 300 format_idoc
  cargo xtask sim --seed 4711
  cargo xtask instructions event.structured.read
  TIDEGATE_VECTORS=../vectors cargo xtask test";

/// What `bench` runs beside the doors.
const SCENARIOS: [&str; 11] = [
    "backlog",
    "together",
    "subscriptions",
    "fan-out",
    "startup",
    "soak",
    "isolation",
    "recovery",
    "handover",
    "apply",
    "outage",
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> anyhow::Result<()> {
    env::set_current_dir(root())?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["demo"] => demo::run(false),
        ["demo", "--once"] => demo::run(true),
        ["test"] => test(&[]),
        ["test", "--", rest @ ..] => test(rest),
        ["test", "--kubernetes"] => kubernetes::test(&[]),
        ["test", "--kubernetes", "--", rest @ ..] => kubernetes::test(rest),
        ["test", "--without-kafka"] => without_kafka(&[]),
        ["test", "--without-kafka", "--", rest @ ..] => without_kafka(rest),
        ["metrics"] => metrics(),
        ["lint"] => lint::run(),
        ["tidy"] => tidy::run(),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        ["sim", rest @ ..] => simulation(rest),
        ["instructions", rest @ ..] => instructions::run(rest),
        ["bench"] => bench::publish(&[]),
        ["bench", "--", rest @ ..] => bench::publish(rest),
        ["bench", "compare"] => bench::compare(&[]),
        ["bench", "compare", "--", rest @ ..] => bench::compare(rest),
        ["bench", "modes"] => bench::modes(&[]),
        ["bench", "modes", "--", rest @ ..] => bench::modes(rest),
        ["bench", "kafka"] => bench::topics(&[]),
        ["bench", "kafka", "--", rest @ ..] => bench::topics(rest),
        ["bench", "fsync"] => bench::fsync(&[]),
        ["bench", "fsync", "--", rest @ ..] => bench::fsync(rest),
        ["bench", "batches"] => bench::batches(&[]),
        ["bench", "batches", "--", rest @ ..] => bench::batches(rest),
        ["bench", "page", rest @ ..] => figures::run(rest),
        ["bench", what] if SCENARIOS.contains(what) => bench::delivery(what, &[]),
        ["bench", what, "--", rest @ ..] if SCENARIOS.contains(what) => bench::delivery(what, rest),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        other => bail!("unknown: {}\n\n{HELP}", other.join(" ")),
    }
}

/// Delivery under faults. The program is one of those that tests of all packages are built with: by
/// itself it would stand on others, which takes minutes.
fn simulation(arguments: &[&str]) -> anyhow::Result<()> {
    cargo("test")
        .args([
            "--workspace",
            "--quiet",
            "--locked",
            "--no-run",
            "--test",
            "it",
        ])
        .run()?;
    let binary = target().canonicalize()?.join("debug/tidegate-simulation");
    Command::new(binary).args(arguments).run()
}

/// The project's folder.
fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest
        .ancestors()
        .nth(2)
        .map_or(manifest.clone(), PathBuf::from)
}

/// Where cargo builds to.
fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The page of all metrics, by the test that looks at it.
fn metrics() -> anyhow::Result<()> {
    cargo("test")
        .args([
            "--quiet",
            "--locked",
            "--package",
            "tidegate",
            "--test",
            "shared",
        ])
        .args(["--", "--exact", "catalog::every_metric_is_on_its_page"])
        .env("TIDEGATE_NATS_SERVER", nats::ensure()?)
        .env("TIDEGATE_METRICS_KEEP", "1")
        .run()
}

fn test(arguments: &[&str]) -> anyhow::Result<()> {
    let nats_server = nats::ensure()?;
    let fsync_nats_server = nats::ensure_fsync()?;
    let kafka = kafka::ensure()?;
    let cloudevents = cloudevents::ensure()?;
    let collector = collector::ensure()?;
    let promcheck = promcheck::ensure()?;
    match env::var_os("TIDEGATE_VECTORS") {
        Some(folder) => println!("vectors: {}", PathBuf::from(folder).display()),
        None => println!("vectors: none (TIDEGATE_VECTORS is not set); their tests are skipped"),
    }
    process::cargo("test")
        .args(which(arguments))
        .arg("--locked")
        .args(arguments)
        .env("TIDEGATE_NATS_SERVER", nats_server)
        .env("TIDEGATE_NATS_SERVER_FSYNC", fsync_nats_server)
        .env("TIDEGATE_KAFKA", kafka)
        .env("TIDEGATE_CLOUDEVENTS_PYTHON", cloudevents)
        .env("TIDEGATE_OTEL_COLLECTOR", collector)
        .env("TIDEGATE_PROMCHECK", promcheck)
        .run()
}

/// Of all packages, so that what they stand on is built as for all other tests.
fn without_kafka(arguments: &[&str]) -> anyhow::Result<()> {
    cargo("test")
        .args(["--workspace", "--no-default-features"])
        .args(["--locked", "--test", "absent"])
        .args(arguments)
        .env("TIDEGATE_NATS_SERVER", nats::ensure()?)
        .run()
}

/// All packages, unless the arguments name some.
fn which(arguments: &[&str]) -> &'static [&'static str] {
    let some = arguments
        .iter()
        .take_while(|argument| **argument != "--")
        .any(|argument| *argument == "-p");
    if some { &[] } else { &["--workspace"] }
}
