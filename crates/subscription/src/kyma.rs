//! The types that Kyma's publisher makes of what it is sent, for `exact` Subscriptions.
//!
//! Only to recognise: stored events keep the source and type of their sender. What Kyma refuses
//! is refused before an event is stored, so nothing is refused here.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Types that begin with this are of Kyma's older form, with the application in them. Kyma asks
/// for no dot after it.
pub(crate) const TYPE_PREFIX: &str = "sap.kyma.custom";

/// Segments after the prefix, at least: application, object, operation, version.
const PREFIXED_SEGMENTS_MIN: usize = 4;

/// What a URI has escaped, and Kyma's publisher escapes in a source, beside all non-ASCII.
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

/// Whether a source has characters that a URI has escaped.
pub(crate) fn is_escaped(source: &str) -> bool {
    let mut pieces = utf8_percent_encode(source, ESCAPED);
    pieces
        .next()
        .is_some_and(|first| first.len() != source.len() || first != source)
}

/// The cleaned form of a type with the prefix.
pub(crate) fn prefixed(r#type: &str) -> Option<String> {
    r#type.strip_prefix(TYPE_PREFIX)?;
    // Kyma takes the prefix away wherever it stands.
    let rest = r#type.replace(TYPE_PREFIX, "");
    let rest = rest.strip_prefix('.').unwrap_or(&rest);
    if rest.split('.').count() < PREFIXED_SEGMENTS_MIN {
        return None;
    }
    let (application, rest) = rest.split_once('.')?;
    let (event, version) = rest.rsplit_once('.')?;
    Some(format!(
        "{TYPE_PREFIX}.{}.{}.{}",
        alphanumeric(application),
        joined(event),
        alphanumeric(version)
    ))
}

/// The second type under which Kyma publishes a legacy event. `r#type` ends in the version.
pub(crate) fn legacy(application: &str, r#type: &str, version: &str) -> Option<String> {
    let event = r#type.strip_suffix(version)?.strip_suffix('.')?;
    Some(format!(
        "{TYPE_PREFIX}.{}.{}.{version}",
        alphanumeric(application),
        joined(event)
    ))
}

/// `<source>.<type>`, both cleaned: the subject of an event whose type has no prefix.
pub(crate) fn with_source(source: &str, r#type: &str) -> String {
    let mut cleaned = String::with_capacity(source.len() + 1 + r#type.len());
    for piece in utf8_percent_encode(source, ESCAPED) {
        cleaned.extend(
            piece
                .chars()
                .filter(|char| !matches!(char, '.' | '*' | '/')),
        );
    }
    cleaned.push('.');
    let dropped = ['\t', '\n', '\u{c}', '\r', ' ', '>', '*', '/', '\\'];
    cleaned.extend(r#type.chars().filter(|char| !dropped.contains(char)));
    cleaned
}

/// All segments but the last joined without their dots, and all else than letters and digits
/// taken away.
fn joined(event: &str) -> String {
    match event.rsplit_once('.') {
        Some((object, operation)) => {
            format!("{}.{}", alphanumeric(object), alphanumeric(operation))
        }
        None => alphanumeric(event),
    }
}

fn alphanumeric(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The forms are what existing manifests were written against.
    #[test]
    fn prefixed_types_are_cleaned_as_kyma_does() {
        for (r#type, expected) in [
            (
                "sap.kyma.custom.test-app.order.created.v1",
                Some("sap.kyma.custom.testapp.order.created.v1"),
            ),
            (
                "sap.kyma.custom.my_app.Account.Order-Item.Root.cre ated.v-1",
                Some("sap.kyma.custom.myapp.AccountOrderItemRoot.created.v1"),
            ),
            (
                "sap.kyma.customer.shop.order.created.v1",
                Some("sap.kyma.custom.er.shoporder.created.v1"),
            ),
            ("sap.kyma.custom.test-app.created.v1", None),
            ("sap.kyma.custom", None),
            ("order.created.v1", None),
        ] {
            assert_eq!(prefixed(r#type).as_deref(), expected, "{type}");
        }
    }

    /// As above, for events of the legacy door.
    #[test]
    fn legacy_types_are_joined_as_kyma_does() {
        for (application, r#type, version, expected) in [
            (
                "test-app",
                "order.created.v1",
                "v1",
                Some("sap.kyma.custom.testapp.order.created.v1"),
            ),
            (
                "test_app",
                "Account.Or-der.Root.Created.v1.2",
                "v1.2",
                Some("sap.kyma.custom.testapp.AccountOrderRoot.Created.v1.2"),
            ),
            (
                "app",
                "created.v-1!",
                "v-1!",
                Some("sap.kyma.custom.app.created.v-1!"),
            ),
            ("app", "order.created.v1", "v2", None),
            ("app", "v1", "v1", None),
        ] {
            assert_eq!(
                legacy(application, r#type, version).as_deref(),
                expected,
                "{type}"
            );
        }
    }

    /// As above, for exact Subscriptions that name source and type themselves.
    #[test]
    fn source_and_type_are_joined_as_kyma_does() {
        for (source, r#type, expected) in [
            ("test-app", "order.created.v1", "test-app.order.created.v1"),
            (
                "/some.app*",
                "o>rd\\er/.cre*ated.v 1",
                "someapp.order.created.v1",
            ),
            ("a b", "order.v1", "a%20b.order.v1"),
            ("ä>", "ä.v1", "%C3%A4%3E.ä.v1"),
        ] {
            assert_eq!(with_source(source, r#type), expected);
        }
    }

    /// Decides what the log has to be asked for.
    #[test]
    fn sources_that_a_uri_escapes_are_told_apart() {
        for source in ["a b", "ä", "aä", "a>b", "a|", "\"", " "] {
            assert!(is_escaped(source), "{source}");
        }
        for source in [
            "",
            "shop",
            "/default/sap.s4.beh/ER9CLNT001",
            "a%20b",
            "urn:x:y?z=1#f",
        ] {
            assert!(!is_escaped(source), "{source}");
        }
    }
}
