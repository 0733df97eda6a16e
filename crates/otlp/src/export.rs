//! The tasks that send: spans as they come, metrics from time to time.

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use backon::{ExponentialBuilder, Retryable as _};
use opentelemetry_proto::tonic::{common::v1::InstrumentationScope, resource::v1::Resource};
use tidegate_telemetry::spans::{Metrics, Span, Tracer};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    Settings, metrics,
    send::{Export, Sender, Unsent},
    spans,
};

/// How often a request is tried that the collector does not take.
const TRIES_MAX: usize = 4;

/// How long the last ones may take, when the process ends.
const LAST_MAX: Duration = Duration::from_secs(3);

/// Sends what is recorded and counted, until it is stopped.
pub struct Exporter {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Who tells, and of what.
#[derive(Clone)]
struct About {
    resource: Resource,
    scope: InstrumentationScope,
}

impl Exporter {
    /// A tracer that records for a collector, and where its spans come out; one that records
    /// nothing, where none is named.
    pub fn tracer(settings: &Settings, metrics: Metrics) -> (Tracer, mpsc::Receiver<Span>) {
        let (spans, recorded) = mpsc::channel(settings.queue_max);
        let tracer = match settings.traces() {
            true => Tracer::new(settings.sampler, spans, metrics),
            false => Tracer::default(),
        };
        (tracer, recorded)
    }

    /// Begins to send: these spans, and what `text` says of metrics.
    pub fn start(
        settings: &Settings,
        version: &str,
        (recorded, dropped): (mpsc::Receiver<Span>, Metrics),
        text: impl Fn() -> String + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let about = About {
            resource: spans::resource(&settings.resource),
            scope: spans::scope(version),
        };
        let mut tasks = Vec::new();
        if let Some(endpoint) = &settings.traces {
            let traces = Traces {
                sender: Sender::new(endpoint)?,
                about: about.clone(),
                batch_max: settings.batch_max,
                delay: settings.delay,
                dropped,
                is_well: true,
            };
            tasks.push(tokio::spawn(traces.run(recorded, stopped.clone())));
        }
        if let Some(endpoint) = &settings.metrics {
            let sender = Sender::new(endpoint)?;
            let every = settings.every;
            let text = Arc::new(text);
            tasks.push(tokio::spawn(push(sender, about, every, text, stopped)));
        }
        Ok(Self { stop, tasks })
    }

    /// Sends what is left, for a while.
    pub async fn stop(self) {
        // An error means that nothing is sent anyway.
        self.stop.send(true).ok();
        for task in self.tasks {
            if timeout(LAST_MAX, task).await.is_err() {
                tracing::debug!("the collector does not take the last ones in time");
            }
        }
    }
}

struct Traces {
    sender: Sender,
    about: About,
    batch_max: usize,
    delay: Duration,
    dropped: Metrics,
    /// Whether the last request was taken, so that the log says each change once.
    is_well: bool,
}

impl Traces {
    async fn run(mut self, mut recorded: mpsc::Receiver<Span>, mut stopped: watch::Receiver<bool>) {
        let mut batch = Vec::new();
        loop {
            let is_last = tokio::select! {
                biased;
                is_over = self.gather(&mut recorded, &mut batch) => is_over,
                _ = stopped.wait_for(|stop| *stop) => true,
            };
            if is_last {
                // What waits, and nothing that comes later.
                while batch.len() < self.batch_max
                    && let Ok(span) = recorded.try_recv()
                {
                    batch.push(span);
                }
            }
            let spans = std::mem::take(&mut batch);
            if !spans.is_empty() {
                self.send(spans, is_last).await;
            }
            if is_last && recorded.is_empty() {
                return;
            }
        }
    }

    /// Waits for the first, and then a while for others; whether no more can come.
    async fn gather(&self, recorded: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>) -> bool {
        if batch.is_empty() {
            match recorded.recv().await {
                Some(span) => batch.push(span),
                None => return true,
            }
        }
        let others = async {
            while batch.len() < self.batch_max
                && let Some(span) = recorded.recv().await
            {
                batch.push(span);
            }
        };
        tokio::select! {
            biased;
            () = others => {}
            () = sleep(self.delay) => {}
        }
        false
    }

    async fn send(&mut self, spans: Vec<Span>, is_last: bool) {
        let count = spans.len();
        let About { resource, scope } = &self.about;
        let export = Export::Traces(spans::request(resource, scope, spans));
        let pauses = ExponentialBuilder::default()
            .with_jitter()
            .with_max_times(if is_last { 0 } else { TRIES_MAX - 1 });
        let sent = (|| self.sender.send(export.clone()))
            .retry(pauses)
            .when(|unsent: &Unsent| unsent.is_transient);
        match sent.await {
            Ok(()) => self.is_well = true,
            Err(error) => {
                self.dropped.dropped(count);
                if std::mem::take(&mut self.is_well) {
                    tracing::warn!(%error, spans = count, "spans are lost: the collector does not take them");
                }
            }
        }
    }
}

async fn push(
    sender: Sender,
    about: About,
    every: Duration,
    text: Arc<impl Fn() -> String>,
    mut stopped: watch::Receiver<bool>,
) {
    let since = SystemTime::now();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first one is at once, when there is nothing to tell.
    ticks.tick().await;
    let mut is_well = true;
    loop {
        let is_last = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => true,
            _ = ticks.tick() => false,
        };
        let About { resource, scope } = &about;
        let request = metrics::request(resource, scope, &text(), (since, SystemTime::now()));
        match sender.send(Export::Metrics(request)).await {
            Ok(()) => is_well = true,
            // The next one says all that this one did.
            Err(error) => {
                if std::mem::take(&mut is_well) {
                    tracing::warn!(%error, "the collector does not take metrics");
                }
            }
        }
        if is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
