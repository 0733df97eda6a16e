//! What is known of a document when it is known of some processes.

use super::*;

fn standing(key: &Key, state: State) -> Standing {
    Standing {
        key: key.clone(),
        state,
        paused: None,
        sink: None,
        refuses_dead_letters: false,
        delivered_at: None,
        failure: None,
        lag: None,
        dead_letters: None,
    }
}

/// A process of a role that has said what it runs at a revision.
fn process(role: Role, revision: u64, standings: Vec<Standing>) -> Process {
    Process {
        beat: Beat {
            process: "p".to_owned(),
            roles: vec![role],
            revision,
            consumers_lost: 0,
            leaves: false,
        },
        heard: Instant::now(),
        asked: None,
        revision,
        standings: standings
            .into_iter()
            .map(|standing| (standing.key.clone(), standing))
            .collect(),
        is_opening: false,
    }
}

fn fleet(processes: Vec<Process>) -> Inner {
    let named = processes.into_iter().enumerate();
    Inner {
        called: Some(Instant::now() - SETTLED_AFTER),
        consumers_lost: 0,
        processes: named
            .map(|(number, process)| (number.to_string(), process))
            .collect(),
    }
}

/// Ready is promised of all that is stored from then on, whoever delivers it.
#[tokio::test]
async fn what_one_process_has_not_taken_over_is_behind() {
    let key = Key::subscription("shop", "orders");
    let open = || vec![standing(&key, State::Open)];
    let of = |revisions: [u64; 2]| {
        let processes = revisions.map(|revision| process(Role::Dispatcher, revision, open()));
        fleet(processes.into()).progress(&key, 7)
    };
    assert_eq!(of([7, 6]), Progress::Behind(1, 2));
    assert_eq!(of([6, 6]), Progress::Behind(2, 2));
    let stands = Progress::Stands(Box::new(standing(&key, State::Open)));
    assert_eq!(of([7, 8]), stands);
    // At the revision, and yet without it: it has not understood the document.
    let without = process(Role::Dispatcher, 7, Vec::new());
    let some = fleet(vec![process(Role::Dispatcher, 7, open()), without]);
    assert_eq!(some.progress(&key, 7), Progress::Behind(1, 2));
}

/// Who has doors only does not deliver; and who has not been heard yet may be there.
#[tokio::test]
async fn who_cannot_run_it_does_not_count() {
    let key = Key::subscription("shop", "orders");
    let gateway = || process(Role::Gateway, 1, Vec::new());
    assert_eq!(fleet(vec![gateway()]).progress(&key, 7), Progress::Nobody);
    let unsettled = Inner {
        called: Some(Instant::now()),
        ..fleet(Vec::new())
    };
    assert_eq!(unsettled.progress(&key, 7), Progress::Unknown);
    assert!(!unsettled.is_out(0));
}

/// What is wrong with it in one process is wrong.
#[tokio::test]
async fn the_worst_is_told() {
    let key = Key::subscription("shop", "orders");
    let mut open = standing(&key, State::Open);
    (open.delivered_at, open.lag) = (Some(5), Some(1));
    let mut other = standing(&key, State::Unusable("why".to_owned()));
    (other.delivered_at, other.lag) = (Some(3), Some(2));
    let processes = [open, other].map(|one| process(Role::Dispatcher, 7, vec![one]));
    let Progress::Stands(all) = fleet(processes.into()).progress(&key, 7) else {
        panic!("all have it");
    };
    assert_eq!(all.state, State::Unusable("why".to_owned()));
    assert_eq!((all.delivered_at, all.lag), (Some(5), Some(2)));
}

/// What is deleted is gone for people when nobody runs it, at a door either.
#[tokio::test]
async fn what_is_taken_out_is_out_of_every_process() {
    let of = |revisions: [u64; 2]| {
        let [a, b] = revisions;
        let dispatcher = process(Role::Dispatcher, a, Vec::new());
        fleet(vec![dispatcher, process(Role::Gateway, b, Vec::new())]).is_out(7)
    };
    assert!(of([7, 8]));
    assert!(!of([7, 6]));
    assert!(!of([6, 7]));
    assert!(fleet(Vec::new()).is_out(7), "nobody is there to run it");
}
