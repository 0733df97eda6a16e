//! The samples of a scrape.

/// One line: a name, labels with their values as they are escaped, and a number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sample<'a> {
    pub(super) name: &'a str,
    labels: Vec<(&'a str, &'a str)>,
    pub(super) value: &'a str,
}

impl<'a> Sample<'a> {
    pub(super) fn label(&self, name: &str) -> Option<&'a str> {
        let found = self.labels.iter().find(|(label, _)| *label == name);
        found.map(|(_, value)| *value)
    }

    pub(super) fn number(&self) -> f64 {
        self.value.parse().unwrap_or_default()
    }

    fn read(line: &'a str) -> Option<Self> {
        let end = line.find(['{', ' '])?;
        let (name, mut rest) = line.split_at_checked(end)?;
        let mut labels = Vec::new();
        if let Some(inner) = rest.strip_prefix('{') {
            rest = inner;
            while let Some((label, quoted)) = rest.split_once("=\"") {
                let end = quoted_end(quoted)?;
                labels.push((label, quoted.get(..end)?));
                rest = quoted.get(end + 1..)?;
                match rest.strip_prefix(',') {
                    Some(more) => rest = more,
                    None => break,
                }
            }
            rest = rest.strip_prefix('}')?;
        }
        let value = rest.split(' ').nth(1)?;
        Some(Self {
            name,
            labels,
            value,
        })
    }
}

/// The samples of a text; what is not understood is left out.
pub(super) fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(Sample::read)
}

/// Where the value of a label ends.
fn quoted_end(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A quotation mark in a label's value must not end it.
    #[test]
    fn samples_are_read_with_any_labels() {
        let text =
            "# TYPE a counter\na 1\nb{c=\"d\",e=\"f\\\"}, g=\\\"\"} 2.5 # {x=\"y\"} 1\nodd{\n\n";
        let all: Vec<Sample<'_>> = samples(text).collect();
        assert_eq!(all.len(), 2, "{all:?}");
        assert_eq!((all[0].name, all[0].value), ("a", "1"));
        assert_eq!(all[1].label("e"), Some("f\\\"}, g=\\\""));
        assert!((all[1].number() - 2.5).abs() < f64::EPSILON);
        assert_eq!(all[1].label("x"), None);
    }
}
