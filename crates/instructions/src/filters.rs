//! `cesql` and `subscription`: which events are wanted. Each piece of work is the same ten events,
//! some of them wanted.

use std::hint::black_box;

use tidegate_cesql::{Context, Expression, Value};
use tidegate_event::{Event, Name};

use crate::{
    case::{Case, repeat},
    sample,
};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "cesql.equality",
        times: 1_000,
        work: |times| matches(times, "type = 'shop.order.3.created.v1'"),
    },
    Case {
        name: "cesql.and-like",
        times: 1_000,
        work: |times| {
            matches(
                times,
                "source LIKE '/shop/%' AND type LIKE 'shop.%.created.v_'",
            );
        },
    },
    Case {
        name: "cesql.in",
        times: 1_000,
        work: |times| {
            matches(
                times,
                "type IN ('shop.invoice.v1', 'shop.order.2.created.v1', 'shop.order.3.created.v1')",
            );
        },
    },
    Case {
        name: "cesql.number",
        times: 1_000,
        work: |times| matches(times, "EXISTS priority AND INT(priority) * 2 > 8"),
    },
    Case {
        name: "cesql.parse",
        times: 1_000,
        work: parse,
    },
    Case {
        name: "subscription.types",
        times: 1_000,
        work: |times| wants(times, TYPES),
    },
    Case {
        name: "subscription.filters",
        times: 1_000,
        work: |times| wants(times, FILTERS),
    },
    Case {
        name: "subscription.interests",
        times: 1_000,
        work: interests,
    },
];

/// All dialects.
const FILTERS: &str = "{ sink: { uri: 'http://s/' }, filters: [ \
    { prefix: { source: /shop/ } }, \
    { any: [ { exact: { type: shop.order.3.created.v1 } }, { suffix: { type: .created.v1 } } ] }, \
    { not: { exact: { subject: '7' } } }, \
    { all: [ { cesql: EXISTS priority AND INT(priority) > 3 } ] } ] }";

/// As most Subscriptions say it.
const TYPES: &str = "{ sink: { uri: 'http://s/' }, filters: [ { any: [ \
    { exact: { source: /shop/0, type: shop.invoice.v1 } }, \
    { exact: { source: /shop/0, type: shop.order.2.created.v1 } }, \
    { exact: { source: /shop/0, type: shop.order.4.created.v1 } } ] } ] }";

/// Ten events, of which each filter wants some.
fn events() -> Vec<Event> {
    let event = |number: u32| {
        let mut event = sample::event(number);
        event.source = format!("/shop/{}", number % 2).into();
        event.r#type = format!("shop.order.{number}.created.v1").into();
        event.subject = Some(number.to_string().into());
        let priority = number.to_string().as_str().into();
        event
            .extensions
            .insert(Name::from_static("priority"), priority);
        event
    };
    (0..10).map(event).collect()
}

/// An event as the expressions ask for it: what is counted is theirs.
struct Attributes {
    source: String,
    r#type: String,
    priority: i32,
}

impl Context for Attributes {
    fn attribute(&self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "source" => self.source.as_str().into(),
            "type" => self.r#type.as_str().into(),
            "priority" => self.priority.into(),
            _ => return None,
        })
    }
}

fn matches(times: u32, expression: &str) {
    let expression = Expression::parse(expression).expect("an expression");
    let attributes = |number: i32| Attributes {
        source: format!("/shop/{}", number % 2),
        r#type: format!("shop.order.{number}.created.v1"),
        priority: number,
    };
    let events: Vec<Attributes> = (0..10).map(attributes).collect();
    let wanted = |one: &&Attributes| expression.matches(black_box(*one));
    assert!(events.iter().any(|one| wanted(&one)), "it wants none");
    repeat(times, || events.iter().filter(wanted).count());
}

fn parse(times: u32) {
    let text = "type LIKE 'sap.s4.%.SalesOrder.%' AND (INT(amount) > 1000 OR EXISTS priority)";
    repeat(times, || {
        Expression::parse(black_box(text)).expect("an expression")
    });
}

fn wants(times: u32, spec: &str) {
    let subscription = sample::subscription(spec);
    let events = events();
    let wanted = |one: &&Event| subscription.matches(black_box(*one)).is_some();
    assert!(events.iter().any(|one| wanted(&one)), "it wants none");
    repeat(times, || events.iter().filter(wanted).count());
}

fn interests(times: u32) {
    let subscription = sample::subscription(TYPES);
    repeat(times, || black_box(&subscription).interests().len());
}
