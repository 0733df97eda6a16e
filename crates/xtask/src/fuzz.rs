//! Every fuzz target for a while, from the inputs that are kept and the samples of the formats.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
};

use anyhow::{Context, bail};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use sha2::{Digest, Sha256};

use crate::{
    process::{Run, cargo},
    root, target,
};

/// The pinned version of cargo-fuzz.
const VERSION: &str = "0.13.2";

const SECONDS: u32 = 60;

/// Longest input. Several events fit, and an input of this size still runs thousands of times a
/// second.
const INPUT_BYTES_MAX: u32 = 8192;

/// An input that takes longer is reported as a finding: the slowest of the samples takes less than
/// a thousandth of it.
const INPUT_SECONDS_MAX: u32 = 2;

/// The pinned toolchain is a stable one, which has no sanitizer; without unsafe code there is
/// little for one to find.
const HOST: &str = "x86_64-unknown-linux-gnu";

/// What a line of a kept file cannot hold as it is.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

struct Arguments {
    seconds: u32,
    keep: bool,
    targets: Vec<String>,
}

pub(crate) fn run(arguments: &[&str]) -> anyhow::Result<()> {
    let arguments = Arguments::parse(arguments)?;
    let room = root().join("crates/fuzz");
    let targets = arguments.targets(&room)?;
    build(&room)?;
    let binaries = target().canonicalize()?.join(HOST).join("release");
    let work = target().canonicalize()?.join("fuzz");
    let queue = Mutex::new(targets.iter());
    let failed = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().map(|mut queue| queue.next());
                    let Ok(Some(name)) = next else { return };
                    let place = Place::of(name, &room, &binaries, &work);
                    match place.fuzz(&arguments) {
                        Ok(line) => println!("{name}: {line}"),
                        Err(error) => failed
                            .lock()
                            .map(|mut failed| failed.push(format!("{name}: {error:#}")))
                            .unwrap_or_default(),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_default();
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    println!("fuzz: {} targets, nothing found", targets.len());
    Ok(())
}

impl Arguments {
    fn parse(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut parsed = Self {
            seconds: SECONDS,
            keep: false,
            targets: Vec::new(),
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match *argument {
                "--keep" => parsed.keep = true,
                "--seconds" => {
                    let seconds = arguments.next().context("--seconds wants a number")?;
                    parsed.seconds = seconds.parse().context("--seconds wants a number")?;
                }
                flag if flag.starts_with('-') => bail!("unknown: fuzz {flag}"),
                name => parsed.targets.push(name.to_owned()),
            }
        }
        Ok(parsed)
    }

    /// Those that were asked for; without any, all.
    fn targets(&self, room: &Path) -> anyhow::Result<Vec<String>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(room.join("targets"))? {
            let file = entry?.path();
            let name = file.file_stem().and_then(|name| name.to_str());
            all.extend(name.map(str::to_owned));
        }
        all.sort();
        if let Some(unknown) = self.targets.iter().find(|name| !all.contains(name)) {
            bail!("no target {unknown}; there are {}", all.join(", "));
        }
        if self.targets.is_empty() {
            return Ok(all);
        }
        Ok(self.targets.clone())
    }
}

/// Where a target's files are.
struct Place {
    binary: PathBuf,
    /// What this machine has found so far.
    found: PathBuf,
    /// What the project keeps: an input a line, escaped.
    kept: PathBuf,
    /// The same as files.
    unpacked: PathBuf,
    /// The samples of the target's format; of every format where it is no format's.
    samples: Vec<PathBuf>,
    /// Inputs that failed.
    failures: PathBuf,
}

impl Place {
    fn of(name: &str, room: &Path, binaries: &Path, work: &Path) -> Self {
        let samples: Vec<PathBuf> = fs::read_dir(room.join("../normalize/samples"))
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|folder| {
                let format = folder.file_name().unwrap_or_default().to_string_lossy();
                let own = format!("format_{}", format.replace(['-', '.'], "_"));
                name == own || !name.starts_with("format_")
            })
            .collect();
        Self {
            binary: binaries.join(name),
            found: work.join("found").join(name),
            kept: room.join("corpus").join(name).with_extension("txt"),
            unpacked: work.join("kept").join(name),
            samples,
            failures: work.join("failures").join(name),
        }
    }

    fn fuzz(&self, arguments: &Arguments) -> anyhow::Result<String> {
        for folder in [&self.found, &self.failures] {
            fs::create_dir_all(folder)?;
        }
        self.unpack()?;
        let said = self
            .command()
            .arg(format!("-max_total_time={}", arguments.seconds))
            .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
            .arg("-print_final_stats=1")
            .arg(&self.found)
            .arg(&self.unpacked)
            .args(&self.samples)
            .output()?;
        let log = String::from_utf8_lossy(&said.stderr);
        if !said.status.success() {
            let from = log.len().saturating_sub(2000);
            let end = log.get(from..).unwrap_or(&log);
            bail!(
                "failed; the input is below {}\n{end}",
                self.failures.display()
            );
        }
        if arguments.keep {
            self.keep()?;
        }
        let executed = log
            .lines()
            .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
            .context("the fuzzer did not say how often it ran")?;
        Ok(format!("{} executions", executed.trim()))
    }

    /// Adds to the kept inputs those that reach what none of them reaches.
    fn keep(&self) -> anyhow::Result<()> {
        let said = self
            .command()
            // Few files, which reach every branch; how often they reach it is not kept.
            .args(["-set_cover_merge=1", "-use_counters=0"])
            .arg(&self.unpacked)
            .args(&self.samples)
            .arg(&self.found)
            .output()?;
        if !said.status.success() {
            bail!("{}", String::from_utf8_lossy(&said.stderr));
        }
        let mut lines = Vec::new();
        for entry in fs::read_dir(&self.unpacked)? {
            let input = fs::read(entry?.path())?;
            lines.push(percent_encode(&input, ESCAPED).to_string() + "\n");
        }
        lines.sort();
        fs::write(&self.kept, lines.concat())?;
        Ok(())
    }

    fn unpack(&self) -> anyhow::Result<()> {
        drop(fs::remove_dir_all(&self.unpacked));
        fs::create_dir_all(&self.unpacked)?;
        for line in fs::read_to_string(&self.kept).unwrap_or_default().lines() {
            let input: Vec<u8> = percent_decode_str(line).collect();
            let name: String = Sha256::digest(&input)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            fs::write(self.unpacked.join(name), input)?;
        }
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .arg(format!("-artifact_prefix={}/", self.failures.display()))
            .arg(format!("-max_len={INPUT_BYTES_MAX}"));
        command
    }
}

fn build(room: &Path) -> anyhow::Result<()> {
    let tool = ensure()?;
    Command::new(tool)
        .args(["fuzz", "build", "--sanitizer", "none", "--target", HOST])
        .args(["--codegen-units", "16", "--fuzz-dir"])
        .arg(room)
        .env("CARGO_TARGET_DIR", target().canonicalize()?)
        // The targets are many and short-lived: quick to link is worth more than quick to run.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only")
        .run()
}

/// The tool: the one at hand, or the pinned one, installed below the target folder.
fn ensure() -> anyhow::Result<PathBuf> {
    let folder = target().join("tools").join(format!("cargo-fuzz-{VERSION}"));
    let on_path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&on_path)
        .map(|folder| folder.join("cargo-fuzz"))
        .chain([folder.join("bin/cargo-fuzz")])
        .find(|binary| binary.is_file());
    if let Some(binary) = found {
        return Ok(binary);
    }
    println!("installing cargo-fuzz {VERSION} below {}", folder.display());
    cargo("install")
        .args([
            "cargo-fuzz",
            "--locked",
            "--quiet",
            "--version",
            VERSION,
            "--root",
        ])
        .arg(&folder)
        .run()?;
    Ok(folder.join("bin/cargo-fuzz").canonicalize()?)
}
