//! Subscription documents in YAML, and every mistake with its place.

mod kyma_v1alpha2;

use std::fmt;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::Subscription;

/// Most bytes of one text: a thousand large documents.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Most documents in one text.
const DOCUMENTS_MAX: usize = 1_000;

/// What a text holds.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Each Subscription with the line where its document begins.
    pub subscriptions: Vec<(usize, Subscription)>,
    /// What is wrong. A wrong document does not hide the others.
    pub mistakes: Vec<Mistake>,
}

/// One mistake in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// Which Subscription, if that is known.
    pub subscription: Option<String>,
    /// Which field, as a path; empty for the document.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.line)?;
        if let Some(subscription) = &self.subscription {
            write!(f, "{subscription}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// Parses the documents of a text.
pub fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let refused = |message: String| Mistake {
        line: 1,
        subscription: None,
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
        match one(&document, first_line) {
            Ok(Some(subscription)) => parsed.subscriptions.push((first_line, subscription)),
            Ok(None) => {}
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
struct Kind {
    #[serde(rename = "apiVersion")]
    api_version: Option<Spanned<String>>,
    kind: Option<Spanned<String>>,
}

fn one(document: &str, first_line: usize) -> Result<Option<Subscription>, Vec<Mistake>> {
    let kind: Kind =
        serde_saphyr::from_str(document).map_err(|error| vec![of_yaml(&error, first_line)])?;
    let place = |line: Option<usize>, field: &str, message: String| {
        let line = line.map_or(first_line, |line| first_line + line - 1);
        vec![Mistake {
            line,
            subscription: None,
            field: field.to_owned(),
            message,
        }]
    };
    let Some(api_version) = kind.api_version else {
        return Err(place(None, "apiVersion", "must be set".to_owned()));
    };
    let Some(kind) = kind.kind else {
        return Err(place(None, "kind", "must be set".to_owned()));
    };
    match (api_version.value.as_str(), kind.value.as_str()) {
        (kyma_v1alpha2::API_VERSION, kyma_v1alpha2::KIND) => {
            kyma_v1alpha2::parse(document, first_line).map(Some)
        }
        (kyma_v1alpha2::API_VERSION, other) => {
            let message = format!("{other:?} is not supported, Subscription is");
            Err(place(line_of(&kind), "kind", message))
        }
        (other, _) => {
            let supported = kyma_v1alpha2::API_VERSION;
            let message = format!("{other:?} is not supported, {supported} is");
            Err(place(line_of(&api_version), "apiVersion", message))
        }
    }
}

fn line_of<T>(spanned: &Spanned<T>) -> Option<usize> {
    usize::try_from(spanned.referenced.line())
        .ok()
        .filter(|line| *line > 0)
}

fn of_yaml(error: &serde_saphyr::Error, first_line: usize) -> Mistake {
    let line = error
        .location()
        .and_then(|location| usize::try_from(location.line()).ok());
    let text = error.without_snippet().to_string();
    // One line of it; the place is said already.
    let message = text.lines().next().unwrap_or("not YAML").trim();
    Mistake {
        line: line.map_or(first_line, |line| first_line + line.max(1) - 1),
        subscription: None,
        field: String::new(),
        message: message.to_owned(),
    }
}
