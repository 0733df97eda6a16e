//! Why an expression has its value: that of each part, and which part decided.

use crate::{
    Context, Error, Value,
    evaluate::Evaluator,
    tree::{Kind, Logic, Node},
};

/// A part of an expression, with its value for an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation<'a> {
    /// Its text.
    pub text: &'a str,
    /// Its value; `None` where it was not looked at, since a part before it had decided.
    pub value: Option<Value<'static>>,
    /// The errors beside the value.
    pub errors: Vec<Error>,
    /// Its parts.
    pub parts: Vec<Explanation<'a>>,
    /// Which of its parts decided, where one did alone.
    decisive: Option<usize>,
}

impl<'a> Explanation<'a> {
    pub(crate) fn new<C: Context + ?Sized>(source: &'a str, node: &Node, context: &C) -> Self {
        let mut evaluator = Evaluator::new(context);
        let value = evaluator.value(node).into_owned();
        let errors = evaluator.errors;
        let mut parts: Vec<Self> = node
            .children()
            .map(|child| Self::new(source, child, context))
            .collect();
        let decisive = decisive(&node.kind, &parts);
        if let Some(at) = decisive.filter(|_| matches!(node.kind, Kind::Logic(..))) {
            parts.iter_mut().skip(at + 1).for_each(Self::forget);
        }
        Self {
            text: source.get(node.span.clone()).unwrap_or_default(),
            value: Some(value),
            errors,
            parts,
            decisive,
        }
    }

    /// The smallest part that decided: of `AND` the operand that is false, of `OR` the one that is
    /// true, of `NOT` what it turns round.
    pub fn decisive(&self) -> &Self {
        let inner = self.decisive.and_then(|at| self.parts.get(at));
        inner.map_or(self, Self::decisive)
    }

    fn forget(&mut self) {
        self.value = None;
        self.errors.clear();
        self.decisive = None;
        self.parts.iter_mut().for_each(Self::forget);
    }
}

fn decisive(kind: &Kind, parts: &[Explanation<'_>]) -> Option<usize> {
    let is = |part: &Explanation<'_>, wanted: bool| {
        let value = part.value.as_ref().map(Value::to_boolean);
        !part.errors.is_empty() || matches!(value, Some(Ok(value)) if value == wanted)
    };
    match kind {
        Kind::Logic(Logic::And, _) => parts.iter().position(|part| is(part, false)),
        Kind::Logic(Logic::Or, _) => parts.iter().position(|part| is(part, true)),
        Kind::Not(_) => Some(0),
        Kind::Literal(_)
        | Kind::Attribute(_)
        | Kind::Exists(_)
        | Kind::Minus(_)
        | Kind::Logic(Logic::Xor, _)
        | Kind::Compare(..)
        | Kind::Calculate(..)
        | Kind::Like { .. }
        | Kind::In { .. }
        | Kind::Call(..)
        | Kind::Unknown(..) => None,
    }
}
