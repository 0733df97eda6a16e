//! Each mistake with its line, its field and Kyma's own words.

use proptest::prelude::*;
use tidegate_subscription::{Matching, parse, subscribed_types};

const HEAD: &str = "apiVersion: eventing.kyma-project.io/v1alpha2\nkind: Subscription\nmetadata:\n  name: s\nspec:\n";

fn spec(lines: &[&str]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("  {line}\n")).collect();
    format!("{HEAD}{}", lines.concat())
}

fn mistakes(text: &str) -> Vec<(usize, String, String)> {
    parse(text)
        .mistakes
        .into_iter()
        .map(|one| (one.line, one.field, one.message))
        .collect()
}

fn one(lines: &[&str]) -> (usize, String, String) {
    let found = mistakes(&spec(lines));
    assert_eq!(found.len(), 1, "{lines:?}: {found:?}");
    found.into_iter().next().unwrap()
}

const SINK: &str = "sink: http://h/";
const SOURCE: &str = "source: s";
const TYPES: &str = "types: [a.b]";

/// The lines of a spec, and the line, field and message of its mistake.
const CASES: [(&[&str], usize, &str, &str); 12] = [
    (
        &[SINK, "source: \"\"", TYPES],
        7,
        "spec.source",
        "must not be empty",
    ),
    (
        &[SINK, "source: s%ourc%e", TYPES],
        7,
        "spec.source",
        "must be valid as per RFC 3986",
    ),
    (
        &[SINK, SOURCE, "types: []"],
        8,
        "spec.types",
        "must not be empty",
    ),
    (
        &[SINK, SOURCE, "types: [a.b, a.b]"],
        8,
        "spec.types[1]",
        "must not have duplicate types",
    ),
    (
        &[SINK, SOURCE, "types: [\"\"]"],
        8,
        "spec.types[0]",
        "must not be of length zero",
    ),
    (
        &[SINK, SOURCE, "types: [ab]"],
        8,
        "spec.types[0]",
        "must have minimum 2 segments",
    ),
    (
        &[SINK, SOURCE, "types: [sap.kyma.custom.a.b.c.v1]"],
        8,
        "spec.types[0]",
        "must not have sap.kyma.custom as type prefix",
    ),
    (
        &[SINK, SOURCE, TYPES, "config: {maxInFlightMessages: \"x\"}"],
        9,
        "spec.config.maxInFlightMessages",
        "maxInFlightMessages must be a stringified int value",
    ),
    (
        &[SINK, SOURCE, TYPES, "typeMatching: prefix"],
        9,
        "spec.typeMatching",
        "must be a valid TypeMatching value exact or standard",
    ),
    (
        &["sink: \"\"", SOURCE, TYPES],
        6,
        "spec.sink",
        "must not be empty",
    ),
    (
        &["sink: ftp://h/", SOURCE, TYPES],
        6,
        "spec.sink",
        "must have URL scheme 'http' or 'https'",
    ),
    (
        &["sink: http://u:p@h/", SOURCE, TYPES],
        6,
        "spec.sink",
        "must not hold a user name or a password",
    ),
];

/// The messages of Kyma's validation, where a reader finds them.
#[test]
fn mistakes_have_kymas_words_and_their_place() {
    for (lines, line, field, message) in CASES {
        assert_eq!(
            one(lines),
            (line, field.to_owned(), message.to_owned()),
            "{lines:?}"
        );
    }
}

/// All mistakes of a document at once, in Kyma's order.
#[test]
fn all_mistakes_are_told_at_once() {
    let found = mistakes(&spec(&[
        "sink: x",
        "source: \"\"",
        "types: []",
        "typeMatching: x",
    ]));
    let fields: Vec<&str> = found.iter().map(|(_, field, _)| field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.typeMatching",
            "spec.source",
            "spec.types",
            "spec.sink"
        ]
    );
}

/// A wrong document hides none of its neighbours, and lines are those of the file.
#[test]
fn documents_are_judged_one_by_one() {
    let good = spec(&["sink: http://h/", "source: s", "types: [a.b]"]);
    let text = format!(
        "# a comment\n---\n{good}---\nkind: [\n---\n{}",
        good.replace("name: s", "name: t")
    );
    let parsed = parse(&text);
    assert_eq!(parsed.documents.len(), 2, "{:?}", parsed.mistakes);
    assert_eq!(parsed.documents[0].0, 3);
    assert_eq!(parsed.mistakes.len(), 1);
    assert!(parsed.mistakes[0].line >= 12, "{}", parsed.mistakes[0]);
}

/// An unknown field is a mistake, not a wish that nobody hears; another kind is named.
#[test]
fn unknown_fields_and_kinds_are_refused() {
    let text = spec(&["sink: http://h/", "source: s", "types: [a.b]", "filter: x"]);
    let found = mistakes(&text);
    assert!(
        found[0].2.contains("filter") && found[0].0 == 9,
        "{found:?}"
    );
    let text = "apiVersion: eventing.kyma-project.io/v1alpha3\nkind: Subscription\n";
    assert!(
        mistakes(text)[0].2.contains("v1alpha2"),
        "{:?}",
        mistakes(text)
    );
    assert_eq!(mistakes("kind: Subscription\n")[0].1, "apiVersion");
    let number = spec(&[
        "sink: http://h/",
        "source: s",
        "types: [a.b]",
        "config: {maxInFlightMessages: 10}",
    ]);
    // YAML's 10 is no string, and Kyma's schema says so; here it is read as the text that it is.
    assert!(mistakes(&number).len() <= 1);
}

/// A document as `kubectl get -o yaml` prints it.
#[test]
fn an_exported_document_is_taken_as_it_is() {
    let text = "\
apiVersion: eventing.kyma-project.io/v1alpha2
kind: Subscription
metadata:
  annotations: {a: b}
  creationTimestamp: \"2024-01-01T00:00:00Z\"
  finalizers: [eventing.kyma-project.io]
  generation: 2
  name: orders
  namespace: shop
  uid: 5f0e
spec:
  config: {maxInFlightMessages: \"25\"}
  id: x
  sink: http://orders.shop.svc.cluster.local
  source: commerce
  typeMatching: standard
  types: [order.created.v1, order.paid.v1]
status:
  ready: true
  types: []
";
    let parsed = parse(text);
    assert_eq!(parsed.mistakes, []);
    let subscription = &parsed.documents[0].1;
    assert_eq!(subscription.id(), "shop/orders");
    assert_eq!(subscription.delivery.max_in_flight.get(), 25);
    assert_eq!(subscription.interests().len(), 2);
    assert!(
        matches!(&subscription.matching, Matching::Standard { source, .. } if source == "commerce")
    );
}

/// 0 and less mean the default, as there is no such window.
#[test]
fn a_window_below_one_is_the_default() {
    for window in ["0", "-5"] {
        let config = format!("config: {{maxInFlightMessages: \"{window}\"}}");
        let text = spec(&["sink: http://h/", "source: s", "types: [a.b]", &config]);
        assert_eq!(parse(&text).documents[0].1.delivery.max_in_flight.get(), 10);
    }
}

/// The list of the legacy door: each type once, of this application only, no crash without a dot.
#[test]
fn subscribed_types_are_those_of_the_application() {
    let exact = "  typeMatching: exact\n  source: \"\"\n  types: [sap.kyma.custom.shop.order.updated.v1, sap.kyma.custom.other.a.v1]\n  sink: http://h/\n";
    let text = format!(
        "{}---\n{}---\n{HEAD}{exact}",
        spec(&[
            "sink: http://h/",
            "source: shop",
            "types: [order.created.v1, Account.Root.Created.v2]"
        ]),
        spec(&[
            "sink: http://h/",
            "source: other",
            "types: [order.created.v1]"
        ]),
    );
    let parsed = parse(&text);
    assert_eq!(parsed.mistakes, []);
    let subscriptions = || parsed.documents.iter().map(|(_, one)| one);
    let pair = |name: &str, version: &str| (name.to_owned(), version.to_owned());
    assert_eq!(
        subscribed_types(subscriptions(), "shop"),
        [
            pair("order.created", "v1"),
            pair("Account.Root.Created", "v2"),
            pair("order.updated", "v1")
        ]
    );
    assert_eq!(subscribed_types(subscriptions(), "nobody"), []);
}

proptest! {
    /// Any text is Subscriptions and mistakes.
    #[test]
    fn arbitrary_text_never_panics(text in "(\\PC|\n|: |- |\\[|\\{|&a|\\*a){0,60}") {
        parse(&text);
        parse(&format!("{HEAD}{text}"));
    }
}

/// Aliases that multiply are refused, not expanded.
#[test]
fn an_alias_bomb_is_refused() {
    let mut text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, before) in ('b'..='j').zip('a'..='i') {
        text += &format!(
            "{name}: &{name} [*{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}, *{before}]\n"
        );
    }
    assert_eq!(parse(&text).documents.len(), 0);
    assert!(!parse(&text).mistakes.is_empty());
}
