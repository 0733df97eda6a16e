//! What binds how, and what is said of a text that is no expression.

use tidegate_cesql::{Expression, Type, Value};

use crate::Event;

fn value(expression: &str) -> Value<'static> {
    let expression = Expression::parse(expression).unwrap();
    expression.evaluate(&Event::default()).value.into_owned()
}

/// The order of the grammar: prefixes bind closest, AND and OR are equal and group to the right.
#[test]
fn operators_bind_as_the_grammar_says() {
    for (short, long) in [
        ("NOT TRUE = FALSE", "(NOT TRUE) = FALSE"),
        ("- 1 + 2", "(-1) + 2"),
        ("2 - 1 - 1", "(2 - 1) - 1"),
        ("8 / 4 / 2", "(8 / 4) / 2"),
        ("1 + 2 * 3", "1 + (2 * 3)"),
        ("1 + 1 LIKE '2'", "1 + (1 LIKE '2')"),
        ("FALSE AND TRUE OR TRUE", "FALSE AND (TRUE OR TRUE)"),
        ("TRUE OR TRUE AND FALSE", "TRUE OR (TRUE AND FALSE)"),
        ("FALSE AND FALSE XOR TRUE", "FALSE AND (FALSE XOR TRUE)"),
        ("NOT TRUE IN (FALSE)", "(NOT TRUE) IN (FALSE)"),
        ("NOT 'ab' NOT LIKE 'a%'", "(NOT 'ab') NOT LIKE 'a%'"),
        ("1 < 2 = TRUE", "(1 < 2) = TRUE"),
        ("5-3", "5 - 3"),
        ("5 -3", "5 - 3"),
        ("--3", "-(-3)"),
        ("-2147483648", "-2147483647 - 1"),
    ] {
        assert_eq!(value(short), value(long), "{short}");
    }
    assert_eq!(value("FALSE AND TRUE OR TRUE"), Value::Boolean(false));
}

/// A quote is escaped or doubled; other backslashes are text.
#[test]
fn literals_are_read_as_written() {
    for (literal, text) in [
        (r"'it\'s'", "it's"),
        ("'it''s'", "it's"),
        ("\"say \"\"hi\"\"\"", "say \"hi\""),
        (r#"'a"b'"#, "a\"b"),
        (r"'a\b\\'", r"a\b\\"),
        ("'ü\n'", "ü\n"),
    ] {
        assert_eq!(value(literal), Value::from(text), "{literal}");
    }
}

/// Names are found in any case; a name may begin with digits.
#[test]
fn attributes_are_found_in_any_case() {
    let event = Event::of(&[("subject", "a".into()), ("3com", 7.into())]);
    let matches = |text: &str| Expression::parse(text).unwrap().matches(&event);
    assert!(matches("SUBJECT = 'a' and exists Subject"));
    assert!(matches("3com = 7"));
    assert!(!matches("subject"), "text is no boolean");
}

/// Each mistake says what was expected, what was found, and where.
#[test]
fn mistakes_say_what_and_where() {
    for (text, said) in [
        ("", "expected a value, found the end at line 1, column 1"),
        ("a =", "expected a value, found the end at line 1, column 4"),
        (
            "a = 1 b",
            "expected an operator or the end, found b at line 1, column 7",
        ),
        (
            "(a",
            "expected an operator or ), found the end at line 1, column 3",
        ),
        (
            "ABS(1",
            "expected , or ), found the end at line 1, column 6",
        ),
        (
            "ABS(",
            "expected a value, found the end at line 1, column 5",
        ),
        ("a IN ()", "the set of IN is empty at line 1, column 8"),
        ("a IN 'b'", "expected (, found 'b' at line 1, column 6"),
        (
            "a LIKE b",
            "expected a string as the pattern of LIKE, found b at line 1, column 8",
        ),
        (
            "a NOT b",
            "expected an operator or the end, found NOT at line 1, column 3",
        ),
        ("a = 'b", "the string has no closing ' at line 1, column 5"),
        ("a == 1", "expected a value, found = at line 1, column 4"),
        ("a\n  ~ 1", "unexpected character '~' at line 2, column 3"),
        ("!a", "! is no operator, NOT is at line 1, column 1"),
        (
            "2147483648",
            "2147483648 is no 32-bit integer at line 1, column 1",
        ),
        (
            "a_b = 1",
            "a_b is no name of an attribute: it has letters and digits only at line 1, column 1",
        ),
        (
            "A1(2)",
            "A1 is no name of a function: it has letters and _ only at line 1, column 1",
        ),
        (
            "EXISTS 'a'",
            "expected the name of an attribute, found 'a' at line 1, column 8",
        ),
        (
            "EXISTS and",
            "and is no name of an attribute: it has letters and digits only at line 1, column 8",
        ),
        (
            "1, 2",
            "expected an operator or the end, found , at line 1, column 2",
        ),
    ] {
        let error = Expression::parse(text).unwrap_err();
        assert_eq!(error.to_string(), said, "{text}");
    }
}

/// What an expression is can be asked before there is an event.
#[test]
fn types_and_unknown_functions_are_known_before() {
    let of = |text: &str| Expression::parse(text).unwrap().r#type();
    assert_eq!(of("subject"), None);
    assert_eq!(of("(subject)"), None);
    assert_eq!(of("1 + x"), Some(Type::Integer));
    assert_eq!(of("LOWER(x)"), Some(Type::String));
    assert_eq!(of("x IN (1)"), Some(Type::Boolean));
    let unknown = Expression::parse("x = 1 OR soundex(x) = 'a'").unwrap();
    assert_eq!(unknown.unknown_function(), Some("SOUNDEX"));
    assert_eq!(
        Expression::parse("ABS(1)").unwrap().unknown_function(),
        None
    );
}

/// What must be so is said of each attribute alone, and never more than the expression says.
#[test]
fn requirements_are_told() {
    let told = |text: &str| -> Vec<String> {
        let expression = Expression::parse(text).unwrap();
        let requirements = expression.requirements();
        let requirements = requirements.iter();
        requirements
            .map(|one| {
                format!(
                    "{}{}{}",
                    one.attribute,
                    if one.exact { "=" } else { "^" },
                    one.text
                )
            })
            .collect()
    };
    assert_eq!(
        told("type LIKE 'a.b.%' AND (source = 's' AND x > 3) AND y LIKE 'z'"),
        ["type^a.b.", "source=s", "y=z"]
    );
    for nothing in [
        "type = 'a' OR source = 's'",
        "NOT (type = 'a')",
        "type <> 'a'",
        "type NOT LIKE 'a%'",
        "type LIKE '%a'",
        "type LIKE '_a%'",
        "LOWER(type) = 'a'",
        "type = 3",
        "'TRUE' = flag",
        "type = source",
        "type IN ('a')",
    ] {
        assert_eq!(told(nothing), [""; 0], "{nothing}");
    }
}
