//! Figures as tables, and how far they are from their goals.

use std::fmt::Write;

use super::{
    catalog::{Row, Scenario, Shows, Table},
    scenario::{Figure, Outcome, Spread},
};

/// The table as text, and the rows that miss their goals.
pub(crate) fn render(table: &Table, outcomes: &[Outcome]) -> (String, Vec<String>) {
    let (mut text, mut missed) = (String::from("\n"), Vec::new());
    let both = || table.scenarios.iter().zip(outcomes);
    let is_by_rows = both().any(|(scenario, _)| matches!(scenario.shows, Shows::Rows(_)));
    if is_by_rows {
        text.push_str("| | Tidegate | beside it | ratio | goal | | command |\n");
        text.push_str("|---|---|---|---|---|---|---|\n");
    }
    for (scenario, outcome) in both() {
        match scenario.shows {
            Shows::Rows(all) => {
                for (number, row) in all.iter().enumerate() {
                    let command = if number == 0 { scenario.command } else { "" };
                    rows(&mut text, row, outcome, command, &mut missed);
                }
            }
            Shows::Steps { steps, columns } => {
                self::steps(&mut text, scenario, outcome, steps, columns);
            }
        }
    }
    if let Some(outcome) = outcomes.first() {
        // Writing to a String cannot fail.
        write!(text, "\nMedian [least–most]; {}.\n\n", outcome.measured_on).ok();
    }
    (text, missed)
}

fn rows(text: &mut String, row: &Row, outcome: &Outcome, command: &str, missed: &mut Vec<String>) {
    let figure = outcome.figure(row.figure);
    let cells = match &figure {
        Ok(Figure { own, beside }) => {
            let (other, ratio) = beside.map_or_else(Default::default, |(other, ratio)| {
                (other.text(), ratio.text())
            });
            format!("{} | {other} | {ratio}", own.text())
        }
        Err(error) => format!("no figure: {} | | ", cell(error)),
    };
    let goal = row.goal.map(|goal| goal.text()).unwrap_or_default();
    let judged = match (row.goal, &figure) {
        (None, _) => String::new(),
        (Some(goal), Ok(figure)) => goal.judge(figure).unwrap_or_else(|distance| {
            missed.push(row.what.to_owned());
            distance
        }),
        (Some(_), Err(_)) => {
            missed.push(row.what.to_owned());
            "missed".to_owned()
        }
    };
    let command = match command {
        "" => "as above".to_owned(),
        command => format!("`cargo xtask bench {command}`"),
    };
    // Writing to a String cannot fail.
    writeln!(
        text,
        "| {} | {cells} | {goal} | {judged} | {command} |",
        row.what
    )
    .ok();
}

/// A row for each step, a column for each figure.
fn steps(
    text: &mut String,
    scenario: &Scenario,
    outcome: &Outcome,
    steps: &[&str],
    columns: &[&str],
) {
    // Writing to a String cannot fail.
    write!(
        text,
        "`cargo xtask bench {}`\n\n| | {} |\n|{}\n",
        scenario.command,
        columns.join(" | "),
        "---|".repeat(columns.len() + 1)
    )
    .ok();
    for step in steps {
        write!(text, "| {step} |").ok();
        if let Some(error) = outcome.failed(step) {
            write!(text, " failed: {} |", cell(error)).ok();
        } else {
            for column in columns {
                let figure = outcome.figure(&format!("{step}: {column}"));
                let figure = figure.map_or("–".to_owned(), |figure| figure.own.text());
                write!(text, " {figure} |").ok();
            }
        }
        text.push('\n');
    }
    if let Err(error) = &outcome.result {
        write!(text, "\nNo figures: {error}\n").ok();
    }
}

/// What a cell may hold.
fn cell(text: &str) -> String {
    text.replace('|', "/").replace('\n', " ")
}

impl Spread {
    fn text(self) -> String {
        let digits = digits(self.median);
        let [median, least, most] =
            [self.median, self.least, self.most].map(|value| grouped(value, digits));
        if [self.least, self.most] == [self.median; 2] {
            return median;
        }
        format!("{median} [{least}–{most}]")
    }
}

/// As many digits as mean something.
fn digits(value: f64) -> usize {
    match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        _ => 2,
    }
}

pub(super) fn plain(value: f64) -> String {
    grouped(value, digits(value))
}

/// With a comma between thousands.
fn grouped(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let count = whole.len();
    let mut grouped = String::with_capacity(text.len() + count / 3);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (count - at).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::figures::goal::{Bound, Goal, Judged, at_most};

    const RATE: Goal = Goal {
        of: Judged::Ratio,
        bound: Bound::AtLeast(0.85),
        stretch: Some(0.9),
    };

    const TABLE: Table = Table {
        name: "doors",
        is_long: false,
        scenarios: &[Scenario {
            name: "single",
            command: "compare -- --repeat 5",
            quick: "",
            is_single: false,
            shows: Shows::Rows(&[
                Row {
                    what: "events/s",
                    figure: "events/s",
                    goal: Some(RATE),
                },
                Row {
                    what: "CPU µs",
                    figure: "CPU",
                    goal: at_most(12.0),
                },
                Row {
                    what: "p99 ms",
                    figure: "p99",
                    goal: None,
                },
            ]),
        }],
    };

    fn outcome(ratio: f64, cpu: f64) -> Outcome {
        let spread =
            |median: f64| json!({ "median": median, "least": median / 2.0, "most": median * 2.0 });
        let pair = |own: f64, other: f64, ratio: f64| json!({ "a": spread(own), "b": spread(other), "a / b": spread(ratio) });
        Outcome {
            measured_on: "a machine; 2026-11-26".to_owned(),
            result: Ok(json!({
                "columns": ["a", "b", "a / b"],
                "figures": {
                    "events/s": pair(23_200.0, 27_200.0, ratio),
                    "CPU": pair(cpu, 10.0, cpu / 10.0),
                    "p99": pair(8.6, 8.7, 1.0),
                },
            })),
        }
    }

    /// Every row has its command, its spread and its goal; the machine stands below.
    #[test]
    fn a_table_has_all_that_belongs_to_a_figure() {
        let (text, missed) = render(&TABLE, &[outcome(0.88, 11.0)]);
        assert!(missed.is_empty());
        assert!(
            text.contains(
                "| events/s | 23,200 [11,600–46,400] | 27,200 [13,600–54,400] | 0.88 [0.44–1.76] | \
             ratio ≥ 0.85, stretch 0.90 | met | `cargo xtask bench compare -- --repeat 5` |\n"
            ),
            "{text}"
        );
        assert!(text.contains("| ≤ 12.0 | met | as above |\n"), "{text}");
        assert!(
            text.contains("| 1.00 [0.50–2.00] |  |  | as above |\n"),
            "{text}"
        );
        assert!(
            text.ends_with("\nMedian [least–most]; a machine; 2026-11-26.\n\n"),
            "{text}"
        );
    }

    #[test]
    fn a_missed_goal_is_told_with_its_distance() {
        let (text, missed) = render(&TABLE, &[outcome(0.68, 18.0)]);
        assert_eq!(missed, ["events/s", "CPU µs"]);
        assert!(text.contains("| missed by 0.17 (20 %) |"), "{text}");
        assert!(text.contains("| missed by 6.00 (50 %) |"), "{text}");
    }

    #[test]
    fn a_stretch_goal_is_told_where_it_is_reached() {
        let (text, _) = render(&TABLE, &[outcome(0.95, 11.0)]);
        assert!(text.contains("| met, stretch too |"), "{text}");
    }

    /// A run that failed misses its goals, and says why there is no figure.
    #[test]
    fn a_failed_run_is_a_missed_row() {
        let failed = Outcome {
            result: Err("the run is void | a rate".to_owned()),
            ..outcome(1.0, 1.0)
        };
        let (text, missed) = render(&TABLE, &[failed]);
        assert_eq!(missed, ["events/s", "CPU µs"]);
        assert!(
            text.contains("| no figure: the run is void / a rate | |  |"),
            "{text}"
        );
    }

    #[test]
    fn numbers_are_told_as_exactly_as_they_are_known() {
        let told = [0.004, 9.996, 12.34, 123.4, 1_234.5, 1_234_567.0].map(plain);
        assert_eq!(told, ["0.00", "10.00", "12.3", "123", "1,234", "1,234,567"]);
        assert_eq!(grouped(-123.0, 0), "-123");
        assert_eq!(grouped(-1_234.0, 0), "-1,234");
    }

    /// Steps that failed stand among the others.
    #[test]
    fn steps_are_rows() {
        const STEPS: Table = Table {
            name: "steps",
            is_long: false,
            scenarios: &[Scenario {
                name: "steps",
                command: "subscriptions",
                quick: "",
                is_single: false,
                shows: Shows::Steps {
                    steps: &["1", "10"],
                    columns: &["ready s", "MiB"],
                },
            }],
        };
        let spread = json!({ "median": 1.0, "least": 1.0, "most": 1.0 });
        let outcome = Outcome {
            measured_on: "m".to_owned(),
            result: Ok(json!({
                "columns": [""], "figures": { "1: ready s": spread }, "failed": { "10": "not ready" },
            })),
        };
        let (text, missed) = render(&STEPS, &[outcome]);
        assert!(missed.is_empty());
        assert!(
            text.contains(
                "| | ready s | MiB |\n|---|---|---|\n| 1 | 1.00 | – |\n| 10 | failed: not ready |\n"
            ),
            "{text}"
        );
    }
}
