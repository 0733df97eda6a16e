//! The promises of the register.

use std::{collections::BTreeMap, time::Duration};

use tidegate_backbone::{Presence as _, Register, RegisterError, Registered};

use crate::fixture::within;

async fn read(register: &impl Register) -> Registered {
    within(register.read()).await.unwrap()
}

fn values<const N: usize>(values: [(&str, &str); N]) -> BTreeMap<String, String> {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    values.into_iter().map(owned).collect()
}

pub(crate) async fn what_is_written_is_read(register: &impl Register) {
    let empty = read(register).await;
    assert_eq!(empty, Registered::default());
    assert_eq!(within(register.revision()).await.unwrap(), 0);
    let mut revision = empty.revision;
    for (name, value) in [
        ("a", Some("1")),
        ("b", Some("{\"x\": 2}")),
        ("c", Some("")),
        ("a", Some("3")),
        ("b", None),
        ("never", None),
    ] {
        let after = register.write(name, value, revision).await.unwrap();
        assert!(after > revision, "{after} after {revision}");
        revision = after;
        assert_eq!(within(register.revision()).await.unwrap(), revision);
    }
    let all = read(register).await;
    assert_eq!(all.revision, revision);
    assert_eq!(all.values, values([("a", "3"), ("c", "")]));
    for name in ["a", "b", "c", "never", "nobody"] {
        let one = within(register.get(name)).await.unwrap();
        assert_eq!(one.as_ref(), all.values.get(name), "{name}");
    }
}

pub(crate) async fn who_has_not_read_all_does_not_write(register: &impl Register) {
    let old = read(register).await.revision;
    let new = register.write("a", Some("first"), old).await.unwrap();
    for (name, value) in [("a", Some("late")), ("b", Some("late")), ("a", None)] {
        let late = register.write(name, value, old).await;
        assert!(
            matches!(late, Err(RegisterError::Changed { revision }) if revision == old),
            "{late:?}"
        );
    }
    let all = read(register).await;
    assert_eq!((all.revision, all.values), (new, values([("a", "first")])));
    let read = register.write("b", Some("read"), new).await.unwrap();
    assert!(read > new);
}

/// More than the server lists at once, or a client queues without care.
pub(crate) async fn many_values_are_read_whole(register: &impl Register) {
    const COUNT: usize = 1_000;
    let mut revision = read(register).await.revision;
    let mut written = BTreeMap::new();
    for number in 0..COUNT {
        let (name, value) = (format!("name-{number}"), number.to_string());
        revision = register.write(&name, Some(&value), revision).await.unwrap();
        written.insert(name, value);
    }
    assert_eq!(read(register).await.values, written);
}

pub(crate) async fn what_is_no_name_is_refused(register: &impl Register) {
    let long = "n".repeat(9_000);
    let too_long = &long[..2_049];
    for name in ["", "a.b", "a b", "*", ">", "ä", "a\r\nb", &long, too_long] {
        let refused = register.write(name, Some("1"), 0).await;
        assert!(
            matches!(refused, Err(RegisterError::Refused { .. })),
            "{name:?}: {refused:?}"
        );
    }
    let refused = register.write("a", Some(&long), 0).await;
    assert!(matches!(refused, Err(RegisterError::Refused { .. })));
    assert_eq!(read(register).await, Registered::default());
    for name in ["", "a.b", "*", ">", &long, too_long] {
        assert!(register.appear(name).await.is_err(), "{name:?}");
        assert!(register.is_present(name).await.is_err(), "{name:?}");
    }
    let longest = &long[..2_048];
    assert!(!within(register.is_present(longest)).await.unwrap());
    within(register.write(longest, None, 0)).await.unwrap();
}

/// Waits until nobody is seen any more: that somebody has gone may be known a moment later.
pub(crate) async fn until_gone(register: &impl Register, name: &str) {
    within(async {
        while register.is_present(name).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

pub(crate) async fn who_appears_is_seen_until_it_goes(register: &impl Register) {
    let is_present = async |name| within(register.is_present(name)).await.unwrap();
    assert!(!is_present("a").await);
    let first = within(register.appear("a")).await.unwrap();
    assert!(is_present("a").await);
    assert!(!is_present("b").await);
    let second = within(register.appear("a")).await.unwrap();
    let other = within(register.appear("b")).await.unwrap();
    drop(first);
    assert!(is_present("a").await);
    drop(second);
    until_gone(register, "a").await;
    assert!(is_present("b").await);
    drop(other);
    until_gone(register, "b").await;
    // Nothing of it is written.
    assert_eq!(read(register).await, Registered::default());
    let again = within(register.appear("a")).await.unwrap();
    assert!(is_present("a").await);
    drop(again);
}

/// What is said on looking is heard by whom it is said to, and by nobody else.
pub(crate) async fn who_is_seen_hears_what_is_said(register: &impl Register) {
    let mut one = within(register.appear("a")).await.unwrap();
    let mut other = within(register.appear("b")).await.unwrap();
    assert!(!within(register.look("c", Some(7))).await.unwrap());
    for said in [0, 3, u32::MAX] {
        assert!(within(register.is_present("a")).await.unwrap());
        assert!(within(register.look("a", Some(said))).await.unwrap());
        assert_eq!(within(one.heard()).await, said);
    }
    // Who does not listen is seen all the same, and holds nobody up.
    for said in 0..100 {
        assert!(within(register.look("b", Some(said))).await.unwrap());
    }
    assert_eq!(within(other.heard()).await, 0);
}
