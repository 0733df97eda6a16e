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
    assert!(state.was_full());
    for place in 1..=10 {
        let settled = state.settle("one", place, Settle::Ack, Instant::now());
        assert_eq!(settled.len(), 1);
    }
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
