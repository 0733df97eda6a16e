//! How much is taken in hand.

use std::time::Duration;

use bytes::Bytes;

use super::*;

fn state(limits: Limits) -> State<()> {
    let mut state = State::new("shared_1".to_owned(), limits, Ledger::new(0, 0, 0));
    let spec = ConsumerSpec {
        name: "one".to_owned(),
        description: String::new(),
        filters: Vec::new(),
        wants: None,
        start: tidegate_backbone::Start::New,
        ack_wait: Duration::from_secs(30),
        unsettled_max: 1,
        exclusive: false,
    };
    let id = state.join(spec, Matching::Filters(Vec::new()), 0);
    state.joined(id);
    state
}

fn take(state: &mut State<()>, place: u64, bytes: usize) {
    let mut event = Event::new(place.to_string(), "/s", "t");
    event.data = Some(vec![0; bytes].into()).filter(|data: &Bytes| !data.is_empty());
    let taken = state.take(Delivery {
        event: Ok(event),
        subject: ByteString::new(),
        sequence: place,
        number: place,
        attempt: 1,
        stored_at: SystemTime::UNIX_EPOCH,
        receipt: (),
    });
    assert_eq!(taken, None, "somebody wants it");
}

const LIMITS: Limits = Limits {
    events_max: 10,
    bytes_max: 100_000,
    span_max: 20,
    waits_max: 100,
};

/// No more is asked for than there is room for, in events and by what they have taken until now;
/// one event fits always.
#[test]
fn room_is_bounded_in_events_and_bytes() {
    let mut state = state(LIMITS);
    assert_eq!(state.room(), 10);
    for place in 1..=10 {
        take(&mut state, place, 0);
    }
    assert_eq!(state.room(), 0);
    assert!(!state.was_full(), "it still is");
    for place in 1..=10 {
        let settled = state.settle("one", place, Settle::Ack, Instant::now());
        assert_eq!(settled.len(), 1);
    }
    assert!(state.was_full());
    assert!(!state.was_full(), "it was told");
    assert_eq!(state.room(), 10);
    for place in 11..=13 {
        take(&mut state, place, 30_000);
    }
    assert_eq!(state.room(), 0, "{} on average", state.bytes_average);
    for place in 11..=13 {
        state.settle("one", place, Settle::Ack, Instant::now());
    }
    take(&mut state, 14, 1_000_000);
    assert_eq!(state.room(), 0);
    state.settle("one", 14, Settle::Ack, Instant::now());
    assert_eq!(state.room(), 1);
}

/// What is read is never further ahead of the first event in hand than may come again.
#[test]
fn nothing_is_read_too_far_ahead() {
    let mut state = state(LIMITS);
    take(&mut state, 1, 0);
    for place in 2..=21 {
        assert!(state.room() > 0, "{place}");
        take(&mut state, place, 0);
        state.settle("one", place, Settle::Ack, Instant::now());
    }
    assert_eq!(state.room(), 0);
    state.make_room();
    let one = state.id_of("one").unwrap();
    assert_eq!(state.next_to_leave(9), [one], "it is what all wait for");
}

/// Who returns in vain tries less and less often; who has returned begins anew.
#[test]
fn returns_in_vain_become_seldom() {
    let mut state = state(LIMITS);
    let one = state.id_of("one").unwrap();
    state.attach(one, Arc::new(Notify::new()));
    let leave = |state: &mut State<()>| {
        state.let_leave(one, Why::Slow);
        let (_, from) = state.begin_leave(one).unwrap();
        state.left(one, from);
    };
    leave(&mut state);
    let mut now = Instant::now();
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_eq!(state.may_return(now), [one]);
        state.begin_return(one).unwrap();
        assert_eq!(state.may_return(now), [], "it is on its way");
        state.give_up_return(one, now);
        let almost = Duration::from_secs(seconds) - Duration::from_millis(1);
        assert_eq!(state.may_return(now + almost), [], "{seconds} s");
        now += Duration::from_secs(seconds);
    }
    state.begin_return(one).unwrap();
    state.returned(one);
    leave(&mut state);
    assert_eq!(state.may_return(now), [one]);
}

const WIDE: Limits = Limits {
    events_max: 1_000,
    span_max: 1_000,
    ..LIMITS
};

fn fill(state: &mut State<()>) {
    while state.room() > 0 {
        take(state, state.read() + 1, 0);
    }
    state.make_room();
}

/// The only one is not helped by a consumer of its own: less is read while it has enough.
#[test]
fn the_only_member_leaves_when_it_is_stuck() {
    let mut state = state(WIDE);
    let one = state.id_of("one").unwrap();
    let feed = state.attach(one, Arc::new(Notify::new()));
    fill(&mut state);
    assert_eq!(state.in_hand.len(), 51, "it has enough");
    for _ in 0..3 {
        let Next::Events(given) = state.pull(one, feed, 30, Instant::now()) else {
            panic!("there are events");
        };
        state.look();
        for event in given {
            state.settle("one", event.sequence, Settle::Ack, Instant::now());
        }
        assert!(state.was_full() && state.room() >= 50, "many at once");
        fill(&mut state);
        assert_eq!(state.next_to_leave(9), [], "it goes on");
    }
    state.look();
    assert_eq!(state.next_to_leave(9), [one], "it takes nothing");
}

/// What it has not done is in hand as well, and others come behind that.
#[test]
fn the_only_member_leaves_when_it_settles_nothing() {
    let mut state = state(WIDE);
    let one = state.id_of("one").unwrap();
    let feed = state.attach(one, Arc::new(Notify::new()));
    while state.next_to_leave(9).is_empty() {
        fill(&mut state);
        assert!(state.in_hand.len() < WIDE.events_max);
        state.pull(one, feed, 60, Instant::now());
    }
}

#[test]
fn one_that_is_slow_leaves_when_another_comes() {
    let mut state = state(WIDE);
    let one = state.id_of("one").unwrap();
    fill(&mut state);
    let spec = ConsumerSpec {
        name: "another".to_owned(),
        ..state.members[&one].spec.clone()
    };
    state.join(spec, Matching::Filters(Vec::new()), 1_000);
    for _ in 0..50 {
        assert!(state.room() > 0 && state.to_leave.is_empty());
        let next = state.read() + 1;
        take(&mut state, next, 0);
    }
    assert_eq!(state.next_to_leave(9), [one]);
}
