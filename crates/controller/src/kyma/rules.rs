//! What Kyma's controller says of a document, word for word: one mistake of each field, with the
//! value that it has.

use serde_json::Value;
use tidegate_document::Mistake;
use url::{Host, Url};

/// A Service that events go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sink {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

/// What is wrong with a document: what was found in it, and what a cluster asks of a sink beside
/// that. The Service, where nothing is.
pub(crate) fn mistakes(
    document: &Value,
    found: &[Mistake],
    (namespace, domain): (&str, &str),
) -> Result<Sink, Vec<String>> {
    let mut told: Vec<String> = Vec::new();
    let mut fields: Vec<String> = Vec::new();
    for mistake in found {
        let field = field(&mistake.field);
        let is_config = field == "spec.config";
        if fields.contains(&field) && !is_config {
            continue;
        }
        let value = value(document, mistake);
        told.push(invalid(&field, &value, &mistake.message));
        fields.push(field);
    }
    let text = document
        .pointer("/spec/sink")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if fields.iter().any(|field| field == "spec.sink") {
        return Err(told);
    }
    match service(text, namespace, domain) {
        Ok(sink) if told.is_empty() => Ok(sink),
        Ok(_) => Err(told),
        Err((field, message)) => {
            told.push(invalid(field, text, &message));
            Err(told)
        }
    }
}

fn invalid(field: &str, value: &str, message: &str) -> String {
    format!("{field}: Invalid value: {value:?}: {message}")
}

/// As Kyma names it: neither an entry of a list nor one of a map.
fn field(field: &str) -> String {
    let field = field.split('[').next().unwrap_or(field);
    match field.strip_prefix("spec.config") {
        Some(_) => "spec.config".to_owned(),
        None => field.to_owned(),
    }
}

/// What stands in the field.
fn value(document: &Value, mistake: &Mistake) -> String {
    if mistake.message == "must not have duplicate types" {
        return duplicates(document);
    }
    let pointer = mistake.field.replace(['.', '['], "/").replace(']', "");
    let value = document.pointer(&format!("/{pointer}"));
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(_)) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// All types that stand there twice.
fn duplicates(document: &Value) -> String {
    let types = document.pointer("/spec/types").and_then(Value::as_array);
    let types: Vec<&str> = types
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut twice: Vec<&str> = Vec::new();
    for (index, one) in types.iter().enumerate() {
        let before = types
            .iter()
            .take(index)
            .filter(|other| *other == one)
            .count();
        if before == 1 {
            twice.push(one);
        }
    }
    twice.join(",")
}

/// The Service of an address, as Kyma wants it.
fn service(text: &str, namespace: &str, domain: &str) -> Result<Sink, (&'static str, String)> {
    const FIELD: &str = "spec.sink";
    let url = Url::parse(text);
    let url = url.map_err(|error| {
        let message = format!("failed to parse subscription sink URL: {error}");
        (FIELD, message)
    })?;
    let host = match url.host() {
        Some(Host::Domain(host)) => host.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => String::new(),
    };
    let suffix = format!("svc.{domain}");
    if !host.ends_with(&suffix) {
        return Err((FIELD, format!("must have valid sink URL suffix {suffix}")));
    }
    let labels = host.split('.').count();
    let wanted = 3 + domain.split('.').count();
    let mut parts = host.split('.');
    let (Some(name), Some(found), true) = (parts.next(), parts.next(), labels == wanted) else {
        let message = format!("must have sink URL with {wanted} sub-domains: {host}");
        return Err((FIELD, message));
    };
    if found != namespace {
        let message = format!("must have the same namespace as the subscriber: {found}");
        return Err(("metadata.namespace", message));
    }
    Ok(Sink {
        namespace: found.to_owned(),
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests;
