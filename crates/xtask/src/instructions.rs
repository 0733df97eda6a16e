//! How many instructions the hot paths take, beside what is kept: `crates/instructions` does the
//! work, callgrind counts. A count is the same on a busy machine, which no time is.

mod counts;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread,
};

use anyhow::{Context, bail};

use self::counts::{Count, Counts, TOLERANCE_PERCENT, Verdict, compare};
use crate::{
    process::{Run, cargo},
    target,
};

/// Where the counts are kept.
const KEPT: &str = "crates/instructions/counts.txt";

/// What the C library does depends on the processor, beside that on its own version: how it copies
/// is the same everywhere without these.
const C_LIBRARY: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.cpu.hwcaps=-AVX2,-AVX512F,-ERMS,-FSRM",
);

/// Which authorities a machine trusts is none of the work.
const AUTHORITIES: (&str, &str) = ("SSL_CERT_FILE", "/dev/null");

struct Arguments {
    keep: bool,
    cases: Vec<String>,
}

/// A case, and how often its work is done.
struct Case {
    name: String,
    times: u64,
}

pub(crate) fn run(arguments: &[&str]) -> anyhow::Result<()> {
    let arguments = Arguments::parse(arguments)?;
    if cfg!(not(all(target_arch = "x86_64", target_os = "linux"))) {
        bail!("the counts that are kept are those of Linux on x86-64");
    }
    let counter = Counter {
        valgrind: valgrind()?,
        program: build()?,
        folder: target().canonicalize()?.join("instructions/counted"),
    };
    let all = counter.cases()?;
    let names: Vec<&str> = all.iter().map(|case| case.name.as_str()).collect();
    if let Some(unknown) = (arguments.cases.iter()).find(|name| !names.contains(&name.as_str())) {
        bail!("no case {unknown}; there are {}", names.join(", "));
    }
    let is_asked =
        |case: &&Case| arguments.cases.is_empty() || arguments.cases.contains(&case.name);
    let now = counter.count(all.iter().filter(is_asked))?;
    let text = fs::read_to_string(KEPT).unwrap_or_default();
    let kept = Counts::parse(&text).context(KEPT)?;
    let lines = compare(&names, &kept, &now);
    println!("| case | stored | now | % |\n|---|---|---|---|");
    for line in &lines {
        println!("{line}");
    }
    if arguments.keep {
        fs::write(KEPT, counts::kept(&lines).to_string())?;
        println!("instructions: {KEPT} has what was out of tolerance; say why in the commit");
        return Ok(());
    }
    judge(&lines, &counter.folder)
}

/// Fails where a case takes more than it may, or its count is not the case's.
fn judge(lines: &[Count], folder: &Path) -> anyhow::Result<()> {
    let of = |verdict: Verdict| {
        let cases = lines.iter().filter(move |line| line.verdict() == verdict);
        cases.map(|line| line.case.as_str()).collect::<Vec<_>>()
    };
    let mut mistakes = Vec::new();
    for (verdict, what) in [
        (Verdict::New, format!("not in {KEPT} yet: --keep adds it")),
        (
            Verdict::Gone,
            format!("in {KEPT}, but no case any more: --keep takes it out"),
        ),
        (
            Verdict::More,
            format!(
                "more than {TOLERANCE_PERCENT} % above what is kept. See where they are \
                 (callgrind_annotate {}/CASE.2.out); if they are worth it, --keep them and say \
                 why in the commit",
                folder.display()
            ),
        ),
    ] {
        let cases = of(verdict);
        if !cases.is_empty() {
            mistakes.push(format!("{}: {what}", cases.join(", ")));
        }
    }
    if !mistakes.is_empty() {
        bail!("{}", mistakes.join("\n"));
    }
    let fewer = of(Verdict::Fewer);
    if !fewer.is_empty() {
        println!(
            "{}: more than {TOLERANCE_PERCENT} % below what is kept; --keep would hold that",
            fewer.join(", ")
        );
    }
    println!("instructions: as many as are kept, within {TOLERANCE_PERCENT} %");
    Ok(())
}

impl Arguments {
    fn parse(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut parsed = Self {
            keep: false,
            cases: Vec::new(),
        };
        for argument in arguments {
            match *argument {
                "--keep" => parsed.keep = true,
                flag if flag.starts_with('-') => bail!("unknown: instructions {flag}"),
                name => parsed.cases.push(name.to_owned()),
            }
        }
        Ok(parsed)
    }
}

/// The program that does the work, under the one that counts.
struct Counter {
    valgrind: PathBuf,
    program: PathBuf,
    /// What was counted, for `callgrind_annotate`.
    folder: PathBuf,
}

impl Counter {
    fn cases(&self) -> anyhow::Result<Vec<Case>> {
        let said = Command::new(&self.program).output()?;
        let said = String::from_utf8(said.stdout)?;
        let case = |line: &str| {
            let (name, times) = line.split_once(' ')?;
            Some(Case {
                name: name.to_owned(),
                times: times.parse().ok()?,
            })
        };
        let cases = said.lines().map(|line| case(line).context(line.to_owned()));
        cases.collect()
    }

    /// What each takes for doing it once.
    fn count<'a>(
        &self,
        cases: impl Iterator<Item = &'a Case> + Send,
    ) -> anyhow::Result<BTreeMap<String, u64>> {
        fs::create_dir_all(&self.folder)?;
        let queue = Mutex::new(cases);
        let counted = Mutex::new(Vec::new());
        let workers = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    loop {
                        let next = queue.lock().map(|mut queue| queue.next());
                        let Ok(Some(case)) = next else { return };
                        let once = self.once(case).map(|once| (case.name.clone(), once));
                        counted
                            .lock()
                            .map(|mut counted| counted.push(once))
                            .unwrap_or_default();
                    }
                });
            }
        });
        counted
            .into_inner()
            .unwrap_or_default()
            .into_iter()
            .collect()
    }

    /// What it takes twice as often less what it takes: without what prepares it.
    fn once(&self, case: &Case) -> anyhow::Result<u64> {
        let [less, more] = [1, 2].map(|factor| self.total(case, factor));
        let (less, more) = (less?, more?);
        let difference = more.checked_sub(less);
        let difference = difference.with_context(|| format!("{}: it does nothing", case.name))?;
        Ok((difference + case.times / 2) / case.times)
    }

    fn total(&self, case: &Case, factor: u64) -> anyhow::Result<u64> {
        let file = self.folder.join(format!("{}.{factor}.out", case.name));
        let said = Command::new(&self.valgrind)
            .args(["--tool=callgrind", "--quiet"])
            .arg(format!("--callgrind-out-file={}", file.display()))
            .arg(&self.program)
            .args([case.name.as_str(), &(case.times * factor).to_string()])
            .env_clear()
            .envs([C_LIBRARY, AUTHORITIES])
            .output()?;
        if !said.status.success() {
            bail!("{}: {}", case.name, String::from_utf8_lossy(&said.stderr));
        }
        let counted = fs::read_to_string(&file)?;
        counts::total(&counted).with_context(|| format!("no total in {}", file.display()))
    }
}

fn build() -> anyhow::Result<PathBuf> {
    cargo("build")
        .args(["--profile", "instructions", "--locked"])
        .args(["--package", "tidegate-instructions"])
        .run()?;
    Ok(target().canonicalize()?.join("instructions/instructions"))
}

fn valgrind() -> anyhow::Result<PathBuf> {
    let on_path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&on_path)
        .map(|folder| folder.join("valgrind"))
        .find(|program| program.is_file())
        .context("valgrind counts the instructions: apt-get install valgrind")
}
