//! The nats-server that Tidegate runs when it is given none: found, started, watched, stopped.
//!
//! It listens on loopback with a password of its own, and keeps its store in the data directory.

mod binary;
mod files;
mod orphan;

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use self::files::Files;

/// How long a start may take. Recovering a large store takes seconds.
const START_MAX: Duration = Duration::from_secs(60);

/// How long it may take to stop by itself before it is killed.
const STOP_MAX: Duration = Duration::from_secs(10);

/// How often a start is looked at.
const POLL: Duration = Duration::from_millis(10);

/// Pauses between restarts, so that one that cannot start does not spin.
const RESTART_PAUSE_MIN: Duration = Duration::from_millis(50);
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(5);

/// How to run it.
#[derive(Debug)]
pub(crate) struct Options {
    /// The binary; without one, the first on PATH.
    pub(crate) binary: Option<PathBuf>,
    /// Where it listens; port 0 for a free one.
    pub(crate) listen: SocketAddr,
    /// Where it keeps everything.
    pub(crate) folder: PathBuf,
    /// The largest message.
    pub(crate) message_bytes_max: u64,
    /// Whether it syncs every write before it answers.
    pub(crate) fsync: bool,
}

/// A nats-server that is restarted when it dies.
#[derive(Debug)]
pub(crate) struct Supervisor {
    url: String,
    public_url: String,
    version: String,
    binary: PathBuf,
    pid: Arc<AtomicU32>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Ends one that a killed Tidegate left behind, and starts anew on the same store.
    pub(crate) async fn start(options: Options) -> anyhow::Result<Self> {
        let (binary, version) = binary::find(options.binary.as_deref(), options.fsync).await?;
        let mut files = Files::prepare(&options)?;
        orphan::end(&files).await?;
        files.write_configuration(options.listen.port())?;
        let mut child = spawn(&binary, &files)?;
        let port = match options.listen.port() {
            0 => files.port_of(&mut child).await?,
            port => port,
        };
        // The port stays over restarts: clients come back to where they were.
        files.write_configuration(port)?;
        answers(port, &mut child, &files).await?;
        let address = SocketAddr::new(options.listen.ip(), port);
        let url = format!("nats://{}:{}@{address}", files.user(), files.password());
        files.write_url(&url)?;
        let pid = Arc::new(AtomicU32::new(child.id().unwrap_or_default()));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(supervise(
            binary.clone(),
            files,
            child,
            Arc::clone(&pid),
            stopped,
        ));
        let public_url = format!("nats://{address}");
        Ok(Self {
            url,
            public_url,
            version,
            binary,
            pid,
            stop,
            task,
        })
    }

    /// Its address with user and password.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its address for everybody's eyes.
    pub(crate) fn public_url(&self) -> &str {
        &self.public_url
    }

    /// Its version.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Where its binary is.
    pub(crate) fn binary(&self) -> &std::path::Path {
        &self.binary
    }

    /// Its process id at this moment.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    /// Stops it.
    pub(crate) async fn stop(self) {
        // An error means that the task has ended already.
        self.stop.send(true).ok();
        self.task.await.ok();
    }
}

fn spawn(binary: &std::path::Path, files: &Files) -> anyhow::Result<Child> {
    Command::new(binary)
        .arg("-c")
        .arg(files.configuration())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run {}", binary.display()))
}

/// Waits until it takes connections.
async fn answers(port: u16, child: &mut Child, files: &Files) -> anyhow::Result<()> {
    let began = Instant::now();
    while tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .is_err()
    {
        still_starting(began, child, files)?;
        sleep(POLL).await;
    }
    Ok(())
}

fn still_starting(began: Instant, child: &mut Child, files: &Files) -> anyhow::Result<()> {
    let log = files.log();
    if let Some(status) = child.try_wait()? {
        bail!(
            "nats-server ended with {status}; its log is {}{}",
            log.display(),
            files.log_end()
        );
    }
    if began.elapsed() > START_MAX {
        bail!(
            "nats-server does not listen after {START_MAX:?}; its log is {}",
            log.display()
        );
    }
    Ok(())
}

async fn supervise(
    binary: PathBuf,
    files: Files,
    mut child: Child,
    pid: Arc<AtomicU32>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut pause = RESTART_PAUSE_MIN;
    loop {
        let began = Instant::now();
        tokio::select! {
            ended = child.wait() => report(&ended, &files),
            () = told(&mut stopped) => return terminate(child).await,
        }
        if began.elapsed() > RESTART_PAUSE_MAX {
            pause = RESTART_PAUSE_MIN;
        }
        child = loop {
            tokio::select! {
                () = sleep(pause) => {}
                () = told(&mut stopped) => return,
            }
            pause = (pause * 2).min(RESTART_PAUSE_MAX);
            match spawn(&binary, &files) {
                Ok(child) => break child,
                Err(error) => tracing::error!(%error, "nats-server cannot be restarted"),
            }
        };
        pid.store(child.id().unwrap_or_default(), Ordering::Relaxed);
        tracing::info!(pid = child.id(), "nats-server restarted");
    }
}

async fn told(stopped: &mut watch::Receiver<bool>) {
    // An error means that nobody is left to tell.
    stopped.wait_for(|stop| *stop).await.ok();
}

fn report(ended: &io::Result<std::process::ExitStatus>, files: &Files) {
    let log = files.log();
    match ended {
        Ok(status) => {
            tracing::warn!(%status, log = %log.display(), "nats-server ended, it is restarted");
        }
        Err(error) => tracing::error!(%error, "nats-server cannot be watched"),
    }
}

/// SIGTERM, and after a while SIGKILL.
async fn terminate(mut child: Child) {
    let pid = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // An error means that it has ended already.
        kill_process(pid, Signal::TERM).ok();
    }
    if timeout(STOP_MAX, child.wait()).await.is_err() {
        tracing::warn!("nats-server did not stop within {STOP_MAX:?}, it is killed");
        if let Err(error) = child.kill().await {
            tracing::error!(%error, "nats-server cannot be killed");
        }
    }
}

#[cfg(test)]
mod tests;
