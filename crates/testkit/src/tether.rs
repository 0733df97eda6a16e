//! Servers that end with the process that started them, however that ends.
//!
//! A destructor is not enough: nobody runs those of a test process that is killed, nor those of
//! what is kept in a `static`.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
};

/// Waits for the end of its input, which comes when nobody holds the other side any more.
const WATCH: &str = "read -r _; kill -9 \"$1\"";

/// A child. Dropping it kills it; so does the end of this process.
#[derive(Debug)]
pub struct Tethered {
    child: Child,
    watch: Child,
}

impl Tethered {
    /// Starts it, in a process group of its own: Ctrl-C is for the test, and the test's end for it.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command.process_group(0).spawn()?;
        let watch = Command::new("sh")
            .args(["-c", WATCH, "sh", &child.id().to_string()])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match watch {
            Ok(watch) => Ok(Self { child, watch }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Tethered {
    fn drop(&mut self) {
        // The watch first: the child's id may be another's as soon as it was waited for.
        end(&mut self.watch);
        end(&mut self.child);
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    child.kill().ok();
    child.wait().ok();
}

#[cfg(test)]
mod tests {
    use std::{
        env,
        io::{BufRead as _, BufReader},
        path::Path,
        thread,
        time::{Duration, Instant},
    };

    use super::*;

    /// Longer than a signal takes on a loaded machine; only ever reached by a failure.
    const PATIENCE: Duration = Duration::from_secs(60);

    const INNER: &str = "tether::tests::inner";

    fn sleeper() -> Tethered {
        let mut sleep = Command::new("sleep");
        sleep.arg("600").stdin(Stdio::null()).stdout(Stdio::null());
        Tethered::start(&mut sleep).unwrap()
    }

    fn runs(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}/fd/0")).exists()
    }

    /// A test that is done leaves no server behind.
    #[test]
    fn dropped_it_is_gone() {
        let mut sleeper = sleeper();
        let (pid, watch) = (sleeper.pid(), sleeper.watch.id());
        assert!(sleeper.ended().is_none() && runs(pid) && runs(watch));
        drop(sleeper);
        assert!(!runs(pid) && !runs(watch));
    }

    /// Not a test: the process that the next one kills.
    #[test]
    #[ignore = "the next one runs it"]
    fn inner() {
        let sleeper = sleeper();
        println!("\npids {} {}", sleeper.pid(), sleeper.watch.id());
        thread::sleep(PATIENCE);
    }

    /// A test that is killed leaves none behind either.
    #[test]
    fn killed_this_process_takes_it_along() {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", INNER, "--ignored", "--nocapture"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let pids: Vec<u32> = lines
            .map_while(Result::ok)
            .find_map(|line| {
                let pids = line.strip_prefix("pids ")?.split(' ');
                Some(pids.map(|pid| pid.parse().unwrap()).collect())
            })
            .unwrap();
        assert!(pids.len() == 2 && pids.iter().all(|pid| runs(*pid)));
        end(&mut process);
        let began = Instant::now();
        while pids.iter().any(|pid| runs(*pid)) {
            assert!(began.elapsed() < PATIENCE, "{pids:?} still run");
            thread::yield_now();
        }
    }
}
