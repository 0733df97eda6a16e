//! Sinks by their authority: how many requests each gets at once, and its connections over plain
//! HTTP/1.1. A connection that may have read a request is not asked to take it again here.

use std::{
    collections::{HashMap, VecDeque},
    error::Error as StdError,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use http::{Request, Response, Uri, uri::Authority};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tower_service::Service as _;

use crate::{
    Config, Sink,
    body::Pieces,
    connections::HEAD_BYTES_MAX,
    egress::{self, Refused, Resolver},
};

/// Sinks that are remembered though nobody uses them.
const REMEMBERED: usize = 1_024;

/// All sinks of one client.
#[derive(Clone)]
pub(crate) struct Hosts {
    shared: Arc<Shared>,
    known: Arc<Mutex<HashMap<Authority, Arc<Host>>>>,
}

/// What is the same for each.
struct Shared {
    config: Arc<Config>,
    egress: Arc<egress::Config>,
    connector: HttpConnector<Resolver>,
}

/// One sink, however many Subscriptions name it.
pub(crate) struct Host {
    shared: Arc<Shared>,
    /// Whoever finds all taken waits for one, in turn.
    pub(crate) places: Semaphore,
    stack: Mutex<Stack>,
}

#[derive(Default)]
struct Stack {
    /// Last used last.
    idle: Vec<Connection>,
    /// Those who found none idle, as long as theirs is not made: no more than there are places.
    waiting: VecDeque<mpsc::Sender<Result<Connection, Error>>>,
    /// Whether a task closes what stays idle.
    is_swept: bool,
}

/// Dropped, it is closed.
pub(crate) struct Connection {
    sender: SendRequest<Pieces>,
    made_at: Instant,
    /// When it was given back; never, as long as it is new.
    idle_since: Option<Instant>,
    /// Which moves its bytes.
    _task: JoinSet<()>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Error {
    Refused(Refused),
    Connect(Box<dyn StdError + Send + Sync>),
    Broken(hyper::Error),
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

// === impl Hosts ===

impl Hosts {
    pub(crate) fn new(
        config: Arc<Config>,
        egress: Arc<egress::Config>,
        connector: HttpConnector<Resolver>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                config,
                egress,
                connector,
            }),
            known: Arc::default(),
        }
    }

    /// This sink, which remembers it as that of the first client that asked.
    pub(crate) fn of(&self, sink: &Sink) -> Arc<Host> {
        let host = sink.host.get_or_init(|| self.find(&sink.authority));
        if Arc::ptr_eq(&host.shared, &self.shared) {
            return Arc::clone(host);
        }
        self.find(&sink.authority)
    }

    fn find(&self, sink: &Authority) -> Arc<Host> {
        let places = self.shared.config.connections_max.get();
        let places = places.min(Semaphore::MAX_PERMITS);
        let mut known = lock(&self.known);
        if let Some(host) = known.get(sink) {
            return Arc::clone(host);
        }
        if known.len() >= REMEMBERED {
            known.retain(|_, host| {
                Arc::strong_count(host) > 1 || host.places.available_permits() < places
            });
        }
        let host = Arc::new(Host {
            shared: Arc::clone(&self.shared),
            places: Semaphore::new(places),
            stack: Mutex::default(),
        });
        known.insert(sink.clone(), Arc::clone(&host));
        host
    }
}

// === impl Host ===

impl Host {
    /// Sends over a connection that is idle, or else over the first to be free or made.
    pub(crate) async fn send(
        self: &Arc<Self>,
        uri: &Uri,
        mut request: Request<Pieces>,
    ) -> Result<(Response<Incoming>, Connection), Error> {
        loop {
            let mut connection = match self.idle() {
                Some(idle) => idle,
                None => self.another(uri).await?,
            };
            let mut error = match connection.sender.try_send_request(request).await {
                Ok(answer) => return Ok((answer, connection)),
                Err(error) => error,
            };
            request = match error.take_message() {
                // The sink closed it while it was idle, and nothing of this was sent.
                Some(unsent) if connection.idle_since.is_some() => unsent,
                Some(_) | None => return Err(Error::Broken(error.into_error())),
            };
        }
    }

    /// Takes back a connection whose last answer was read to its end. On a runtime of one thread,
    /// whoever has seen that end finds it ready; one that is still busy is closed.
    pub(crate) fn give_back(self: &Arc<Self>, mut connection: Connection) {
        let (config, now) = (&self.shared.config, Instant::now());
        connection.idle_since = Some(now);
        if !connection.is_usable(now, config) {
            return;
        }
        let mut stack = lock(&self.stack);
        while let Some(waiting) = stack.waiting.pop_front() {
            connection = match waiting.try_send(Ok(connection)) {
                Err(error) => match error.into_inner() {
                    Ok(connection) => connection,
                    Err(_) => return,
                },
                Ok(()) => return,
            };
        }
        if stack.idle.len() < config.idle_connections_max {
            stack.idle.push(connection);
            if !stack.is_swept {
                stack.is_swept = true;
                tokio::spawn(sweep(Arc::downgrade(self)));
            }
        }
    }

    fn idle(&self) -> Option<Connection> {
        let (config, now) = (&self.shared.config, Instant::now());
        let idle = &mut lock(&self.stack).idle;
        std::iter::from_fn(|| idle.pop()).find(|connection| connection.is_usable(now, config))
    }

    /// One that is made, or that becomes free before it is. What is made too late is kept.
    async fn another(self: &Arc<Self>, uri: &Uri) -> Result<Connection, Error> {
        let (give, mut given) = mpsc::channel(1);
        {
            let waiting = &mut lock(&self.stack).waiting;
            waiting.retain(|one| !one.is_closed());
            waiting.push_back(give.clone());
        }
        let (host, uri) = (Arc::clone(self), uri.clone());
        tokio::spawn(async move {
            let made = host.shared.connect(uri).await;
            if let Err(unwanted) = give.try_send(made)
                && let Ok(connection) = unwanted.into_inner()
            {
                host.give_back(connection);
            }
        });
        let given_up = || Err(Error::Connect("it was given up".into()));
        given.recv().await.unwrap_or_else(given_up)
    }

    /// Closes what was idle for too long; then when to look again, if anything is idle.
    fn swept(&self) -> Option<Instant> {
        let (config, now) = (&self.shared.config, Instant::now());
        let mut stack = lock(&self.stack);
        let is_usable = |connection: &Connection| connection.is_usable(now, config);
        stack.idle.retain(is_usable);
        let first = stack.idle.first().and_then(|first| first.idle_since);
        let next = first.and_then(|since| since.checked_add(config.idle_timeout));
        stack.is_swept = next.is_some();
        next
    }
}

async fn sweep(host: Weak<Host>) {
    while let Some(next) = host.upgrade().and_then(|host| host.swept()) {
        sleep_until(next).await;
    }
}

// === impl Shared ===

impl Shared {
    async fn connect(&self, uri: Uri) -> Result<Connection, Error> {
        self.egress.check_host(&uri).map_err(Error::Refused)?;
        let io = self.connector.clone().call(uri).await;
        let io = io.map_err(|error| match egress::refused(&error) {
            Some(refused) => Error::Refused(refused.clone()),
            None => Error::Connect(error.into()),
        })?;
        let made_at = Instant::now();
        let made = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(io)
            .await;
        let (mut sender, connection) = made.map_err(Error::Broken)?;
        let mut task = JoinSet::new();
        task.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to a sink broke");
            }
        });
        sender.ready().await.map_err(Error::Broken)?;
        Ok(Connection {
            sender,
            made_at,
            idle_since: None,
            _task: task,
        })
    }
}

// === impl Connection ===

impl Connection {
    /// Whether the sink left it open, and it is neither idle for too long nor too old.
    fn is_usable(&self, now: Instant, config: &Config) -> bool {
        let is_fresh = |since| now - since < config.idle_timeout;
        self.sender.is_ready()
            && self.idle_since.is_none_or(is_fresh)
            && now - self.made_at < config.connection_age_max
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is complete before anything in it can panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    /// A Subscription without bound to its window must not take all of a sink's, nor the
    /// process's, sockets; and what is forgotten is nobody's.
    #[tokio::test]
    async fn a_sink_has_so_many_places_and_no_more() {
        let config = Arc::new(Config {
            connections_max: const { NonZeroUsize::new(2).unwrap() },
            ..Config::default()
        });
        let egress = Arc::new(config.egress.clone());
        let resolver = Resolver::new(Arc::clone(&egress));
        let connector = HttpConnector::new_with_resolver(resolver);
        let hosts = Hosts::new(config, egress, connector);
        let host = |index: usize| hosts.find(&format!("h{index}").parse().unwrap());
        let first = host(0);
        let taken = [(); 2].map(|()| first.places.try_acquire().unwrap());
        assert!(host(0).places.try_acquire().is_err());
        assert!(host(1).places.try_acquire().is_ok());
        for index in 2..2 * REMEMBERED {
            host(index);
        }
        assert!(lock(&hosts.known).len() <= REMEMBERED);
        assert!(host(0).places.try_acquire().is_err());
        drop(taken);
        assert!(host(0).places.try_acquire().is_ok());
    }
}
