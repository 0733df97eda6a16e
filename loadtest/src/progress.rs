//! A line on standard error that says how far a run is.
#![expect(clippy::print_stderr, reason = "progress is for people")]

use std::{cell::Cell, io::IsTerminal, rc::Rc, time::Duration};

use tokio::{
    task::{JoinHandle, spawn_local},
    time::{Instant, MissedTickBehavior, interval_at},
};

/// Between two lines where standard error is no terminal.
const EVERY: u64 = 5;

pub(crate) struct Progress {
    task: JoinHandle<()>,
    is_terminal: bool,
}

impl Progress {
    /// Says each second how many there were.
    pub(crate) fn start(says: &str, time: Duration, count: Rc<Cell<u64>>) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let says = says.to_owned();
        let task = spawn_local(async move {
            let second = Duration::from_secs(1);
            let mut ticks = interval_at(Instant::now() + second, second);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut last = 0;
            for number in 1_u64.. {
                ticks.tick().await;
                let now = count.get();
                let line = format!(
                    "{says}: {number} of {} s, {} events/s",
                    time.as_secs(),
                    now - last
                );
                last = now;
                if is_terminal {
                    eprint!("\r{line:<79}");
                } else if number.is_multiple_of(EVERY) {
                    eprintln!("{line}");
                }
            }
        });
        Self { task, is_terminal }
    }

    pub(crate) fn end(self) {
        self.task.abort();
        if self.is_terminal {
            eprint!("\r{:<79}\r", "");
        }
    }
}

/// One line, wherever standard error goes.
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}
