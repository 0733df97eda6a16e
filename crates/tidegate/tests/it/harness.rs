//! Starts, kills and restarts the real binary, and sends events at full speed.

use std::{
    collections::HashSet,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use tidegate_testkit::{Answer, Client, signal};

/// Longer than anything here should take on a loaded machine; only ever reached by a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A data directory, a configuration, and at most one running process.
pub(crate) struct Tidegate {
    pub(crate) dir: TempDir,
    pub(crate) receive: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) nats_pid: u32,
    /// The binary of its nats-server.
    pub(crate) nats_server: PathBuf,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Tidegate {
    /// Starts with `subscriptions` (YAML documents) and extra configuration lines.
    pub(crate) async fn up(subscriptions: &str, configuration: &str) -> Self {
        Self::up_with(subscriptions, configuration, &[]).await
    }

    /// As [`Self::up`], after `prepare` has put further files into the folder.
    pub(crate) async fn up_prepared(
        subscriptions: &str,
        configuration: &str,
        prepare: impl FnOnce(&Path),
    ) -> Self {
        let mut tidegate = Self::down(subscriptions, configuration, &[]);
        prepare(tidegate.dir.path());
        tidegate.start().await;
        tidegate
    }

    /// As [`Self::up`], with further arguments.
    pub(crate) async fn up_with(
        subscriptions: &str,
        configuration: &str,
        arguments: &[&str],
    ) -> Self {
        let mut tidegate = Self::down(subscriptions, configuration, arguments);
        tidegate.start().await;
        tidegate
    }

    /// As [`Self::up_with`], without starting it.
    pub(crate) fn down(subscriptions: &str, configuration: &str, arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("subscriptions")).unwrap();
        fs::write(
            dir.path().join("subscriptions/subscriptions.yaml"),
            subscriptions,
        )
        .unwrap();
        // A port that stays the same over restarts, so that publishers find it again.
        let receive = free_address();
        fs::write(dir.path().join("tidegate.yaml"), configuration).unwrap();
        Self {
            dir,
            receive,
            admin: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            nats_pid: 0,
            nats_server: tidegate_testkit::nats_server_binary(),
            arguments: arguments
                .iter()
                .map(|&argument| argument.to_owned())
                .collect(),
            child: None,
        }
    }

    /// Starts the process and waits until it says that it is ready.
    pub(crate) async fn start(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let ready = self.dir.path().join("ready.json");
        drop(fs::remove_file(&ready));
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.path().join("tidegate.log"))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .arg("up")
            .arg("--config")
            .arg(self.dir.path().join("tidegate.yaml"))
            .arg("--data-dir")
            .arg(self.data_dir())
            .arg("--ready-file")
            .arg(&ready)
            .args(&self.arguments)
            .env("TIDEGATE__RECEIVE__LISTEN", self.receive.to_string())
            .env("TIDEGATE__RECEIVE__THREADS", "2")
            .env("TIDEGATE__ADMIN__LISTEN", "127.0.0.1:0")
            .env(
                "TIDEGATE__CONSUME__SHARED__ENABLED",
                crate::IS_SHARED.to_string(),
            )
            .env("TIDEGATE__SUBSCRIPTIONS__POLL_INTERVAL", "100ms")
            .env("TIDEGATE__SERVER__BINARY", &self.nats_server)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let began = Instant::now();
        let said = loop {
            if let Some(said) = fs::read(&ready)
                .ok()
                .and_then(|text| serde_json::from_slice::<Value>(&text).ok())
            {
                break said;
            }
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "ended with {ended:?}: {}", self.log());
            assert!(began.elapsed() < PATIENCE, "not ready: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        self.receive = said["receive"].as_str().unwrap().parse().unwrap();
        self.admin = said["admin"].as_str().unwrap().parse().unwrap();
        self.nats_pid = said["nats"]["pid"]
            .as_u64()
            .map_or(0, |pid| u32::try_from(pid).unwrap());
    }

    /// `kill -9` of the process.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM; the exit code, and how long it took.
    pub(crate) async fn terminate(&mut self) -> (Option<i32>, Duration) {
        let mut child = self.child.take().expect("it runs");
        signal(child.id(), "TERM");
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return (status.code(), began.elapsed());
            }
            assert!(
                began.elapsed() < PATIENCE,
                "it does not end: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Everything that the process said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("tidegate.log")).unwrap_or_default()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn subscriptions(&self) -> PathBuf {
        self.dir.path().join("subscriptions")
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut client = Client::connect(self.receive).await.unwrap();
        client.send(method, path, headers, body).await.unwrap()
    }

    /// What `/metrics` answers.
    pub(crate) async fn scrape(&self, headers: &[(&str, &str)]) -> Answer {
        let mut client = Client::connect(self.admin).await.unwrap();
        client.send("GET", "/metrics", headers, b"").await.unwrap()
    }

    /// The sum of a metric over all of its labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.scrape(&[]).await.text();
        text.lines()
            .filter(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(['{', ' ']))
            })
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

impl Tidegate {
    /// Waits until the log holds a text.
    pub(crate) async fn log_says(&self, text: &str) {
        let began = Instant::now();
        while !self.log().contains(text) {
            assert!(
                began.elapsed() < PATIENCE,
                "the log never says {text:?}: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until `/metrics` has all of these lines.
    pub(crate) async fn shows(&self, lines: &[&str]) {
        let has_all = |text: &str| {
            let missing = |line: &&&str| !text.lines().any(|one| one == **line);
            lines.iter().find(missing).is_none()
        };
        self.scrape_until(&lines.join("\n"), has_all).await;
    }

    /// Waits until `/metrics` is as it should be.
    pub(crate) async fn scrape_until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let text = self.scrape(&[]).await.text();
            if is_so(&text) {
                return text;
            }
            assert!(began.elapsed() < PATIENCE, "not {what}: {text}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a metric is at least so high.
    pub(crate) async fn metric_reaches(&self, name: &str, value: f64) {
        let began = Instant::now();
        while self.metric(name).await < value {
            assert!(
                began.elapsed() < PATIENCE,
                "{name} does not reach {value}: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Tidegate {
    fn drop(&mut self) {
        // SIGTERM, so that it ends its nats-server; a killed one leaves it to us.
        if let Some(mut child) = self.child.take() {
            signal(child.id(), "TERM");
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(10) {
                if matches!(child.try_wait(), Ok(Some(_))) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            drop(child.kill());
            drop(child.wait());
        }
        if self.nats_pid != 0 && is_nats_server_below(self.nats_pid, self.dir.path()) {
            signal(self.nats_pid, "KILL");
        }
    }
}

fn is_nats_server_below(pid: u32, dir: &Path) -> bool {
    fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&*dir.to_string_lossy()))
}

/// An address on loopback that nobody uses, nor will: below the ports that a system gives to who
/// asks for any, such as the nats-servers and sinks of other tests.
pub(crate) fn free_address() -> SocketAddr {
    const PORTS: std::ops::Range<u16> = 12_000..32_000;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // Two runs at once begin at different places.
    let began = std::process::id() as usize * 97;
    for _ in PORTS {
        let next = began + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + u16::try_from(next % PORTS.len()).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port of {PORTS:?} is free");
}

/// A Kyma Subscription document.
pub(crate) fn subscription(name: &str, source: &str, r#type: &str, sink: &str) -> String {
    format!(
        "---\napiVersion: eventing.kyma-project.io/v1alpha2\nkind: Subscription\n\
         metadata: {{ name: {name}, namespace: default }}\n\
         spec:\n  sink: {sink}\n  source: {source}\n  types: [\"{}\"]\n",
        r#type
    )
}

/// The headers of a binary-mode event.
pub(crate) fn binary<'a>(id: &'a str, source: &'a str, r#type: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("ce-specversion", "1.0"),
        ("ce-id", id),
        ("ce-source", source),
        ("ce-type", r#type),
        ("content-type", "application/json"),
    ]
}

/// How far a load has come.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<AtomicUsize>);

impl Progress {
    pub(crate) fn acknowledged(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits until so many events are acknowledged.
    pub(crate) async fn reached(&self, count: usize) {
        let began = Instant::now();
        while self.acknowledged() < count {
            assert!(
                began.elapsed() < PATIENCE,
                "{} of {count} acknowledged",
                self.acknowledged()
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Publishes events 0..count over several connections at full speed, each until it is answered
/// with 2xx, and returns how many answers were none or another than 2xx.
pub(crate) async fn publish_all(
    address: SocketAddr,
    source: &str,
    r#type: &str,
    count: usize,
    progress: Progress,
) -> usize {
    const CONNECTIONS: usize = 32;
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for _ in 0..CONNECTIONS {
        let (next, progress) = (Arc::clone(&next), progress.clone());
        let (source, r#type) = (source.to_owned(), r#type.to_owned());
        tasks.push(tokio::spawn(async move {
            let mut client = None;
            let mut failures = 0;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return failures;
                }
                let id = number.to_string();
                let body = format!("{{\"number\":{number}}}");
                let began = Instant::now();
                while !try_publish(&mut client, address, &binary(&id, &source, &r#type), &body)
                    .await
                {
                    failures += 1;
                    client = None;
                    assert!(
                        began.elapsed() < PATIENCE,
                        "event {id} is never acknowledged"
                    );
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                progress.0.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    let mut failures = 0;
    for task in tasks {
        failures += task.await.unwrap();
    }
    failures
}

async fn try_publish(
    client: &mut Option<Client>,
    address: SocketAddr,
    headers: &[(&str, &str)],
    body: &str,
) -> bool {
    if client.is_none() {
        *client = Client::connect(address).await.ok();
    }
    let Some(connection) = client else {
        return false;
    };
    let answer = connection
        .send("POST", "/publish", headers, body.as_bytes())
        .await;
    answer.is_ok_and(|answer| (200..300).contains(&answer.status))
}

/// Ids 0..count, as a set.
pub(crate) fn numbers(count: usize) -> HashSet<String> {
    (0..count).map(|number| number.to_string()).collect()
}

/// `tidegate listen` as a process of its own, so that it can be killed.
pub(crate) struct ListenProcess {
    pub(crate) address: SocketAddr,
    child: Child,
    output: TempDir,
}

impl ListenProcess {
    /// Starts it on an address and waits until it listens.
    pub(crate) async fn start(address: SocketAddr) -> Self {
        let output = tempfile::tempdir().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["listen", "--json", "--listen", &address.to_string()])
            .stdin(Stdio::null())
            .stdout(fs::File::create(output.path().join("events")).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while tokio::net::TcpStream::connect(address).await.is_err() {
            assert!(began.elapsed() < PATIENCE, "it does not listen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self {
            address,
            child,
            output,
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The id of every event that it printed, in order.
    pub(crate) fn ids(&self) -> Vec<String> {
        let text = fs::read_to_string(self.output.path().join("events")).unwrap();
        // A killed process may have left half a line.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["id"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    }

    /// Waits until it printed so many different events.
    pub(crate) async fn received(&self, count: usize) {
        self.received_beside(&HashSet::new(), count).await;
    }

    /// Waits until it and `others` have so many different events.
    pub(crate) async fn received_beside(&self, others: &HashSet<String>, count: usize) {
        let began = Instant::now();
        loop {
            let mut seen: HashSet<String> = self.ids().into_iter().collect();
            seen.extend(others.iter().cloned());
            if seen.len() >= count {
                return;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{} of {count} events",
                seen.len()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for ListenProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
