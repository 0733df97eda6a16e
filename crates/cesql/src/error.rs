//! What can be wrong: with an expression, and with a value while one is evaluated.

use thiserror::Error;

/// Why a text is no expression (a *ParseError* of the specification, §3.3).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason} at line {line}, column {column}")]
pub struct ParseError {
    /// What is wrong.
    pub reason: String,
    /// Where, in bytes from the start.
    pub offset: usize,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
}

impl ParseError {
    pub(crate) fn new(source: &str, offset: usize, reason: impl Into<String>) -> Self {
        let before = source.get(..offset).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            reason: reason.into(),
            offset,
            line: before.matches('\n').count() + 1,
            column: before
                .get(line_start..)
                .map_or(0, |line| line.chars().count())
                + 1,
        }
    }
}

/// An error beside a value (§3.3).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// The event has no such attribute.
    #[error("the event has no attribute {name}")]
    MissingAttribute {
        /// Its name.
        name: String,
    },
    /// A value cannot be made another type.
    #[error("{value:?} is no {wanted}")]
    Cast {
        /// The beginning of the value's text.
        value: String,
        /// The type that was needed.
        wanted: crate::Type,
    },
    /// A division by zero, or a result that is no 32-bit integer.
    #[error("{reason}")]
    Math {
        /// Which of them.
        reason: &'static str,
    },
    /// There is no function of this name that takes so many arguments.
    #[error("there is no function {name} of {arguments} arguments")]
    MissingFunction {
        /// Its name.
        name: String,
        /// How many arguments it is given.
        arguments: usize,
    },
    /// A function cannot work with its arguments.
    #[error("{function}: {reason}")]
    FunctionEvaluation {
        /// The function.
        function: &'static str,
        /// Why.
        reason: &'static str,
    },
}
