//! What the table of those that wait promises.

use futures_util::FutureExt as _;

use super::*;
use crate::Stored;

const TIMEOUT: Duration = Duration::from_secs(5);

const DUPLICATE: Answer = Answer::Stored(Stored {
    sequence: 7,
    duplicate: true,
});

/// A table whose connection has shown already what it is like.
async fn acks(in_flight_max: usize) -> Arc<Acks> {
    let acks = Arc::new(Acks::new("inbox", in_flight_max, TIMEOUT));
    tokio::time::advance(TRIAL).await;
    acks
}

fn one(acks: &Arc<Acks>) -> Waiting {
    acks.wait(1, Subject::Any).unwrap()
}

fn heard(waiting: &mut Waiting) -> Option<Answer> {
    waiting.now_or_never()
}

fn place(waiting: &mut Waiting) -> u64 {
    match heard(waiting) {
        Some(Answer::Stored(stored)) => stored.sequence,
        other => panic!("{other:?}"),
    }
}

/// Every append gets its own answer.
#[tokio::test(start_paused = true)]
async fn an_answer_reaches_its_append() {
    let acks = acks(4).await;
    let (mut first, mut second) = (one(&acks), one(&acks));
    assert_ne!(first.reply(), second.reply());
    acks.stored(second.key, 7);
    assert!(heard(&mut first).is_none());
    assert_eq!(place(&mut second), 7);
}

/// A full table refuses, and a dropped append makes room again. Of several under one key each counts.
#[tokio::test(start_paused = true)]
async fn appends_are_bounded_and_make_room() {
    let acks = acks(3).await;
    let first = one(&acks);
    let _both = acks.wait(2, Subject::Any).unwrap();
    assert!(matches!(
        acks.wait(1, Subject::Any).unwrap_err(),
        AppendError::Busy { in_flight_max: 3 }
    ));
    drop(first);
    assert!(acks.wait(2, Subject::Any).is_err());
    let _again = one(&acks);
    assert_eq!(acks.in_flight(), 3);
}

/// A subject is used again as long as all that came on it was stored as something new.
#[tokio::test(start_paused = true)]
async fn a_subject_that_was_answered_well_is_used_again() {
    let acks = acks(1).await;
    let reply = one(&acks).reply();
    for place in 1..4 {
        let mut waiting = one(&acks);
        // The first one was given up before its answer.
        assert_ne!(waiting.reply(), reply);
        assert_eq!(waiting.key.generation, 1);
        acks.stored(waiting.key, place);
        assert_eq!(self::place(&mut waiting), place);
    }
    let new = acks.wait(1, Subject::New).unwrap();
    assert_eq!(new.key.generation, 2);
}

/// What nobody waited for to the end, what failed, and what was no new place takes its subject along:
/// whatever comes on it later meets no other append.
#[tokio::test(start_paused = true)]
async fn a_late_answer_meets_no_other_append() {
    let lost = AppendError::Unreachable {
        detail: "gone".to_owned(),
    };
    type Ends<'a> = &'a dyn Fn(&Arc<Acks>, Key);
    let ends: [(&str, Ends<'_>); 5] = [
        ("nothing", &|_, _| {}),
        ("a duplicate", &|acks, key| acks.told(key, DUPLICATE)),
        ("a failure", &|acks, key| {
            acks.told(key, Answer::Failed(lost.clone()));
        }),
        ("a loss", &|acks, _| acks.lost(&lost)),
        ("two answers", &|acks, key| {
            acks.stored(key, 8);
            acks.stored(key, 9);
        }),
    ];
    for (name, end) in ends {
        let acks = acks(1).await;
        let waiting = one(&acks);
        let late = waiting.key;
        end(&acks, late);
        drop(waiting);
        let mut next = one(&acks);
        assert_ne!(next.key, late, "{name}");
        acks.stored(late, 10);
        acks.told(late, DUPLICATE);
        assert!(heard(&mut next).is_none(), "{name}");
    }
}

/// On a subject that was used before, only a place after all of its former ones is believed.
#[tokio::test(start_paused = true)]
async fn a_second_answer_to_an_earlier_append_is_not_believed() {
    type Second<'a> = &'a dyn Fn(&Arc<Acks>, Key);
    let seconds: [(&str, Second<'_>); 4] = [
        ("the same place", &|acks, key| acks.stored(key, 7)),
        ("a place before", &|acks, key| acks.stored(key, 6)),
        ("a duplicate", &|acks, key| acks.told(key, DUPLICATE)),
        ("a failure", &|acks, key| acks.told(key, Answer::TooLarge)),
    ];
    for (name, second) in seconds {
        let acks = acks(1).await;
        let mut earlier = one(&acks);
        acks.stored(earlier.key, 7);
        assert_eq!(place(&mut earlier), 7);
        drop(earlier);
        let mut waiting = one(&acks);
        second(&acks, waiting.key);
        let answer = heard(&mut waiting);
        assert!(matches!(answer, Some(Answer::Unsure)), "{name}: {answer:?}");
        let used = waiting.key;
        drop(waiting);
        assert_ne!(one(&acks).key, used, "{name}");
    }
}

/// On a subject of its own an append takes whatever is answered.
#[tokio::test(start_paused = true)]
async fn the_only_append_of_a_subject_is_answered() {
    let acks = acks(1).await;
    let earlier = one(&acks);
    acks.stored(earlier.key, 8);
    drop(earlier);
    let mut waiting = acks.wait(1, Subject::New).unwrap();
    acks.told(waiting.key, DUPLICATE);
    let answer = heard(&mut waiting);
    assert!(matches!(answer, Some(Answer::Stored(stored)) if stored.duplicate));
}

/// Several under one key are stored when so many new places are known, in whichever order.
#[tokio::test(start_paused = true)]
async fn several_are_stored_when_all_have_new_places() {
    let acks = acks(3).await;
    for round in [10, 20] {
        let mut waiting = acks.wait(3, Subject::Any).unwrap();
        assert_eq!(waiting.key.generation, 0);
        for place in [1, 3, 2] {
            assert!(heard(&mut waiting).is_none());
            acks.stored(waiting.key, round + place);
        }
        assert_eq!(place(&mut waiting), round + 3);
        assert_eq!(waiting.places(), [round + 1, round + 2, round + 3]);
    }
}

/// One answer of another kind, a place that is no new one, or one that comes twice, and each of them
/// has to be asked for; those that are new are known.
#[tokio::test(start_paused = true)]
async fn several_of_which_one_is_not_sure_are_not_sure() {
    for (second, new) in [(11, vec![11, 13]), (5, vec![11, 13]), (0, vec![11, 13])] {
        let acks = acks(3).await;
        let earlier = one(&acks);
        acks.stored(earlier.key, 10);
        drop(earlier);
        let mut waiting = acks.wait(3, Subject::Any).unwrap();
        acks.stored(waiting.key, 11);
        if second == 0 {
            acks.told(waiting.key, DUPLICATE);
        } else {
            acks.stored(waiting.key, second);
        }
        assert!(heard(&mut waiting).is_none());
        acks.stored(waiting.key, 13);
        let answer = heard(&mut waiting);
        assert!(
            matches!(answer, Some(Answer::Unsure)),
            "{second}: {answer:?}"
        );
        assert_eq!(waiting.places(), new, "{second}");
    }
}

/// Whether two streams answer shows before a subject is used again, and as soon as it shows later
/// none is for a while.
#[tokio::test(start_paused = true)]
async fn who_is_answered_twice_uses_no_subject_again() {
    let used_again = |acks: &Arc<Acks>, place| {
        let waiting = one(acks);
        let key = waiting.key;
        acks.stored(key, place);
        drop(waiting);
        one(acks).key == key
    };
    let acks = Arc::new(Acks::new("inbox", 1, TIMEOUT));
    assert!(!used_again(&acks, 1));
    tokio::time::advance(TRIAL).await;
    assert!(used_again(&acks, 2));
    let waiting = one(&acks);
    let key = waiting.key;
    acks.stored(key, 3);
    drop(waiting);
    acks.stored(key, 1_003);
    tokio::time::advance(DISTRUST / 2).await;
    // On a former subject too, one is one too many.
    let waiting = one(&acks);
    let key = waiting.key;
    acks.stored(key, 4);
    drop(waiting);
    let next = one(&acks);
    assert_ne!(next.key, key);
    acks.stored(key, 1_004);
    drop(next);
    tokio::time::advance(DISTRUST / 2).await;
    assert!(!used_again(&acks, 5));
    tokio::time::advance(DISTRUST / 2).await;
    assert!(used_again(&acks, 6));
}

/// What comes after its time is late, and no second answer.
#[tokio::test(start_paused = true)]
async fn who_is_answered_late_is_not_answered_twice() {
    let acks = acks(1).await;
    let waiting = one(&acks);
    tokio::time::advance(TIMEOUT).await;
    acks.sweep();
    acks.stored(waiting.key, 1);
    drop(waiting);
    let waiting = one(&acks);
    let key = waiting.key;
    acks.stored(key, 2);
    drop(waiting);
    assert_eq!(one(&acks).key, key);
}

/// A connection that is new has to show anew that one stream answers.
#[tokio::test(start_paused = true)]
async fn a_new_connection_is_on_trial() {
    let acks = acks(1).await;
    let waiting = one(&acks);
    let key = waiting.key;
    acks.stored(key, 1);
    drop(waiting);
    acks.lost(&AppendError::Unreachable {
        detail: "gone".to_owned(),
    });
    assert_ne!(one(&acks).key, key);
}

/// No append waits longer than its timeout.
#[tokio::test(start_paused = true)]
async fn appends_time_out() {
    let acks = acks(3).await;
    let mut early = one(&acks);
    tokio::time::advance(TIMEOUT - Duration::from_secs(1)).await;
    let mut late = acks.wait(2, Subject::Any).unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    acks.sweep();
    let answer = heard(&mut early);
    assert!(
        matches!(answer, Some(Answer::Failed(AppendError::TimedOut { .. }))),
        "{answer:?}"
    );
    assert!(heard(&mut late).is_none());
}

/// A lost connection answers all at once, and wakes who waits.
#[tokio::test(start_paused = true)]
async fn a_lost_connection_fails_all() {
    let acks = acks(100).await;
    let waiting: Vec<_> = (0..100).map(|_| tokio::spawn(one(&acks))).collect();
    tokio::task::yield_now().await;
    acks.lost(&AppendError::Unreachable {
        detail: "gone".to_owned(),
    });
    for task in waiting {
        let answer = task.await.unwrap();
        assert!(matches!(
            answer,
            Answer::Failed(AppendError::Unreachable { .. })
        ));
    }
    assert_eq!(acks.in_flight(), 0);
}

/// Keys come back from reply subjects, and nothing else is one.
#[tokio::test(start_paused = true)]
async fn keys_are_one_token() {
    let key = Key {
        slot: 0xfff0,
        generation: 0xdead_beef,
    };
    let reply = key.reply(&*acks(1).await);
    assert_eq!(reply.strip_prefix("inbox.").and_then(Key::parse), Some(key));
    for token in ["", "0", "zzzz00000000", "00001", "0000100000000", "ä000"] {
        assert!(
            Key::parse(token).is_none_or(|key| key.generation != 0),
            "{token}"
        );
    }
}
