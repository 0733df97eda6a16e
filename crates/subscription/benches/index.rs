//! Who wants an event, of 1 to 5,000 Subscriptions, by the index and by asking each:
//! `cargo bench -p tidegate-subscription`.
//!
//! Of a hundred Subscriptions 60 name a source and types, 15 types as Kyma names them, 10 beginnings
//! of types, 10 a type and the end of a subject, and 5 are expressions that a type can be read from.
//! One event is wanted by one to three of them.
#![expect(clippy::print_stdout, reason = "a program for people")]

use std::{hint::black_box, time::Instant};

use tidegate_event::Event;
use tidegate_subscription::{Filter, Index, Matching, Pair};

/// Rounds, of which the median counts.
const ROUNDS: usize = 11;

/// Events of a round.
const EVENTS: usize = 20_000;

/// Questions of a round, where each Subscription is asked.
const ASKED: usize = 2_000_000;

fn main() {
    println!(
        "| Subscriptions | found for an event | index: ns/event | million events/s | asking each: ns/event |"
    );
    println!("|---|---|---|---|---|");
    for count in [1, 10, 100, 1_000, 5_000] {
        let matchings: Vec<Matching> = (0..count).map(matching).collect();
        let index = Index::new(&matchings);
        let events: Vec<Event> = (0..count).map(event).collect();
        let each = |event: &Event| {
            let wanted = matchings.iter().filter(|one| one.matches(event).is_some());
            wanted.count()
        };
        let found: usize = events.iter().map(|event| index.find(event).len()).sum();
        let by_index = median(&events, EVENTS, |event| index.find(event).len());
        let by_asking = median(&events, (ASKED / count).min(EVENTS), each);
        println!(
            "| {count} | {:.2} | {by_index:.0} | {:.2} | {by_asking:.0} |",
            found as f64 / count as f64,
            1e3 / by_index
        );
    }
}

/// Nanoseconds for an event.
fn median(events: &[Event], times: usize, find: impl Fn(&Event) -> usize) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            for event in events.iter().cycle().take(times) {
                black_box(find(black_box(event)));
            }
            began.elapsed().as_secs_f64() * 1e9 / times as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds.get(ROUNDS / 2).copied().unwrap_or_default()
}

/// Fifty systems.
fn source(number: usize) -> String {
    format!("/default/sap.s4.beh/QE4CLNT{:03}", number % 50)
}

fn name(number: usize) -> String {
    format!("sap.s4.beh.object{number}.v1.Object{number}.Changed.v1")
}

fn matching(number: usize) -> Matching {
    let pair = |name: &str, text: String| {
        vec![Pair {
            name: name.to_owned(),
            text,
        }]
    };
    match number % 20 {
        0..12 => Matching::Standard {
            source: source(number),
            types: vec![name(number), format!("{}.more", name(number))],
        },
        12..15 => Matching::Exact {
            types: vec![name(number)],
        },
        15..17 => {
            let text = format!("sap.s4.beh.object{number}.");
            Matching::Filters(vec![Filter::Prefix(pair("type", text))])
        }
        17..19 => Matching::Filters(vec![
            Filter::Exact(pair("type", name(number))),
            Filter::Suffix(pair("subject", "7".to_owned())),
        ]),
        _ => {
            let text = format!(
                "type = '{}' AND source LIKE '/default/%' AND EXISTS subject",
                name(number)
            );
            let expression = text.parse().expect("an expression");
            Matching::Filters(vec![Filter::Sql(expression)])
        }
    }
}

/// One that the Subscription of this number wants.
fn event(number: usize) -> Event {
    let mut event = Event::new("1", source(number), name(number));
    event.subject = Some("10000487".into());
    event
}
