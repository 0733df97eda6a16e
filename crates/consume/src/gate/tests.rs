//! A gate by the steps of its clock.

use std::num::NonZeroU32;

use super::*;

fn config() -> config::Breaker {
    config::Breaker {
        failures: NonZeroU32::new(3).unwrap(),
        probe_delay: Duration::from_secs(1),
        probe_delay_max: Duration::from_secs(4),
    }
}

fn gate() -> Gate {
    Gate::new(&config())
}

/// One attempt after the other; whether each is excused.
fn attempts(gate: &Gate, outcomes: &[(Health, u64)]) -> Vec<bool> {
    let outcomes = outcomes.iter();
    outcomes
        .map(|(health, event)| gate.pass().unwrap().ended(*health, *event))
        .collect()
}

/// All who name a sink share its gate, and nobody else does.
#[tokio::test(start_paused = true)]
async fn a_gate_is_its_sinks() {
    let gates = Gates::new(&config());
    let of = |sink: &str| gates.of(sink);
    let (one, same, other) = (of("http://a/"), of("http://a/"), of("http://b/"));
    one.hold(Duration::from_secs(10));
    one.hold(Duration::from_secs(2));
    let until = Wait::Until(Instant::now() + Duration::from_secs(10));
    assert_eq!(same.pass().unwrap_err(), until);
    assert_eq!(gates.standing("http://a/"), Standing::Held);
    assert!(other.pass().is_ok());
    tokio::time::advance(Duration::from_secs(10)).await;
    assert!(same.pass().is_ok());
    drop((one, same, other));
    gates.of("http://c/");
    assert_eq!(lock(&gates.all).len(), 1, "those of nobody are forgotten");
}

/// Only failures in a row open it, and a sink that answers 429 is there.
#[tokio::test(start_paused = true)]
async fn it_opens_on_failures_in_a_row() {
    use Health::{Away, Busy, Failing, Slow, Well};
    for between in [Well, Busy] {
        let gate = gate();
        let row = [(Failing, 1), (Slow, 2), (between, 3), (Away, 4), (Away, 4)];
        assert_eq!(attempts(&gate, &row), [false; 5]);
        assert_eq!(gate.standing(), Standing::Open);
        assert_eq!(attempts(&gate, &[(Failing, 5)]), [true]);
        assert_eq!(gate.standing(), Standing::Failing);
    }
}

/// An event that fails alone, however often, is no failing sink; one that finds nobody is.
#[tokio::test(start_paused = true)]
async fn one_event_alone_opens_it_only_when_nobody_is_there() {
    let (failing, away) = (gate(), gate());
    attempts(&failing, &[(Health::Failing, 1); 50]);
    assert_eq!(failing.standing(), Standing::Open);
    let excused = attempts(&away, &[(Health::Away, 1); 3]);
    assert_eq!(excused, [false, false, true]);
    assert_eq!(away.standing(), Standing::Failing);
}

/// While it is open one event at a time probes, later and later up to a bound.
#[tokio::test(start_paused = true)]
async fn an_open_gate_lets_one_probe_pass_at_a_time() {
    let gate = gate();
    attempts(&gate, &[(Health::Away, 1); 3]);
    for seconds in [1, 2, 4, 4] {
        let until = Instant::now() + Duration::from_secs(seconds);
        assert_eq!(gate.pass().unwrap_err(), Wait::Until(until));
        tokio::time::advance(Duration::from_secs(seconds)).await;
        let probe = gate.pass().unwrap();
        assert_eq!(gate.pass().unwrap_err(), Wait::Change);
        assert!(probe.ended(Health::Slow, 1), "it is not the event's fault");
    }
}

/// A probe that is given up makes room for another one.
#[tokio::test(start_paused = true)]
async fn a_probe_that_tells_nothing_is_made_again() {
    let gate = gate();
    attempts(&gate, &[(Health::Away, 1); 3]);
    tokio::time::advance(Duration::from_secs(1)).await;
    let changed = gate.changed();
    drop(gate.pass().unwrap());
    changed.await;
    assert!(gate.pass().is_ok());
}

/// It closes gradually: twice as many at once after as many successes. The first of them says that
/// the sink is there.
#[tokio::test(start_paused = true)]
async fn it_closes_gradually() {
    let gate = gate();
    attempts(&gate, &[(Health::Away, 1); 3]);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(gate.standing(), Standing::Failing);
    attempts(&gate, &[(Health::Well, 1)]);
    for allowed in [2, 4, 8, 16, 32, 64] {
        assert_eq!(gate.standing(), Standing::Open);
        let passes: Vec<Pass> = std::iter::from_fn(|| gate.pass().ok()).collect();
        assert_eq!(passes.len(), allowed);
        for pass in passes {
            assert!(!pass.ended(Health::Well, 1));
        }
    }
    assert_eq!(gate.standing(), Standing::Open);
}

/// An event of its own fault does not open it again while it closes; two failures in a row do, and
/// the probes come no faster for it.
#[tokio::test(start_paused = true)]
async fn a_relapse_opens_it_again() {
    use Health::{Away, Failing, Well};
    let gate = gate();
    attempts(&gate, &[(Away, 1); 3]);
    tokio::time::advance(Duration::from_secs(1)).await;
    let row = [(Well, 1), (Failing, 2), (Well, 3), (Failing, 2)];
    assert_eq!(attempts(&gate, &row), [false; 4]);
    assert_eq!(gate.standing(), Standing::Failing);
    assert_eq!(attempts(&gate, &[(Failing, 4)]), [true]);
    let until = Instant::now() + Duration::from_secs(2);
    assert_eq!(gate.pass().unwrap_err(), Wait::Until(until));
}

/// What began before it opened says nothing of a sink that is probed; it is excused all the same.
#[tokio::test(start_paused = true)]
async fn late_results_do_not_count() {
    let gate = gate();
    let late: Vec<Pass> = (0..3).map(|_| gate.pass().unwrap()).collect();
    attempts(&gate, &[(Health::Away, 1); 3]);
    let mut late = late.into_iter();
    assert!(!late.next().unwrap().ended(Health::Well, 8));
    assert!(late.next().unwrap().ended(Health::Away, 9));
    assert_eq!(gate.standing(), Standing::Failing);
    tokio::time::advance(Duration::from_secs(1)).await;
    let probe = gate.pass().unwrap();
    drop(late);
    assert_eq!(
        gate.pass().unwrap_err(),
        Wait::Change,
        "one probe at a time"
    );
    probe.ended(Health::Well, 1);
}

/// A sink that is gone is asked no more, until somebody says so.
#[tokio::test(start_paused = true)]
async fn a_sink_that_is_gone_is_asked_no_more() {
    let gate = gate();
    let late = gate.pass().unwrap();
    gate.pass().unwrap().gone();
    tokio::time::advance(Duration::from_hours(1000)).await;
    assert_eq!(gate.pass().unwrap_err(), Wait::Change);
    assert_eq!(gate.standing(), Standing::Gone);
    let changed = gate.changed();
    gate.ask_again();
    changed.await;
    // An answer to what was asked before says nothing of now.
    late.gone();
    assert!(gate.pass().is_ok());
}

/// Nothing is sent before a sink permits it, and no more than it permits, however many Subscriptions
/// share the permission; a later word takes the place of an earlier one.
#[tokio::test(start_paused = true)]
async fn a_sink_gives_its_permission_and_a_rate() {
    let gates = Gates::new(&config::Breaker::default());
    let (one, other) = (gates.of("http://a/"), gates.of("http://a/"));
    one.needs_permission();
    assert_eq!(other.pass().err(), Some(Wait::Change));
    assert_eq!((other.room(), one.standing()), (0, Standing::NotPermitted));
    let changed = other.changed();
    one.permitted(Some(Duration::from_secs(1)));
    changed.await;
    assert_eq!(one.standing(), Standing::Open);
    // Whoever comes later asks too, and stops nobody meanwhile.
    other.needs_permission();
    let (began, mut passed) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_secs(60) {
        for gate in [&one, &other] {
            match gate.pass() {
                Ok(pass) => {
                    pass.ended(Health::Well, 1);
                    passed += 1;
                }
                Err(Wait::Until(next)) => tokio::time::sleep_until(next).await,
                Err(Wait::Change) => panic!("it is permitted"),
            }
        }
    }
    assert!((60..=61).contains(&passed), "{passed} a minute");
    other.permitted(None);
    for _ in 0..10 {
        assert!(one.pass().is_ok());
    }
    other.forbidden();
    assert_eq!(one.pass().err(), Some(Wait::Change));
}
