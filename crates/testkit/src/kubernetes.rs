//! A real kube-apiserver with its etcd for one test: a folder of its own, loopback, a free port.
//! There is no kubelet and no controller: what is applied is kept, and nothing comes of it.
//!
//! Building the binaries is `cargo xtask test --kubernetes`'s.

mod probe;

use std::{
    env, fs,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use rcgen::KeyPair;
use rustls::ClientConfig;
use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::{Authority, tether::Tethered};

/// Longer than a start takes on a loaded machine; only ever reached by a failure.
const START_MAX: Duration = Duration::from_secs(120);

/// How often is looked whether it has started.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// What the administrator shows. It opens nothing but this server, on loopback, while its test runs.
const ADMIN_TOKEN: &str = "admin";

/// What has to be there for the server to be of use: it is ready before there is a namespace.
const READY: [&str; 2] = ["/readyz", "/api/v1/namespaces/default"];

/// A cluster's API. Dropping it kills both processes and deletes what they kept.
#[derive(Debug)]
pub struct Kubernetes {
    assets: PathBuf,
    address: SocketAddr,
    client: Arc<ClientConfig>,
    apiserver: Option<Tethered>,
    /// Held so that nobody else gets the port, neither before the first start nor between two.
    _port: TcpSocket,
    _etcd: Tethered,
    folder: TempDir,
}

impl Kubernetes {
    /// Starts one of the binaries in the folder `KUBEBUILDER_ASSETS`, with RBAC.
    ///
    /// # Panics
    /// When it does not start, or there are none.
    pub async fn start() -> Self {
        let assets = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from).expect(
            "a folder with kube-apiserver, etcd and kubectl in KUBEBUILDER_ASSETS; `cargo xtask \
             test --kubernetes` builds one",
        );
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let authority = Authority::new("kubernetes");
        credentials(folder.path(), &authority);
        let (port, address) = reserve();
        let mut kubernetes = Self {
            _etcd: etcd(&assets, folder.path()).await,
            assets,
            address,
            client: Arc::new(authority.client(None, &[b"http/1.1"])),
            apiserver: None,
            _port: port,
            folder,
        };
        kubernetes.write_kubeconfig(&kubernetes.kubeconfig(), ADMIN_TOKEN);
        kubernetes.restart_apiserver().await;
        kubernetes
    }

    /// Where the API server listens; the same after a restart.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The kubeconfig of one who may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// A kubeconfig of a ServiceAccount that is there, with a token of an hour.
    ///
    /// # Panics
    /// When it is not there.
    pub async fn kubeconfig_of(&self, namespace: &str, service_account: &str) -> PathBuf {
        let token = self
            .kubectl(&["create", "token", "-n", namespace, service_account])
            .await;
        let token = succeeded(token);
        let name = format!("kubeconfig.{namespace}.{service_account}");
        let kubeconfig = self.folder.path().join(name);
        self.write_kubeconfig(&kubeconfig, token.trim());
        kubeconfig
    }

    /// What kubectl says to these arguments, as one who may do everything.
    ///
    /// # Panics
    /// When it cannot be run.
    pub async fn kubectl(&self, arguments: &[&str]) -> Output {
        self.kubectl_as(&self.kubeconfig(), arguments).await
    }

    /// What kubectl says to these arguments under another kubeconfig.
    ///
    /// # Panics
    /// When it cannot be run.
    pub async fn kubectl_as(&self, kubeconfig: &Path, arguments: &[&str]) -> Output {
        let binary = self.assets.join("kubectl");
        self.run(binary, kubeconfig, arguments, "").await
    }

    /// Applies documents.
    ///
    /// # Panics
    /// When one is refused.
    pub async fn apply(&self, documents: &str) {
        let binary = self.assets.join("kubectl");
        let arguments = ["apply", "-f", "-"];
        let kubeconfig = self.kubeconfig();
        succeeded(self.run(binary, &kubeconfig, &arguments, documents).await);
    }

    /// What helm says to these arguments, as one who may do everything: the one of `TIDEGATE_HELM`.
    ///
    /// # Panics
    /// When it cannot be run.
    pub async fn helm(&self, arguments: &[&str]) -> Output {
        let binary = env::var_os("TIDEGATE_HELM")
            .map(PathBuf::from)
            .expect("a helm in TIDEGATE_HELM; `cargo xtask test --kubernetes` finds or builds one");
        self.run(binary, &self.kubeconfig(), arguments, "").await
    }

    /// The API server's process id while it runs.
    pub fn apiserver_pid(&self) -> Option<u32> {
        self.apiserver.as_ref().map(Tethered::pid)
    }

    /// `kill -9`, and waits until it is gone. What it kept stays in etcd.
    pub fn kill_apiserver(&mut self) {
        self.apiserver = None;
    }

    /// Starts the API server again on the same port and etcd; kills it first if it runs.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart_apiserver(&mut self) {
        self.kill_apiserver();
        let mut apiserver = apiserver(&self.assets, self.folder.path(), self.address);
        let began = Instant::now();
        for path in READY {
            while !probe::is_ok(self.address, &self.client, path, ADMIN_TOKEN).await {
                let ended = apiserver.ended();
                assert!(
                    ended.is_none(),
                    "kube-apiserver ended with {ended:?}: {}",
                    self.log()
                );
                assert!(
                    began.elapsed() < START_MAX,
                    "kube-apiserver does not answer {path}: {}",
                    self.log()
                );
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
        self.apiserver = Some(apiserver);
    }

    /// What the API server said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("kube-apiserver.log")).unwrap_or_default()
    }

    fn write_kubeconfig(&self, file: &Path, token: &str) {
        let authority = self.folder.path().join("authority.pem");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\ncontexts:\n- name: test\n  \
             context: {{ cluster: test, user: test }}\nclusters:\n- name: test\n  cluster: {{ \
             server: \"{}\", certificate-authority: \"{}\" }}\nusers:\n- name: test\n  user: {{ \
             token: \"{token}\" }}\n",
            self.url(),
            authority.display()
        );
        write(file, &text);
        // helm warns of one that others may read.
        private(file);
    }

    /// Apart from the runtime, which a test may need meanwhile. Nothing is taken from this process'
    /// surroundings, and nothing is left in the user's folder.
    async fn run(
        &self,
        binary: PathBuf,
        kubeconfig: &Path,
        arguments: &[&str],
        input: &str,
    ) -> Output {
        let mut command = Command::new(&binary);
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let input = input.to_owned();
        tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap_or_else(|error| {
                unreachable!("{} cannot be run: {error}", binary.display())
            });
            if let Some(mut stdin) = child.stdin.take() {
                // It may have ended without reading.
                stdin.write_all(input.as_bytes()).ok();
            }
            child.wait_with_output().expect("it is our child")
        })
        .await
        .expect("it does not panic")
    }
}

/// A port of loopback that is ours for as long as the socket is there. The API server listens on it
/// beside that (SO_REUSEPORT), which no one else's can.
fn reserve() -> (TcpSocket, SocketAddr) {
    const FREE: &str = "loopback has a free port";
    let socket = TcpSocket::new_v4().expect(FREE);
    socket.set_reuseport(true).expect(FREE);
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect(FREE);
    let address = socket.local_addr().expect(FREE);
    (socket, address)
}

/// What the API server is known by, and what it knows others by.
fn credentials(folder: &Path, authority: &Authority) {
    let server = authority.identity(&Ipv4Addr::LOCALHOST.to_string(), 1);
    let service_accounts = KeyPair::generate().expect("a key can be made");
    let tokens = format!("{ADMIN_TOKEN},admin,admin,system:masters\n");
    write(&folder.join("authority.pem"), &authority.pem());
    write(&folder.join("server.pem"), server.certificate_pem());
    write(&folder.join("server.key"), &server.key_pem());
    write(
        &folder.join("service-accounts.key"),
        &service_accounts.serialize_pem(),
    );
    write(
        &folder.join("service-accounts.pem"),
        &service_accounts.public_key_pem(),
    );
    write(&folder.join("tokens.csv"), &tokens);
}

/// An etcd on a socket in the folder, which answers. It does not sync: the machine outlives the test.
async fn etcd(assets: &Path, folder: &Path) -> Tethered {
    let socket = folder.join("etcd.sock");
    let mut command = Command::new(assets.join("etcd"));
    command
        .arg("--data-dir")
        .arg(folder.join("etcd"))
        .arg("--listen-client-urls")
        .arg(format!("unix://{}", socket.display()))
        // Nobody asks for these; and port 0 is any that is free.
        .args(["--advertise-client-urls", "http://127.0.0.1:0"])
        .args(["--listen-peer-urls", "http://127.0.0.1:0"])
        .args(["--unsafe-no-fsync", "--log-level", "warn"]);
    let log = folder.join("etcd.log");
    let mut etcd = start(command, &log);
    let began = Instant::now();
    while UnixStream::connect(&socket).is_err() {
        let ended = etcd.ended();
        assert!(
            ended.is_none() && began.elapsed() < START_MAX,
            "etcd did not start ({ended:?}): {}",
            fs::read_to_string(&log).unwrap_or_default()
        );
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    etcd
}

fn apiserver(assets: &Path, folder: &Path, address: SocketAddr) -> Tethered {
    let file = |flag: &str, name: &str| format!("{flag}={}", folder.join(name).display());
    let mut command = Command::new(assets.join("kube-apiserver"));
    command
        .arg(format!("--bind-address={}", address.ip()))
        .arg(format!("--advertise-address={}", address.ip()))
        .arg(format!("--secure-port={}", address.port()))
        .arg("--permit-port-sharing")
        .arg(format!(
            "--etcd-servers=unix://{}",
            folder.join("etcd.sock").display()
        ))
        .args([
            file("--tls-cert-file", "server.pem"),
            file("--tls-private-key-file", "server.key"),
            file("--client-ca-file", "authority.pem"),
            file("--token-auth-file", "tokens.csv"),
            file("--service-account-key-file", "service-accounts.pem"),
            file("--service-account-signing-key-file", "service-accounts.key"),
        ])
        .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
        .arg("--service-cluster-ip-range=10.0.0.0/24")
        .arg("--authorization-mode=RBAC")
        // Pods come without a controller that makes their ServiceAccounts; and nobody looks for
        // the API server by its Service.
        .arg("--disable-admission-plugins=ServiceAccount")
        .arg("--endpoint-reconciler-type=none");
    start(command, &folder.join("kube-apiserver.log"))
}

fn start(mut command: Command, log: &Path) -> Tethered {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(log)
        .expect("the temporary folder can be written to");
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    Tethered::start(&mut command)
        .unwrap_or_else(|error| unreachable!("{command:?} cannot be run: {error}"))
}

/// What it printed.
fn succeeded(output: Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn write(file: &Path, text: &str) {
    fs::write(file, text).expect("the temporary folder can be written to");
}

fn private(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("the file is ours");
}
