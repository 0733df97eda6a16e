//! A resource's name and namespace.

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::{Mistakes, line_of};

/// What matters of it; a document exported from a cluster holds much more.
#[derive(Debug, Default, Deserialize)]
pub struct Metadata {
    name: Option<Spanned<String>>,
    namespace: Option<Spanned<String>>,
}

impl Metadata {
    /// Its namespace, which is `default` unless it says so, and its name.
    pub fn identity(self, mistakes: &mut Mistakes) -> (String, String) {
        let Self { name, namespace } = self;
        let mut legal = |field, value: Option<Spanned<String>>, default: Option<&str>| {
            let line = value.as_ref().and_then(line_of);
            let value = value
                .map(|value| value.value)
                .or(default.map(str::to_owned));
            match value {
                Some(value) if is_dns_subdomain(&value) => value,
                Some(value) => {
                    let rule =
                        "must be lower-case letters, digits, '-' and '.', at most 253 characters";
                    mistakes.add(line, field, format!("{rule}, got {value:?}"));
                    value
                }
                None => {
                    mistakes.add(line, field, "must be set");
                    String::new()
                }
            }
        };
        let name = legal("metadata.name", name, None);
        (
            legal("metadata.namespace", namespace, Some("default")),
            name,
        )
    }
}

fn is_dns_subdomain(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !text.is_empty()
        && text.len() <= 253
        && text.split('.').all(|label| {
            label.bytes().next().is_some_and(legal)
                && label.bytes().last().is_some_and(legal)
                && label.bytes().all(|byte| legal(byte) || byte == b'-')
        })
}
