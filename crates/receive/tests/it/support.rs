//! A gateway with a scripted intake, and a client that sends exactly the bytes it is told to.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use prometheus_client::registry::Registry;
use tidegate_receive::{
    Accepted, Admitted, Config, Door, Head, Intake, Metrics, Refusal, Reload, Server, SharedLimits,
    SubscribedType, Tls, serve,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Semaphore, oneshot},
    task::JoinHandle,
    time::timeout,
};

/// Longer than anything here takes; what hangs fails instead.
pub(crate) const BOUND: Duration = Duration::from_secs(10);

/// What stands behind the doors, under the test's control.
#[derive(Clone)]
pub(crate) struct Script(Arc<Inner>);

struct Inner {
    answer: Result<Accepted, Refusal>,
    arrivals: Mutex<Vec<Arrival>>,
    arrived: Semaphore,
    gate: Option<Semaphore>,
    ready: Mutex<Result<(), String>>,
}

impl Script {
    /// Stores everything at once.
    pub(crate) fn storing() -> Self {
        Self::build(
            Ok(Accepted {
                first_id: "id-1".into(),
                events: 1,
                status: None,
            }),
            None,
        )
    }

    /// Answers with this refusal.
    pub(crate) fn refusing(refusal: Refusal) -> Self {
        Self::build(Err(refusal), None)
    }

    /// Stores, but only when [`Script::release`] is called.
    pub(crate) fn holding() -> Self {
        Self::build(
            Ok(Accepted {
                first_id: "id-1".into(),
                events: 1,
                status: None,
            }),
            Some(Semaphore::new(0)),
        )
    }

    fn build(answer: Result<Accepted, Refusal>, gate: Option<Semaphore>) -> Self {
        Self(Arc::new(Inner {
            answer,
            arrivals: Mutex::default(),
            arrived: Semaphore::new(0),
            gate,
            ready: Mutex::new(Ok(())),
        }))
    }

    /// Lets so many held requests go on.
    pub(crate) fn release(&self, requests: usize) {
        self.0
            .gate
            .as_ref()
            .expect("a holding script")
            .add_permits(requests);
    }

    /// Waits for one more request to have come this far.
    pub(crate) async fn arrived(&self) {
        let arrived = timeout(BOUND, self.0.arrived.acquire()).await;
        arrived
            .expect("a request arrives in time")
            .unwrap()
            .forget();
    }

    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.0.arrivals.lock().unwrap().clone()
    }

    pub(crate) fn set_ready(&self, ready: Result<(), String>) {
        *self.0.ready.lock().unwrap() = ready;
    }
}

/// A request as it came to the intake.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) door: Door,
    pub(crate) application: Option<String>,
    pub(crate) topic: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Intake for Script {
    type Pass = Head;

    async fn admit(&self, head: Head) -> Result<Admitted<Head>, Refusal> {
        if let Some(refusal) = head.headers.contains_key("x-refuse").then(stranger) {
            return Err(refusal);
        }
        let own_max = head.headers.get("x-body-bytes-max");
        let own_max = own_max.map(|most| most.to_str().unwrap().parse().unwrap());
        Ok(Admitted {
            pass: head,
            body_bytes_max: own_max,
        })
    }

    async fn accept(&self, head: Head, body: Bytes) -> Result<Accepted, Refusal> {
        self.0.arrivals.lock().unwrap().push(Arrival {
            door: head.door,
            application: head.application,
            topic: head.topic,
            headers: head.headers,
            body,
        });
        self.0.arrived.add_permits(1);
        if let Some(gate) = &self.0.gate {
            gate.acquire().await.unwrap().forget();
        }
        self.0.answer.clone()
    }

    async fn subscribed(&self, head: Head) -> Result<Vec<SubscribedType>, Refusal> {
        let types: &[(&str, &str)] = match head.application.as_deref() {
            Some("commerce") => &[("order.created", "v1"), ("order", "v2")],
            _ => &[],
        };
        Ok(types
            .iter()
            .map(|(name, version)| SubscribedType {
                name: (*name).to_owned(),
                version: (*version).to_owned(),
            })
            .collect())
    }

    async fn ready(&self) -> Result<(), String> {
        self.0.ready.lock().unwrap().clone()
    }
}

/// What one who cannot prove who it is gets.
fn stranger() -> Refusal {
    Refusal {
        code: "identity/unauthenticated",
        status: StatusCode::UNAUTHORIZED,
        title: "Unauthorized",
        detail: "no <credentials>".to_owned(),
        retry_after: None,
        www_authenticate: Some(HeaderValue::from_static("Basic realm=\"x\"")),
        legacy_body: None,
        events: Vec::new(),
    }
}

/// A running gateway of one thread.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) tls_address: Option<SocketAddr>,
    tls: Option<Tls>,
    registry: Registry,
    counts: Metrics,
    shutdown: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

/// The defaults, on a free port.
pub(crate) fn config() -> Config {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Config {
        listen,
        threads: 1,
        ..Config::default()
    }
}

impl Gateway {
    pub(crate) fn start(script: &Script) -> Self {
        Self::start_with(config(), script)
    }

    pub(crate) fn start_with(config: Config, script: &Script) -> Self {
        assert_eq!(config.validate(), Vec::<String>::new());
        let server = Server::bind(&config).unwrap();
        let address = server.local_addr();
        let (tls_address, tls) = (server.tls_addr(), server.tls());
        let limits: SharedLimits = server.limits();
        let listeners = server.into_listeners().pop().unwrap();
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let counts = metrics.clone();
        let (shutdown, signal) = oneshot::channel();
        let signal = async move { signal.await.unwrap() };
        let served = tokio::spawn(serve(
            listeners,
            config,
            script.clone(),
            metrics,
            limits,
            signal,
        ));
        Self {
            address,
            tls_address,
            tls,
            registry,
            counts,
            shutdown: Some(shutdown),
            served,
        }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, request: impl AsRef<[u8]>) -> Reply {
        self.connect().await.send(request).await
    }

    pub(crate) fn metrics(&self) -> String {
        tidegate_telemetry::metrics::render(&self.registry)
    }

    /// Waits until the metrics hold this text: some are counted after the answer is out.
    pub(crate) async fn counted(&self, text: &str) {
        let counted = async {
            while !self.metrics().contains(text) {
                tokio::task::yield_now().await;
            }
        };
        let counted = timeout(BOUND, counted).await;
        assert!(counted.is_ok(), "{text} is not in {}", self.metrics());
    }

    /// Looks at the files of TLS now.
    pub(crate) fn reload(&self) -> Reload {
        self.tls.as_ref().unwrap().reload(&self.counts)
    }

    pub(crate) fn begin_shutdown(&mut self) {
        self.shutdown.take().unwrap().send(()).unwrap();
    }

    pub(crate) async fn ended(self) {
        timeout(BOUND, self.served)
            .await
            .expect("the server ends in time")
            .unwrap();
    }
}

/// A connection that sends what it is told to.
pub(crate) struct Client(pub(crate) TcpStream);

/// An answer, read to the end of its body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Client {
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    pub(crate) async fn send(&mut self, request: impl AsRef<[u8]>) -> Reply {
        self.write(request).await;
        self.reply().await
    }

    /// The next answer on this connection.
    pub(crate) async fn reply(&mut self) -> Reply {
        timeout(BOUND, self.read_reply())
            .await
            .expect("an answer in time")
    }

    async fn read_reply(&mut self) -> Reply {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = self.0.read_u8().await;
            head.push(byte.unwrap_or_else(|error| {
                panic!("{error} after {:?}", String::from_utf8_lossy(&head))
            }));
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut reply = Reply {
            status,
            head,
            body: String::new(),
        };
        let length = reply
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        reply.body = String::from_utf8(body).unwrap();
        reply
    }

    /// Everything until the connection ends.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let read = timeout(BOUND, self.0.read_to_end(&mut rest)).await;
        read.expect("the connection ends in time").unwrap();
        String::from_utf8(rest).unwrap()
    }
}

impl Reply {
    /// A header, with its value in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(have, value)| (have == name).then_some(value))
    }

    /// Checks the shape that all problems share, and gives the body.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> serde_json::Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(body["type"], format!("urn:tidegate:error:{code}"));
        assert_eq!(body["code"], code);
        assert_eq!(body["status"], status);
        assert!(
            body["title"]
                .as_str()
                .is_some_and(|title| !title.is_empty())
        );
        assert!(
            body["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty())
        );
        body
    }
}

/// A refusal as the stages behind make them.
pub(crate) fn refusal(status: StatusCode, code: &'static str) -> Refusal {
    Refusal {
        code,
        status,
        title: "A title",
        detail: "what happened this time".to_owned(),
        retry_after: None,
        www_authenticate: None,
        legacy_body: None,
        events: Vec::new(),
    }
}

/// A `POST` with this body.
pub(crate) fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// A request without a body.
pub(crate) fn bare(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: gateway\r\n\r\n")
}
