use super::*;

fn id(json: &str) -> String {
    derived(&Identity {
        format: "kyma-legacy",
        source: "c4c-prod",
        r#type: "Account.Root.Updated.v1",
        subject: "",
        time: "2026-11-20T14:02:00Z",
        json: json.as_bytes(),
    })
}

/// The id of a published sample; every later version must give the same.
#[test]
fn the_id_is_the_documented_one() {
    let written = r#"{"root-entity-id": "B",
        "entity-id": "A"}"#;
    assert_eq!(id(written), id(r#"{"entity-id":"A","root-entity-id":"B"}"#));
    let sample = r#"{
        "entity-id": "00163E5FA59C1ED8B3B95BE1CB795281",
        "root-entity-id": "00163E5FA59C1ED8B3B9643A4B63D2B0"
    }"#;
    assert_eq!(id(sample), "bac0c624-5497-5ec6-a0e0-3dcad493d5b6");
}

/// Each part tells two occurrences apart.
#[test]
fn another_part_makes_another_id() {
    let base = || Identity {
        format: "f",
        source: "s",
        r#type: "t",
        subject: "u",
        time: "z",
        json: b"1",
    };
    let ids = [
        base(),
        Identity {
            format: "x",
            ..base()
        },
        Identity {
            source: "x",
            ..base()
        },
        Identity {
            r#type: "x",
            ..base()
        },
        Identity {
            subject: "x",
            ..base()
        },
        Identity {
            time: "x",
            ..base()
        },
        Identity {
            json: b"2",
            ..base()
        },
    ]
    .map(|identity| derived(&identity));
    for (at, id) in ids.iter().enumerate() {
        assert!(!ids[at + 1..].contains(id), "{id} stands twice");
    }
}

/// The same data, written differently, is the same data.
#[test]
fn what_canonicalization_forgives_has_one_id() {
    for (one, other) in [
        (r#"{"a":1,"b":2}"#, r#"{ "b" : 2.0, "a" : 1e0 }"#),
        (r#""\u00fc/""#, r#""ü\/""#),
        ("[1e21]", "[1000000000000000000000]"),
        ("0.1", "1e-1"),
        ("12345678901234567000", "12345678901234567e3"),
    ] {
        assert_eq!(id(one), id(other), "{one} {other}");
    }
}

/// A double cannot tell these apart; an id must, or the second event is lost as a duplicate.
#[test]
fn data_that_a_double_would_blur_keeps_its_own_id() {
    for (one, other) in [
        (
            "123456789012345678901234567890",
            "123456789012345678901234567891",
        ),
        ("9007199254740993", "9007199254740992"),
        ("0.1", "0.1000000000000000055511151231257827"),
        ("[1e400]", "[1e401]"),
        ("1e-400", "0"),
        ("1e-400", "1e-401"),
        ("1e99999999999999999999", "1e99999999999999999998"),
        (r#"{"a":1,"a":2}"#, r#"{"a":3,"a":2}"#),
        (r#""\ud800""#, r#""\ud801""#),
        (
            r#"{"\"1":[9007199254740993]}"#,
            r#"{"\"1":[9007199254740992]}"#,
        ),
    ] {
        assert_ne!(id(one), id(other), "{one} {other}");
    }
}

/// Depth that no recursive parser should follow has an id, too.
#[test]
fn very_deep_data_has_an_id() {
    let deep = |leaf: &str| [&"[".repeat(9_000), leaf, &"]".repeat(9_000)].concat();
    assert_eq!(id(&deep("1")), id(&deep("1")));
    assert_ne!(id(&deep("1")), id(&deep("2")));
}
