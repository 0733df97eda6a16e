//! What needs no event is computed once. What errs without one stays, so that it errs each time.

use crate::{
    Context, Value,
    evaluate::Evaluator,
    tree::{Kind, Logic, Node},
};

/// Nothing is known.
struct Nothing;

impl Context for Nothing {
    fn attribute(&self, _name: &str) -> Option<Value<'_>> {
        None
    }
}

/// The literal that a node is, or the node.
pub(crate) fn fold(node: Node) -> Node {
    let is_leaf = matches!(
        node.kind,
        Kind::Literal(_) | Kind::Attribute(_) | Kind::Exists(_) | Kind::Unknown(..)
    );
    let decided = decided_by_first(&node.kind);
    let literals = node
        .children()
        .all(|child| matches!(child.kind, Kind::Literal(_)));
    if is_leaf || !literals && !decided {
        return node;
    }
    let mut evaluator = Evaluator::new(&Nothing);
    let value = evaluator.value(&node).into_owned();
    if !evaluator.errors.is_empty() {
        return node;
    }
    Node::new(Kind::Literal(value), node.span)
}

/// Whether the first operand of AND or OR is a literal that makes the others irrelevant.
fn decided_by_first(kind: &Kind) -> bool {
    let Kind::Logic(logic, operands) = kind else {
        return false;
    };
    let Some(Kind::Literal(first)) = operands.first().map(|first| &first.kind) else {
        return false;
    };
    match logic {
        Logic::And => first.to_boolean() == Ok(false),
        Logic::Or => first.to_boolean() == Ok(true),
        Logic::Xor => false,
    }
}
