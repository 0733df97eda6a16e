//! What an expression consists of.

use std::ops::Range;

use crate::{Type, Value, function::Function, like::Pattern};

/// An expression, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Where it stands in the text.
    pub(crate) span: Range<usize>,
    /// How many expressions are inside of each other here.
    pub(crate) depth: usize,
}

/// What it does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Literal(Value<'static>),
    Attribute(Box<str>),
    Exists(Box<str>),
    Not(Box<Node>),
    Minus(Box<Node>),
    Logic(Logic, Vec<Node>),
    Compare(Comparison, Box<[Node; 2]>),
    Calculate(Arithmetic, Box<[Node; 2]>),
    Like {
        negated: bool,
        of: Box<Node>,
        pattern: Pattern,
    },
    In {
        negated: bool,
        of: Box<Node>,
        set: Vec<Node>,
    },
    Call(Function, Vec<Node>),
    /// A call that cannot be dispatched (§3.5).
    Unknown(Box<str>, Vec<Node>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logic {
    And,
    Or,
    Xor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Multiply,
    Divide,
    Remainder,
    Add,
    Subtract,
}

impl Node {
    pub(crate) fn new(kind: Kind, span: Range<usize>) -> Self {
        let mut node = Self {
            kind,
            span,
            depth: 1,
        };
        let inside = node.children().map(|child| child.depth).max();
        node.depth = 1 + inside.unwrap_or(0);
        node
    }

    /// The expressions directly inside of it, in the order of the text.
    pub(crate) fn children(&self) -> impl Iterator<Item = &Node> {
        let (first, more): (Option<&Node>, &[Node]) = match &self.kind {
            Kind::Literal(_) | Kind::Attribute(_) | Kind::Exists(_) => (None, &[]),
            Kind::Not(of) | Kind::Minus(of) | Kind::Like { of, .. } => (Some(of), &[]),
            Kind::Compare(_, two) | Kind::Calculate(_, two) => (None, &**two),
            Kind::In { of, set, .. } => (Some(of), set),
            Kind::Logic(_, many) | Kind::Call(_, many) | Kind::Unknown(_, many) => (None, many),
        };
        first.into_iter().chain(more)
    }

    /// The type of its value; `None` for an attribute, which has its own.
    pub(crate) fn r#type(&self) -> Option<Type> {
        match &self.kind {
            Kind::Literal(value) => Some(value.r#type()),
            Kind::Attribute(_) => None,
            Kind::Minus(_) | Kind::Calculate(..) => Some(Type::Integer),
            Kind::Call(function, _) => Some(function.r#type()),
            Kind::Exists(_)
            | Kind::Not(_)
            | Kind::Logic(..)
            | Kind::Compare(..)
            | Kind::Like { .. }
            | Kind::In { .. }
            | Kind::Unknown(..) => Some(Type::Boolean),
        }
    }
}
