//! The value of an expression, and the errors beside it.
//!
//! Every operator is total: one with an operand that errs, or is a missing attribute, has the zero
//! value of its own type (§3.2, §3.3).

use std::borrow::Cow;

use crate::{
    Context, Error, Type, Value,
    function::Function,
    tree::{Arithmetic, Comparison, Kind, Logic, Node},
};

/// Errors that are kept; what comes after them tells nothing new.
const ERRORS_MAX: usize = 16;

/// Evaluates against one event.
pub(crate) struct Evaluator<'a, C: ?Sized> {
    context: &'a C,
    pub(crate) errors: Vec<Error>,
    /// How many errors there were, those that are not kept among them.
    failures: usize,
}

impl<'a, C: Context + ?Sized> Evaluator<'a, C> {
    pub(crate) fn new(context: &'a C) -> Self {
        Self {
            context,
            errors: Vec::new(),
            failures: 0,
        }
    }

    /// The value of an operand that does not err.
    fn operand(&mut self, node: &'a Node) -> Option<Value<'a>> {
        let before = self.failures;
        let value = self.value(node);
        (self.failures == before).then_some(value)
    }

    /// The value of an expression.
    pub(crate) fn value(&mut self, node: &'a Node) -> Value<'a> {
        match &node.kind {
            Kind::Literal(value) => value.as_borrowed(),
            Kind::Attribute(name) => self.context.attribute(name).unwrap_or_else(|| {
                let name = name.to_string();
                self.failed(Error::MissingAttribute { name });
                // Nobody knows its type; then it is a boolean (§3.2).
                Type::Boolean.zero()
            }),
            Kind::Exists(name) => self.context.attribute(name).is_some().into(),
            Kind::Not(of) => self.boolean(of).is_some_and(|value| !value).into(),
            Kind::Minus(of) => self.minus(of).into(),
            Kind::Logic(logic, operands) => self.logic(*logic, operands).into(),
            Kind::Compare(comparison, two) => self.compare(*comparison, two).into(),
            Kind::Calculate(arithmetic, two) => self.calculate(*arithmetic, two).into(),
            Kind::Like {
                negated,
                of,
                pattern,
            } => self
                .operand(of)
                .is_some_and(|of| pattern.matches(&of.into_text()) != *negated)
                .into(),
            Kind::In { negated, of, set } => self.is_in(of, set, *negated).into(),
            Kind::Call(function, arguments) => self.call(*function, arguments),
            Kind::Unknown(name, arguments) => {
                self.failed(Error::MissingFunction {
                    name: name.to_string(),
                    arguments: arguments.len(),
                });
                Value::Boolean(false)
            }
        }
    }

    fn call(&mut self, function: Function, arguments: &'a [Node]) -> Value<'a> {
        // Most functions take so few that they need no memory.
        let mut few = [const { None }; 3];
        let called = if arguments.len() <= few.len() {
            for (slot, argument) in few.iter_mut().zip(arguments) {
                *slot = self.operand(argument);
            }
            let given = few.iter().flatten().count();
            (given == arguments.len()).then(|| function.call(few.into_iter().flatten()))
        } else {
            let given: Vec<Option<Value<'a>>> =
                arguments.iter().map(|one| self.operand(one)).collect();
            let given: Option<Vec<Value<'a>>> = given.into_iter().collect();
            given.map(|given| function.call(given.into_iter()))
        };
        match called {
            None => function.r#type().zero(),
            Some(Ok(value)) => value,
            Some(Err((error, value))) => {
                self.failed(error);
                value
            }
        }
    }

    fn logic(&mut self, logic: Logic, operands: &'a [Node]) -> bool {
        match logic {
            Logic::And => operands.iter().all(|one| self.boolean(one) == Some(true)),
            Logic::Or => {
                for operand in operands {
                    match self.boolean(operand) {
                        Some(false) => {}
                        Some(true) => return true,
                        None => return false,
                    }
                }
                false
            }
            Logic::Xor => {
                let mut odd = Some(false);
                for operand in operands {
                    let value = self.boolean(operand);
                    odd = odd.zip(value).map(|(odd, value)| odd != value);
                }
                odd.unwrap_or(false)
            }
        }
    }

    fn compare(&mut self, comparison: Comparison, [left, right]: &'a [Node; 2]) -> bool {
        let (left, right) = (self.operand(left), self.operand(right));
        let Some((left, right)) = left.zip(right) else {
            return false;
        };
        match comparison {
            Comparison::Equal => self.equal(left, &right) == Some(true),
            Comparison::NotEqual => self.equal(left, &right) == Some(false),
            Comparison::Less
            | Comparison::LessOrEqual
            | Comparison::Greater
            | Comparison::GreaterOrEqual => {
                let (left, right) = (self.kept(left.to_integer()), self.kept(right.to_integer()));
                left.zip(right)
                    .is_some_and(|(left, right)| match comparison {
                        Comparison::Less => left < right,
                        Comparison::LessOrEqual => left <= right,
                        Comparison::Greater => left > right,
                        Comparison::GreaterOrEqual => left >= right,
                        Comparison::Equal | Comparison::NotEqual => false,
                    })
            }
        }
    }

    /// The right operand's type decides (§3.7).
    fn equal(&mut self, left: Value<'a>, right: &Value<'a>) -> Option<bool> {
        let left = self.kept(left.cast(right.r#type()))?;
        Some(left == *right)
    }

    fn minus(&mut self, of: &'a Node) -> i32 {
        let value = self.integer(of);
        value.map_or(0, |value| self.calculated(value.checked_neg()))
    }

    fn calculate(&mut self, arithmetic: Arithmetic, [left, right]: &'a [Node; 2]) -> i32 {
        let (left, right) = (self.integer(left), self.integer(right));
        let Some((left, right)) = left.zip(right) else {
            return 0;
        };
        let divides = matches!(arithmetic, Arithmetic::Divide | Arithmetic::Remainder);
        if divides && right == 0 {
            let reason = "division by zero";
            self.failed(Error::Math { reason });
            return 0;
        }
        self.calculated(match arithmetic {
            Arithmetic::Multiply => left.checked_mul(right),
            Arithmetic::Divide => left.checked_div(right),
            // The remainder by -1 is 0 even where the quotient is no 32-bit integer.
            Arithmetic::Remainder => Some(left.wrapping_rem(right)),
            Arithmetic::Add => left.checked_add(right),
            Arithmetic::Subtract => left.checked_sub(right),
        })
    }

    fn calculated(&mut self, result: Option<i32>) -> i32 {
        result.unwrap_or_else(|| {
            let reason = "the result is no 32-bit integer";
            self.failed(Error::Math { reason });
            0
        })
    }

    /// The left operand's type decides (§3.7).
    fn is_in(&mut self, of: &'a Node, set: &'a [Node], negated: bool) -> bool {
        let Some(of) = self.operand(of) else {
            return false;
        };
        let mut failed = false;
        for one in set {
            let Some(one) = self.operand(one) else {
                return false;
            };
            match self.kept(one.cast(of.r#type())) {
                Some(one) if one == of => return !negated,
                Some(_) => {}
                None => failed = true,
            }
        }
        negated && !failed
    }

    fn boolean(&mut self, node: &'a Node) -> Option<bool> {
        let value = self.operand(node)?.to_boolean();
        self.kept(value)
    }

    fn integer(&mut self, node: &'a Node) -> Option<i32> {
        let value = self.operand(node)?.to_integer();
        self.kept(value)
    }

    fn kept<T>(&mut self, value: Result<T, Error>) -> Option<T> {
        value.map_err(|error| self.failed(error)).ok()
    }

    fn failed(&mut self, error: Error) {
        self.failures += 1;
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(error);
        }
    }
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::String(text)
    }
}
