//! One thread's server: accepts, hands each connection a task, and drains.

use std::{future::Future, io, pin::pin, sync::Arc, time::Duration};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};

use crate::{
    Config, Intake, Metrics, SharedLimits, answer,
    connection::{self, Builder},
    error::Error,
    metrics::Failure,
    routes::{Shared, router},
};

/// How long to wait after a failed accept. The usual cause is that the process has no file left,
/// which lasts until a connection ends; trying at once would only burn the core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections above the limit that one thread tells so at a time; further ones are closed
/// without a word. Each takes a socket for at most [`connection::LINGER`] twice.
const REFUSALS_MAX: usize = 64;

/// Serves the doors on one listener until `shutdown`, then ends: accepts no more, lets requests in
/// flight finish, and closes each connection after its last answer. How long that may take is the
/// caller's to bound; dropping the future drops all connections.
///
/// To be run on a runtime of its own, one for each listener of [`crate::Server`].
pub async fn serve<I: Intake>(
    listener: std::net::TcpListener,
    config: Config,
    intake: I,
    metrics: Metrics,
    limits: SharedLimits,
    shutdown: impl Future<Output = ()>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the listener cannot be served");
            return;
        }
    };
    let (drain, draining) = watch::channel(false);
    let mut thread = Thread::new(config, intake, metrics, limits, draining);
    let mut shutdown = pin!(shutdown);
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = thread.connections.join_next(), if !thread.connections.is_empty() => {
                thread.ended(ended);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                failing = false;
                thread.connect(stream);
            }
            Err(error) if is_the_connections(&error) => {}
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "no connection can be accepted, trying again");
                }
                failing = true;
                tokio::select! {
                    () = &mut shutdown => break,
                    () = sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
    drop(listener);
    drain.send_replace(true);
    while let Some(ended) = thread.connections.join_next().await {
        thread.ended(ended);
    }
}

/// Whether a failed accept is about the one connection only.
fn is_the_connections(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    [ConnectionAborted, ConnectionReset, Interrupted].contains(&error.kind())
}

/// What one thread's connections share.
struct Thread {
    router: axum::Router,
    builder: Arc<Builder>,
    config: Arc<Config>,
    metrics: Metrics,
    limits: SharedLimits,
    draining: watch::Receiver<bool>,
    refusals: Arc<Semaphore>,
    /// Bounded by the limit of connections and [`REFUSALS_MAX`].
    connections: JoinSet<()>,
}

impl Thread {
    fn new<I: Intake>(
        config: Config,
        intake: I,
        metrics: Metrics,
        limits: SharedLimits,
        draining: watch::Receiver<bool>,
    ) -> Self {
        let shared = Shared {
            intake,
            config: config.clone(),
            limits: limits.clone(),
            metrics: metrics.clone(),
            draining: draining.clone(),
        };
        Self {
            router: router(Arc::new(shared)),
            builder: Arc::new(connection::builder(&config)),
            config: Arc::new(config),
            metrics,
            limits,
            draining,
            refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
            connections: JoinSet::new(),
        }
    }

    fn connect(&mut self, stream: TcpStream) {
        let Some(permit) = self.limits.connection() else {
            self.refuse(stream);
            return;
        };
        let router = self.router.clone();
        let builder = Arc::clone(&self.builder);
        let config = Arc::clone(&self.config);
        let metrics = self.metrics.clone();
        let draining = self.draining.clone();
        self.connections.spawn(async move {
            let _permit = permit;
            let _open = metrics.connection();
            // An answer goes out at once instead of waiting for more to send.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "the connection is gone already");
                return;
            }
            let run = connection::run(stream, &builder, router, &config, draining);
            if let Err(failure) = run.await {
                metrics.failed(failure);
            }
        });
    }

    fn ended(&self, ended: Result<(), JoinError>) {
        if let Err(error) = ended
            && error.is_panic()
        {
            self.metrics.failed(Failure::Panicked);
            tracing::error!("the task of a connection panicked");
        }
    }

    /// Says that there are too many connections, without reading the request.
    fn refuse(&mut self, mut stream: TcpStream) {
        self.metrics.failed(Failure::Refused);
        let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() else {
            return;
        };
        let connections_max = self.config.connections_max;
        self.connections.spawn(async move {
            let _permit = permit;
            let answer = answer::unread(&Error::ConnectionsFull { connections_max });
            let told = timeout(connection::LINGER, stream.write_all(answer.as_bytes())).await;
            if matches!(told, Ok(Ok(()))) {
                connection::linger(&mut stream).await;
            }
        });
    }
}
