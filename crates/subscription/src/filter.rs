//! Filters of the CloudEvents Subscriptions API: which events pass, and which part decided.

use std::fmt;

use serde::{Deserialize, Serialize};
use tidegate_cesql::{Context, Expression, Value};
use tidegate_event::{self as event, Event};

/// A filter; an event passes it or not. Several are of one mind: all have to let it pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Filter {
    /// Each of these attributes has this value.
    Exact(Vec<Pair>),
    /// Each of these attributes begins so.
    Prefix(Vec<Pair>),
    /// Each of these attributes ends so.
    Suffix(Vec<Pair>),
    /// All of these let it pass.
    All(Vec<Filter>),
    /// One of these lets it pass.
    Any(Vec<Filter>),
    /// This does not let it pass.
    Not(Box<Filter>),
    /// A CESQL expression that is true, and has no error.
    Sql(#[serde(with = "text")] Expression),
}

/// An attribute's name, and a text to compare its value with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The name.
    pub name: String,
    /// The text.
    pub text: String,
}

/// Alternatives of which each is told why it did not let an event pass.
const TOLD_MAX: usize = 8;

/// What a filter, or all of them, said of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it passes.
    pub passes: bool,
    /// The part that decided, as a path in the document.
    pub path: String,
    /// What that part says.
    pub part: String,
}

impl Filter {
    /// Whether an event passes.
    pub fn passes(&self, event: &Event) -> bool {
        let each = |pairs: &[Pair], holds: fn(&str, &str) -> bool| {
            pairs.iter().all(|pair| pair.holds(event, holds))
        };
        match self {
            Self::Exact(pairs) => each(pairs, |value, text| value == text),
            Self::Prefix(pairs) => each(pairs, |value, text| value.starts_with(text)),
            Self::Suffix(pairs) => each(pairs, |value, text| value.ends_with(text)),
            Self::All(filters) => filters.iter().all(|filter| filter.passes(event)),
            Self::Any(filters) => filters.iter().any(|filter| filter.passes(event)),
            Self::Not(filter) => !filter.passes(event),
            Self::Sql(expression) => expression.matches(&Attributes(event)),
        }
    }

    /// Whether an event passes, and the smallest part that says so.
    fn decide(&self, event: &Event, path: &str) -> Decision {
        let passes = self.passes(event);
        let inner = match self {
            Self::All(filters) => decisive(filters, event, &format!("{path}.all"), false),
            Self::Any(filters) => decisive(filters, event, &format!("{path}.any"), true),
            Self::Not(filter) => Some(filter.decide(event, &format!("{path}.not"))),
            Self::Exact(_) | Self::Prefix(_) | Self::Suffix(_) | Self::Sql(_) => None,
        };
        if let Some(inner) = inner {
            return Decision { passes, ..inner };
        }
        let part = match self {
            Self::Sql(expression) => {
                let explanation = expression.explain(&Attributes(event));
                let decisive = explanation.decisive();
                let value = decisive.value.as_ref().map(ToString::to_string);
                let mut part = format!("{} is {}", decisive.text, value.unwrap_or_default());
                for error in &decisive.errors {
                    part.push_str(&format!(", {error}"));
                }
                part
            }
            Self::Exact(pairs) | Self::Prefix(pairs) | Self::Suffix(pairs) => {
                let failing = pairs.iter().find(|pair| !self.holds(pair, event));
                match failing.or(pairs.first()) {
                    Some(pair) => pair.said_of(event),
                    None => String::new(),
                }
            }
            Self::Any(filters) => {
                let each: Vec<String> = filters
                    .iter()
                    .take(TOLD_MAX)
                    .map(|filter| filter.decide(event, "").part)
                    .collect();
                format!("none of them lets the event pass: {}", each.join("; "))
            }
            Self::All(_) | Self::Not(_) => "all of them let the event pass".to_owned(),
        };
        Decision {
            passes,
            path: format!("{path}.{}", self.dialect()),
            part,
        }
    }

    fn holds(&self, pair: &Pair, event: &Event) -> bool {
        let alone = vec![pair.clone()];
        let alone = match self {
            Self::Prefix(_) => Self::Prefix(alone),
            Self::Suffix(_) => Self::Suffix(alone),
            Self::Exact(_) | Self::All(_) | Self::Any(_) | Self::Not(_) | Self::Sql(_) => {
                Self::Exact(alone)
            }
        };
        alone.passes(event)
    }

    fn dialect(&self) -> &'static str {
        match self {
            Self::Exact(_) => "exact",
            Self::Prefix(_) => "prefix",
            Self::Suffix(_) => "suffix",
            Self::All(_) => "all",
            Self::Any(_) => "any",
            Self::Not(_) => "not",
            Self::Sql(_) => "sql",
        }
    }
}

/// What all filters of a Subscription say.
pub(crate) fn decide(filters: &[Filter], event: &Event) -> Decision {
    let refused = decisive(filters, event, "spec.filters", false);
    refused.unwrap_or_else(|| Decision {
        passes: true,
        path: "spec.filters".to_owned(),
        part: match filters.len() {
            0 => "there is none, so every event passes".to_owned(),
            1 => "it lets the event pass".to_owned(),
            count => format!("all {count} let the event pass"),
        },
    })
}

/// The first filter that says so.
fn decisive(filters: &[Filter], event: &Event, path: &str, passes: bool) -> Option<Decision> {
    let at = filters
        .iter()
        .position(|filter| filter.passes(event) == passes)?;
    let filter = filters.get(at)?;
    Some(filter.decide(event, &format!("{path}[{at}]")))
}

impl Pair {
    fn holds(&self, event: &Event, holds: impl Fn(&str, &str) -> bool) -> bool {
        match attribute(event, &self.name) {
            Some(Value::String(value)) => holds(&value, &self.text),
            Some(other) => holds(&other.to_string(), &self.text),
            None => false,
        }
    }

    fn said_of(&self, event: &Event) -> String {
        let Self { name, text } = self;
        match attribute(event, name) {
            Some(value) => format!("{name} is {:?}, compared with {text:?}", value.to_string()),
            None => format!("the event has no attribute {name}"),
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.part)
    }
}

/// An event, as expressions ask for it.
struct Attributes<'a>(&'a Event);

impl Context for Attributes<'_> {
    fn attribute(&self, name: &str) -> Option<Value<'_>> {
        attribute(self.0, name)
    }
}

/// An attribute's text, as filters compare it.
pub(crate) fn text_of(event: &Event, name: &str) -> Option<String> {
    attribute(event, name).map(|value| value.to_string())
}

fn attribute<'a>(event: &'a Event, name: &str) -> Option<Value<'a>> {
    let text = match name {
        "specversion" => Some("1.0"),
        "id" => Some(&*event.id),
        "source" => Some(&*event.source),
        "type" => Some(&*event.r#type),
        "datacontenttype" => event.datacontenttype.as_deref(),
        "dataschema" => event.dataschema.as_deref(),
        "subject" => event.subject.as_deref(),
        "time" => event.time.as_deref(),
        _ => {
            return Some(match event.extensions.get(name)? {
                event::Value::Boolean(value) => Value::Boolean(*value),
                event::Value::Integer(value) => Value::Integer(*value),
                event::Value::String(text) => Value::from(&**text),
            });
        }
    };
    text.map(Value::from)
}

/// An expression as its text.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};
    use tidegate_cesql::Expression;

    pub(super) fn serialize<S: Serializer>(one: &Expression, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(one.source())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Expression, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
