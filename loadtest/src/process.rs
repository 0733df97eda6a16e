//! CPU time and memory of processes, from /proc.

use std::fs;

use anyhow::Context;

/// Linux counts in hundredths of a second, whatever the kernel's own tick is.
const MICROSECONDS_PER_TICK: u64 = 10_000;

/// A process to account for.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) pid: u32,
}

impl Named {
    pub(crate) fn new(name: &str, pid: u32) -> Self {
        Self {
            name: name.to_owned(),
            pid,
        }
    }

    /// This process.
    pub(crate) fn own() -> Self {
        Self::new("loadtest", std::process::id())
    }

    /// The most memory that it ever had, in bytes.
    pub(crate) fn memory_peak(&self) -> anyhow::Result<u64> {
        self.memory("VmHWM:")
    }

    /// The memory that it has now, in bytes.
    pub(crate) fn memory_resident(&self) -> anyhow::Result<u64> {
        self.memory("VmRSS:")
    }

    fn memory(&self, field: &str) -> anyhow::Result<u64> {
        let file = format!("/proc/{}/status", self.pid);
        let text = fs::read_to_string(&file).with_context(|| file.clone())?;
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib: u64 = kib.context(file)?.parse()?;
        Ok(kib * 1_024)
    }
}

/// The processes of `NAME=PID` arguments, and this one.
pub(crate) fn named(arguments: &[String]) -> anyhow::Result<Vec<Named>> {
    let mut processes = arguments
        .iter()
        .map(|argument| {
            let (name, pid) = argument
                .split_once('=')
                .context("a process must be NAME=PID")?;
            let pid = pid
                .parse()
                .with_context(|| format!("the process {argument}"))?;
            Ok(Named::new(name, pid))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    processes.push(Named::own());
    Ok(processes)
}

/// The CPU time of each so far, in microseconds.
pub(crate) fn usage(processes: &[Named]) -> anyhow::Result<Vec<u64>> {
    processes
        .iter()
        .map(|process| {
            let file = format!("/proc/{}/stat", process.pid);
            let text = fs::read_to_string(&file).with_context(|| file.clone())?;
            ticks(&text)
                .map(|ticks| ticks * MICROSECONDS_PER_TICK)
                .context(file)
        })
        .collect()
}

/// User and system time.
fn ticks(stat: &str) -> Option<u64> {
    // Behind the name, which may hold anything: the 12th and 13th.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// What each used in between.
pub(crate) fn cpu(processes: &[Named], before: &[u64], after: &[u64]) -> Vec<(String, u64)> {
    processes
        .iter()
        .zip(before.iter().zip(after))
        .map(|(process, (before, after))| (process.name.clone(), after.saturating_sub(*before)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name may hold what separates fields.
    #[test]
    fn time_is_read_behind_the_name() {
        let stat = "17 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("17 (a) S"), None);
    }

    #[test]
    fn this_process_has_time_and_memory() {
        let own = Named::own();
        assert!(own.memory_peak().unwrap() > 1 << 20);
        assert_eq!(usage(&[own]).unwrap().len(), 1);
    }

    #[test]
    fn processes_are_named() {
        let all = named(&["tidegate=17".to_owned()]).unwrap();
        assert_eq!((all[0].name.as_str(), all[0].pid), ("tidegate", 17));
        assert_eq!(all[1].pid, std::process::id());
        assert!(named(&["tidegate".to_owned()]).is_err());
        assert!(named(&["tidegate=x".to_owned()]).is_err());
    }
}
