//! What a figure was measured on: the machine, the versions, the day.

use std::{env, fs, path::Path, process::Command, thread};

use anyhow::Context;

use crate::target;

/// In one line.
pub(crate) fn told(nats_server: &Path) -> anyhow::Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let tidegate = said(Command::new(target().join("release/tidegate")).arg("--version"))?;
    let nats_server = said(Command::new(nats_server).arg("--version"))?;
    Ok(format!(
        "{}, {} cores, {}, Linux {}; {tidegate} ({}), {}, {}; {}",
        field(&cpu, "model name").unwrap_or("an unknown processor"),
        thread::available_parallelism()?,
        field(&memory, "MemTotal").map_or("unknown memory".to_owned(), gibibytes),
        kernel.trim(),
        commit(),
        nats_server.replace(": v", " "),
        first_words(&said(Command::new(rustc).arg("--version"))?),
        said(Command::new("date").args(["-u", "+%Y-%m-%d"]))?,
    ))
}

/// How many processes want to run, on average over the last minute.
pub(crate) fn load() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}

/// The revision, and whether more than that was measured.
fn commit() -> String {
    let git = |arguments: &[&str]| said(Command::new("git").args(arguments));
    let Ok(revision) = git(&["rev-parse", "--short", "HEAD"]) else {
        return "no revision".to_owned();
    };
    // Pages are no part of what is measured.
    let changes = git(&[
        "status",
        "--porcelain",
        "--",
        "crates",
        "loadtest",
        "Cargo.lock",
    ]);
    match changes {
        Ok(changes) if changes.is_empty() => revision,
        _ => format!("{revision} and changes"),
    }
}

fn said(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output();
    let output = output.with_context(|| format!("cannot run {command:?}"))?;
    anyhow::ensure!(output.status.success(), "{command:?} failed");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A value of a file below /proc.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

fn gibibytes(kib: &str) -> String {
    let kib = kib.trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0);
    format!("{:.0} GiB", kib / f64::from(1 << 20))
}

/// `rustc 1.95.0` of `rustc 1.95.0 (hash date)`.
fn first_words(text: &str) -> String {
    text.split(" (").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_read_from_proc() {
        let text = "processor\t: 0\nmodel name\t: EPYC\nprocessor\t: 1\nmodel name\t: EPYC\n";
        assert_eq!(field(text, "model name"), Some("EPYC"));
        assert_eq!(field(text, "model"), None);
        assert_eq!(gibibytes("24595444 kB"), "23 GiB");
        assert_eq!(first_words("rustc 1.95.0 (abc 2026-04-14)"), "rustc 1.95.0");
    }
}
