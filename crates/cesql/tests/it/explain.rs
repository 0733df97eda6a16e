//! Why an expression has its value.

use tidegate_cesql::{Expression, Value};

use crate::Event;

fn decisive(text: &str) -> String {
    let event = Event::of(&[("a", 1.into()), ("b", "x".into())]);
    let expression = Expression::parse(text).unwrap();
    expression.explain(&event).decisive().text.to_owned()
}

/// Of AND it is the part that is false, of OR the one that is true, of NOT what it turns round.
#[test]
fn the_part_that_decided_is_named() {
    for (text, part) in [
        ("a = 1 AND b = 'y' AND c = 2", "b = 'y'"),
        ("a = 2 OR (b = 'x' AND a = 1)", "(b = 'x' AND a = 1)"),
        ("a = 1 AND NOT (a = 1 OR b = 'y')", "a = 1"),
        ("a = 1 AND missing = 2", "missing = 2"),
        ("a = 1 AND b = 'x'", "a = 1 AND b = 'x'"),
        ("b LIKE 'y%'", "b LIKE 'y%'"),
    ] {
        assert_eq!(decisive(text), part, "{text}");
    }
}

/// What was not looked at has no value and no errors.
#[test]
fn parts_behind_the_decision_have_no_value() {
    let event = Event::of(&[("a", 1.into())]);
    let expression = Expression::parse("a = 2 AND (missing = 2 OR a = 1)").unwrap();
    let explanation = expression.explain(&event);
    assert_eq!(explanation.value, Some(Value::Boolean(false)));
    assert_eq!(explanation.errors, []);
    let behind = &explanation.parts[1];
    assert_eq!(
        (behind.text, &behind.value),
        ("(missing = 2 OR a = 1)", &None)
    );
    assert!(behind.errors.is_empty() && behind.parts[0].value.is_none());
    let attribute = &explanation.parts[0].parts[0];
    assert_eq!(
        (attribute.text, &attribute.value),
        ("a", &Some(Value::Integer(1)))
    );
}
