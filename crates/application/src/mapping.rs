//! How to read a format that only its sender knows: a place in the document for each attribute.

use std::collections::BTreeMap;

/// Most extensions of a mapping.
pub(crate) const EXTENSIONS_MAX: usize = 32;

/// Longest template.
const TEMPLATE_BYTES_MAX: usize = 512;

/// Where the attributes are. What is not set is derived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// `id`
    pub id: Option<Template>,
    /// `source`
    pub source: Option<Template>,
    /// `type`
    pub r#type: Option<Template>,
    /// `subject`
    pub subject: Option<Template>,
    /// `time`
    pub time: Option<Template>,
    /// The path of the data; without one it is the whole body.
    pub data: Option<String>,
    /// Extensions, by name.
    pub extensions: BTreeMap<String, Template>,
    /// The status of the answer.
    pub status: Option<u16>,
}

/// Text with paths in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(pub Vec<Part>);

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text as it is.
    Text(String),
    /// What stands at a path: a JSON pointer (RFC 6901), or `/root/child[2]/@attribute` in XML.
    Path(String),
}

impl Template {
    /// `text {/path} text`; or a path alone, which begins with a slash.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() || text.len() > TEMPLATE_BYTES_MAX {
            return Err("must have from 1 to 512 bytes");
        }
        if text.starts_with('/') && !text.contains('{') {
            return path(text).map(|path| Self(vec![Part::Path(path)]));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (inner, after) = after.split_once('}').ok_or("has a { without a }")?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Path(path(inner)?));
            rest = after;
        }
        if rest.contains('}') {
            return Err("has a } without a {");
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }
}

/// A path, if it looks like one.
pub(crate) fn path(text: &str) -> Result<String, &'static str> {
    if !text.starts_with('/') {
        return Err("a path must begin with /");
    }
    if text.chars().any(char::is_control) {
        return Err("a path must not hold control characters");
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path alone, a template, and plain text are told apart.
    #[test]
    fn templates_are_text_and_paths() {
        let of = |text| Template::parse(text).map(|template| template.0);
        assert_eq!(of("/a/b"), Ok(vec![Part::Path("/a/b".to_owned())]));
        assert_eq!(
            of("sap.emarsys.{/scenario}.v1"),
            Ok(vec![
                Part::Text("sap.emarsys.".to_owned()),
                Part::Path("/scenario".to_owned()),
                Part::Text(".v1".to_owned()),
            ])
        );
        assert_eq!(of("plain"), Ok(vec![Part::Text("plain".to_owned())]));
        for wrong in ["", "{/a", "a}", "{a}", "x{}"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
