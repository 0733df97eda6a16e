//! Counts that are kept, and how those of now compare.

use std::{collections::BTreeMap, fmt};

use anyhow::Context;

/// How far a count may be above the one that is kept. The counts of one build are the same from run
/// to run, but where sockets or a scheduler are part of the case: there they differ by up to 1.3 %.
pub(super) const TOLERANCE_PERCENT: u64 = 3;

const HEAD: &str = "\
# Instructions for doing the work of each case once, on Linux on x86-64, with the pinned compiler.
# Written by cargo xtask instructions --keep, which leaves alone what is within the tolerance.
";

/// What is kept: a case a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts(Vec<(String, u64)>);

/// A case that is counted, or kept, or both.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) case: String,
    stored: Option<u64>,
    now: Now,
}

/// What counting said of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Now {
    Counted(u64),
    NotAsked,
    NoCase,
}

/// What a count is beside the one that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Same,
    Fewer,
    More,
    New,
    Gone,
}

/// Each of these cases, and what is kept of others. `now` are those that were asked for.
pub(super) fn compare(cases: &[&str], kept: &Counts, now: &BTreeMap<String, u64>) -> Vec<Count> {
    let stored = |case: &str| {
        let mut kept = kept.0.iter();
        kept.find(|(name, _)| name == case).map(|(_, count)| *count)
    };
    let of_case = |case: &&str| Count {
        case: (*case).to_owned(),
        stored: stored(case),
        now: now
            .get(*case)
            .map_or(Now::NotAsked, |now| Now::Counted(*now)),
    };
    let gone = kept
        .0
        .iter()
        .filter(|(case, _)| !cases.contains(&case.as_str()));
    let gone = gone.map(|(case, count)| Count {
        case: case.clone(),
        stored: Some(*count),
        now: Now::NoCase,
    });
    cases.iter().map(of_case).chain(gone).collect()
}

/// What is to be kept from now on.
pub(super) fn kept(lines: &[Count]) -> Counts {
    let kept = |line: &Count| Some((line.case.clone(), line.kept()?));
    Counts(lines.iter().filter_map(kept).collect())
}

/// The total of what callgrind wrote.
pub(super) fn total(written: &str) -> Option<u64> {
    let mut lines = written.lines();
    let total = lines.find_map(|line| line.strip_prefix("totals: "))?;
    total.trim().parse().ok()
}

// === impl Count ===

impl Count {
    pub(super) fn verdict(&self) -> Verdict {
        match (self.stored, self.now) {
            (_, Now::NoCase) => Verdict::Gone,
            (None, Now::Counted(_)) => Verdict::New,
            (_, Now::NotAsked) => Verdict::Same,
            (Some(stored), Now::Counted(now)) => {
                let (stored, now) = (u128::from(stored), u128::from(now));
                let tolerance = u128::from(TOLERANCE_PERCENT);
                if now * 100 > stored * (100 + tolerance) {
                    Verdict::More
                } else if now * 100 < stored * (100 - tolerance) {
                    Verdict::Fewer
                } else {
                    Verdict::Same
                }
            }
        }
    }

    fn kept(&self) -> Option<u64> {
        match (self.verdict(), self.now) {
            (Verdict::Gone, _) => None,
            // Small steps add up until they are more than the tolerance, and somebody looks.
            (Verdict::Same, _) | (_, Now::NotAsked | Now::NoCase) => self.stored,
            (Verdict::More | Verdict::Fewer | Verdict::New, Now::Counted(now)) => Some(now),
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none = |count: Option<u64>| count.map_or("-".to_owned(), |count| count.to_string());
        let now = match self.now {
            Now::Counted(now) => Some(now),
            Now::NotAsked | Now::NoCase => None,
        };
        let change = match self.stored.zip(now) {
            Some((stored, now)) => change(stored, now),
            None => "-".to_owned(),
        };
        let (stored, now) = (or_none(self.stored), or_none(now));
        write!(f, "| {} | {stored} | {now} | {change} |", self.case)
    }
}

/// By how many percent it changed, to the hundredth.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts are far below 2^52, and people read it"
)]
fn change(stored: u64, now: u64) -> String {
    format!("{:+.2}", (now as f64 / stored as f64 - 1.0) * 100.0)
}

// === impl Counts ===

impl Counts {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let count = |line: &str| {
            let (case, count) = line.split_once(' ')?;
            let count = count.trim().parse().ok().filter(|count| *count > 0)?;
            Some((case.to_owned(), count))
        };
        let counts = lines.map(|line| count(line).with_context(|| format!("no count: {line:?}")));
        counts.collect::<anyhow::Result<_>>().map(Self)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        for (case, count) in &self.0 {
            writeln!(f, "{case} {count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares cases `a` and `b`, of which `a` was counted.
    fn of_a(kept: &str, now: u64) -> Vec<Count> {
        let now = BTreeMap::from([("a".to_owned(), now)]);
        compare(&["a", "b"], &Counts::parse(kept).unwrap(), &now)
    }

    fn verdicts(lines: &[Count]) -> Vec<Verdict> {
        lines.iter().map(Count::verdict).collect()
    }

    /// Three percent are not noticed, in either direction; what is above fails.
    #[test]
    fn the_tolerance_is_three_percent() {
        for (now, expected) in [
            (1_000, Verdict::Same),
            (1_030, Verdict::Same),
            (1_031, Verdict::More),
            (970, Verdict::Same),
            (969, Verdict::Fewer),
        ] {
            let lines = of_a("a 1000\nb 7\n", now);
            assert_eq!(verdicts(&lines), [expected, Verdict::Same], "{now}");
        }
    }

    /// A case that nothing is kept of would never fail, and what is kept of a case that nobody
    /// counts any more looks like a guard.
    #[test]
    fn a_case_without_a_count_and_a_count_without_a_case_are_told() {
        assert_eq!(verdicts(&of_a("b 7\n", 5)), [Verdict::New, Verdict::Same]);
        let lines = of_a("a 5\nb 7\nc 9\n", 5);
        assert_eq!(
            verdicts(&lines),
            [Verdict::Same, Verdict::Same, Verdict::Gone]
        );
        // Not counted this time is neither.
        assert_eq!(verdicts(&of_a("a 5\n", 5)), [Verdict::Same; 2]);
    }

    /// Keeping takes what is out of tolerance, in the order of the cases, and forgets what is gone.
    /// What rose within it stays: small steps must not pass one by one.
    #[test]
    fn keeping_leaves_alone_what_is_within_the_tolerance() {
        for (before, now, after) in [
            ("a 1000\nb 7\n", 1_020, "a 1000\nb 7\n"),
            ("a 1000\nb 7\n", 1_050, "a 1050\nb 7\n"),
            ("a 1000\nb 7\n", 900, "a 900\nb 7\n"),
            ("c 9\nb 7\n", 5, "a 5\nb 7\n"),
            ("", 5, "a 5\n"),
        ] {
            let text = kept(&of_a(before, now)).to_string();
            assert_eq!(text, format!("{HEAD}{after}"));
            let again = Counts::parse(&text).unwrap();
            assert_eq!(again.to_string(), text);
        }
    }

    /// A line that is no count, or one that everything is above, is not passed over.
    #[test]
    fn what_is_no_count_is_refused() {
        for line in ["a", "a b", "a -1", "a 0", "<<<<<<< a"] {
            assert!(Counts::parse(line).is_err(), "{line}");
        }
    }

    /// People read how much it is.
    #[test]
    fn a_line_says_the_change() {
        let lines = of_a("a 1000\n", 1_015);
        assert_eq!(lines[0].to_string(), "| a | 1000 | 1015 | +1.50 |");
        assert_eq!(lines[1].to_string(), "| b | - | - | - |");
    }

    /// The last line of the file, as callgrind writes it.
    #[test]
    fn the_total_is_read() {
        assert_eq!(total("events: Ir\nfn=(0)\n0 3\n\ntotals: 23\n"), Some(23));
        assert_eq!(total("events: Ir\n"), None);
    }
}
