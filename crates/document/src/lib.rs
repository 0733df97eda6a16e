//! YAML documents of resources (`apiVersion`, `kind`, `metadata`, `spec`): several in a text, and
//! every mistake with its place.

mod envelope;
pub mod kafka;
mod metadata;
mod secret;

use std::fmt;

use serde::Deserialize;
use serde_saphyr::Spanned;

pub use envelope::Envelope;
pub use metadata::Metadata;
pub use secret::Secret;

/// Most bytes of one text: a thousand large documents.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Most documents in one text.
const DOCUMENTS_MAX: usize = 1_000;

/// What a text holds.
#[derive(Debug)]
pub struct Parsed<T> {
    /// Each resource with the line where its document begins.
    pub documents: Vec<(usize, T)>,
    /// What is wrong. A wrong document does not hide the others.
    pub mistakes: Vec<Mistake>,
}

impl<T> Default for Parsed<T> {
    fn default() -> Self {
        Self {
            documents: Vec::new(),
            mistakes: Vec::new(),
        }
    }
}

/// A kind of resource, and how its documents are read: the text, and the line where it begins.
#[derive(Debug)]
pub struct Kind<T> {
    /// Its `apiVersion`.
    pub api_version: &'static str,
    /// Its `kind`.
    pub kind: &'static str,
    /// Reads one.
    pub parse: fn(&str, usize) -> Result<T, Vec<Mistake>>,
}

/// One mistake in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// Which resource, if that is known.
    pub object: Option<String>,
    /// Which field, as a path; empty for the document.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.line)?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// Parses the documents of a text, which are of these kinds.
pub fn parse<T>(text: &str, kinds: &[Kind<T>]) -> Parsed<T> {
    let mut parsed = Parsed::default();
    let refused = |message: String| Mistake {
        line: 1,
        object: None,
        field: String::new(),
        message,
    };
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("{} bytes, the limit is {TEXT_BYTES_MAX}", text.len());
        parsed.mistakes.push(refused(message));
        return parsed;
    }
    let documents = split(text);
    if documents.len() > DOCUMENTS_MAX {
        let message = format!(
            "{} documents, the limit is {DOCUMENTS_MAX}",
            documents.len()
        );
        parsed.mistakes.push(refused(message));
        return parsed;
    }
    for (first_line, document) in documents {
        match one(&document, first_line, kinds) {
            Ok(resource) => parsed.documents.push((first_line, resource)),
            Err(mistakes) => parsed.mistakes.extend(mistakes),
        }
    }
    parsed
}

/// The documents with the line where each begins. Split here, since a parser stops at the first
/// document that is wrong.
fn split(text: &str) -> Vec<(usize, String)> {
    let mut documents = vec![(1, String::new())];
    for (index, line) in text.lines().enumerate() {
        let marker = line
            .strip_prefix("---")
            .or_else(|| line.strip_prefix("..."));
        if marker.is_some_and(|rest| rest.trim().is_empty() || rest.trim_start().starts_with('#')) {
            documents.push((index + 2, String::new()));
        } else if let Some((_, document)) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    let is_empty = |document: &str| {
        document
            .lines()
            .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
    };
    documents.retain(|(_, document)| !is_empty(document));
    documents
}

/// What every document says of itself.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "apiVersion")]
    api_version: Option<Spanned<String>>,
    kind: Option<Spanned<String>>,
}

fn one<T>(document: &str, first_line: usize, kinds: &[Kind<T>]) -> Result<T, Vec<Mistake>> {
    let named: Named =
        serde_saphyr::from_str(document).map_err(|error| vec![of_yaml(&error, first_line)])?;
    let place = |line: Option<usize>, field: &str, message: String| {
        let line = line.map_or(first_line, |line| first_line + line - 1);
        vec![Mistake {
            line,
            object: None,
            field: field.to_owned(),
            message,
        }]
    };
    let Some(api_version) = named.api_version else {
        return Err(place(None, "apiVersion", "must be set".to_owned()));
    };
    let Some(kind) = named.kind else {
        return Err(place(None, "kind", "must be set".to_owned()));
    };
    let of_version: Vec<_> = kinds
        .iter()
        .filter(|one| one.api_version == api_version.value)
        .collect();
    let list = |names: Vec<&str>| names.join(" and ");
    if of_version.is_empty() {
        let mut versions: Vec<_> = kinds.iter().map(|one| one.api_version).collect();
        versions.dedup();
        let supported = list(versions);
        let message = format!("{:?} is not supported, {supported} is", api_version.value);
        return Err(place(line_of(&api_version), "apiVersion", message));
    }
    match of_version.iter().find(|one| one.kind == kind.value) {
        Some(known) => (known.parse)(document, first_line),
        None => {
            let supported = list(of_version.iter().map(|one| one.kind).collect());
            let message = format!("{:?} is not supported, {supported} is", kind.value);
            Err(place(line_of(&kind), "kind", message))
        }
    }
}

/// The line of a value within its document.
pub fn line_of<T>(spanned: &Spanned<T>) -> Option<usize> {
    usize::try_from(spanned.referenced.line())
        .ok()
        .filter(|line| *line > 0)
}

/// What the YAML parser says.
pub fn of_yaml(error: &serde_saphyr::Error, first_line: usize) -> Mistake {
    let line = error
        .location()
        .and_then(|location| usize::try_from(location.line()).ok());
    let text = error.without_snippet().to_string();
    // One line of it; the place is said already.
    let message = text.lines().next().unwrap_or("not YAML").trim();
    Mistake {
        line: line.map_or(first_line, |line| first_line + line.max(1) - 1),
        object: None,
        field: String::new(),
        message: message.to_owned(),
    }
}

/// Collects mistakes with their places.
#[derive(Debug)]
pub struct Mistakes {
    first_line: usize,
    /// Which resource, once that is known.
    pub object: Option<String>,
    /// What was found.
    pub found: Vec<Mistake>,
}

impl Mistakes {
    /// None yet, in the document that begins at this line.
    pub fn new(first_line: usize) -> Self {
        Self {
            first_line,
            object: None,
            found: Vec::new(),
        }
    }

    /// Adds one, at a line of the document.
    pub fn add(&mut self, line: Option<usize>, field: &str, message: impl Into<String>) {
        self.found.push(Mistake {
            line: line.map_or(self.first_line, |line| self.first_line + line - 1),
            object: self.object.clone(),
            field: field.to_owned(),
            message: message.into(),
        });
    }
}
