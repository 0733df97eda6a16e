//! What delivery is compared with: JetStream to a sink and nothing else, in the fastest shape known.
//!
//! One thread; one pull consumer whose next batch is asked for before the last has ended; as many
//! bare hyper connections as events may be under way; each event acknowledged when its sink took
//! it. No filters, no retries, no order, no metrics: any failure ends it.

use std::{cell::RefCell, time::Duration};

use anyhow::Context;
use async_nats::jetstream::{Message, consumer::pull};
use clap::{Args, value_parser};
use futures_util::{StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;

use crate::{
    attached,
    courier::{Courier, Sink},
    jetstream,
};

/// Asked for at once; more does not make it faster on one machine.
const BATCH: usize = 500;

/// How long nothing may come before it has ended.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Args)]
pub(crate) struct Dispatcher {
    /// The NATS server
    #[arg(long)]
    nats: String,
    /// The stream
    #[arg(long, default_value = "TIDEGATE_EVENTS")]
    stream: String,
    /// Subjects of the stream
    #[arg(long, default_value = "tidegate.events.>")]
    subject: String,
    /// Where it delivers to
    #[arg(long, default_value = "http://127.0.0.1:9000/")]
    sink: Sink,
    /// Connections to the sink, each with one event at a time
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u16).range(1..))]
    connections: u16,
    /// End after so many events
    #[arg(long)]
    events: Option<usize>,
    #[command(flatten)]
    attached: attached::Attached,
}

/// Delivers from the stream's beginning, with a consumer that goes with it.
pub(crate) async fn run(arguments: &Dispatcher) -> anyhow::Result<()> {
    let mut couriers = Vec::new();
    for _ in 0..arguments.connections {
        couriers.push(Courier::connect(&arguments.sink).await?);
    }
    let context = jetstream::connect(&arguments.nats).await?;
    let stream = context.get_stream(&arguments.stream).await;
    let config = pull::Config {
        filter_subject: arguments.subject.clone(),
        max_ack_pending: 4 * i64::try_from(BATCH)?,
        inactive_threshold: PATIENCE,
        ..pull::Config::default()
    };
    let consumer = stream.context("--stream")?.create_consumer(config).await?;
    let messages = consumer
        .stream()
        .max_messages_per_batch(BATCH)
        .messages()
        .await?;
    let messages = messages.take(arguments.events.unwrap_or(usize::MAX));
    attached::tell(arguments.sink.address)?;
    let (idle, at_once) = (RefCell::new(couriers), usize::from(arguments.connections));
    let delivering = messages
        .map_err(anyhow::Error::from)
        .try_for_each_concurrent(at_once, |message| deliver(&idle, message));
    tokio::select! {
        ended = delivering => ended,
        () = arguments.attached.end() => Ok(()),
    }?;
    // Acknowledgements are on their way still.
    timeout(PATIENCE, context.client().flush())
        .await
        .context("flushing")??;
    Ok(())
}

async fn deliver(idle: &RefCell<Vec<Courier>>, message: Message) -> anyhow::Result<()> {
    let courier = idle.borrow_mut().pop();
    let mut courier = courier.context("no connection is idle")?;
    courier
        .post(headers(&message)?, message.payload.clone())
        .await?;
    idle.borrow_mut().push(courier);
    message.ack().await.map_err(anyhow::Error::from_boxed)
}

/// The attributes; what is JetStream's own stays behind.
fn headers(message: &Message) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(8);
    for (name, values) in message.headers.iter().flat_map(async_nats::HeaderMap::iter) {
        let name: &str = name.as_ref();
        let Some(value) = values.first().filter(|_| !name.starts_with("Nats-")) else {
            continue;
        };
        let name = HeaderName::from_bytes(name.as_bytes())?;
        headers.insert(name, HeaderValue::from_str(value.as_str())?);
    }
    Ok(headers)
}
