//! One thread's server: accepts, hands each connection a task, and drains.

use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};

use crate::{
    Config, Intake, Listeners, Metrics, Peer, SharedLimits, Tls, answer,
    connection::{self, Builder},
    error::Error,
    metrics::{Counted, Failure},
    routes::{Routes, Shared},
    tls,
};

/// How long to wait after a failed accept. The usual cause is that the process has no file left,
/// which lasts until a connection ends; trying at once would only burn the core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections above the limit that one thread tells so at a time; further ones are closed
/// without a word. Each takes a socket for at most [`connection::LINGER`] twice.
const REFUSALS_MAX: usize = 64;

/// Serves the doors on one thread's listeners until `shutdown`, then ends: accepts no more, lets
/// requests in flight finish, and closes each connection after its last answer. How long that may
/// take is the caller's to bound; dropping the future drops all connections.
///
/// To be run on a runtime of its own, one for each [`Listeners`] of [`crate::Server`].
pub async fn serve<I: Intake>(
    listeners: Listeners,
    config: Config,
    intake: I,
    metrics: Metrics,
    limits: SharedLimits,
    shutdown: impl Future<Output = ()>,
) {
    let doors = match Doors::new(listeners) {
        Ok(doors) => doors,
        Err(error) => {
            tracing::error!(%error, "the listeners cannot be served");
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
            accepted = doors.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => {
                failing = false;
                thread.connect(accepted);
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
    drop(doors);
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

/// Both listeners of a thread.
struct Doors {
    plain: TcpListener,
    tls: Option<(TcpListener, Tls)>,
}

/// A connection that came, and how it is secured.
struct Incoming {
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<Tls>,
}

impl Doors {
    fn new(listeners: Listeners) -> io::Result<Self> {
        let from_std = |(listener, tls)| io::Result::Ok((TcpListener::from_std(listener)?, tls));
        Ok(Self {
            plain: TcpListener::from_std(listeners.plain)?,
            tls: listeners.tls.map(from_std).transpose()?,
        })
    }

    /// The next connection of either kind. None of them comes first: many connections of one kind
    /// must not keep the other out.
    async fn accept(&self) -> io::Result<Incoming> {
        let Some((listener, tls)) = &self.tls else {
            return Ok(Incoming::new(self.plain.accept().await?, None));
        };
        tokio::select! {
            accepted = self.plain.accept() => Ok(Incoming::new(accepted?, None)),
            accepted = listener.accept() => Ok(Incoming::new(accepted?, Some(tls.clone()))),
        }
    }
}

impl Incoming {
    fn new((stream, address): (TcpStream, SocketAddr), tls: Option<Tls>) -> Self {
        Self {
            stream,
            address,
            tls,
        }
    }
}

/// What one thread's connections share.
struct Thread<I> {
    routes: Routes<I>,
    builder: Arc<Builder>,
    config: Arc<Config>,
    metrics: Metrics,
    limits: SharedLimits,
    draining: watch::Receiver<bool>,
    refusals: Arc<Semaphore>,
    /// Bounded by the limit of connections and [`REFUSALS_MAX`].
    connections: JoinSet<()>,
}

impl<I: Intake> Thread<I> {
    fn new(
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
            routes: Routes::new(shared),
            builder: Arc::new(connection::builder(&config)),
            config: Arc::new(config),
            metrics,
            limits,
            draining,
            refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
            connections: JoinSet::new(),
        }
    }

    fn connect(&mut self, incoming: Incoming) {
        let Incoming {
            stream,
            address,
            tls,
        } = incoming;
        let Some(permit) = self.limits.connection() else {
            self.metrics.failed(Failure::Refused);
            // Words need a handshake first, which is more than a refusal may cost.
            if tls.is_none() {
                self.refuse(stream);
            }
            return;
        };
        let connection = Connection {
            _permit: permit,
            _open: self.metrics.connection(),
            peer: Peer::new(address),
            routes: self.routes.clone(),
            builder: Arc::clone(&self.builder),
            config: Arc::clone(&self.config),
            metrics: self.metrics.clone(),
            draining: self.draining.clone(),
        };
        // An answer goes out at once instead of waiting for more to send.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the connection is gone already");
            return;
        }
        match tls {
            None => self.connections.spawn(connection.plain(stream)),
            Some(tls) => self.connections.spawn(connection.secured(stream, tls)),
        };
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

/// What one connection's task holds, the count of it included.
struct Connection<I> {
    _permit: OwnedSemaphorePermit,
    _open: Counted,
    peer: Peer,
    routes: Routes<I>,
    builder: Arc<Builder>,
    config: Arc<Config>,
    metrics: Metrics,
    draining: watch::Receiver<bool>,
}

// === impl Connection ===

impl<I: Intake> Connection<I> {
    async fn plain(self, stream: TcpStream) {
        self.run(stream).await;
    }

    async fn secured(mut self, stream: TcpStream, tls: Tls) {
        let draining = self.draining.clone();
        let time = self.config.header_timeout;
        let secured = tls::handshake(&tls, stream, &mut self.peer, time, draining);
        match secured.await {
            Ok(stream) => self.run(stream).await,
            Err(failure) => self.metrics.failed(failure),
        }
    }

    async fn run<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let run = connection::run(
            stream,
            self.peer,
            &self.builder,
            self.routes,
            &self.config,
            self.draining,
        );
        if let Err(failure) = run.await {
            self.metrics.failed(failure);
        }
    }
}
