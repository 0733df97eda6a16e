//! What a filter costs for one event, in nanoseconds: `cargo bench -p tidegate-cesql`.
#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a program for people"
)]

use std::{hint::black_box, time::Instant};

use tidegate_cesql::{Context, Expression, Value};

/// Rounds, of which the median counts.
const ROUNDS: usize = 11;
const TIMES: u32 = 200_000;

struct Event;

impl Context for Event {
    fn attribute(&self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "type" => "sap.s4.beh.salesorder.v1.SalesOrder.Created.v1".into(),
            "source" => "/default/sap.s4.beh/QE4CLNT200".into(),
            "subject" => "7700412".into(),
            "priority" => 3.into(),
            "amount" => "1700".into(),
            _ => return None,
        })
    }
}

fn main() {
    println!("| filter | ns |\n|---|---|");
    for text in [
        "type = 'sap.s4.beh.salesorder.v1.SalesOrder.Created.v1'",
        "type = 'sap.s4.beh.salesorder.v1.SalesOrder.Created.v1' AND source LIKE '/default/%'",
        "type LIKE 'sap.s4.%.SalesOrder.%' AND INT(amount) > 1000",
        "EXISTS subject AND LENGTH(subject) > 5",
        "type IN ('a.v1', 'b.v1', 'sap.s4.beh.salesorder.v1.SalesOrder.Created.v1') OR NOT (priority = 3)",
        "(priority < 2 OR amount >= 1000) AND LOWER(source) LIKE '%/qe4clnt___'",
    ] {
        let expression = Expression::parse(text).expect("an expression");
        assert!(expression.matches(&Event), "{text}");
        let mut rounds: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let began = Instant::now();
                for _ in 0..TIMES {
                    black_box(black_box(&expression).matches(black_box(&Event)));
                }
                began.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES)
            })
            .collect();
        rounds.sort_by(f64::total_cmp);
        println!("| `{text}` | {:.0} |", rounds[ROUNDS / 2]);
    }
}
