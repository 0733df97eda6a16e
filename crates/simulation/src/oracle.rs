//! What must hold of every run.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a law is about some of what happens"
)]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use bytesize::ByteSize;
use tidegate_backbone::{DeadLetter, Settle};
use tidegate_subscription::Start;

use crate::{
    Count,
    plan::Plan,
    record::{End, Entry, Fate, Loop, What},
    sink::{Nature, nature},
    world::Ended,
};

/// How long a sink is away before it has to be left alone.
const AWAY: Duration = Duration::from_secs(30);

/// An event of a Subscription.
type Of = (usize, u64);

pub(crate) fn count(ended: &Ended, entries: &[Entry]) -> Count {
    let all = |wanted: fn(&What) -> bool| entries.iter().filter(|one| wanted(&one.what)).count();
    Count {
        events: ended.keys.len(),
        attempts: all(|what| matches!(what, What::Began(..))),
        letters: ended.memory.dead_letters().len() + ended.discarded.len(),
        crashes: all(|what| matches!(what, What::Died(_))),
    }
}

/// Every law that was broken.
pub(crate) fn judge(ended: &Ended, entries: &[Entry]) -> Vec<String> {
    let letters = letters(ended);
    let mut broken = Vec::new();
    if !ended.is_at_rest {
        broken.push("it does not come to rest".to_owned());
    }
    broken.extend(losses(ended, entries, &letters));
    broken.extend(settlements(ended, entries));
    broken.extend(order(ended, entries));
    broken.extend(windows(entries));
    broken.extend(rates(entries));
    broken.extend(memory(ended, entries));
    broken.extend(wishes(ended, entries));
    broken.extend(attempts(ended, entries, &letters));
    broken.extend(delays(ended, entries));
    broken.extend(breaker(ended, entries));
    broken
}

/// By Subscription and event.
fn letters(ended: &Ended) -> BTreeMap<Of, DeadLetter> {
    let kept = ended.memory.dead_letters().into_iter();
    let letters = kept.chain(ended.discarded.iter().cloned());
    letters
        .filter_map(|letter| {
            let mut all = ended.plan.subscriptions.iter();
            let of = all.position(|one| one.name == letter.subscription)?;
            Some(((of, letter.sequence), letter))
        })
        .collect()
}

/// Every event is delivered or a dead letter, and a dead letter only where it is right.
fn losses(ended: &Ended, entries: &[Entry], letters: &BTreeMap<Of, DeadLetter>) -> Vec<String> {
    let mut ends: BTreeMap<Of, BTreeSet<&str>> = BTreeMap::new();
    for entry in entries {
        if let What::Ended(of, event, end) = entry.what {
            let name = match end {
                End::Delivered => "delivered",
                End::Rejected => "rejected",
                End::Later | End::Failed | End::Hold(_) => "failed",
                End::Gone | End::Cut => "nothing",
            };
            ends.entry((of.subscription, event))
                .or_default()
                .insert(name);
        }
    }
    let mut broken = Vec::new();
    for subscription in 0..ended.plan.subscriptions.len() {
        for event in first(ended, entries, subscription)..=as_u64(ended.keys.len()) {
            let of = (subscription, event);
            let ended_as = |name: &str| ends.get(&of).is_some_and(|ends| ends.contains(name));
            match letters.get(&of).map(|letter| letter.reason) {
                None if !ended_as("delivered") => broken.push(format!("{of:?} is lost")),
                None => {}
                Some("consume/attempts-exhausted") if ended_as("failed") => {}
                Some("deliver/status-rejected") if ended_as("rejected") => {}
                Some(reason) => broken.push(format!("{of:?} is a dead letter: {reason}")),
            }
        }
    }
    broken
}

/// The first event that a Subscription has to get.
fn first(ended: &Ended, entries: &[Entry], subscription: usize) -> u64 {
    let wanted = ended.plan.subscriptions.get(subscription);
    if wanted.is_some_and(|wanted| wanted.start == Start::All) {
        return 1;
    }
    let mut last = 0;
    for entry in entries {
        match entry.what {
            What::Published(event) => last = event,
            What::Opened(of) if of.subscription == subscription => return last + 1,
            _ => {}
        }
    }
    last + 1
}

/// Nothing is settled before its outcome, and a dead letter is stored before its event is settled.
fn settlements(ended: &Ended, entries: &[Entry]) -> Vec<String> {
    let mut outcomes: BTreeSet<Of> = BTreeSet::new();
    let mut buried: BTreeSet<Of> = BTreeSet::new();
    let mut broken = Vec::new();
    for entry in entries {
        match entry.what {
            What::Ended(of, event, End::Delivered) => {
                outcomes.insert((of.subscription, event));
            }
            What::Buried(of, event, _) => {
                buried.insert((of.subscription, event));
            }
            What::Settled(of, event, Settle::Ack, _)
                if !outcomes.contains(&(of.subscription, event)) =>
            {
                broken.push(format!("{entry}: nothing was delivered"));
            }
            What::Settled(of, event, Settle::Terminate, _)
                if !buried.contains(&(of.subscription, event)) =>
            {
                broken.push(format!("{entry}: there is no dead letter"));
            }
            What::Published(event) if event > as_u64(ended.keys.len()) => {
                broken.push(format!("{entry}: it was not published"));
            }
            _ => {}
        }
    }
    broken
}

/// Of each key of an ordered Subscription one at a time, and none before those before it are done.
/// A dead letter is done with at once, or where keys stop, when it was taken away.
fn order(ended: &Ended, entries: &[Entry]) -> Vec<String> {
    let mut broken = Vec::new();
    let key = |event: u64| {
        let index = usize::try_from(event).ok()?.checked_sub(1)?;
        ended.keys.get(index).copied()
    };
    let is_ordered = |of: Loop| {
        let wanted = ended.plan.subscriptions.get(of.subscription);
        wanted.is_some_and(|wanted| wanted.delivery.order.is_some())
    };
    let firsts: Vec<u64> = (0..ended.plan.subscriptions.len())
        .map(|subscription| first(ended, entries, subscription))
        .collect();
    let mut under_way: HashMap<(usize, Option<u64>), u64> = HashMap::new();
    let mut last: HashMap<(usize, Option<u64>), u64> = HashMap::new();
    let mut done: BTreeSet<Of> = BTreeSet::new();
    // Dead letters that stop their keys.
    let mut kept: BTreeSet<Of> = BTreeSet::new();
    for entry in entries {
        match entry.what {
            What::Began(of, event) if is_ordered(of) => {
                if kept.contains(&(of.subscription, event)) {
                    broken.push(format!("{entry}: it is a dead letter"));
                }
                let lane = (of.subscription, key(event));
                if let Some(other) = under_way.insert(lane, event) {
                    broken.push(format!("{entry}: {other} of its key is under way"));
                }
                if let Some(before) = last.insert(lane, event).filter(|before| *before > event) {
                    broken.push(format!("{entry}: after {before} of its key"));
                }
                let first = firsts.get(of.subscription).copied().unwrap_or(1);
                let mut earlier = first..event;
                let open = earlier.find(|earlier| {
                    key(*earlier) == lane.1 && !done.contains(&(of.subscription, *earlier))
                });
                if let Some(open) = open {
                    broken.push(format!("{entry}: {open} of its key is not done"));
                }
            }
            What::Buried(of, event, _) if !ended.plan.stops(of.subscription) => {
                done.insert((of.subscription, event));
            }
            // Of one that was taken away before its burial was heard of, there is no second letter.
            What::Buried(of, event, Fate::Done) if !done.contains(&(of.subscription, event)) => {
                kept.insert((of.subscription, event));
            }
            What::Discarded(subscription, event) => {
                kept.remove(&(subscription, event));
                done.insert((subscription, event));
            }
            What::Ended(of, event, end) if is_ordered(of) => {
                under_way.remove(&(of.subscription, key(event)));
                if end == End::Delivered {
                    done.insert((of.subscription, event));
                }
            }
            _ => {}
        }
    }
    broken
}

/// Never more attempts at once than the Subscription allows.
fn windows(entries: &[Entry]) -> Vec<String> {
    let mut broken = Vec::new();
    let mut most: HashMap<usize, u32> = HashMap::new();
    let mut under_way: HashMap<usize, u32> = HashMap::new();
    for entry in entries {
        match entry.what {
            What::Runs(of, window) => {
                most.insert(of.number, window);
            }
            What::Began(of, _) => {
                let now = under_way.entry(of.number).or_default();
                *now += 1;
                if most.get(&of.number).is_none_or(|most| *now > *most) {
                    broken.push(format!("{entry}: {now} at once"));
                }
            }
            What::Ended(of, _, _) => {
                let now = under_way.entry(of.number).or_default();
                *now = now.saturating_sub(1);
            }
            _ => {}
        }
    }
    broken
}

/// Never more attempts a second than the Subscription allows, in all of its loops.
fn rates(entries: &[Entry]) -> Vec<String> {
    const SECOND: Duration = Duration::from_secs(1);
    let mut broken = Vec::new();
    let mut rates: HashMap<usize, (u32, VecDeque<Duration>)> = HashMap::new();
    for entry in entries {
        match entry.what {
            What::Paced(subscription, Some(rate)) => {
                rates.insert(subscription, (rate, VecDeque::new()));
            }
            What::Paced(subscription, None) => {
                rates.remove(&subscription);
            }
            What::Began(of, _) => {
                let Some((rate, made)) = rates.get_mut(&of.subscription) else {
                    continue;
                };
                made.push_back(entry.at);
                while made.front().is_some_and(|at| *at + SECOND <= entry.at) {
                    made.pop_front();
                }
                // A tenth of a second may be made up for.
                let most = usize::try_from(*rate + rate.div_ceil(10) + 1).unwrap_or(usize::MAX);
                if made.len() > most {
                    broken.push(format!("{entry}: {} in a second", made.len()));
                }
            }
            _ => {}
        }
    }
    broken
}

/// No loop holds more than it may, in events and in bytes, and no process; but one event each.
fn memory(ended: &Ended, entries: &[Entry]) -> Vec<String> {
    let Plan { config, bytes, .. } = &ended.plan;
    let most = |size: ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
    let mut broken = Vec::new();
    let mut windows: HashMap<usize, u32> = HashMap::new();
    // By process and loop.
    let mut held: BTreeMap<(usize, usize), BTreeSet<u64>> = BTreeMap::new();
    for entry in entries {
        match entry.what {
            What::Runs(of, window) => {
                windows.insert(of.number, window);
            }
            What::Died(of) | What::Stopped(of) => {
                held.remove(&(of.process, of.number));
            }
            What::Settled(of, event, _, _) => {
                let held = held.entry((of.process, of.number)).or_default();
                held.remove(&event);
            }
            What::Pulled(of, event, _) => {
                let here = held.entry((of.process, of.number)).or_default();
                here.insert(event);
                let here = here.len();
                let window = windows.get(&of.number).copied().unwrap_or(0);
                let window = usize::try_from(window).unwrap_or(usize::MAX);
                if here > config.held_max.max(window) {
                    broken.push(format!("{entry}: {here} events are held"));
                }
                if here > 1 && here * bytes > most(config.held_bytes_max) {
                    broken.push(format!("{entry}: {here} events of {bytes} bytes are held"));
                }
                let of_process = held.range((of.process, 0)..(of.process + 1, 0));
                let beyond_one = of_process.map(|(_, one)| one.len().saturating_sub(1));
                let beyond_one: usize = beyond_one.sum();
                if beyond_one * bytes > most(config.held_bytes_total_max) {
                    broken.push(format!("{entry}: {beyond_one} of {bytes} bytes are held"));
                }
            }
            _ => {}
        }
    }
    broken
}

/// A process leaves a sink alone that asked for it, until a new loop begins or it is told to ask.
fn wishes(ended: &Ended, entries: &[Entry]) -> Vec<String> {
    let mut broken = Vec::new();
    // When it was said, and until when it holds.
    let mut held: HashMap<(usize, usize), Vec<(Duration, Duration)>> = HashMap::new();
    let mut asked: BTreeSet<(usize, u64)> = BTreeSet::new();
    let of_sink = |of: Loop| {
        let sink = ended.plan.sinks.get(of.subscription).copied().unwrap_or(0);
        (of.process, sink)
    };
    for entry in entries {
        match entry.what {
            What::Ended(of, _, End::Hold(wish)) => {
                let said = (entry.at, entry.at + wish);
                held.entry(of_sink(of)).or_default().push(said);
            }
            // An answer to what was asked before is none to the last question.
            What::Ended(of, event, End::Gone) if asked.contains(&(of.number, event)) => {
                let said = (entry.at, Duration::MAX);
                held.entry(of_sink(of)).or_default().push(said);
            }
            What::AskedAgain => {
                asked.clear();
                for said in held.values_mut() {
                    said.retain(|(_, until)| *until != Duration::MAX);
                }
            }
            What::Runs(of, _) => held.retain(|(process, _), _| *process != of.process),
            What::Began(of, event) => {
                asked.insert((of.number, event));
                // What begins at the same instant did not hear of it yet.
                let mut said = held.get(&of_sink(of)).into_iter().flatten();
                if said.any(|(since, until)| *since < entry.at && entry.at < *until) {
                    broken.push(format!("{entry}: the sink is to be left alone"));
                }
            }
            _ => {}
        }
    }
    broken
}

/// As many attempts as the policy says, where the sink is well and nothing else repeats them.
fn attempts(ended: &Ended, entries: &[Entry], letters: &BTreeMap<Of, DeadLetter>) -> Vec<String> {
    let most = ended.plan.config.retry.attempts_max;
    let mut broken = Vec::new();
    for (of, letter) in letters {
        if letter.reason == "consume/attempts-exhausted" && letter.attempts < most {
            broken.push(format!(
                "{of:?} was given up after {} attempts",
                letter.attempts
            ));
        }
    }
    let is_disturbed = entries.iter().any(|entry| {
        matches!(
            entry.what,
            What::Died(_)
                | What::Stopped(_)
                | What::Redelivered(_)
                | What::LogDied
                | What::Unpinned(_)
                | What::Sink(..)
                | What::Settled(_, _, _, Fate::Lost | Fate::Refused)
        )
    });
    let faults = ended.plan.faults;
    let is_shared_badly = ended.plan.is_shared && faults.lost + faults.away > 0.0;
    if is_disturbed || is_shared_badly || faults.flaky > 0.0 {
        return broken;
    }
    let mut made: BTreeMap<Of, u32> = BTreeMap::new();
    for entry in entries {
        if let What::Ended(of, event, End::Later | End::Failed) = entry.what {
            *made.entry((of.subscription, event)).or_default() += 1;
        }
    }
    for (of, made) in made {
        if nature(of.0, of.1) == Nature::Never && made != most {
            broken.push(format!("{of:?} was tried {made} times, not {most}"));
        }
    }
    broken
}

/// One loop does not try an event again before its delay is over.
fn delays(ended: &Ended, entries: &[Entry]) -> Vec<String> {
    let floor = ended.plan.config.retry.backoff_delay / 10;
    let mut broken = Vec::new();
    let mut failed: HashMap<(usize, u64), Duration> = HashMap::new();
    for entry in entries {
        match entry.what {
            What::Ended(of, event, End::Later) => {
                failed.insert((of.number, event), entry.at);
            }
            What::Began(of, event) => {
                let at = failed.remove(&(of.number, event));
                if at.is_some_and(|at| entry.at < at + floor) {
                    broken.push(format!("{entry}: it is too early"));
                }
            }
            What::Redelivered(_) | What::LogDied => failed.clear(),
            // Who is in charge now knows nothing of it.
            What::Lost(of) => failed.retain(|(number, _), _| *number != of.number),
            _ => {}
        }
    }
    broken
}

/// A sink that nobody answers for is probed, and no more.
fn breaker(ended: &Ended, entries: &[Entry]) -> Vec<String> {
    let mut broken = Vec::new();
    let config = &ended.plan.config.breaker;
    let mut away: HashMap<usize, Duration> = HashMap::new();
    let mut made: HashMap<(usize, usize), Vec<Duration>> = HashMap::new();
    for entry in entries {
        match entry.what {
            What::Sink(sink, mode) => {
                away.remove(&sink);
                made.retain(|(_, of), _| *of != sink);
                if mode == "away" {
                    away.insert(sink, entry.at);
                }
            }
            // Who begins has to find out for itself.
            What::Runs(of, _) => made.retain(|(process, _), _| *process != of.process),
            What::Calm => away.clear(),
            What::Began(of, _) => {
                let sink = ended.plan.sinks.get(of.subscription).copied().unwrap_or(0);
                if away.get(&sink).is_none_or(|since| entry.at < *since + AWAY) {
                    continue;
                }
                let made = made.entry((of.process, sink)).or_default();
                made.push(entry.at);
                // Those that open it, and those that were under way with the last of them.
                let free = 64;
                let first = made.len().checked_sub(free).and_then(|at| made.get(at));
                if first.is_some_and(|first| entry.at < *first + config.probe_delay_max) {
                    broken.push(format!("{entry}: the sink is away"));
                }
            }
            _ => {}
        }
    }
    broken
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
