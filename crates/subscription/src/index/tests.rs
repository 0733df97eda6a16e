//! An index finds whom asking each would find.

use proptest::{collection::vec, prelude::*, sample::select};
use tidegate_event::{Name, Value};

use super::*;
use crate::Pair;

/// Few of each, so that they meet.
const SOURCES: [&str; 4] = ["/s4", "commerce", "test-app", "testapp"];
const TYPES: [&str; 10] = [
    "order.created.v1",
    "order.created.v2",
    "order",
    "order.",
    ".order",
    "order.created",
    "sap.kyma.custom.test-app.order.created.v1",
    "sap.kyma.custom.testapp.order.created.v1",
    "testapp.order.created.v1",
    "ordering.created.v1",
];
const BEGINNINGS: [&str; 7] = [
    "",
    "order",
    "order.",
    "order.created.",
    "sap.kyma.",
    ".",
    "o",
];
const EXPRESSIONS: [&str; 6] = [
    "type = 'order.created.v1'",
    "type LIKE 'order.%' AND source = '/s4'",
    "source = 'commerce' OR priority > 2",
    "NOT (type LIKE 'order.created.%')",
    "priority > 1",
    "EXISTS subject",
];

fn pairs(names: Vec<&'static str>, texts: &'static [&'static str]) -> BoxedStrategy<Vec<Pair>> {
    let pair = (select(names), select(texts)).prop_map(|(name, text)| Pair {
        name: name.to_owned(),
        text: text.to_owned(),
    });
    vec(pair, 1..3).boxed()
}

fn filter() -> impl Strategy<Value = Filter> {
    let names = vec!["source", "type", "subject"];
    let leaf = prop_oneof![
        4 => pairs(vec!["type", "type", "subject"], &TYPES).prop_map(Filter::Exact),
        2 => pairs(vec!["source", "source", "subject"], &SOURCES).prop_map(Filter::Exact),
        2 => pairs(names.clone(), &BEGINNINGS).prop_map(Filter::Prefix),
        1 => pairs(names, &["v1", ".v1", "app", "order"]).prop_map(Filter::Suffix),
        2 => select(&EXPRESSIONS[..]).prop_map(|text| Filter::Sql(text.parse().unwrap())),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Filter::All),
            vec(inner.clone(), 0..3).prop_map(Filter::Any),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}

fn matching() -> impl Strategy<Value = Matching> {
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect::<Vec<_>>();
    prop_oneof![
        (select(&SOURCES[..]), vec(select(&TYPES[..]), 1..4)).prop_map(move |(source, types)| {
            Matching::Standard {
                source: source.to_owned(),
                types: owned(types),
            }
        }),
        vec(select(&TYPES[..]), 1..4).prop_map(move |types| Matching::Exact {
            types: owned(types)
        }),
        vec(filter(), 0..3).prop_map(Matching::Filters),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let version = proptest::option::of(select(&["v1", "v2"][..]));
    let subject = proptest::option::of(select(&TYPES[..]));
    let parts = (
        select(&SOURCES[..]),
        select(&TYPES[..]),
        version,
        subject,
        0..4_i32,
    );
    parts.prop_map(|(source, r#type, version, subject, priority)| {
        let mut event = Event::new("1", source, r#type);
        event.subject = subject.map(Into::into);
        if let Some(version) = version {
            let name = Name::from_static("eventtypeversion");
            event.extensions.insert(name, version.into());
        }
        let name = Name::from_static("priority");
        event.extensions.insert(name, Value::Integer(priority));
        event
    })
}

proptest! {
    /// Those that want an event are found, each once, with what its sink sees; and nobody else.
    #[test]
    fn an_index_finds_whom_asking_each_would(
        matchings in vec(matching(), 0..24),
        events in vec(event(), 1..8),
    ) {
        let index = Index::new(&matchings);
        prop_assert_eq!(index.len(), matchings.len());
        for event in &events {
            let asked = matchings.iter().enumerate();
            let wanted: Vec<Found> = asked
                .filter_map(|(place, matching)| {
                    let matched = matching.matches(event)?;
                    Some(Found { place, matched })
                })
                .collect();
            prop_assert_eq!(index.find(event), wanted);
        }
    }
}

/// However many parts a beginning has, it is found.
#[test]
fn long_types_are_found() {
    let parts = vec!["a"; 100].join(".");
    let longer = format!("{parts}.b");
    let begins = |text: String| {
        Matching::Filters(vec![Filter::Prefix(vec![Pair {
            name: "type".to_owned(),
            text,
        }])])
    };
    let index = Index::new(&[begins(format!("{parts}.")), begins(format!("{longer}."))]);
    let found = index.find(&Event::new("1", "/s", longer));
    let places: Vec<usize> = found.iter().map(|one| one.place).collect();
    assert_eq!(places, [0]);
}
