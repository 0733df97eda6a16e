//! A scripted HTTP sink on loopback: answers as a test tells it to, and keeps what came.
//!
//! It speaks over the bare socket, so that it can misbehave as no library would, and on a thread
//! of its own, so that it answers while a test blocks.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    runtime::{self, Runtime},
    sync::watch,
    time::timeout,
};

/// Longer than anything takes on a loaded machine; only ever reached by a failure.
const PATIENCE: Duration = Duration::from_secs(120);

/// A request that came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Method and path.
    pub line: String,
    /// Header fields as they came, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// The first value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(have, _)| have == name)
            .map(|(_, value)| value.as_str())
    }
}

/// How to answer a request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Further header fields.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long to work before the answer.
    pub delay: Duration,
    /// What to do beside.
    pub manner: Manner,
}

/// How a sink behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    Proper,
    /// Never answers.
    Silent,
    /// Closes the connection in the middle of its answer's head.
    HalfAnswer,
    /// Closes the connection in the middle of its answer's body.
    HalfBody,
    /// Answers with a body that never ends.
    Endless,
    /// Answers with a head that never ends.
    EndlessHead,
    /// Answers what is no HTTP.
    Nonsense,
}

impl From<u16> for Reply {
    fn from(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            delay: Duration::ZERO,
            manner: Manner::Proper,
        }
    }
}

type Script = dyn Fn(&Received) -> Reply + Send + Sync;

/// A running sink. Dropping it closes everything.
#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    changed: watch::Receiver<usize>,
    runtime: Option<Runtime>,
}

struct Shared {
    script: Box<Script>,
    received: Mutex<Vec<Received>>,
    answered: AtomicUsize,
    change: watch::Sender<usize>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("answered", &self.answered)
            .finish_non_exhaustive()
    }
}

impl Sink {
    /// Starts on a free port; `script` decides about each request.
    ///
    /// # Panics
    /// When no port or no thread is free.
    pub async fn start<R: Into<Reply>>(
        script: impl Fn(&Received) -> R + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .and_then(TcpListener::into_std)
            .expect("a free port");
        let address = listener
            .local_addr()
            .expect("a bound listener has an address");
        let (change, changed) = watch::channel(0);
        let shared = Arc::new(Shared {
            script: Box::new(move |received| script(received).into()),
            received: Mutex::default(),
            answered: AtomicUsize::new(0),
            change,
        });
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a thread");
        let accepting = Arc::clone(&shared);
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a runtime");
            accept(listener, accepting).await;
        });
        Self {
            address,
            shared,
            changed,
            runtime: Some(runtime),
        }
    }

    /// A sink that takes everything after some work.
    pub async fn slow(delay: Duration) -> Self {
        Self::start(move |_| Reply {
            delay,
            ..Reply::from(200)
        })
        .await
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// How many requests came whole.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Waits until so many requests came whole, and returns all that came, in order.
    pub async fn received(&self, count: usize) -> Vec<Received> {
        self.until(count, "came", |shared| lock(&shared.received).len())
            .await;
        self.lock().clone()
    }

    /// Waits until so many requests were answered.
    pub async fn answered(&self, count: usize) {
        self.until(count, "were answered", |shared| {
            shared.answered.load(Ordering::Relaxed)
        })
        .await;
    }

    async fn until(&self, count: usize, what: &str, now: impl Fn(&Shared) -> usize) {
        let mut changed = self.changed.clone();
        let reached = changed.wait_for(|_| now(&self.shared) >= count);
        let reached = timeout(PATIENCE, reached).await;
        assert!(
            reached.is_ok(),
            "{} of {count} requests {what}",
            now(&self.shared)
        );
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Received>> {
        lock(&self.shared.received)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn lock(received: &Mutex<Vec<Received>>) -> MutexGuard<'_, Vec<Received>> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(serve(stream, Arc::clone(&shared)));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Errors end the connection, as a lost peer does.
async fn serve(stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(received) = read(&mut stream).await? {
        let reply = (shared.script)(&received);
        lock(&shared.received).push(received);
        shared.change.send_modify(|changes| *changes += 1);
        tokio::time::sleep(reply.delay).await;
        match reply.manner {
            Manner::Proper => {
                let length = format!("content-length: {}\r\n", reply.body.len());
                let head = head(&reply, &length);
                stream.write_all(&[&head[..], &reply.body].concat()).await?;
            }
            Manner::Silent => std::future::pending::<()>().await,
            Manner::HalfAnswer => {
                stream.write_all(b"HTTP/1.1 2").await?;
                return stream.shutdown().await;
            }
            Manner::HalfBody => {
                let head = head(&reply, "content-length: 100\r\n");
                stream.write_all(&[&head[..], b"half"].concat()).await?;
                return stream.shutdown().await;
            }
            Manner::EndlessHead => {
                stream.write_all(b"HTTP/1.1 200 x\r\n").await?;
                loop {
                    stream.write_all(b"x-more: and more\r\n").await?;
                }
            }
            Manner::Nonsense => {
                stream.write_all(b"banana\r\n\r\n").await?;
                return stream.shutdown().await;
            }
            Manner::Endless => {
                stream
                    .write_all(&head(&reply, "transfer-encoding: chunked\r\n"))
                    .await?;
                loop {
                    stream.write_all(b"400\r\n").await?;
                    stream.write_all(&[b'x'; 0x400]).await?;
                    stream.write_all(b"\r\n").await?;
                }
            }
        }
        shared.answered.fetch_add(1, Ordering::Relaxed);
        shared.change.send_modify(|changes| *changes += 1);
    }
    Ok(())
}

fn head(reply: &Reply, length: &str) -> Vec<u8> {
    let fields: String = reply
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!("HTTP/1.1 {} x\r\n{fields}{length}\r\n", reply.status).into_bytes()
}

async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Received>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        lines.push(line.to_owned());
    }
    let mut lines = lines.into_iter();
    let line = lines.next().unwrap_or_default();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect();
    let mut received = Received {
        line,
        headers,
        body: Vec::new(),
    };
    let length = received
        .header("content-length")
        .and_then(|length| length.parse().ok());
    received.body.resize(length.unwrap_or(0), 0);
    stream.read_exact(&mut received.body).await?;
    Ok(Some(received))
}
