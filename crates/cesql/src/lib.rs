//! CESQL 1.0: expressions over the attributes of a CloudEvents event, as filters use them.
//!
//! ```
//! use std::collections::HashMap;
//! use tidegate_cesql::{Context, Expression, Value};
//!
//! struct Event(HashMap<&'static str, &'static str>);
//!
//! impl Context for Event {
//!     fn attribute(&self, name: &str) -> Option<Value<'_>> {
//!         self.0.get(name).map(|text| Value::from(*text))
//!     }
//! }
//!
//! let big = Expression::parse("type LIKE 'order.%' AND INT(amount) > 1000")?;
//! let event = Event(HashMap::from([("type", "order.created"), ("amount", "1700")]));
//! assert!(big.matches(&event));
//! # Ok::<(), tidegate_cesql::ParseError>(())
//! ```
//!
//! An expression is parsed and checked once and then evaluated for each event. Evaluating is total:
//! there is always a value, and beside it the errors that were met. It takes time in proportion to
//! the expression and the attributes that it names, whatever they hold.
//!
//! ```
//! use tidegate_cesql::{Context, Expression, Value};
//!
//! struct Nothing;
//!
//! impl Context for Nothing {
//!     fn attribute(&self, _name: &str) -> Option<Value<'_>> {
//!         None
//!     }
//! }
//!
//! let expression = Expression::parse("1 / missing")?;
//! let evaluation = expression.evaluate(&Nothing);
//! assert_eq!(evaluation.value, Value::Integer(0));
//! assert_eq!(evaluation.errors[0].to_string(), "the event has no attribute missing");
//!
//! let error = Expression::parse("type LIKE 17").unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "expected a string as the pattern of LIKE, found 17 at line 1, column 11"
//! );
//! # Ok::<(), tidegate_cesql::ParseError>(())
//! ```

mod error;
mod evaluate;
mod explain;
mod fold;
mod function;
mod lexer;
mod like;
mod parser;
mod requirement;
mod tree;
mod value;

use std::{fmt, str::FromStr};

pub use error::{Error, ParseError};
pub use explain::Explanation;
pub use requirement::Requirement;
pub use value::{Type, Value};

/// What expressions ask about: the attributes of one event.
pub trait Context {
    /// The attribute of a name in lower case. Boolean and Integer attributes as such, all others as
    /// text; `None` for one that the event does not have.
    fn attribute(&self, name: &str) -> Option<Value<'_>>;
}

/// A parsed expression.
#[derive(Clone, Debug)]
pub struct Expression {
    source: Box<str>,
    root: tree::Node,
}

/// What an expression is for an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation<'a> {
    /// Its value.
    pub value: Value<'a>,
    /// The errors that were met, in the order in which they were.
    pub errors: Vec<Error>,
}

impl Expression {
    /// Longest text of an expression, in bytes.
    pub const LENGTH_MAX: usize = parser::LENGTH_MAX;

    /// Parses a text.
    pub fn parse(source: &str) -> Result<Self, ParseError> {
        let root = parser::parse(source)?;
        Ok(Self {
            source: source.into(),
            root,
        })
    }

    /// Its text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The type of its value; `None` where that is an attribute's own.
    pub fn r#type(&self) -> Option<Type> {
        self.root.r#type()
    }

    /// The first call of a function that there is none of: such an expression has an error for
    /// every event that gets so far.
    pub fn unknown_function(&self) -> Option<&str> {
        fn find(node: &tree::Node) -> Option<&str> {
            if let tree::Kind::Unknown(name, _) = &node.kind {
                return Some(name);
            }
            node.children().find_map(find)
        }
        find(&self.root)
    }

    /// What must be so for it to be true: whoever asks can leave out events early, and still has to
    /// evaluate it for the others.
    pub fn requirements(&self) -> Vec<Requirement<'_>> {
        requirement::of(&self.root)
    }

    /// Its value for an event, and the errors beside it.
    pub fn evaluate<'a, C: Context + ?Sized>(&'a self, context: &'a C) -> Evaluation<'a> {
        let mut evaluator = evaluate::Evaluator::new(context);
        Evaluation {
            value: evaluator.value(&self.root),
            errors: evaluator.errors,
        }
    }

    /// Whether an event passes it as a filter: its value is `true`, and there is no error
    /// (§1.2).
    pub fn matches<C: Context + ?Sized>(&self, context: &C) -> bool {
        let evaluation = self.evaluate(context);
        evaluation.value == Value::Boolean(true) && evaluation.errors.is_empty()
    }

    /// The same with the value of each part.
    pub fn explain<C: Context + ?Sized>(&self, context: &C) -> Explanation<'_> {
        Explanation::new(&self.source, &self.root, context)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Expression {}

impl FromStr for Expression {
    type Err = ParseError;

    fn from_str(source: &str) -> Result<Self, ParseError> {
        Self::parse(source)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}
