//! What must be so for an expression to be true, as far as it can be said of one attribute.

use crate::{
    Value,
    tree::{Comparison, Kind, Logic, Node},
};

/// An attribute without which, and without this beginning, an expression is not true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirement<'a> {
    /// The attribute's name.
    pub attribute: &'a str,
    /// What its text is, or begins with.
    pub text: &'a str,
    /// Whether the text is all of it.
    pub exact: bool,
}

/// Of all operands of `AND`, and of comparisons with a string and patterns with a beginning.
pub(crate) fn of(node: &Node) -> Vec<Requirement<'_>> {
    match &node.kind {
        Kind::Logic(Logic::And, operands) => operands.iter().flat_map(of).collect(),
        Kind::Compare(Comparison::Equal, two) => {
            // The right operand's type decides: on the other side an attribute that is no string
            // would decide itself.
            let [left, right] = &**two;
            let (Kind::Attribute(attribute), Kind::Literal(Value::String(text))) =
                (&left.kind, &right.kind)
            else {
                return Vec::new();
            };
            vec![Requirement {
                attribute,
                text,
                exact: true,
            }]
        }
        Kind::Like {
            negated: false,
            of,
            pattern,
        } => {
            let Kind::Attribute(attribute) = &of.kind else {
                return Vec::new();
            };
            let beginning = pattern.beginning();
            let required = beginning.map(|(text, exact)| Requirement {
                attribute,
                text,
                exact,
            });
            required.into_iter().collect()
        }
        Kind::Like { .. }
        | Kind::Literal(_)
        | Kind::Attribute(_)
        | Kind::Exists(_)
        | Kind::Not(_)
        | Kind::Minus(_)
        | Kind::Logic(..)
        | Kind::Compare(..)
        | Kind::Calculate(..)
        | Kind::In { .. }
        | Kind::Call(..)
        | Kind::Unknown(..) => Vec::new(),
    }
}
