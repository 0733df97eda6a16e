//! Nothing that is written in an expression or an attribute costs more than its length.

use tidegate_cesql::{Error, Expression};

use crate::Event;

/// Nesting of every kind ends in an error, far from the end of the stack.
#[test]
fn deep_expressions_are_refused() {
    for (open, inner, close) in [
        ("(", "1", ")"),
        ("NOT ", "TRUE", ""),
        ("- ", "x", ""),
        ("ABS(", "1", ")"),
        ("x IN (", "1", ")"),
        ("x + ", "x", ""),
        ("x = ", "1", ""),
        ("x AND y OR ", "z", ""),
    ] {
        let nested = |times: usize| format!("{}{inner}{}", open.repeat(times), close.repeat(times));
        assert!(Expression::parse(&nested(20)).is_ok(), "{open}");
        let most = (Expression::LENGTH_MAX - 10) / (open.len() + close.len());
        let error = Expression::parse(&nested(most)).unwrap_err();
        assert!(
            error.reason.contains("inside of each other"),
            "{open}: {error}"
        );
    }
}

/// A long list of alternatives is no nesting.
#[test]
fn long_alternatives_are_taken() {
    let many: Vec<String> = (0..500).map(|at| format!("x={at}")).collect();
    let expression = Expression::parse(&many.join(" OR ")).unwrap();
    assert!(expression.matches(&Event::of(&[("x", 499.into())])));
    assert!(!expression.matches(&Event::of(&[("x", 500.into())])));
}

/// The limit of the length is told.
#[test]
fn long_expressions_are_refused() {
    let text = format!("x = '{}'", "a".repeat(Expression::LENGTH_MAX));
    let error = Expression::parse(&text).unwrap_err();
    assert_eq!(
        error.reason,
        format!("the expression has {} bytes, the limit is 8192", text.len())
    );
}

/// What is made of a long attribute stays in the order of one.
#[test]
fn texts_that_get_too_long_are_an_error() {
    let event = Event::of(&[("x", "a".repeat(60_000).into())]);
    let once = Expression::parse("LENGTH(CONCAT(x, 'b')) = 60001").unwrap();
    assert!(once.matches(&event));
    let twice = Expression::parse("CONCAT_WS(',', x, x) LIKE 'a%'").unwrap();
    let evaluation = twice.evaluate(&event);
    let error = Error::FunctionEvaluation {
        function: "CONCAT_WS",
        reason: "the text has more than 64 KiB",
    };
    assert_eq!(evaluation.errors, [error]);
}

/// Errors beside a value are kept up to a number.
#[test]
fn many_errors_are_cut() {
    let many = vec!["x"; 500].join(", ");
    let expression = Expression::parse(&format!("CONCAT({many}) = 'a'")).unwrap();
    assert_eq!(expression.evaluate(&Event::default()).errors.len(), 16);
}
