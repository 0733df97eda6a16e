//! Any text as an expression over any attributes: an error with its place, or a value of the type
//! that was told before, and the same again.

use std::collections::BTreeMap;

use tidegate_cesql::{Context, Expression, Value};

/// The first lines are attributes `name=value`, the rest is the expression.
pub fn cesql(input: &[u8]) {
    let Ok(mut text) = std::str::from_utf8(input) else {
        return;
    };
    let mut attributes = BTreeMap::new();
    while let Some((line, rest)) = text.split_once('\n') {
        let Some((name, value)) = line.split_once('=') else {
            break;
        };
        attributes.insert(name, typed(value));
        text = rest;
    }
    let event = Attributes(attributes);
    match Expression::parse(text) {
        Ok(expression) => judge(&expression, &event),
        Err(error) => {
            assert!(error.offset <= text.len() && error.line > 0 && error.column > 0);
            assert!(!error.to_string().is_empty());
        }
    }
}

fn judge(expression: &Expression, event: &Attributes<'_>) {
    let evaluation = expression.evaluate(event);
    if let Some(wanted) = expression.r#type() {
        assert_eq!(evaluation.value.r#type(), wanted);
    }
    assert_eq!(expression.evaluate(event), evaluation);
    let explanation = expression.explain(event);
    assert_eq!(explanation.value.as_ref(), Some(&evaluation.value));
    assert_eq!(explanation.errors, evaluation.errors);
    assert!(expression.source().contains(explanation.decisive().text));
    let matches = evaluation.value == Value::Boolean(true) && evaluation.errors.is_empty();
    assert_eq!(expression.matches(event), matches);
}

fn typed(value: &str) -> Value<'_> {
    match (value, value.parse()) {
        ("true", _) => Value::Boolean(true),
        (_, Ok(number)) => Value::Integer(number),
        (text, Err(_)) => text.into(),
    }
}

struct Attributes<'a>(BTreeMap<&'a str, Value<'a>>);

impl Context for Attributes<'_> {
    fn attribute(&self, name: &str) -> Option<Value<'_>> {
        self.0.get(name).map(Value::as_borrowed)
    }
}
