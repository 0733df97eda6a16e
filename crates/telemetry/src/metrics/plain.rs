//! From OpenMetrics to Prometheus' text format 0.0.4, in which a family is named as its samples are.

use std::fmt::Write as _;

/// The same metrics.
pub(super) fn plain(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut meaning = None;
    for line in open_metrics.lines() {
        let Some(said) = line.strip_prefix("# ") else {
            text.push_str(without_exemplar(line));
            text.push('\n');
            continue;
        };
        let mut words = said.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            // Its name is known with its type, which comes next.
            (Some("HELP"), Some(_), Some(help)) => meaning = Some(help),
            (Some("TYPE"), Some(name), Some(kind)) => {
                let (suffix, kind) = in_plain(kind);
                if let Some(help) = meaning.take() {
                    write(&mut text, format_args!("# HELP {name}{suffix} {help}\n"));
                }
                write(&mut text, format_args!("# TYPE {name}{suffix} {kind}\n"));
            }
            // There is no word for a unit, nor for the end.
            _ => {}
        }
    }
    text
}

/// What the samples of a type have behind the family's name, and its name here.
fn in_plain(kind: &str) -> (&'static str, &str) {
    match kind {
        "counter" => ("_total", kind),
        "info" => ("_info", "gauge"),
        "stateset" => ("", "gauge"),
        "unknown" => ("", "untyped"),
        other => ("", other),
    }
}

/// An exemplar stands behind a sample, and not in one of its labels.
fn without_exemplar(line: &str) -> &str {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, character) in line.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = is_quoted,
            '"' => is_quoted = !is_quoted,
            '#' if !is_quoted => return line.get(..at).unwrap_or(line).trim_end(),
            _ => {}
        }
    }
    line
}

fn write(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what)
        .expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without its suffix, a counter would have no type there, and no help.
    #[test]
    fn a_family_is_named_as_its_samples() {
        let open_metrics = "# HELP events Events.\n# TYPE events counter\n\
                            events_total{of=\"a # b\\\" # c\"} 3 # {trace=\"1\"} 1.0\n\
                            # HELP bytes Bytes.\n# TYPE bytes gauge\n# UNIT bytes bytes\nbytes 5\n\
                            # HELP build What runs.\n# TYPE build info\nbuild_info{version=\"1\"} 1\n\
                            # TYPE odd unknown\nodd 1\n\
                            # TYPE took histogram\ntook_sum 1.5\ntook_count 2\n\
                            took_bucket{le=\"+Inf\"} 2 # {id=\"2\"} 0.5\n# EOF\n";
        let expected = "# HELP events_total Events.\n# TYPE events_total counter\n\
                        events_total{of=\"a # b\\\" # c\"} 3\n\
                        # HELP bytes Bytes.\n# TYPE bytes gauge\nbytes 5\n\
                        # HELP build_info What runs.\n# TYPE build_info gauge\n\
                        build_info{version=\"1\"} 1\n\
                        # TYPE odd untyped\nodd 1\n\
                        # TYPE took histogram\ntook_sum 1.5\ntook_count 2\n\
                        took_bucket{le=\"+Inf\"} 2\n";
        assert_eq!(plain(open_metrics), expected);
    }
}
