//! Medians and ranges of several runs, as a table or JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::{histogram::Histogram, process::Named};

/// The figures of one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    pub(crate) figures: Vec<(String, f64)>,
    /// Events of each second.
    pub(crate) seconds: Vec<u64>,
    pub(crate) latencies: Histogram,
}

/// Median, least and most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// Each figure's name and what it was.
pub(crate) struct Summary {
    pub(crate) title: String,
    /// Of which each figure is the median.
    pub(crate) runs: usize,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<(String, Vec<Spread>)>,
}

impl Run {
    pub(crate) fn add(&mut self, name: &str, figure: f64) {
        self.figures.push((name.to_owned(), figure));
    }

    /// The most memory that each ever had.
    pub(crate) fn add_memory(&mut self, processes: &[Named]) -> anyhow::Result<()> {
        for process in processes {
            let peak = process.memory_peak()? as f64 / f64::from(1 << 20);
            self.add(&format!("memory MiB, peak, {}", process.name), peak);
        }
        Ok(())
    }

    /// The figure that counts most.
    pub(crate) fn first(&self) -> f64 {
        self.at(0).unwrap_or(0.0)
    }

    fn at(&self, at: usize) -> Option<f64> {
        self.figures.get(at).map(|(_, figure)| *figure)
    }
}

impl Spread {
    pub(crate) fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        Some(Self {
            median: *figures.get(figures.len() / 2)?,
            least: *figures.first()?,
            most: *figures.last()?,
        })
    }

    fn json(self) -> Value {
        json!({ "median": self.median, "least": self.least, "most": self.most })
    }
}

impl Summary {
    /// Runs of one thing: all have the same figures in the same order.
    pub(crate) fn of(title: String, runs: &[Run]) -> Self {
        let names = runs
            .first()
            .into_iter()
            .flat_map(|run| run.figures.iter().enumerate());
        let rows = names
            .filter_map(|(at, (name, _))| {
                let figures = runs.iter().filter_map(|run| run.at(at)).collect();
                Some((name.clone(), vec![Spread::of(figures)?]))
            })
            .collect();
        Self {
            title,
            runs: runs.len(),
            columns: vec![String::new()],
            rows,
        }
    }

    /// Pairs of runs of two things; the third column is the ratio within each pair. Figures are
    /// paired by their place: names may differ in who is meant.
    pub(crate) fn of_pairs(title: String, names: [&str; 2], pairs: &[(Run, Run)]) -> Self {
        let Some((first, second)) = pairs.first() else {
            return Self {
                title,
                runs: 0,
                columns: Vec::new(),
                rows: Vec::new(),
            };
        };
        let figures = first.figures.iter().zip(&second.figures).enumerate();
        let rows = figures
            .filter_map(|(at, ((a, _), (b, _)))| {
                let both = pairs
                    .iter()
                    .filter_map(|(a, b)| Some((a.at(at)?, b.at(at)?)));
                let both: Vec<(f64, f64)> = both.collect();
                let ratios = both.iter().filter(|(_, b)| *b > 0.0).map(|(a, b)| a / b);
                let ratio = Spread::of(ratios.collect()).unwrap_or(Spread::NONE);
                let name = if a == b {
                    a.clone()
                } else {
                    format!("{a} / {b}")
                };
                let a = Spread::of(both.iter().map(|(a, _)| *a).collect())?;
                let b = Spread::of(both.iter().map(|(_, b)| *b).collect())?;
                Some((name, vec![a, b, ratio]))
            })
            .collect();
        let [a, b] = names;
        Self {
            title,
            runs: pairs.len(),
            columns: vec![a.to_owned(), b.to_owned(), format!("{a} / {b}")],
            rows,
        }
    }

    /// Several things, each with a name and its runs; all runs have the same figures in the same
    /// order.
    pub(crate) fn beside(title: String, all: &[(String, Vec<Run>)]) -> Self {
        let each = all.iter().map(|(_, runs)| Self::of(String::new(), runs));
        let mut each = each.map(|one| one.rows);
        let mut rows = each.next().unwrap_or_default();
        for other in each {
            for ((_, spreads), (_, others)) in rows.iter_mut().zip(other) {
                spreads.extend(others);
            }
        }
        let names = all.iter().map(|(name, _)| name.clone());
        Self {
            title,
            runs: all.iter().map(|(_, runs)| runs.len()).max().unwrap_or(0),
            columns: names.collect(),
            rows,
        }
    }

    pub(crate) fn table(&self) -> String {
        let width = self.rows.iter().map(|(name, _)| name.chars().count());
        let width = width.max().unwrap_or(0).max(30) + 2;
        let mut table = format!("{}\n{:<width$}", self.title, "");
        // Writing to a String cannot fail.
        for column in &self.columns {
            let name = if column.is_empty() {
                "median [least–most]"
            } else {
                column
            };
            write!(table, "{name:>32}").ok();
        }
        table.push('\n');
        for (name, spreads) in &self.rows {
            write!(table, "{name:<width$}").ok();
            for spread in spreads {
                write!(table, "{:>32}", spread.text()).ok();
            }
            table.push('\n');
        }
        table
    }

    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|(name, spreads)| {
            let figures = match spreads.as_slice() {
                [one] => one.json(),
                several => {
                    let named = self.columns.iter().cloned().zip(several.iter());
                    Value::Object(named.map(|(name, one)| (name, one.json())).collect())
                }
            };
            (name.clone(), figures)
        });
        let rows: serde_json::Map<String, Value> = rows.collect();
        json!({
            "run": self.title, "runs": self.runs, "columns": self.columns, "figures": rows,
        })
    }
}

impl Spread {
    const NONE: Self = Self {
        median: f64::NAN,
        least: f64::NAN,
        most: f64::NAN,
    };

    pub(crate) fn text(self) -> String {
        let digits = if self.median > 1_000.0 { 0 } else { 2 };
        let Self {
            median,
            least,
            most,
        } = self;
        format!("{median:.digits$} [{least:.digits$}–{most:.digits$}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rate: f64, cpu: f64) -> Run {
        let mut run = Run::default();
        run.add("events/s", rate);
        run.add("CPU", cpu);
        run
    }

    #[test]
    fn the_middle_and_the_ends_are_told() {
        let runs = [run(30.0, 1.0), run(10.0, 2.0), run(20.0, 9.0)];
        let summary = Summary::of("title".to_owned(), &runs);
        let spread = Spread {
            median: 20.0,
            least: 10.0,
            most: 30.0,
        };
        assert_eq!(summary.rows[0], ("events/s".to_owned(), vec![spread]));
        assert!(summary.table().contains("20.00 [10.00–30.00]"));
        assert_eq!(summary.json()["figures"]["CPU"]["median"], 2.0);
        assert_eq!(summary.json()["runs"], 3);
    }

    /// Each has a column, in the order in which they are given.
    #[test]
    fn things_stand_beside_each_other() {
        let all = [
            ("a".to_owned(), vec![run(10.0, 1.0), run(30.0, 1.0)]),
            ("b".to_owned(), vec![run(5.0, 2.0)]),
        ];
        let summary = Summary::beside("title".to_owned(), &all);
        assert_eq!(summary.columns, ["a", "b"]);
        let rates = summary.rows[0].1.iter().map(|spread| spread.most);
        assert_eq!(rates.collect::<Vec<_>>(), [30.0, 5.0]);
        assert_eq!(summary.json()["figures"]["CPU"]["b"]["median"], 2.0);
    }

    /// A ratio is taken within a pair, since both ran beside the same noise.
    #[test]
    fn ratios_are_those_of_pairs() {
        let pairs = [
            (run(50.0, 2.0), run(100.0, 1.0)),
            (run(10.0, 2.0), run(20.0, 1.0)),
            (run(30.0, 2.0), run(40.0, 0.0)),
        ];
        let summary = Summary::of_pairs("title".to_owned(), ["a", "b"], &pairs);
        let ratio = summary.rows[0].1[2];
        assert_eq!(
            ratio,
            Spread {
                median: 0.5,
                least: 0.5,
                most: 0.75
            }
        );
        assert_eq!(
            summary.json()["figures"]["events/s"]["a / b"]["median"],
            0.5
        );
        assert_eq!(summary.json()["columns"][1], "b");
        // What was not measured of one has no ratio.
        assert_eq!(summary.rows[1].1[2].most, 2.0);
    }
}
