//! What of which subject may go.

use super::*;

fn consumer(filters: &[&str], floor: u64, is_behind: bool) -> Info {
    serde_json::from_value(json!({
        "name": "consumer",
        "delivered": { "stream_seq": floor },
        "ack_floor": { "stream_seq": floor },
        "num_ack_pending": 0,
        "num_pending": u64::from(is_behind),
        "config": { "filter_subjects": filters },
    }))
    .unwrap()
}

pub(in crate::jetstream::reclaim) fn behind(filters: &[&str], floor: u64) -> Info {
    consumer(filters, floor, true)
}

fn subject(name: &str, events: u64, first: u64, settled: u64) -> Subject {
    Subject {
        name: name.to_owned(),
        events,
        first,
        settled,
    }
}

fn names(subjects: &[Subject]) -> Vec<&str> {
    subjects.iter().map(|subject| &*subject.name).collect()
}

/// Only those who read a subject hold it, the slowest of them decides, and of what is not certain
/// nothing goes.
#[test]
fn who_reads_a_subject_holds_it() {
    let consumers = [
        behind(&["e.s.a"], 10),
        behind(&["e.*.b", "e.t.>"], 50),
        behind(&["e.s.b"], 70),
        behind(&["e.s.a", "e.s.c"], 900),
        consumer(&["e.s.d"], 3, false),
    ];
    let holds = Holds::new(&consumers, 100);
    for (subject, settled) in [
        ("e.s.a", 10),
        ("e.s.b", 50),
        ("e.u.b", 50),
        ("e.t.c.d", 50),
        ("e.s.c", 100),
        ("e.s.d", 100),
        ("e.s.a.b", 100),
        ("other", 100),
    ] {
        assert_eq!(holds.settled(subject), settled, "{subject}");
    }
    assert_eq!(holds.lowest(), 10);
    assert!(holds.lets_some_go());
}

/// Who reads everything holds everything.
#[test]
fn a_consumer_without_filters_holds_all() {
    let consumers = [behind(&["e.s.a"], 30), behind(&[], 10)];
    let holds = Holds::new(&consumers, 100);
    assert_eq!(holds.settled("e.s.b"), 10);
    assert!(!holds.lets_some_go());

    // It is not the last: what is between may go of what only it reads.
    let consumers = [behind(&["e.s.a"], 10), behind(&[], 30)];
    let holds = Holds::new(&consumers, 100);
    assert_eq!((holds.settled("e.s.a"), holds.settled("e.s.b")), (10, 30));
    assert!(holds.lets_some_go());
}

/// Of what is held nothing is chosen.
#[test]
fn what_may_go_is_chosen() {
    let largest = ["e.s.1", "e.s.2", "e.s.3"].map(|name| (name.to_owned(), 9));
    let consumers = [behind(&["e.s.1"], 10), behind(&["e.s.3"], 50)];
    let chosen = chosen(largest.to_vec(), &Holds::new(&consumers, 100));
    assert_eq!(names(&chosen), ["e.s.2", "e.s.3"]);
    assert_eq!((chosen[0].settled, chosen[1].settled), (100, 50));
}

/// Never more goes than is missing, wherever the events are, and never past what is settled.
#[test]
fn no_more_goes_than_is_missing() {
    let subjects = [subject("a", 9, 21, 100), subject("b", 9, 7, 8)];
    assert_eq!(up_to(&subjects, 10), Some(16));
    assert_eq!(subjects[0].below(16), None);
    assert_eq!(subjects[0].below(21), Some(22));
    assert_eq!(subjects[1].below(16), Some(9));
    assert_eq!(up_to(&subjects, 0), None);
    assert_eq!(up_to(&[], 10), None);
}

/// A subject of which nothing may go any more is done.
#[test]
fn a_subject_comes_to_its_end() {
    let mut one = subject("a", 9, 21, 100);
    one.is_purged(31, 3);
    assert_eq!(one, subject("a", 6, 31, 100));
    assert!(one.has_more());
    one.is_purged(101, 1);
    assert!(!one.has_more());
    assert!(!subject("a", 0, 21, 100).has_more());
}
