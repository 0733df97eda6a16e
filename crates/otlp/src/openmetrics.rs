//! Reads the text of metrics: what is scraped and what is pushed are the same.
//!
//! As much of OpenMetrics as the registry writes: counters, gauges, histograms; anything else is
//! taken for a gauge. A line that is none is left out.

use std::collections::BTreeMap;

/// Metrics of one name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) unit: String,
    pub(crate) kind: Kind,
    pub(crate) points: Vec<Point>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    Counter,
    #[default]
    Gauge,
    Histogram,
}

/// What one set of labels has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Point {
    pub(crate) labels: Vec<(String, String)>,
    /// Of a counter or a gauge.
    pub(crate) value: f64,
    /// Of a histogram: upper bounds, and how many are up to each.
    pub(crate) buckets: Vec<(f64, u64)>,
    pub(crate) count: u64,
    pub(crate) sum: f64,
}

/// One sample of a line.
struct Sample<'a> {
    name: &'a str,
    labels: Vec<(String, String)>,
    value: f64,
}

/// All families of a text.
pub(crate) fn read(text: &str) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    // By labels, where in the family its points are.
    let mut places: BTreeMap<Vec<(String, String)>, usize> = BTreeMap::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (Some(what), Some(name)) = (words.next(), words.next()) else {
                continue;
            };
            if families.last().is_none_or(|family| family.name != name) {
                places.clear();
                families.push(Family {
                    name: name.to_owned(),
                    ..Family::default()
                });
            }
            if let Some(family) = families.last_mut() {
                family.comment(what, words.next().unwrap_or_default());
            }
        } else if let Some(family) = families.last_mut()
            && let Some(sample) = sample(line)
        {
            family.add(sample, &mut places);
        }
    }
    families.retain(|family| !family.points.is_empty());
    families
}

impl Family {
    fn comment(&mut self, what: &str, text: &str) {
        match what {
            "HELP" => self.help = text.trim_end_matches('.').to_owned(),
            "UNIT" => self.unit = text.to_owned(),
            "TYPE" => {
                self.kind = match text {
                    "counter" => Kind::Counter,
                    "histogram" => Kind::Histogram,
                    _ => Kind::Gauge,
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, sample: Sample<'_>, places: &mut BTreeMap<Vec<(String, String)>, usize>) {
        let Sample {
            name,
            mut labels,
            value,
        } = sample;
        let Some(suffix) = name.strip_prefix(self.name.as_str()) else {
            return;
        };
        let bound = match (self.kind, suffix) {
            (Kind::Histogram, "_bucket") => {
                let at = labels.iter().position(|(name, _)| name == "le");
                let bound = at.map(|at| labels.remove(at).1);
                let Some(bound) = bound.and_then(|bound| number(&bound)) else {
                    return;
                };
                Some(bound)
            }
            _ => None,
        };
        let next = self.points.len();
        let place = *places.entry(labels.clone()).or_insert(next);
        if place == next {
            self.points.push(Point {
                labels,
                ..Point::default()
            });
        }
        let Some(point) = self.points.get_mut(place) else {
            return;
        };
        match (self.kind, suffix, bound) {
            (Kind::Histogram, _, Some(bound)) => point.buckets.push((bound, whole(value))),
            (Kind::Histogram, "_count", None) => point.count = whole(value),
            (Kind::Histogram, "_sum", None) => point.sum = value,
            (Kind::Histogram, ..) => {}
            (Kind::Counter | Kind::Gauge, ..) => point.value = value,
        }
    }
}

/// `name{label="value",…} value`, perhaps with more behind.
fn sample(line: &str) -> Option<Sample<'_>> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at_checked(end)?;
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    let value = number(rest.split_whitespace().next()?)?;
    Some(Sample {
        name,
        labels,
        value,
    })
}

/// The labels behind an opening brace, and what is behind the closing one.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at + 1,
                (_, '\\') => match characters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.push((name.to_owned(), value));
        rest = after.get(end..)?;
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        other => other.parse().ok(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are whole and never below 0"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the registry writes is read, with every label and bucket.
    #[test]
    fn counters_gauges_and_histograms_are_read() {
        let text = "\
# HELP a_things Things that were counted.
# TYPE a_things counter
a_things_total{of=\"x\\\"\\\\\\ny, z\",b=\"\"} 3
a_things_total{of=\"y\",b=\"1\"} 4
# HELP b_now How many now.
# TYPE b_now gauge
# UNIT b_now bytes
b_now -1.5
# HELP c_seconds How long it took.
# TYPE c_seconds histogram
c_seconds_sum{of=\"x\"} 0.5
c_seconds_count{of=\"x\"} 3
c_seconds_bucket{le=\"0.1\",of=\"x\"} 1
c_seconds_bucket{le=\"+Inf\",of=\"x\"} 3
# HELP d_none Never seen.
# TYPE d_none gauge
no line at all
# EOF
";
        let families = read(text);
        let [a, b, c] = &families[..] else {
            panic!("{families:?}");
        };
        assert_eq!((a.kind, a.points.len()), (Kind::Counter, 2));
        assert_eq!(a.help, "Things that were counted");
        let odd = ("of".to_owned(), "x\"\\\ny, z".to_owned());
        assert_eq!(a.points[0].labels, [odd, ("b".to_owned(), String::new())]);
        assert_eq!((a.points[0].value, a.points[1].value), (3.0, 4.0));
        assert_eq!((b.unit.as_str(), b.points[0].value), ("bytes", -1.5));
        let point = &c.points[0];
        assert_eq!((c.points.len(), point.count, point.sum), (1, 3, 0.5));
        assert_eq!(point.buckets, [(0.1, 1), (f64::INFINITY, 3)]);
        assert_eq!(point.labels, [("of".to_owned(), "x".to_owned())]);
    }

    /// Whatever it is, it is no reason to end.
    #[test]
    fn broken_lines_are_left_out() {
        let broken = [
            "x{",
            "x{a=\"",
            "x{a=\"b\\",
            "x{a=\"b\"} ",
            "x",
            "{",
            "# ",
            "# TYPE",
            "x{a} 1",
        ];
        for line in broken {
            let text = format!("# TYPE x counter\n{line}\nx_total 1\n");
            let points: Vec<_> = read(&text).into_iter().flat_map(|one| one.points).collect();
            assert_eq!(points.len(), 1, "{line}: {points:?}");
        }
    }
}
