//! CESQL judged by its conformance suite, and by what must hold for every expression.

#[cfg(test)]
mod bounds;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod grammar;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tck;

use std::collections::BTreeMap;

use tidegate_cesql::{Context, Value};

/// Attributes by name.
#[derive(Clone, Debug, Default)]
struct Event(BTreeMap<String, Value<'static>>);

impl Event {
    fn of(attributes: &[(&str, Value<'static>)]) -> Self {
        let attributes = attributes.iter();
        Self(
            attributes
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        )
    }
}

impl Context for Event {
    fn attribute(&self, name: &str) -> Option<Value<'_>> {
        self.0.get(name).map(Value::as_borrowed)
    }
}
