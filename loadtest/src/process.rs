//! CPU time of processes, from /proc.

use std::fs;

use anyhow::Context;

/// Linux counts in hundredths of a second, whatever the kernel's own tick is.
const MICROSECONDS_PER_TICK: u64 = 10_000;

/// A process to account for.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) pid: u32,
}

/// The processes of `NAME=PID` arguments, and this one.
pub(crate) fn named(arguments: &[String]) -> anyhow::Result<Vec<Named>> {
    let mut processes = arguments
        .iter()
        .map(|argument| {
            let (name, pid) = argument.split_once('=').context("--pid must be NAME=PID")?;
            let pid = pid.parse().with_context(|| format!("--pid {argument}"))?;
            Ok(Named {
                name: name.to_owned(),
                pid,
            })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    processes.push(Named {
        name: "loadtest".to_owned(),
        pid: std::process::id(),
    });
    Ok(processes)
}

/// The CPU time of each so far, in microseconds.
pub(crate) fn usage(processes: &[Named]) -> anyhow::Result<Vec<u64>> {
    processes
        .iter()
        .map(|process| {
            let file = format!("/proc/{}/stat", process.pid);
            let text = fs::read_to_string(&file).with_context(|| file.clone())?;
            // Behind the name, which may hold anything: the 12th and 13th are user and system.
            let fields: Vec<&str> = text
                .rsplit(')')
                .next()
                .unwrap_or_default()
                .split_whitespace()
                .collect();
            let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
            let ticks = ticks(11).zip(ticks(12)).with_context(|| file.clone())?;
            Ok((ticks.0 + ticks.1) * MICROSECONDS_PER_TICK)
        })
        .collect()
}

/// What each used in between.
pub(crate) fn cpu(processes: &[Named], before: &[u64], after: &[u64]) -> Vec<(String, u64)> {
    processes
        .iter()
        .zip(before.iter().zip(after))
        .map(|(process, (before, after))| (process.name.clone(), after.saturating_sub(*before)))
        .collect()
}
