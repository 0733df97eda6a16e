//! Over a register in memory, which another writes into as well.

use serde_json::json;
use tidegate_backbone::{
    Register as _, Shard,
    memory::{Memory, MemoryRegister},
};

use super::*;
use crate::Reader;

fn entry(sink: &str) -> Entry {
    Entry {
        document: json!({ "spec": { "sink": sink } }),
        held: None,
    }
}

async fn register() -> MemoryRegister {
    Memory::default().register(Shard::WHOLE)
}

/// Processes that start while a controller is at its first round would take what is there for all.
#[tokio::test]
async fn what_is_not_complete_says_nothing() {
    let register = register().await;
    let mut reader = Reader::new(register.clone());
    let mut writer = Writer::open(register).await.unwrap();
    assert_eq!(reader.look().await.unwrap(), None);
    let key = Key::subscription("a", "b");
    let written = writer.put(&key, &entry("x")).await.unwrap();
    assert_eq!(reader.look().await.unwrap(), None);
    writer.complete().await.unwrap();
    let snapshot = reader.look().await.unwrap().unwrap();
    assert!(snapshot.revision >= written);
    assert_eq!(snapshot.entries.keys().collect::<Vec<_>>(), [&key]);
    assert_eq!(reader.look().await.unwrap(), None, "said once is enough");
}

/// Each writing makes every process read everything.
#[tokio::test]
async fn what_is_so_already_is_not_written() {
    let register = register().await;
    let mut writer = Writer::open(register.clone()).await.unwrap();
    let key = Key::application("s4");
    let first = writer.put(&key, &entry("x")).await.unwrap();
    let before = register.revision().await.unwrap();
    assert_eq!(writer.put(&key, &entry("x")).await.unwrap(), first);
    let gone = Key::application("never");
    assert_eq!(writer.remove(&gone).await.unwrap(), before);
    assert_eq!(register.revision().await.unwrap(), before);
    assert!(writer.put(&key, &entry("y")).await.unwrap() > before);
    // The next one in charge has to know from which writing on it is so.
    let writer = Writer::open(register.clone()).await.unwrap();
    assert_eq!(writer.get(&key), Some(entry("y")));
}

/// Of two that take themselves for the one in charge, none overwrites what it has not read.
#[tokio::test]
async fn writers_see_what_others_have_written() {
    let register = register().await;
    let mut one = Writer::open(register.clone()).await.unwrap();
    let mut other = Writer::open(register.clone()).await.unwrap();
    let (a, b) = (Key::application("a"), Key::application("b"));
    one.put(&a, &entry("1")).await.unwrap();
    other.put(&b, &entry("2")).await.unwrap();
    assert_eq!(other.keys(), [a.clone(), b.clone()]);
    other.remove(&a).await.unwrap();
    one.put(&b, &entry("3")).await.unwrap();
    assert_eq!(one.keys(), [b]);
}

/// Somebody's hand in the register would stop deliveries, or start ones that nobody asked for.
#[tokio::test]
async fn what_somebody_else_changes_is_mended() {
    let register = register().await;
    let mut writer = Writer::open(register.clone()).await.unwrap();
    let (a, b) = (Key::application("a"), Key::application("b"));
    writer.put(&a, &entry("1")).await.unwrap();
    writer.put(&b, &entry("2")).await.unwrap();
    writer.complete().await.unwrap();
    assert!(writer.mend().await.unwrap().is_empty());
    let mut hand = Writer::open(register.clone()).await.unwrap();
    hand.put(&a, &entry("else")).await.unwrap();
    hand.remove(&b).await.unwrap();
    let c = Key::application("c");
    hand.put(&c, &entry("3")).await.unwrap();
    let mended = writer.mend().await.unwrap();
    assert_eq!(mended, [a.entry(), b.entry(), c.entry()]);
    assert!(writer.mend().await.unwrap().is_empty());
    let now = Writer::open(register).await.unwrap();
    assert_eq!(now.get(&a), Some(entry("1")));
    assert_eq!(now.get(&b), Some(entry("2")));
    assert_eq!(now.get(&c), None);
}
