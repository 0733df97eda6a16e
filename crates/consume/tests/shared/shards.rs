//! Several shared consumers: each is read by one process, and what changes about that costs no event.

use std::{collections::BTreeMap, time::Duration};

use tidegate_backbone::{Shard, memory::Memory};
use tidegate_consume::shared::{Load, Shape};
use tokio::time::sleep;

use crate::process::{
    Process, QUICK, Sink, all, hub, names, of, registered_of, settled, soon, store,
};

/// So many that each shard has some.
const MEMBERS: usize = 24;

fn members() -> BTreeMap<String, Sink> {
    let names = (0..MEMBERS).map(|number| format!("member-{number}"));
    names.map(|name| (name, Sink::new())).collect()
}

async fn open(process: &mut Process, members: &BTreeMap<String, Sink>) {
    for (name, sink) in members {
        process.open(&of(name), sink).await;
    }
}

/// How many of these get their events here.
fn here(process: &Process, members: &BTreeMap<String, Sink>) -> usize {
    let shape = |name: &&String| process.log.shape(&of(name).consumer_name());
    let is_here = |name: &&String| shape(name) != Shape::Elsewhere;
    members.keys().filter(is_here).count()
}

/// How many shards are read by each process that is in charge of any.
async fn read(log: &Memory, shards: u32) -> BTreeMap<String, u32> {
    let mut read = BTreeMap::new();
    for number in 0..shards {
        let registered = registered_of(log, Shard { number, of: shards }).await;
        let owner = registered.get("_owner").cloned().unwrap_or_default();
        let owner: serde_json::Value = serde_json::from_str(&owner).unwrap_or_default();
        if let Some(process) = owner["process"].as_str() {
            *read.entry(process.to_owned()).or_default() += 1;
        }
    }
    read
}

fn reads<const N: usize>(reads: [(&str, u32); N]) -> BTreeMap<String, u32> {
    let reads = reads.map(|(process, count)| (process.to_owned(), count));
    BTreeMap::from(reads)
}

/// Whoever comes takes its part of the shards over, in order: each event comes once. When it goes,
/// the others have them again.
#[tokio::test(start_paused = true)]
async fn shards_are_spread_over_the_processes() {
    let log = Memory::default();
    let members = members();
    let mut first = Process::of_shards(&log, "a", 4);
    open(&mut first, &members).await;
    soon("it reads all", || async {
        read(&log, 4).await == reads([("a", 4)]) && here(&first, &members) == MEMBERS
    })
    .await;
    store(&log, 20, QUICK).await;
    let mut second = Process::of_shards(&log, "b", 4);
    open(&mut second, &members).await;
    soon("each reads half", || async {
        store(&log, 10, QUICK).await;
        read(&log, 4).await == reads([("a", 2), ("b", 2)])
            && here(&first, &members) + here(&second, &members) == MEMBERS
    })
    .await;
    let (one, other) = (here(&first, &members), here(&second, &members));
    assert!(one >= MEMBERS / 6 && other >= MEMBERS / 6, "{one} {other}");
    let mut third = Process::of_shards(&log, "c", 4);
    open(&mut third, &members).await;
    soon("each reads some", || async {
        store(&log, 10, QUICK).await;
        read(&log, 4).await.len() == 3
    })
    .await;
    second.stop().await;
    third.stop().await;
    store(&log, 100, QUICK).await;
    soon("it reads all again", || async {
        read(&log, 4).await == reads([("a", 4)])
    })
    .await;
    settled(&log).await;
    for (name, sink) in &members {
        sink.has_once(&all(&log), name);
    }
    first.stop().await;
}

/// Another number of shards, or none: who comes gives everybody a consumer of its own, and those
/// return to where they belong then.
#[tokio::test(start_paused = true)]
async fn another_number_of_shards_costs_no_event() {
    for (before, after) in [(1, 3), (3, 2), (2, 1), (2, 0)] {
        for in_order in [true, false] {
            let log = Memory::default();
            let members = members();
            let mut process = Process::of_shards(&log, "a", before);
            open(&mut process, &members).await;
            store(&log, 30, QUICK).await;
            let away = members.values().next().unwrap();
            away.hang();
            store(&log, 60, QUICK).await;
            sleep(Duration::from_secs(1)).await;
            away.recover();
            match in_order {
                true => process.stop().await,
                false => process.kill().await,
            }
            store(&log, 10, QUICK).await;
            for number in 0..before {
                let shard = Shard { number, of: before };
                let hub = hub(&log, shard, &Load::default());
                hub.dissolve("b").await.unwrap();
            }
            assert_eq!(log.shards(), [], "nothing of it is left");
            assert_eq!(names(&log).await.len(), MEMBERS, "each has its own");
            let mut process = Process::of_shards(&log, "c", after);
            open(&mut process, &members).await;
            store(&log, 10, QUICK).await;
            if after > 0 {
                let shards = usize::try_from(after).unwrap();
                soon("all share", || async { names(&log).await.len() == shards }).await;
            }
            store(&log, 10, QUICK).await;
            settled(&log).await;
            for (number, (name, sink)) in members.iter().enumerate() {
                // The first had attempts under way when it got a consumer of its own.
                match in_order && number > 0 {
                    true => sink.has_once(&all(&log), name),
                    false => assert!(sink.has(&all(&log)), "{name}"),
                }
            }
            process.stop().await;
        }
    }
}
