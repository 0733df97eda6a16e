//! A cluster for one test: a real API server with the chart in it, a real nats-server, and the
//! processes that a cluster would run, each with what its pod would have.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use tidegate_testkit::{Answer, Client, Kubernetes, NatsServer, Received, Sink, Tethered, signal};

/// Longer than anything here should take on a loaded machine; only ever reached by a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where the chart is put.
pub(crate) const NAMESPACE: &str = "tidegate";

/// What all processes are configured with. The Lease is short, so that a controller that is killed is
/// replaced soon.
const CONFIGURATION: &str = "
resources: { from: kubernetes, secrets: secrets }
subscriptions: { poll_interval: 100ms }
applications: { poll_interval: 100ms }
receive: { listen: '127.0.0.1:0', threads: 1 }
admin: { listen: '127.0.0.1:0' }
controller:
  lease: { namespace: tidegate, duration: 3s }
  status_interval: 1s
  drift_interval: 1s
  deployed_objects: tidegate-deployed
";

/// Names that the cluster's DNS would have: all of them are this machine.
const SERVICES: [&str; 4] = ["billing", "shipping", "later", "function"];

/// The cluster.
pub(crate) struct Cluster {
    pub(crate) kubernetes: Kubernetes,
    pub(crate) nats: NatsServer,
    dir: TempDir,
    controllers: Vec<Process>,
    pub(crate) gateways: Vec<Process>,
    dispatchers: Vec<Process>,
    started: usize,
}

/// One of its processes.
pub(crate) struct Process {
    child: Tethered,
    log: PathBuf,
    pub(crate) receive: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
}

/// What a process is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Part {
    Controller,
    Gateway,
    Dispatcher,
}

pub(crate) fn chart() -> String {
    format!("{}/../../charts/tidegate", env!("CARGO_MANIFEST_DIR"))
}

/// What was printed, if it went well.
pub(crate) fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

impl Cluster {
    /// One with the chart in it, and no process yet.
    pub(crate) async fn empty() -> Self {
        let (kubernetes, nats) = tokio::join!(Kubernetes::start(), NatsServer::start());
        let dir = tempfile::tempdir().unwrap();
        let mut hosts = "127.0.0.1 localhost\n".to_owned();
        for service in SERVICES {
            hosts.push_str(&format!("127.0.0.1 {service}.shop.svc.cluster.local\n"));
        }
        fs::write(dir.path().join("hosts"), hosts).unwrap();
        fs::write(dir.path().join("tidegate.yaml"), CONFIGURATION).unwrap();
        let cluster = Self {
            kubernetes,
            nats,
            dir,
            controllers: Vec::new(),
            gateways: Vec::new(),
            dispatchers: Vec::new(),
            started: 0,
        };
        let chart = chart();
        let installed = [
            "install",
            "tidegate",
            &chart,
            "-n",
            NAMESPACE,
            "--create-namespace",
        ];
        printed(&cluster.kubernetes.helm(&installed).await);
        cluster
            .apply("apiVersion: v1\nkind: Namespace\nmetadata: { name: shop }\n")
            .await;
        cluster
    }

    /// One with so many controllers, gateways and dispatchers.
    pub(crate) async fn with(controllers: usize, gateways: usize, dispatchers: usize) -> Self {
        let mut cluster = Self::empty().await;
        for _ in 0..controllers {
            cluster.start(Part::Controller).await;
        }
        for _ in 0..dispatchers {
            cluster.start(Part::Dispatcher).await;
        }
        for _ in 0..gateways {
            cluster.start(Part::Gateway).await;
        }
        cluster
    }

    /// Starts a process, and waits until it says that it is ready.
    pub(crate) async fn start(&mut self, part: Part) {
        let kubeconfig = match part {
            Part::Controller => {
                let account = "tidegate-controller";
                Some(self.kubernetes.kubeconfig_of(NAMESPACE, account).await)
            }
            Part::Gateway | Part::Dispatcher => None,
        };
        self.started += 1;
        let (dir, number) = (self.dir.path(), self.started);
        let url = self.nats.url();
        let process = Process::start(part, dir, number, &url, kubeconfig).await;
        self.all(part).push(process);
    }

    /// Those of a part.
    pub(crate) fn all(&mut self, part: Part) -> &mut Vec<Process> {
        match part {
            Part::Controller => &mut self.controllers,
            Part::Gateway => &mut self.gateways,
            Part::Dispatcher => &mut self.dispatchers,
        }
    }

    /// Applies documents.
    pub(crate) async fn apply(&self, documents: &str) {
        self.kubernetes.apply(documents).await;
    }

    /// What kubectl prints.
    pub(crate) async fn kubectl(&self, line: &str) -> String {
        let arguments: Vec<&str> = line.split(' ').collect();
        printed(&self.kubernetes.kubectl(&arguments).await)
    }

    /// A resource; `null` where there is none.
    pub(crate) async fn get(&self, kind: &str, name: &str) -> Value {
        let arguments = ["get", kind, name, "-n", "shop", "-o", "json"];
        let got = self.kubernetes.kubectl(&arguments).await;
        serde_json::from_slice(&got.stdout).unwrap_or_default()
    }

    /// Waits until a resource is as it should be.
    pub(crate) async fn until(
        &self,
        (kind, name): (&str, &str),
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        let began = Instant::now();
        loop {
            let got = self.get(kind, name).await;
            if is_so(&got) {
                return got;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{kind} {name} is not {what}: {got:#}\n{}",
                self.logs()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a sink has received, when it is so many.
    pub(crate) async fn received(&self, sink: &Sink, count: usize) -> Vec<Received> {
        let began = Instant::now();
        while sink.count() < count {
            let came = sink.count();
            assert!(
                began.elapsed() < PATIENCE,
                "{came} of {count} events came\n{}",
                self.logs()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        sink.received(count).await
    }

    /// Everything that the processes said.
    pub(crate) fn logs(&self) -> String {
        let parts = [&self.controllers, &self.gateways, &self.dispatchers];
        let logs = parts.into_iter().flatten();
        logs.map(|one| format!("== {}\n{}", one.log.display(), one.log()))
            .collect()
    }

    /// Sends a legacy event to a gateway.
    pub(crate) async fn publish(&self, gateway: usize, r#type: &str, data: &str) {
        let body = format!(
            r#"{{"event-type":"{type}","event-type-version":"v1","event-time":"2026-11-20T00:00:00Z","data":{data}}}"#
        );
        let headers = [("content-type", "application/json")];
        let gateway = self.gateways[gateway].receive.unwrap();
        let answer = send(
            gateway,
            "POST",
            "/commerce/v1/events",
            &headers,
            body.as_bytes(),
        )
        .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Waits until a dispatcher says this of a Subscription that it has: what its Ready condition is.
    pub(crate) async fn until_held(&self, id: &str, message: &str) {
        let began = Instant::now();
        loop {
            let path = format!("/api/v1/subscriptions/{id}");
            let answer = send(self.dispatchers[0].admin, "GET", &path, &[], b"").await;
            if answer.status == 200 && answer.text().contains(message) {
                return;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{}\n{}",
                answer.text(),
                self.logs()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Puts a secret to where the pods have theirs.
    pub(crate) fn secret(&self, path: &str, text: &str) {
        let file = self.dir.path().join("secrets").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// The Events of a resource, or of all with this reason: reason and note.
    pub(crate) async fn events(&self, namespace: &str) -> Vec<(String, String, String)> {
        let line = format!("get events.events.k8s.io -n {namespace} -o json");
        let events: Value = serde_json::from_str(&self.kubectl(&line).await).unwrap();
        let text = |event: &Value, pointer: &str| {
            event
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let items = events["items"].as_array().unwrap().iter();
        items
            .map(|event| {
                (
                    text(event, "/regarding/name"),
                    text(event, "/reason"),
                    text(event, "/note"),
                )
            })
            .collect()
    }
}

impl Process {
    async fn start(
        part: Part,
        dir: &Path,
        number: usize,
        nats: &str,
        kubeconfig: Option<PathBuf>,
    ) -> Self {
        let (ready, log) = (
            dir.join(format!("ready-{number}.json")),
            dir.join(format!("log-{number}")),
        );
        let binary = env!("CARGO_BIN_EXE_tidegate");
        // The cluster's names, for nobody else on this machine.
        let resolve = "mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";
        let spaces = if is_root() { "-m" } else { "-rm" };
        let mut command = Command::new("unshare");
        command
            .args([spaces, "sh", "-c", resolve, "sh"])
            .arg(dir.join("hosts"))
            .arg(binary);
        match part {
            Part::Controller => command.arg("controller"),
            Part::Gateway => command.args(["up", "--role", "gateway"]),
            Part::Dispatcher => command.args(["up", "--role", "dispatcher"]),
        };
        command
            .arg("--config")
            .arg(dir.join("tidegate.yaml"))
            .args(["--nats", nats])
            .arg("--ready-file")
            .arg(&ready)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap());
        command.env_remove("KUBECONFIG");
        if let Some(kubeconfig) = kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        let mut child = Tethered::start(&mut command).unwrap();
        let began = Instant::now();
        let said = loop {
            let said = fs::read(&ready).ok();
            if let Some(said) = said.and_then(|text| serde_json::from_slice::<Value>(&text).ok()) {
                break said;
            }
            let told = || fs::read_to_string(&log).unwrap_or_default();
            let ended = child.ended();
            assert!(ended.is_none(), "ended with {ended:?}: {}", told());
            assert!(began.elapsed() < PATIENCE, "not ready: {}", told());
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let address = |name: &str| said[name].as_str().map(|text| text.parse().unwrap());
        Self {
            child,
            log,
            receive: address("receive"),
            admin: address("admin").unwrap(),
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// SIGTERM, and waits until it is gone.
    pub(crate) async fn terminate(mut self) {
        signal(self.child.pid(), "TERM");
        let began = Instant::now();
        while self.child.ended().is_none() {
            assert!(
                began.elapsed() < PATIENCE,
                "it does not end: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What `/metrics` answers.
    pub(crate) async fn scrape(&self) -> String {
        send(self.admin, "GET", "/metrics", &[], b"").await.text()
    }

    /// The sum of a metric over all rows with this text.
    pub(crate) async fn metric(&self, name: &str, with: &str) -> f64 {
        let text = self.scrape().await;
        let rows = text
            .lines()
            .filter(|row| row.starts_with(name) && row.contains(with));
        rows.filter_map(|row| row.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

/// One request on a connection of its own.
pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut client = Client::connect(address).await.unwrap();
    client.send(method, path, headers, body).await.unwrap()
}

fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|text| text.contains("\nUid:\t0\t"))
}

/// A Service.
pub(crate) fn service(name: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{ name: {name}, namespace: shop }}\n\
         spec: {{ ports: [{{ port: 80 }}] }}\n"
    )
}

/// A Subscription of Kyma's kind.
pub(crate) fn kyma(name: &str, sink: &str, r#type: &str) -> String {
    format!(
        "---\napiVersion: eventing.kyma-project.io/v1alpha2\nkind: Subscription\n\
         metadata: {{ name: {name}, namespace: shop }}\n\
         spec:\n  sink: {sink}\n  source: commerce\n  types: [{type}]\n"
    )
}

/// Where a sink of the test is, as the cluster names it.
pub(crate) fn sink_of(service: &str, url: &str) -> String {
    let port = url.trim_end_matches('/').rsplit(':').next().unwrap();
    let port = port.split('/').next().unwrap();
    format!("http://{service}.shop.svc.cluster.local:{port}/")
}

pub(crate) const KYMA: &str = "subscriptions.eventing.kyma-project.io";

pub(crate) const OWN: &str = "subscriptions.eventing.tidegate.dev";

pub(crate) fn is_ready(resource: &Value) -> bool {
    resource["status"]["ready"] == true || condition(resource, "Ready")["status"] == "True"
}

/// A condition; `null` where there is none.
pub(crate) fn condition(resource: &Value, name: &str) -> Value {
    let conditions = resource["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let found = conditions.find(|condition| condition["type"] == name);
    found.cloned().unwrap_or_default()
}
