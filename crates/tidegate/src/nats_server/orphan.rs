//! A nats-server that outlived a killed Tidegate: it holds the store and has to end first.

use std::{fs, process::Command, time::Duration};

use anyhow::bail;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::time::{Instant, sleep};

use super::{POLL, STOP_MAX, files::Files};

/// How long a killed process may take to be gone.
const KILLED_MAX: Duration = Duration::from_secs(5);

/// Ends the process of the pid file, if it is a nats-server with our configuration file.
pub(super) async fn end(files: &Files) -> anyhow::Result<()> {
    let Some(pid) = running(files) else {
        return Ok(());
    };
    tracing::warn!(
        pid = pid.as_raw_nonzero(),
        "ending the nats-server that an earlier run left behind"
    );
    for (signal, patience) in [(Signal::TERM, STOP_MAX), (Signal::KILL, KILLED_MAX)] {
        // An error means that it is gone.
        kill_process(pid, signal).ok();
        let began = Instant::now();
        while began.elapsed() < patience {
            if test_kill_process(pid).is_err() || running(files) != Some(pid) {
                return Ok(());
            }
            sleep(POLL).await;
        }
    }
    bail!(
        "the nats-server of an earlier run (process {}) does not end",
        pid.as_raw_nonzero()
    );
}

fn running(files: &Files) -> Option<Pid> {
    let pid = fs::read_to_string(files.pid())
        .ok()?
        .trim()
        .parse()
        .ok()
        .and_then(Pid::from_raw)?;
    let configuration = files.configuration();
    let command = command_line(pid)?;
    command
        .contains(&*configuration.to_string_lossy())
        .then_some(pid)
}

/// A pid may have been given to somebody else since: only the command line tells.
fn command_line(pid: Pid) -> Option<String> {
    let pid = pid.as_raw_nonzero().to_string();
    if let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) {
        return Some(String::from_utf8_lossy(&line).replace('\0', " "));
    }
    let said = Command::new("ps")
        .args(["-o", "command=", "-p", &pid])
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&said.stdout).into_owned())
}
