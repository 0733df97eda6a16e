//! What the doors are compared with: HTTP to JetStream and nothing else, in the fastest shape known.
//!
//! One single-threaded runtime for each core with a listener and a NATS connection of its own, bare
//! hyper, a writer that sends what comes up in one turn at once, and acknowledgements that are
//! matched by number. No identity, no limits of a tenant, no metrics, no reconnecting: it bounds a
//! gateway from above. It answers 2xx only after JetStream acknowledged.

mod acks;
mod door;
mod envelope;
mod publisher;

use std::{
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    rc::Rc,
    thread,
};

use anyhow::{Context, bail};
use clap::Args;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    sync::mpsc,
    task::{LocalSet, spawn_local},
};

use self::publisher::Publisher;
use crate::{attached, jetstream, listen};

/// Connections of one thread; more than that are closed again.
const CONNECTIONS_MAX: usize = 4_096;

#[derive(Clone, Debug, Args)]
pub(crate) struct Reference {
    /// Where it listens; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// The NATS server
    #[arg(long)]
    nats: String,
    /// The stream, which is made if it is not there
    #[arg(long, default_value = "REFERENCE_EVENTS")]
    stream: String,
    /// What the subjects begin with: source and type follow
    #[arg(long, default_value = "reference.events")]
    subject: String,
    /// Threads; one for each core without
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// Whether each event gets its id as Nats-Msg-Id, so that a repeated one is stored once
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    deduplicate: bool,
    #[command(flatten)]
    attached: attached::Attached,
}

/// Serves until a connection to NATS is lost, or the end of standard input where it is told so.
pub(crate) async fn run(arguments: &Reference) -> anyhow::Result<()> {
    let context = jetstream::connect(&arguments.nats).await?;
    jetstream::ensure(&context, &arguments.stream, &arguments.subject).await?;
    drop(context);
    let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let threads = arguments.threads.unwrap_or(cores).get();
    let (address, listeners) = listen::listeners(arguments.listen, threads)
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let (ended, mut ends) = mpsc::channel(threads);
    for listener in listeners {
        let (arguments, ended) = (arguments.clone(), ended.clone());
        thread::spawn(move || {
            let end = serve(&arguments, listener);
            // Nobody hears it when the program ends anyway.
            ended.blocking_send(end).ok();
        });
    }
    attached::tell(address)?;
    tokio::select! {
        end = ends.recv() => match end {
            Some(Err(error)) => Err(error),
            _ => bail!("a thread ended"),
        },
        () = arguments.attached.end() => Ok(()),
    }
}

/// One thread.
fn serve(arguments: &Reference, listener: TcpListener) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (publisher, reading) = Publisher::start(
            &arguments.nats,
            &arguments.stream,
            &arguments.subject,
            arguments.deduplicate,
        )
        .await?;
        tokio::select! {
            ended = reading => ended,
            ended = accept(listener, Rc::new(publisher)) => ended,
        }
    })
}

async fn accept(listener: tokio::net::TcpListener, publisher: Rc<Publisher>) -> anyhow::Result<()> {
    let open = Rc::new(());
    loop {
        let (stream, _) = listener.accept().await?;
        if Rc::strong_count(&open) > CONNECTIONS_MAX {
            continue;
        }
        stream.set_nodelay(true)?;
        let (publisher, counted) = (Rc::clone(&publisher), Rc::clone(&open));
        spawn_local(async move {
            let service = service_fn(|request| door::answer(&publisher, request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A sender that goes away has its reasons.
            connection.await.ok();
            drop(counted);
        });
    }
}
