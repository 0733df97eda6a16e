//! Runs seeds: `--seeds N` for many, `--seed S` for one with its trace.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for people"
)]

use std::{
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use tidegate_simulation::{Count, run};

const HELP: &str = "\
simulation --seeds N [--from S]    so many runs, and what was wrong in which
simulation --seed S                one run, with a line for everything that happened

Examples:
  simulation --seeds 10000
  simulation --seed 4711";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--seed", seed] => match seed.parse() {
            Ok(seed) => one(seed),
            Err(_) => wrong("a seed is a number"),
        },
        ["--seeds", count] => many(count, "0"),
        ["--seeds", count, "--from", from] => many(count, from),
        ["--help" | "-h"] => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => wrong("what is to run?"),
    }
}

fn wrong(what: &str) -> ExitCode {
    eprintln!("{what}\n\n{HELP}");
    ExitCode::from(2)
}

fn one(seed: u64) -> ExitCode {
    match run(seed) {
        Ok(run) => {
            run.trace.iter().for_each(|line| println!("{line}"));
            println!("{}", run.count);
            report(seed, &run.violations)
        }
        Err(error) => wrong(&error.to_string()),
    }
}

fn report(seed: u64, violations: &[String]) -> ExitCode {
    for violation in violations {
        eprintln!("seed {seed}: {violation}");
    }
    match violations.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn many(count: &str, from: &str) -> ExitCode {
    let (Ok(count), Ok(from)) = (count.parse::<u64>(), from.parse::<u64>()) else {
        return wrong("how many, and from where on, are numbers");
    };
    let began = Instant::now();
    let next = AtomicU64::new(from);
    let wrong = AtomicU64::new(0);
    let work = || {
        let mut sum = Count::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from.saturating_add(count) {
                return sum;
            }
            match run(seed) {
                Ok(run) => {
                    sum += run.count;
                    if report(seed, &run.violations) == ExitCode::FAILURE {
                        wrong.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Err(error) => eprintln!("seed {seed}: {error}"),
            }
            if (seed + 1 - from).is_multiple_of(1_000) {
                eprintln!("{} runs, {:.0?}", seed + 1 - from, began.elapsed());
            }
        }
    };
    let mut sum = Count::default();
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            if let Ok(part) = thread.join() {
                sum += part;
            }
        }
    });
    let wrong = wrong.into_inner();
    println!(
        "{count} runs, {wrong} of them wrong: {sum}, in {:.0?}",
        began.elapsed()
    );
    match wrong {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
