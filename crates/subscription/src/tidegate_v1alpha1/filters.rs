//! `spec.filters`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;
use tidegate_cesql::{Expression, Type};
use tidegate_document::{Mistakes, line_of};
use tidegate_event::Name;

use crate::filter::{Filter, Pair};

/// Filters inside of each other; people nest three or four.
const DEPTH_MAX: usize = 16;

/// Filters of one Subscription, those inside of others among them.
const COUNT_MAX: usize = 500;

/// One dialect, and what it says.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Filter", extend("minProperties" = 1, "maxProperties" = 1))]
pub(super) struct Spec {
    /// Each of these attributes has this value.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    exact: Option<Pairs>,
    /// Each of these attributes begins so.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    prefix: Option<Pairs>,
    /// Each of these attributes ends so.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    suffix: Option<Pairs>,
    /// All of these let an event pass.
    #[schemars(with = "Option<Vec<Spec>>", length(min = 1))]
    all: Option<Vec<Spanned<Spec>>>,
    /// One of these lets it pass.
    #[schemars(with = "Option<Vec<Spec>>", length(min = 1))]
    any: Option<Vec<Spanned<Spec>>>,
    /// This one does not let it pass.
    #[schemars(with = "Option<Box<Spec>>")]
    not: Option<Box<Spanned<Spec>>>,
    /// A CESQL expression that is true of it.
    #[schemars(with = "Option<String>")]
    sql: Option<Spanned<String>>,
    /// Knative's name of `sql`.
    #[schemars(with = "Option<String>")]
    cesql: Option<Spanned<String>>,
}

type Pairs = Spanned<BTreeMap<String, Spanned<String>>>;

pub(super) fn parse(specs: Vec<Spanned<Spec>>, mistakes: &mut Mistakes) -> Vec<Filter> {
    let mut reading = Reading { mistakes, count: 0 };
    reading.list(specs, "spec.filters", 0)
}

struct Reading<'a> {
    mistakes: &'a mut Mistakes,
    count: usize,
}

impl Reading<'_> {
    fn list(&mut self, specs: Vec<Spanned<Spec>>, field: &str, depth: usize) -> Vec<Filter> {
        let specs = specs.into_iter().enumerate();
        specs
            .filter_map(|(index, spec)| self.one(spec, &format!("{field}[{index}]"), depth))
            .collect()
    }

    fn one(&mut self, spec: Spanned<Spec>, field: &str, depth: usize) -> Option<Filter> {
        const ONE: &str = "must have exactly one of exact, prefix, suffix, all, any, not and sql";
        let line = line_of(&spec);
        self.count += 1;
        if depth == DEPTH_MAX || self.count > COUNT_MAX {
            let message = if depth == DEPTH_MAX {
                format!("must not have more than {DEPTH_MAX} filters inside of each other")
            } else {
                format!("must not be one of more than {COUNT_MAX} filters")
            };
            self.mistakes.add(line, field, message);
            return None;
        }
        let Spec {
            exact,
            prefix,
            suffix,
            all,
            any,
            not,
            sql,
            cesql,
        } = spec.value;
        let dialects = [
            exact.is_some(),
            prefix.is_some(),
            suffix.is_some(),
            all.is_some(),
            any.is_some(),
            not.is_some(),
            sql.is_some(),
            cesql.is_some(),
        ];
        if dialects.iter().filter(|is_set| **is_set).count() != 1 {
            self.mistakes.add(line, field, ONE);
            return None;
        }
        let deeper = depth + 1;
        let pairs = |this: &mut Self, pairs, name| this.pairs(pairs, &format!("{field}.{name}"));
        let many = |this: &mut Self, specs: Vec<Spanned<Spec>>, name| {
            let field = format!("{field}.{name}");
            if specs.is_empty() {
                this.mistakes.add(line, &field, "must not be empty");
            }
            this.list(specs, &field, deeper)
        };
        if let Some(exact) = exact {
            return pairs(self, exact, "exact").map(Filter::Exact);
        }
        if let Some(prefix) = prefix {
            return pairs(self, prefix, "prefix").map(Filter::Prefix);
        }
        if let Some(suffix) = suffix {
            return pairs(self, suffix, "suffix").map(Filter::Suffix);
        }
        if let Some(all) = all {
            return Some(Filter::All(many(self, all, "all")));
        }
        if let Some(any) = any {
            return Some(Filter::Any(many(self, any, "any")));
        }
        if let Some(not) = not {
            let inner = self.one(*not, &format!("{field}.not"), deeper)?;
            return Some(Filter::Not(Box::new(inner)));
        }
        let (sql, name) = sql
            .map(|sql| (sql, "sql"))
            .or(cesql.map(|sql| (sql, "cesql")))?;
        self.expression(&sql, &format!("{field}.{name}"))
    }

    fn pairs(&mut self, pairs: Pairs, field: &str) -> Option<Vec<Pair>> {
        if pairs.value.is_empty() {
            let message = "must name at least one attribute";
            self.mistakes.add(line_of(&pairs), field, message);
            return None;
        }
        let mut found = Vec::new();
        for (name, text) in pairs.value {
            let message = if Name::new(name.clone()).is_none() && !is_core(&name) {
                Some("must be the name of an attribute: lower-case letters and digits")
            } else if text.value.is_empty() {
                Some("must not be empty")
            } else {
                None
            };
            if let Some(message) = message {
                let field = format!("{field}.{name}");
                self.mistakes.add(line_of(&text), &field, message);
            }
            found.push(Pair {
                name,
                text: text.value,
            });
        }
        Some(found)
    }

    fn expression(&mut self, sql: &Spanned<String>, field: &str) -> Option<Filter> {
        let expression = Expression::parse(&sql.value)
            .map_err(|error| self.mistakes.add(line_of(sql), field, error.to_string()))
            .ok()?;
        let message = match (expression.unknown_function(), expression.r#type()) {
            (Some(name), _) => Some(format!("there is no function {name} of so many arguments")),
            (None, Some(other @ (Type::Integer | Type::String))) => {
                Some(format!("must be true or false, it is a {other}"))
            }
            (None, Some(Type::Boolean) | None) => None,
        };
        if let Some(message) = message {
            self.mistakes.add(line_of(sql), field, message);
            return None;
        }
        Some(Filter::Sql(expression))
    }
}

fn is_core(name: &str) -> bool {
    const CORE: [&str; 8] = [
        "specversion",
        "id",
        "source",
        "type",
        "datacontenttype",
        "dataschema",
        "subject",
        "time",
    ];
    CORE.contains(&name)
}
