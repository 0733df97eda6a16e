//! What holds for every expression and every event.

use proptest::prelude::*;
use tidegate_cesql::{Expression, Value};

use crate::Event;

/// An expression as text, in brackets wherever they could matter.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("TRUE".to_owned()),
        Just("false".to_owned()),
        any::<i32>().prop_map(|value| value.to_string()),
        "[ab%_'x1]{0,4}".prop_map(|text| literal(&text)),
        "[a-c]".prop_map(|name| name),
        "[a-c]".prop_map(|name| format!("EXISTS {name}")),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        let operator = proptest::sample::select(vec![
            "AND", "OR", "XOR", "=", "!=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%",
        ]);
        let unary = proptest::sample::select(vec![
            "NOT ", "- ", "INT", "BOOL", "STRING", "ABS", "LENGTH", "LOWER", "UPPER", "TRIM", "F",
        ]);
        let many =
            proptest::sample::select(vec!["CONCAT", "CONCAT_WS", "SUBSTRING", "LEFT", "1 IN"]);
        prop_oneof![
            (two, operator).prop_map(|((a, b), operator)| format!("({a}) {operator} ({b})")),
            (unary, inner.clone()).prop_map(|(unary, of)| format!("{unary}({of})")),
            (inner.clone(), "[ab%_]{0,5}")
                .prop_map(|(of, pattern)| format!("({of}) LIKE {}", literal(&pattern))),
            (many, proptest::collection::vec(inner, 1..4))
                .prop_map(|(of, list)| format!("{of}({})", list.join(", "))),
        ]
    })
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn event() -> impl Strategy<Value = Event> {
    let value = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "(true|FALSE|-?[0-9]{1,11}|[ab%_]{0,6}|\\PC{0,5})".prop_map(Value::from),
    ];
    proptest::collection::btree_map("[a-c]", value, 0..3).prop_map(Event)
}

/// SQL's LIKE, as slow as it is plain.
fn like(value: &[char], pattern: &[char]) -> bool {
    match (value, pattern) {
        (_, ['%', pattern @ ..]) => (0..=value.len()).any(|from| like(&value[from..], pattern)),
        ([_, value @ ..], ['_', pattern @ ..]) => like(value, pattern),
        ([char, value @ ..], [wanted, pattern @ ..]) => char == wanted && like(value, pattern),
        ([], []) => true,
        _ => false,
    }
}

proptest! {
    /// A filter can be anything that somebody typed.
    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,60}", event in event()) {
        if let Ok(expression) = Expression::parse(&text) {
            expression.evaluate(&event);
        }
    }

    /// Every expression has a value of its type, and brackets around it change nothing.
    #[test]
    fn every_expression_has_a_value(text in expression(), event in event()) {
        let parsed = Expression::parse(&text).unwrap();
        let evaluation = parsed.evaluate(&event);
        if let Some(wanted) = parsed.r#type() {
            prop_assert_eq!(evaluation.value.r#type(), wanted);
        }
        let bracketed = format!("(({text}))");
        let bracketed = Expression::parse(&bracketed).unwrap();
        prop_assert_eq!(bracketed.evaluate(&event), evaluation.clone());
        let explained = parsed.explain(&event);
        prop_assert_eq!(explained.value.as_ref(), Some(&evaluation.value));
        prop_assert_eq!(&explained.errors, &evaluation.errors);
        explained.decisive();
    }

    /// What is computed when an expression is parsed is what would be computed for an event.
    #[test]
    fn folding_changes_no_value(text in expression(), event in event()) {
        let parsed = Expression::parse(&text).unwrap();
        // The same with a literal in the place of an attribute, and the other way round.
        let mut replaced = text.clone();
        let mut attributes = event.clone();
        for (name, value) in &event.0 {
            attributes.0.insert(format!("{name}{name}"), value.clone());
        }
        for (literal, name) in [("TRUE", "yes"), ("false", "no")] {
            replaced = replaced.replace(literal, name);
        }
        attributes.0.insert("yes".to_owned(), true.into());
        attributes.0.insert("no".to_owned(), false.into());
        let unfolded = Expression::parse(&replaced).unwrap();
        prop_assert_eq!(unfolded.evaluate(&attributes), parsed.evaluate(&event));
    }

    /// Patterns match what SQL says.
    #[test]
    fn patterns_match_as_in_sql(value in "[abü]{0,9}", pattern in "[abü%_]{0,7}") {
        let text = format!("a LIKE '{pattern}'");
        let event = Event::of(&[("a", value.clone().into())]);
        let found = Expression::parse(&text).unwrap().matches(&event);
        let chars = |text: &str| text.chars().collect::<Vec<char>>();
        prop_assert_eq!(found, like(&chars(&value), &chars(&pattern)));
    }
}
