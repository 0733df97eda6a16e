//! What `consumers` promises by itself.

use super::*;

fn spec(filters: &[&str]) -> ConsumerSpec {
    ConsumerSpec {
        name: "consumer".to_owned(),
        description: "whose".to_owned(),
        filters: filters.iter().map(|&filter| filter.to_owned()).collect(),
        start: Start::New,
        ack_wait: Duration::from_secs(30),
        wants: None,
        unsettled_max: 1_000,
        exclusive: false,
    }
}

/// A filter that another covers is left out, since JetStream would refuse both.
#[test]
fn covered_filters_are_left_out() {
    for (filters, kept) in [
        (&["a.s.t", "a.*.t"][..], &["a.*.t"][..]),
        (&["a.*.t", "a.s.t"], &["a.*.t"]),
        (&["a.s.t", "a.s.u"], &["a.s.t", "a.s.u"]),
        (&["a.s.t", "a.s.t"], &["a.s.t"]),
        (&["a.s.t", "a.>", "a.*.u"], &["a.>"]),
        (&["a.s", "a.s.t"], &["a.s", "a.s.t"]),
    ] {
        assert_eq!(without_covered(&spec(filters).filters), kept, "{filters:?}");
    }
    assert!(!covers("a.*", "a.>"));
    assert!(covers("a.>", "a.>"));
    assert!(!covers("a.>", "a"));
}

/// Opening a consumer that is as it should be changes nothing, however the server wrote it.
#[test]
fn an_unchanged_consumer_is_left_alone() {
    let spec_one = spec(&["a.s.t"]);
    let config = new(&spec_one);
    assert_eq!(changed(&config, &config, &spec_one, false), Ok(None));
    let mut written = config.clone();
    written.remove("filter_subjects");
    written.insert("filter_subject".to_owned(), json!("a.s.t"));
    written.insert("max_waiting".to_owned(), json!(512));
    assert_eq!(changed(&written, &written, &spec_one, false), Ok(None));
}

/// What the specification says wins; what it does not say, and the position, stay.
#[test]
fn a_changed_consumer_keeps_its_position_and_the_rest() {
    let mut config = new(&spec(&["a.s.t"]));
    config.insert("max_waiting".to_owned(), json!(512));
    let changed = changed(
        &config,
        &config,
        &ConsumerSpec {
            start: Start::All,
            ..spec(&[])
        },
        false,
    );
    let changed = changed.unwrap().unwrap();
    assert_eq!(filters(&changed), [""; 0]);
    assert_eq!(changed["deliver_policy"], "new");
    assert_eq!(changed["max_waiting"], 512);
}

/// A consumer of another kind is not taken over.
#[test]
fn a_foreign_consumer_is_refused() {
    let mut push = new(&spec(&[]));
    push.insert("deliver_subject".to_owned(), json!("somewhere"));
    assert!(changed(&push, &push, &spec(&[]), false).is_err());
    let mut none = new(&spec(&[]));
    none.insert("ack_policy".to_owned(), json!("none"));
    assert!(changed(&none, &none, &spec(&[]), false).is_err());
}
