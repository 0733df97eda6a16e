//! Signals to processes that a test started.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Longer than a process takes to stop on a loaded machine; only ever reached by a failure.
const STOP_MAX: Duration = Duration::from_secs(60);

/// Sends a signal, such as `STOP`. After that one, the process does nothing more when this returns.
/// One that has ended by itself needs none.
///
/// # Panics
/// When it does not stop.
pub fn signal(pid: u32, name: &str) {
    Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .stderr(Stdio::null())
        .status()
        .expect("kill can be run");
    let began = Instant::now();
    // Its threads stop one after the other, and the last may still answer.
    while name == "STOP" && runs(pid) {
        assert!(began.elapsed() < STOP_MAX, "{pid} does not stop");
        std::thread::yield_now();
    }
}

/// Whether one of its threads is neither stopped nor ended.
fn runs(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let mut threads = threads.into_iter().flatten().flatten();
    threads.any(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = stat
            .rsplit_once(") ")
            .map(|(_, behind_the_name)| behind_the_name);
        state.is_some_and(|state| !state.starts_with(['T', 'Z', 'X']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NatsServer;

    /// What a test finds unanswered was not answered by a thread that had not stopped yet.
    #[tokio::test]
    async fn a_stopped_process_does_nothing_more() {
        let mut server = NatsServer::start().await;
        let pid = server.pid().unwrap();
        for _ in 0..20 {
            assert!(runs(pid));
            signal(pid, "STOP");
            assert!(!runs(pid));
            signal(pid, "CONT");
        }
        signal(pid, "KILL");
        // It has ended, and nobody has waited for it.
        signal(pid, "STOP");
        server.kill();
    }
}
