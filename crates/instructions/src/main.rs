//! The work of the hot paths, a piece at a time, for `cargo xtask instructions` to count.
//!
//! `instructions` alone tells the cases, `instructions CASE TIMES` does the work of one so many
//! times. Nothing is measured here: whoever counts runs a case N times and 2N times, and what was
//! prepared for it falls out of the difference.
#![expect(clippy::print_stdout, reason = "a program for cargo xtask and people")]

mod case;
mod codec;
mod consume;
mod deliver;
mod filters;
mod formats;
mod publish;
mod receive;
mod sample;

use std::{env, process::ExitCode};

use crate::case::Case;

/// All of them, in the order in which an event meets them.
const CASES: [&[Case]; 7] = [
    codec::CASES,
    filters::CASES,
    receive::CASES,
    formats::CASES,
    publish::CASES,
    consume::CASES,
    deliver::CASES,
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let mut cases = CASES.into_iter().flatten();
    if arguments.is_empty() {
        for Case { name, times, .. } in cases {
            println!("{name} {times}");
        }
        return ExitCode::SUCCESS;
    }
    let [name, times] = arguments.as_slice() else {
        return usage();
    };
    match (cases.find(|case| case.name == name), times.parse()) {
        (Some(case), Ok(times)) => {
            (case.work)(times);
            ExitCode::SUCCESS
        }
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    println!("instructions [CASE TIMES]");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a case says of its work (`assert!`, `expect`) holds, and no two have one name.
    #[test]
    fn every_case_does_its_work() {
        let mut names = Vec::new();
        for case in CASES.into_iter().flatten() {
            assert!(!names.contains(&case.name), "{}", case.name);
            names.push(case.name);
            (case.work)(3);
        }
    }
}
