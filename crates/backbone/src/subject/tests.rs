//! What `subject` promises.

use proptest::{prelude::*, string::string_regex};

use super::*;

const ROOT: &str = "tidegate.events";

/// Sources and types as SAP systems and Kyma name them keep a subject that a person can read.
#[test]
fn real_names_stay_readable() {
    let cases = [
        (
            "commerce",
            "order.created.v1",
            "tidegate.events.commerce.order.created.v1",
        ),
        (
            "/default/sap.s4.beh/ER9CLNT001",
            "sap.s4.beh.salesorder.v1.SalesOrder.Created.v1",
            "tidegate.events./default/sap%2Es4%2Ebeh/ER9CLNT001.sap.s4.beh.salesorder.v1.SalesOrder.Created.v1",
        ),
        ("system>prod", "a", "tidegate.events.system%3Eprod.a"),
        ("", "", "tidegate.events.%.%"),
        ("s", "a..b.", "tidegate.events.s.a.%.b.%"),
        ("s t\t", "ä*%", "tidegate.events.s%20t%09.%C3%A4%2A%25"),
    ];
    for (source, r#type, subject) in cases {
        assert_eq!(of(ROOT, source, r#type).as_deref(), Ok(subject));
        assert_eq!(
            parse(ROOT, subject),
            Some((source.to_owned(), r#type.to_owned()))
        );
    }
}

/// A subject that nobody made with `of` is not taken for a source and a type.
#[test]
fn foreign_subjects_are_no_events() {
    for subject in [
        "",
        "tidegate.events",
        "tidegate.events.",
        "tidegate.events.s",
        "tidegate.events.s.",
        "tidegate.events..t",
        "tidegate.eventss.t",
        "other.s.t",
        "tidegate.events.s.t.",
        "tidegate.events.s%2e.t",
        "tidegate.events.s%2.t",
        "tidegate.events.s%.t",
        "tidegate.events.s%41.t",
        "tidegate.events.s%FF.t",
        "tidegate.events.s.a%2Eb",
        "tidegate.events.s.t t",
    ] {
        assert_eq!(parse(ROOT, subject), None, "{subject:?}");
    }
}

/// Nothing longer than the limit leaves, and escapes count.
#[test]
fn long_names_are_refused() {
    let room = BYTES_MAX - ROOT.len() - 3;
    assert!(of(ROOT, "s", &"t".repeat(room)).is_ok());
    let error = of(ROOT, "s", &"t".repeat(room + 1)).unwrap_err();
    assert_eq!(
        error,
        TooLong {
            bytes: BYTES_MAX + 1,
            bytes_max: BYTES_MAX
        }
    );
    assert!(of(ROOT, &".".repeat(BYTES_MAX / 3), "t").is_err());
    assert!(any_source(ROOT, &"t".repeat(BYTES_MAX)).is_err());
}

/// A filter on a type reads every source and no other type.
#[test]
fn filters_have_a_wildcard_for_the_source_alone() {
    assert_eq!(
        any_source(ROOT, "a.b*").as_deref(),
        Ok("tidegate.events.*.a.b%2A")
    );
    assert_eq!(all(ROOT), "tidegate.events.>");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        string_regex("[a-c.*>% \\x00-\\x20\\x7fä]{0,8}").unwrap(),
        any::<String>()
    ]
}

proptest! {
    /// What went in comes out: no event changes its source or type on the way.
    #[test]
    fn subjects_are_reversible(source in text(), r#type in text()) {
        if let Ok(subject) = of(ROOT, &source, &r#type) {
            prop_assert_eq!(parse(ROOT, &subject), Some((source, r#type)));
        }
    }

    /// Two sources never meet on one subject.
    #[test]
    fn subjects_are_injective(one in (text(), text()), other in (text(), text())) {
        prop_assume!(one != other);
        if let Ok(subject) = of(ROOT, &one.0, &one.1) {
            prop_assert_ne!(Ok(subject), of(ROOT, &other.0, &other.1));
        }
    }

    /// NATS takes every subject, and reads no wildcard in it.
    #[test]
    fn subjects_are_legal(source in text(), r#type in text()) {
        if let Ok(subject) = of(ROOT, &source, &r#type) {
            prop_assert!(subject.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert!(!subject.contains(['*', '>']));
            prop_assert!(subject.split('.').all(|token| !token.is_empty()));
        }
    }

    /// Parsing takes any text.
    #[test]
    fn any_text_can_be_parsed(subject in any::<String>()) {
        let _ = parse("", &subject);
        let _ = parse(ROOT, &format!("{ROOT}.{subject}"));
    }
}

/// Wildcards mean what they mean to NATS.
#[test]
fn filters_match_like_nats() {
    for (filter, subject, expected) in [
        ("a.b", "a.b", true),
        ("a.b", "a.b.c", false),
        ("a.b.c", "a.b", false),
        ("a.*", "a.b", true),
        ("a.*", "a", false),
        ("a.*", "a.b.c", false),
        ("a.*.c", "a.b.c", true),
        ("a.>", "a.b.c", true),
        ("a.>", "a", false),
        (">", "a", true),
    ] {
        assert_eq!(matches(filter, subject), expected, "{filter} {subject}");
    }
}
