//! How Kyma's eventing names types after its cleaning: only to recognise them.

use tidegate_event::Event;

/// The prefix of Kyma's old types.
const PREFIX: &str = "sap.kyma.custom.";

/// A type with the prefix as Kyma's publisher rebuilds it:
/// `<prefix><application>.<objects joined>.<operation>.<version>`.
pub(crate) fn cleaned_prefixed_type(r#type: &str) -> Option<String> {
    let segments: Vec<&str> = r#type.strip_prefix(PREFIX)?.split('.').collect();
    if segments.iter().any(|segment| segment.is_empty()) {
        return None;
    }
    match segments.as_slice() {
        [application, objects @ .., operation, version] if !objects.is_empty() => {
            Some(rebuilt(application, &objects.concat(), operation, version))
        }
        _ => None,
    }
}

/// The type of the second event that Kyma makes of a legacy one.
pub(crate) fn legacy_type(event: &Event) -> Option<String> {
    let version = event.extensions.get("eventtypeversion")?.to_text();
    let name = event.r#type.strip_suffix(&*version)?.strip_suffix('.')?;
    let (objects, operation) = name.rsplit_once('.')?;
    Some(rebuilt(
        &event.source,
        &objects.replace('.', ""),
        operation,
        &version,
    ))
}

/// Kyma's `<source>.<type>` after cleaning: the subject of an event without its first token.
pub(crate) fn source_and_type(source: &str, r#type: &str) -> String {
    let kept = |char: &char| !char.is_whitespace() && !['>', '*', '/', '\\'].contains(char);
    let source = source.chars().filter(kept).filter(|char| *char != '.');
    let r#type = r#type.chars().filter(kept);
    source.chain(['.']).chain(r#type).collect()
}

fn rebuilt(application: &str, object: &str, operation: &str, version: &str) -> String {
    let clean = |text: &str| {
        text.chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
    };
    format!(
        "{PREFIX}{}.{}.{}.{}",
        clean(application),
        clean(object),
        clean(operation),
        clean(version)
    )
}
