//! What Kyma refuses of a type or a source, and its words for it.
//!
//! Only to refuse what Kyma refuses: nothing is cleaned, renamed or prefixed here. How an `exact`
//! Subscription is matched against Kyma's cleaned types is `subscription`'s.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Types that begin with this are of Kyma's older form, with an application in them. There is no
/// dot at the end: Kyma asks for none.
const TYPE_PREFIX: &str = "sap.kyma.custom";

/// Segments of an older type after its prefix, at least: application, object, operation, version.
const PREFIX_TYPE_SEGMENTS_MIN: usize = 4;

/// Characters of a sender's text that a message repeats, at most. Types of SAP systems stay below
/// 150; this leaves the messages for all of them as Kyma words them.
const SHOWN_CHARS_MAX: usize = 1_024;

/// What Kyma's URI parser escapes in a source before anything is cleaned.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A type, or a source, that Kyma refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing is left of a segment once Kyma's cleaning has been through it.
    #[error("event type cannot have empty segments after cleaning: {cleaned}")]
    EmptySegment {
        /// Source and type as Kyma cleans and joins them, cut after 1,024 characters.
        cleaned: String,
    },
    /// A type with the older prefix, and too few segments or an empty one after it.
    #[error("failed to parse event-type={type} with prefix={TYPE_PREFIX}: invalid format")]
    PrefixType {
        /// The type, cut after 1,024 characters.
        r#type: String,
    },
}

/// Whether `/publish` of Kyma takes this source and type.
pub(crate) fn check(source: &str, r#type: &str) -> Result<(), Refusal> {
    if !r#type.starts_with(TYPE_PREFIX) {
        return check_segments(source, r#type);
    }
    // Kyma takes the prefix away wherever it stands.
    let rest = r#type.replace(TYPE_PREFIX, "");
    let rest = rest.strip_prefix('.').unwrap_or(&rest);
    let segments = rest.split('.').count();
    if segments < PREFIX_TYPE_SEGMENTS_MIN || rest.split('.').any(str::is_empty) {
        let r#type = shown(r#type).into_owned();
        return Err(Refusal::PrefixType { r#type });
    }
    Ok(())
}

/// Whether each segment of Kyma's cleaned type has something in it.
pub(crate) fn check_segments(source: &str, r#type: &str) -> Result<(), Refusal> {
    let source_empty = source.bytes().all(is_cleaned_from_source);
    let type_empty = r#type
        .split('.')
        .any(|segment| segment.bytes().all(is_cleaned_from_type));
    if source_empty || type_empty {
        let cleaned = cleaned(&shown(source), &shown(r#type));
        return Err(Refusal::EmptySegment { cleaned });
    }
    Ok(())
}

/// Kyma would take white space, `>` and backslashes away, too, but has escaped them before.
fn is_cleaned_from_source(byte: u8) -> bool {
    matches!(byte, b'.' | b'*' | b'/')
}

fn is_cleaned_from_type(byte: u8) -> bool {
    matches!(
        byte,
        b'\t' | b'\n' | 0x0c | b'\r' | b' ' | b'>' | b'*' | b'/' | b'\\'
    )
}

/// What Kyma makes of a source and a type, for its message.
fn cleaned(source: &str, r#type: &str) -> String {
    let mut cleaned = "kyma.".to_owned();
    for piece in utf8_percent_encode(source, ESCAPED) {
        cleaned.extend(
            piece
                .chars()
                .filter(|character| !matches!(character, '.' | '*' | '/')),
        );
    }
    cleaned.push('.');
    let keep = |character: &char| {
        u8::try_from(*character).map_or(true, |byte| !is_cleaned_from_type(byte))
    };
    cleaned.extend(r#type.chars().filter(keep));
    cleaned
}

fn shown(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        None => Cow::Borrowed(text),
        Some((at, _)) => Cow::Owned(format!("{}…", text.get(..at).unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A type that Kyma's clients can send must go through, however odd.
    #[test]
    fn types_with_something_in_each_segment_pass() {
        for (source, r#type) in [
            ("test-app", "order.created.v1"),
            ("test-app", "created"),
            ("some.App_x/y", "order.created.v1"),
            (" ", "order.created.v1"),
            (">>", "order.created.v1"),
            ("source1", "o-rder.creat ed.v1"),
            ("test-app", "Order-$.third.R-e-c-e-i-v-e-d.v1"),
            ("test-app", "sap.kyma.custom.commerce.order.created.v1"),
            ("test-app", "sap.kyma.custommerce.order.created.v1.x"),
            ("/.*", "sap.kyma.custom.commerce.order.created.v1"),
        ] {
            assert_eq!(check(source, r#type), Ok(()), "{source} {type}");
        }
    }

    /// Kyma answers 400 to these, with these words.
    #[test]
    fn empty_segments_are_refused_in_kymas_words() {
        for (source, r#type, cleaned) in [
            ("test-app", "order.created.", "kyma.test-app.order.created."),
            ("/.*", "order.created.v1", "kyma..order.created.v1"),
            ("", "order.created.v1", "kyma..order.created.v1"),
            ("a b", "order. \t>*/\\.v1", "kyma.a%20b.order..v1"),
            ("a.b", ".order", "kyma.ab..order"),
            ("app", ">>*", "kyma.app."),
        ] {
            let error = check(source, r#type).unwrap_err();
            let expected =
                format!("event type cannot have empty segments after cleaning: {cleaned}");
            assert_eq!(error.to_string(), expected, "{source} {type}");
        }
    }

    /// The prefix is taken without regard to dots, and wherever it stands.
    #[test]
    fn short_types_with_the_older_prefix_are_refused() {
        for r#type in [
            "sap.kyma.custom",
            "sap.kyma.custom.v1",
            "sap.kyma.custom.commerce.created.v1",
            "sap.kyma.custom.commerce..created.v1",
            "sap.kyma.customer.created.v1",
            "sap.kyma.custom.a.b.sap.kyma.custom.c.v1",
        ] {
            let expected = format!(
                "failed to parse event-type={type} with prefix=sap.kyma.custom: invalid format"
            );
            let error = check("test-app", r#type).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    /// An answer does not grow with what it refuses.
    #[test]
    fn a_message_repeats_only_the_beginning_of_a_long_type() {
        let long = format!("order..{}", "ü".repeat(100_000));
        let message = check("app", &long).unwrap_err().to_string();
        assert!(message.chars().count() < 1_200, "{}", message.len());
        assert!(message.ends_with("ü…"), "{message}");
    }
}
