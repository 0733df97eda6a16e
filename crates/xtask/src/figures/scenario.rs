//! One scenario: run by this very program, and what it came to.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::{catalog::Scenario, machine};
use crate::nats;

/// Fewer repetitions are no figure.
const RUNS_MIN: u64 = 5;

/// What a scenario came to, and on what.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) measured_on: String,
    pub(crate) result: Result<Value, String>,
}

/// Median, least and most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// One figure, and beside it the other's and the ratio, where two were compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) own: Spread,
    pub(crate) beside: Option<(Spread, Spread)>,
}

/// Runs it. That it fails is an outcome; what is wrong with this program is an error.
pub(crate) fn run(scenario: &Scenario, is_quick: bool) -> anyhow::Result<Outcome> {
    let mut words: Vec<&str> = scenario.command.split_whitespace().collect();
    if !words.contains(&"--") {
        words.push("--");
    }
    if is_quick {
        words.extend(scenario.quick.split_whitespace());
    }
    words.push("--json");
    let mut process = Command::new(env::current_exe()?)
        .arg("bench")
        .args(&words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run a scenario")?;
    let said = process.stderr.take().context("its errors")?;
    // Progress is shown while it comes.
    let watching = thread::spawn(move || last_error(said));
    let mut output = String::new();
    let mut stdout = process.stdout.take().context("its output")?;
    stdout.read_to_string(&mut output)?;
    let status = process.wait()?;
    let error = watching.join().unwrap_or_default();
    // A driver may tell its result and fail because of it: memory that grew.
    let result = match result(&output) {
        Ok(result) => Ok(result),
        Err(_) if !status.success() => Err(error),
        Err(none) => return Err(none.context(format!("bench {}", scenario.command))),
    };
    if let Ok(result) = &result {
        let runs = result.get("runs").and_then(Value::as_u64).unwrap_or(0);
        ensure!(
            is_quick || scenario.is_single || runs >= RUNS_MIN,
            "bench {} has {runs} runs, and {RUNS_MIN} make a figure",
            scenario.command
        );
    }
    let nats_server = if scenario.command.starts_with("fsync") {
        nats::ensure_fsync()?
    } else {
        nats::ensure()?
    };
    Ok(Outcome {
        measured_on: machine::told(&nats_server)?,
        result,
    })
}

/// The JSON among what was printed.
fn result(output: &str) -> anyhow::Result<Value> {
    let mut lines = output.lines().rev();
    let line = lines.find(|line| line.starts_with('{'));
    Ok(serde_json::from_str(line.context("no result as JSON")?)?)
}

/// Shows what comes, and keeps what went wrong: what a driver calls its error, or else the last line.
fn last_error(said: impl Read) -> String {
    let (mut error, mut last) = (None, String::new());
    for line in BufReader::new(said).lines().map_while(Result::ok) {
        eprintln!("    {line}");
        if let Some(what) = line.strip_prefix("Error: ") {
            error.get_or_insert_with(|| what.to_owned());
        }
        if !line.trim().is_empty() {
            last = line;
        }
    }
    error.unwrap_or(last)
}

impl Outcome {
    pub(crate) fn json(&self) -> Value {
        let on = &self.measured_on;
        match &self.result {
            Ok(result) => json!({ "on": on, "result": result }),
            Err(error) => json!({ "on": on, "error": error }),
        }
    }

    pub(crate) fn read(kept: &Value) -> anyhow::Result<Self> {
        let text = |name: &str| kept.get(name).and_then(Value::as_str);
        let result = match text("error") {
            Some(error) => Err(error.to_owned()),
            None => Ok(kept.get("result").context("a kept result")?.clone()),
        };
        Ok(Self {
            measured_on: text("on").context("a kept result")?.to_owned(),
            result,
        })
    }

    /// A figure by its name, or what it is not there for.
    pub(crate) fn figure(&self, name: &str) -> Result<Figure, String> {
        let result = self.result.as_ref().map_err(Clone::clone)?;
        let missing = || format!("no figure is called {name}");
        let figure = result.pointer("/figures").and_then(|all| all.get(name));
        let figure = figure.ok_or_else(missing)?;
        if let Some(own) = Spread::read(figure) {
            return Ok(Figure { own, beside: None });
        }
        let column = |at: usize| {
            let name = result.get("columns")?.get(at)?.as_str()?;
            Spread::read(figure.get(name)?)
        };
        let own = column(0).ok_or_else(missing)?;
        let beside = column(1).zip(column(2));
        Ok(Figure { own, beside })
    }

    /// Why this step of several failed.
    pub(crate) fn failed(&self, step: &str) -> Option<&str> {
        let result = self.result.as_ref().ok()?;
        result.get("failed")?.get(step)?.as_str()
    }
}

impl Spread {
    fn read(value: &Value) -> Option<Self> {
        let of = |name: &str| value.get(name)?.as_f64();
        Some(Self {
            median: of("median")?,
            least: of("least")?,
            most: of("most")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What else is printed is no result, and an error is what the driver says of it.
    #[test]
    fn results_and_errors_are_found_among_other_lines() {
        let text = "installing something\n{\"runs\": 5}\n";
        assert_eq!(result(text).unwrap()["runs"], 5);
        assert!(result("nothing\n").is_err());
        let text = "a\nError: the run is void\n\nCaused by:\n    b\nxtask: c failed\n";
        assert_eq!(last_error(text.as_bytes()), "the run is void");
        assert_eq!(
            last_error("a\nxtask: c failed\n".as_bytes()),
            "xtask: c failed"
        );
    }

    #[test]
    fn figures_are_read_alone_and_in_pairs() {
        let spread = |median: f64| json!({ "median": median, "least": 1.0, "most": 9.0 });
        let result = json!({
            "columns": ["b", "a", "b / a"],
            "figures": {
                "alone": spread(2.0),
                "pair": { "a": spread(4.0), "b": spread(2.0), "b / a": spread(0.5) },
            },
            "failed": { "step": "why" },
        });
        let outcome = Outcome {
            measured_on: "here".to_owned(),
            result: Ok(result),
        };
        let outcome = Outcome::read(&outcome.json()).unwrap();
        assert_eq!(outcome.measured_on, "here");
        let alone = outcome.figure("alone").unwrap();
        assert!((alone.own.median - 2.0).abs() < 1e-9 && alone.beside.is_none());
        let pair = outcome.figure("pair").unwrap();
        let (beside, ratio) = pair.beside.unwrap();
        assert_eq!(
            [pair.own.median, beside.median, ratio.median],
            [2.0, 4.0, 0.5]
        );
        assert!(outcome.figure("none").unwrap_err().contains("none"));
        assert_eq!(outcome.failed("step"), Some("why"));
    }

    /// A run that failed is kept with its reason.
    #[test]
    fn a_failure_is_kept() {
        let outcome = Outcome {
            measured_on: String::new(),
            result: Err("void".to_owned()),
        };
        let outcome = Outcome::read(&outcome.json()).unwrap();
        assert_eq!(outcome.figure("any").unwrap_err(), "void");
    }
}
