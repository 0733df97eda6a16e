//! The load driver: how many events a second a door takes durably, how fast they are delivered, and
//! what that costs; what it could cost at best; and what bad sinks do to delivery.
//!
//! One thread, HTTP/1.1 by hand: it costs little beside what it measures. A run that is wrong fails:
//! an answer other than 2xx, a foreign listener on the port, fewer events stored than
//! acknowledged, a rate that is not held.
#![expect(clippy::print_stdout, reason = "the result is for standard output")]

mod alarm;
mod apply;
mod arrivals;
mod attached;
mod backlog;
mod baseline;
mod companion;
mod compare;
mod consumers;
mod courier;
mod dispatcher;
mod driver;
mod exchange;
mod fan_out;
mod function;
mod guard;
mod handover;
mod histogram;
mod isolation;
mod jetstream;
mod kafka;
mod listen;
mod load;
mod measure;
mod mesh;
mod metrics;
mod nats;
mod outage;
mod output;
mod page;
mod payload;
mod post;
mod process;
mod progress;
mod publish;
mod recovery;
mod reference;
mod report;
mod request;
mod schedule;
mod sink;
mod soak;
mod stage;
mod standing;
mod startup;
mod subscriptions;
mod together;
mod wire;

use clap::{Parser, Subcommand};

/// As in the gateway that it is compared with.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Drives doors that take CloudEvents, and sinks that get them, and says what that took and cost.
#[derive(Debug, Parser)]
#[command(
    name = "loadtest",
    version,
    max_term_width = 100,
    args_override_self = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publish events over HTTP, as fast as they are answered or at a rate
    #[command(
        after_help = "Example:\n  loadtest publish --url http://127.0.0.1:8080/publish --pid tidegate=4711"
    )]
    Publish(publish::Publish),
    /// Publish to two doors in turn, A B A B, and tell the ratios
    #[command(
        after_help = "Example:\n  loadtest compare --a http://127.0.0.1:8080/publish --b http://127.0.0.1:8090/publish"
    )]
    Compare(compare::Compare),
    /// A door that does only HTTP to JetStream, in the fastest shape known
    #[command(after_help = "Example:\n  loadtest reference --nats nats://127.0.0.1:4222")]
    Reference(reference::Reference),
    /// A dispatcher that does only JetStream to a sink, in the fastest shape known
    #[command(
        after_help = "Example:\n  loadtest reference-dispatcher --nats nats://127.0.0.1:4222 --sink http://127.0.0.1:9000/"
    )]
    ReferenceDispatcher(dispatcher::Dispatcher),
    /// A sink that costs next to nothing, and prints how many came each second
    #[command(after_help = "Example:\n  loadtest sink --listen 127.0.0.1:9000 --delay 5")]
    Sink(sink::Sink),
    /// Post events straight to a sink
    #[command(after_help = "Example:\n  loadtest post --url http://127.0.0.1:9000/")]
    Post(post::Post),
    /// How fast a backlog is delivered to one sink, beside the reference in the same run
    #[command(
        after_help = "Example:\n  loadtest backlog --tidegate target/release/tidegate --nats-server nats-server"
    )]
    Backlog(backlog::Backlog),
    /// Publish and deliver at once: what is sustained, and how long an event takes end to end
    #[command(
        after_help = "Example:\n  loadtest together --tidegate target/release/tidegate --nats-server nats-server"
    )]
    Together(together::Together),
    /// What 1 to 5,000 Subscriptions cost, each with a type of its own, and each with every event
    #[command(
        after_help = "Example:\n  loadtest subscriptions --tidegate target/release/tidegate --nats-server nats-server --steps 1,100"
    )]
    Subscriptions(subscriptions::Subscriptions),
    /// What a delivery costs where 100 Subscriptions want every event, beside one Subscription
    #[command(
        after_help = "Example:\n  loadtest fan-out --tidegate target/release/tidegate --nats-server nats-server"
    )]
    FanOut(fan_out::FanOut),
    /// Time until ready, idle CPU, and memory: empty, for each Subscription, for each connection
    #[command(
        after_help = "Example:\n  loadtest startup --tidegate target/release/tidegate --nats-server nats-server"
    )]
    Startup(startup::Startup),
    /// What a dead sink and a slow one cost 98 others, side by side with a run without them
    #[command(
        after_help = "Example:\n  loadtest isolation --tidegate target/release/tidegate --nats-server nats-server"
    )]
    Isolation(isolation::Isolation),
    /// A sink that slows from 5 ms to 2 s and recovers: the window, and when throughput is back
    #[command(
        after_help = "Example:\n  loadtest recovery --tidegate target/release/tidegate --nats-server nats-server --svg plot.svg"
    )]
    Recovery(recovery::Recovery),
    /// Full load for an hour: whether memory stays as it is
    #[command(
        after_help = "Example:\n  loadtest soak --tidegate target/release/tidegate --nats-server nats-server --seconds 600 --svg memory.svg"
    )]
    Soak(soak::Soak),
    /// Two tidegates on one NATS, killed in turn: what is lost, repeated or out of order
    #[command(
        after_help = "Example:\n  loadtest handover --tidegate target/release/tidegate --nats-server nats-server"
    )]
    Handover(handover::Handover),
    /// Subscriptions that are applied and removed under load: whether each misses nothing
    #[command(
        after_help = "Example:\n  loadtest apply --tidegate target/release/tidegate --nats-server nats-server --times 5"
    )]
    Apply(apply::Apply),
    /// Sinks that are down for ten minutes: what the others notice, and what comes afterwards
    #[command(
        after_help = "Example:\n  loadtest outage --tidegate target/release/tidegate --nats-server nats-server --seconds 60"
    )]
    Outage(outage::Outage),
    /// A topic in and a topic out, beside Kafka's own consumer and producer in the same run
    #[command(
        after_help = "Kafka's jars are in the folder that TIDEGATE_KAFKA names; cargo xtask bench kafka installs them.\n\nExample:\n  loadtest kafka --tidegate target/release/tidegate --nats-server nats-server"
    )]
    Kafka(kafka::Kafka),
}

fn main() -> anyhow::Result<()> {
    let command = Cli::parse().command;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        match command {
            Command::Publish(arguments) => publish::run(&arguments).await,
            Command::Compare(arguments) => compare::run(&arguments).await,
            Command::Reference(arguments) => reference::run(&arguments).await,
            Command::ReferenceDispatcher(arguments) => dispatcher::run(&arguments).await,
            Command::Sink(arguments) => sink::run(&arguments).await,
            Command::Post(arguments) => post::run(&arguments).await,
            Command::Backlog(arguments) => backlog::run(&arguments).await,
            Command::Together(arguments) => together::run(&arguments).await,
            Command::Subscriptions(arguments) => subscriptions::run(&arguments).await,
            Command::FanOut(arguments) => fan_out::run(&arguments).await,
            Command::Startup(arguments) => startup::run(&arguments).await,
            Command::Isolation(arguments) => isolation::run(&arguments).await,
            Command::Recovery(arguments) => recovery::run(&arguments).await,
            Command::Soak(arguments) => soak::run(&arguments).await,
            Command::Handover(arguments) => handover::run(&arguments).await,
            Command::Apply(arguments) => apply::run(&arguments).await,
            Command::Outage(arguments) => outage::run(&arguments).await,
            Command::Kafka(arguments) => kafka::run(&arguments).await,
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// clap's own check of names, conflicts and values.
    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Who runs a scenario with its own arguments may be told others behind them.
    #[test]
    fn the_last_of_an_argument_counts() {
        let words = ["loadtest", "post", "--seconds", "5", "--seconds", "1"];
        assert!(Cli::try_parse_from(words).is_ok());
    }
}
