use proptest::prelude::*;

use super::*;

fn error(text: &str) -> String {
    scan(text.as_bytes(), |_, _| {}).unwrap_err().to_string()
}

fn members(text: &str) -> Vec<(String, String)> {
    let mut members = Vec::new();
    scan(text.as_bytes(), |key, value| {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        members.push((text(key), text(value)));
    })
    .unwrap();
    members
}

/// Texts that are no JSON, and what Go says of them.
const SYNTAX_ERRORS: &[(&str, &str)] = &[
    (" \n", "EOF"),
    ("{", "unexpected EOF"),
    ("{\"a\":tru", "unexpected EOF"),
    ("-", "unexpected EOF"),
    ("\"a", "unexpected EOF"),
    (
        "hello",
        "invalid character 'h' looking for beginning of value",
    ),
    (
        "[1,]",
        "invalid character ']' looking for beginning of value",
    ),
    (
        "{,",
        "invalid character ',' looking for beginning of object key string",
    ),
    (
        "{\"a\":1,}",
        "invalid character '}' looking for beginning of object key string",
    ),
    ("{\"a\" 1}", "invalid character '1' after object key"),
    (
        "{\"a\":1 \"b\"",
        "invalid character '\"' after object key:value pair",
    ),
    ("[1 2]", "invalid character '2' after array element"),
    ("[01]", "invalid character '1' after array element"),
    ("\"\u{1f}\"", "invalid character '\\x1f' in string literal"),
    ("[\"\n\"]", "invalid character '\\n' in string literal"),
    ("\"\\x\"", "invalid character 'x' in string escape code"),
    (
        "\"\\u12g4\"",
        "invalid character 'g' in \\u hexadecimal character escape",
    ),
    ("-a", "invalid character 'a' in numeric literal"),
    (
        "[1.]",
        "invalid character ']' after decimal point in numeric literal",
    ),
    (
        "1e+x",
        "invalid character 'x' in exponent of numeric literal",
    ),
    (
        "trua",
        "invalid character 'a' in literal true (expecting 'e')",
    ),
    (
        "fAlse",
        "invalid character 'A' in literal false (expecting 'a')",
    ),
    (
        "faLse",
        "invalid character 'L' in literal false (expecting 'l')",
    ),
    (
        "falSe",
        "invalid character 'S' in literal false (expecting 's')",
    ),
    (
        "nil",
        "invalid character 'i' in literal null (expecting 'u')",
    ),
    (
        "nuL",
        "invalid character 'L' in literal null (expecting 'l')",
    ),
    (
        "\u{feff}{}",
        "invalid character 'ï' looking for beginning of value",
    ),
    (
        "'",
        "invalid character '\\'' looking for beginning of value",
    ),
    (
        "\\",
        "invalid character '\\\\' looking for beginning of value",
    ),
    (
        "\0",
        "invalid character '\\x00' looking for beginning of value",
    ),
];

/// Senders see these words; they are Go's.
#[test]
fn syntax_errors_are_worded_as_go_words_them() {
    for (text, expected) in SYNTAX_ERRORS {
        assert_eq!(error(text), *expected, "{text:?}");
    }
}

/// What follows the first value is not read.
#[test]
fn the_first_value_ends_where_it_ends() {
    for (text, value) in [
        (" {\"a\":[1,{}]} garbage", "{\"a\":[1,{}]}"),
        ("123abc", "123"),
        ("-0.5e-7,", "-0.5e-7"),
        ("nullx", "null"),
        ("\"a\\\"b\"c", "\"a\\\"b\""),
        ("[]]", "[]"),
    ] {
        assert_eq!(scan(text.as_bytes(), |_, _| {}), Ok(value.as_bytes()));
    }
}

/// A member of something within the document is none of the document's.
#[test]
fn only_members_of_the_top_level_object_are_reported() {
    let text = r#"{ "a" : {"b":1} ,"c":[{"d":2}, 3 ], "a":"}" , "e" : -1.5e3 }"#;
    let expected = [
        ("\"a\"", "{\"b\":1}"),
        ("\"c\"", "[{\"d\":2}, 3 ]"),
        ("\"a\"", "\"}\""),
        ("\"e\"", "-1.5e3"),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(members(text), expected);
    assert!(members(r#"[{"a":1}]"#).is_empty());
}

/// Nesting costs no stack and ends where Go's ends.
#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
    assert!(is_value(nested(10_000).as_bytes()));
    assert!(!is_value(nested(10_001).as_bytes()));
    assert_eq!(
        error(&nested(10_001)),
        "invalid character '[' exceeded max depth"
    );
    let objects = "{\"a\":".repeat(10_001);
    assert_eq!(error(&objects), "invalid character '{' exceeded max depth");
}

/// Data that is declared JSON must be one value and nothing else.
#[test]
fn a_value_has_only_white_space_around_it() {
    for text in [" {} \n", "0", "\"\u{fc}\"", "[1, 2]", "\t-1.0E+2 "] {
        assert!(is_value(text.as_bytes()), "{text:?}");
    }
    for text in [
        "", " ", "hello", "{} {}", "{}x", "01", "1.", "nul", "[1", "\u{a0}1",
    ] {
        assert!(!is_value(text.as_bytes()), "{text:?}");
    }
}

/// A quote at any place of a vector step must be seen.
#[test]
fn strings_end_at_their_quote_whatever_their_length() {
    for len in 0..100 {
        let text = format!("\"{}\"rest", "x".repeat(len));
        let value = scan(text.as_bytes(), |_, _| {}).unwrap();
        assert_eq!(value.len(), len + 2);
    }
}

/// Go puts U+FFFD where a string is no Unicode: once for each byte, once for each half of a pair.
#[test]
fn strings_are_unquoted_as_go_does() {
    for (token, text) in [
        (&b"\"plain \xc3\xbc\""[..], "plain ü"),
        (b"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\u{8}\u{c}\n\r\t"),
        (b"\"\\u00fc\\u00FC\"", "üü"),
        (b"\"\\ud83d\\ude00!\"", "😀!"),
        (b"\"\\ud83d!\"", "\u{fffd}!"),
        (b"\"\\ud83d\\n\"", "\u{fffd}\n"),
        (b"\"\\ud83d\\ud83d\\ude00\"", "\u{fffd}😀"),
        (b"\"\\ude00\\ud83d\"", "\u{fffd}\u{fffd}"),
        (b"\"a\xe2\x82b\xff\\n\"", "a\u{fffd}\u{fffd}b\u{fffd}\n"),
        (b"\"\"", ""),
    ] {
        assert_eq!(unquote(token), text, "{token:?}");
    }
}

/// Go takes a field's name in any case, and in the two letters that fold into ASCII.
#[test]
fn keys_fold_as_go_folds_them() {
    for key in [
        "event-type-version",
        "Event-Type-Version",
        "EVENT-TYPE-VER\u{17f}ION",
    ] {
        assert!(eq_fold(key, "event-type-version"), "{key}");
    }
    for key in [
        "",
        "event-type",
        "event_type_version",
        "event-type-versionx",
        "\u{e9}vent-type-version",
    ] {
        assert!(!eq_fold(key, "event-type-version"), "{key}");
    }
}

proptest! {
    /// Nothing that a sender writes may end the process, and the two ways to read agree with an
    /// independent parser.
    #[test]
    fn what_is_json_is_what_serde_takes_for_json(text in "[\\[\\]{}\",:0-9eE.+\\-truefalsn \\\\ü]{0,24}") {
        let taken = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(is_value(text.as_bytes()), taken);
    }

    /// A well-formed document is one value however it is spelled, and unquotes to the same text.
    #[test]
    fn strings_read_as_serde_reads_them(text in any::<String>()) {
        let token = serde_json::to_string(&text).unwrap();
        prop_assert_eq!(scan(token.as_bytes(), |_, _| {}), Ok(token.as_bytes()));
        prop_assert_eq!(unquote(token.as_bytes()), text);
    }

    /// Bytes of any kind are read or refused.
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let whole = scan(&bytes, |key, value| { unquote(key); Kind::of(value); });
        prop_assert!(!is_value(&bytes) || whole.is_ok());
    }
}
