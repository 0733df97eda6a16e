//! Marks in a page, what stands between them, and what stands behind.

use anyhow::{Context, bail, ensure};

const BEGINS: &str = "<!-- figures: ";
const BEGIN_ENDS: &str = " -->\n";
const ENDS: &str = "<!-- /figures -->\n";

/// A marked part of a page.
struct Part<'a> {
    name: &'a str,
    /// Where its content begins and ends.
    content: std::ops::Range<usize>,
    /// Where what is behind it begins.
    behind: usize,
}

/// Fails unless the page has a place for each of these, and for nothing else.
pub(crate) fn check(text: &str, names: &[&str]) -> anyhow::Result<()> {
    let parts = parts(text)?;
    for part in &parts {
        ensure!(
            names.contains(&part.name),
            "the mark `{BEGINS}{}` is unknown; there are {}",
            part.name,
            names.join(", ")
        );
    }
    for name in names {
        let count = parts.iter().filter(|part| part.name == *name).count();
        ensure!(
            count == 1,
            "the mark `{BEGINS}{name}` must be there once, not {count} times"
        );
    }
    Ok(())
}

/// The page with this between the marks; everything else stays as it is.
pub(crate) fn put(text: &str, name: &str, content: &str) -> anyhow::Result<String> {
    let part = part(text, name)?;
    let before = text.get(..part.content.start).unwrap_or_default();
    let behind = text.get(part.content.end..).unwrap_or_default();
    Ok(format!("{before}{content}{behind}"))
}

/// What a person wrote behind a table, up to the next table or heading.
pub(crate) fn prose<'a>(text: &'a str, name: &str) -> anyhow::Result<&'a str> {
    let part = part(text, name)?;
    let behind = text.get(part.behind..).unwrap_or_default();
    let headings = ["\n## ", "\n### "];
    let headings = headings.iter().filter_map(|end| behind.find(end));
    let end = headings.chain(first(behind)).min();
    Ok(behind
        .get(..end.unwrap_or(behind.len()))
        .unwrap_or_default())
}

fn part<'a>(text: &'a str, name: &str) -> anyhow::Result<Part<'a>> {
    let mut parts = parts(text)?.into_iter();
    parts
        .find(|part| part.name == name)
        .with_context(|| format!("the mark `{BEGINS}{name}` is not there"))
}

fn parts(text: &str) -> anyhow::Result<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(begin) = first(text.get(at..).unwrap_or_default()) {
        let rest = text.get(at + begin + BEGINS.len()..).unwrap_or_default();
        let (name, content) = rest
            .split_once(BEGIN_ENDS)
            .with_context(|| format!("a mark `{BEGINS}` without an end of its line"))?;
        let start = text.len() - content.len();
        let Some(length) = content.find(ENDS) else {
            bail!("the mark `{BEGINS}{name}` has no `{}`", ENDS.trim());
        };
        ensure!(
            first(content.get(..length).unwrap_or_default()).is_none(),
            "the mark `{BEGINS}{name}` is not closed before the next"
        );
        at = start + length + ENDS.len();
        parts.push(Part {
            name,
            content: start..start + length,
            behind: at,
        });
    }
    Ok(parts)
}

/// Where the first mark begins, of a text that begins a line: elsewhere in a line it is but spoken of.
fn first(text: &str) -> Option<usize> {
    if text.starts_with(BEGINS) {
        return Some(0);
    }
    text.find(&format!("\n{BEGINS}")).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Title\n\nOf `<!-- figures: NAME -->`.\n\n<!-- figures: a -->\nold\n<!-- /figures -->\n\n- **x**: by hand\n\n\
                        <!-- figures: b -->\n<!-- /figures -->\nlast\n\n## Next\n\n- **x**: elsewhere\n";

    /// What is written by hand survives, before and behind.
    #[test]
    fn only_what_is_between_the_marks_changes() {
        let new = put(TEXT, "a", "| new |\n").unwrap();
        assert_eq!(new, TEXT.replace("old\n", "| new |\n"));
        let again = put(&new, "a", "| new |\n").unwrap();
        assert_eq!(again, new);
        assert!(
            put(&new, "b", "more\n")
                .unwrap()
                .contains("more\n<!-- /figures -->\nlast")
        );
    }

    #[test]
    fn marks_and_tables_have_to_fit() {
        check(TEXT, &["a", "b"]).unwrap();
        let told = |text: &str, names: &[&str]| check(text, names).unwrap_err().to_string();
        assert!(told(TEXT, &["a"]).contains("`<!-- figures: b` is unknown"));
        assert!(
            told(TEXT, &["a", "b", "c"]).contains("`<!-- figures: c` must be there once, not 0")
        );
        let twice = format!("{TEXT}{TEXT}");
        assert!(told(&twice, &["a", "b"]).contains("not 2 times"));
        assert!(put(TEXT, "c", "").is_err());
    }

    #[test]
    fn a_mark_that_is_not_closed_is_an_error() {
        let open = TEXT.replacen("<!-- /figures -->\n", "", 1);
        assert!(check(&open, &["a", "b"]).is_err());
        assert!(check("<!-- figures: a -->\n", &["a"]).is_err());
        assert!(check("<!-- figures: a", &["a"]).is_err());
    }

    /// What explains a table stands before the next one.
    #[test]
    fn prose_ends_where_something_else_begins() {
        assert_eq!(prose(TEXT, "a").unwrap().trim(), "- **x**: by hand");
        assert_eq!(prose(TEXT, "b").unwrap().trim(), "last");
    }
}
