//! Running other programs, and ending those that were started here.

use std::{
    env,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, Command},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

/// How long a program may take to end after SIGTERM.
const END_MAX: Duration = Duration::from_secs(40);

/// cargo, as it was called.
pub(crate) fn cargo(subcommand: &str) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg(subcommand);
    cargo
}

/// Runs to the end, or says what failed.
pub(crate) trait Run {
    fn run(&mut self) -> anyhow::Result<()>;
}

impl Run for Command {
    fn run(&mut self) -> anyhow::Result<()> {
        let line = format!("{self:?}").replace('"', "");
        let status = self
            .status()
            .with_context(|| format!("cannot run {line}"))?;
        if !status.success() {
            bail!("{line} failed with {status}");
        }
        Ok(())
    }
}

/// A program that is killed when dropped.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let line = format!("{command:?}").replace('"', "");
        command
            .spawn()
            .map(Self)
            .with_context(|| format!("cannot run {line}"))
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    /// SIGTERM, and its exit code.
    pub(crate) fn terminate(mut self) -> anyhow::Result<Option<i32>> {
        Command::new("kill").arg(self.0.id().to_string()).run()?;
        let began = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status.code());
            }
            if began.elapsed() > END_MAX {
                bail!("process {} does not end", self.0.id());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// An address on loopback that nobody uses, the preferred port if that is free.
pub(crate) fn address(preferred: u16) -> anyhow::Result<SocketAddr> {
    let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port))?.local_addr();
    free(preferred)
        .or_else(|_| free(0))
        .context("no free port on loopback")
}
