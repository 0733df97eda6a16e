//! To a consumer of one's own, and back.
//!
//! What is registered comes first: a process that takes over in between goes on from there.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tidegate_backbone::{ConsumerSpec, Log, Pending, Register, Start};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    entry::{At, Entry},
    hub::{Inner, Over, PAUSE, Unwritten},
    state::Id,
};

/// How long a return may take; one that takes longer is tried another time.
const RETURN_MAX: Duration = Duration::from_secs(2);

/// How often it is asked meanwhile whether its own consumer has anything left.
const ASK: Duration = Duration::from_millis(20);

/// The same, after it was asked in vain for a while.
const ASK_MAX: Duration = Duration::from_millis(160);

/// Who has more left than that is not asked to return. What comes steadily is there always.
const LEFT_MAX: u64 = 256;

/// Most that are on their way back at once.
const RETURNS_MAX: usize = 8;

/// A member gets a consumer of its own, which begins with what it has not settled.
pub(super) async fn leave<L: Log, R: Register>(
    inner: Arc<Inner<L, R>>,
    term: u64,
    id: Id,
) -> Result<(), Over> {
    let Some((spec, from)) = inner.within(term, |state| state.begin_leave(id))? else {
        return Ok(());
    };
    tracing::debug!(consumer = spec.name, from, "it gets a consumer of its own");
    let entry = Entry::new(&spec, At::Own(from));
    match inner.write(&spec.name, entry.as_ref()).await {
        Ok(()) => {}
        // It stays registered as it was, so nothing may be settled without it.
        Err(Unwritten::Over | Unwritten::Refused) => return Err(Over),
    }
    while let Err(error) = make(&inner.log, &spec, from).await {
        tracing::warn!(consumer = spec.name, %error, "it has no consumer of its own yet");
        sleep(PAUSE).await;
        inner.within(term, |_| ())?;
    }
    inner
        .settle_within(term, |state| state.left(id, from))
        .await
}

/// Makes a consumer that begins at this place, also where there is one that is ahead of it.
pub(super) async fn make<L: Log>(
    log: &L,
    spec: &ConsumerSpec,
    from: u64,
) -> Result<L::Source, tidegate_backbone::ControlError> {
    loop {
        let start = Start::Sequence(from);
        let source = log
            .open(ConsumerSpec {
                start,
                ..spec.clone()
            })
            .await?;
        match log.consumer(&spec.name).await? {
            Some(info) if info.delivered < from => return Ok(source),
            // Made by a process that did not know better.
            Some(_) => log.remove(&spec.name).await?,
            None => {}
        }
    }
}

/// Looks who may return, and what is settled meanwhile; now and then also whether there are
/// consumers that nobody reads.
pub(super) async fn look<L: Log, R: Register>(
    inner: Arc<Inner<L, R>>,
    term: u64,
    shared: String,
    is_thorough: bool,
) -> Result<(), Over> {
    if let Some(losses) = inner.within(term, |state| state.is_left_over())? {
        match inner.log.consumer(&shared).await {
            Ok(Some(info)) => inner.within(term, |state| {
                state.is_settled_to(info.settled_to(), info.delivered, losses);
            })?,
            Ok(None) => return Err(Over),
            Err(error) => tracing::debug!(%error, "what is settled is not known"),
        }
    }
    let may_return = inner.within(term, |state| state.may_return(Instant::now()))?;
    if may_return.is_empty() && !is_thorough {
        return Ok(());
    }
    let consumers = match inner.log.consumers().await {
        Ok(consumers) => consumers.into_iter(),
        Err(error) => {
            tracing::debug!(%error, "who may return is not known");
            return Ok(());
        }
    };
    let consumers: BTreeMap<String, Pending> =
        consumers.map(|one| (one.name.clone(), one)).collect();
    // A process that is not in charge makes a consumer for whom it does not know to be a member.
    let strays = inner.within(term, |state| state.strays(consumers.keys()))?;
    for stray in strays {
        if let Err(error) = inner.log.remove(&stray).await {
            tracing::debug!(consumer = stray, %error, "nobody reads it, and it is not deleted yet");
        }
    }
    return_all(&inner, term, may_return, &consumers).await
}

async fn return_all<L: Log, R: Register>(
    inner: &Arc<Inner<L, R>>,
    term: u64,
    may_return: Vec<Id>,
    consumers: &BTreeMap<String, Pending>,
) -> Result<(), Over> {
    let mut returns = JoinSet::new();
    for id in may_return {
        let name = inner.within(term, |state| state.name_of(id))?;
        let own = name.and_then(|name| consumers.get(&*name));
        if own.is_none_or(|own| own.undelivered + own.unsettled > LEFT_MAX) {
            continue;
        }
        if returns.len() >= RETURNS_MAX {
            ended(returns.join_next().await)?;
        }
        returns.spawn(give_back(Arc::clone(inner), term, id));
    }
    while !returns.is_empty() {
        ended(returns.join_next().await)?;
    }
    Ok(())
}

fn ended(ended: Option<Result<Result<(), Over>, tokio::task::JoinError>>) -> Result<(), Over> {
    match ended {
        Some(Ok(ended)) => ended,
        // A member that is half on its way: all begins anew.
        Some(Err(_)) => Err(Over),
        None => Ok(()),
    }
}

/// A member that has caught up does without its own consumer.
async fn give_back<L: Log, R: Register>(
    inner: Arc<Inner<L, R>>,
    term: u64,
    id: Id,
) -> Result<(), Over> {
    let Some((spec, until)) = inner.within(term, |state| state.begin_return(id))? else {
        return Ok(());
    };
    if !has_caught_up(&inner, term, id, (&spec, until)).await? {
        return inner
            .settle_within(term, |state| state.give_up_return(id, Instant::now()))
            .await;
    }
    let entry = Entry::new(&spec, At::Shared(until));
    match inner.write(&spec.name, entry.as_ref()).await {
        Ok(()) => {}
        Err(Unwritten::Over) => return Err(Over),
        Err(Unwritten::Refused) => {
            return inner
                .settle_within(term, |state| {
                    state.set_narrow(id, false);
                    state.give_up_return(id, Instant::now())
                })
                .await;
        }
    }
    // From here on it is with the others, whatever happens.
    while let Err(error) = inner.log.remove(&spec.name).await {
        tracing::debug!(consumer = spec.name, %error, "its own consumer is not deleted yet");
        sleep(PAUSE).await;
        inner.within(term, |_| ())?;
    }
    inner.within(term, |state| state.returned(id))?;
    inner.work.notify_one();
    tracing::debug!(consumer = spec.name, until, "it is with the others again");
    Ok(())
}

/// Whether all that its own consumer has left is behind this place, and comes from the shared one as
/// well.
async fn has_caught_up<L: Log, R: Register>(
    inner: &Inner<L, R>,
    term: u64,
    id: Id,
    (spec, until): (&ConsumerSpec, u64),
) -> Result<bool, Over> {
    let (began, mut ask) = (Instant::now(), ASK);
    while began.elapsed() < RETURN_MAX {
        // Before it is asked: what is kept then is among what the answer calls unsettled.
        let kept = inner.within(term, |state| state.kept(id))?;
        let Ok(Some(own)) = inner.log.consumer(&spec.name).await else {
            return Ok(false);
        };
        if own.wants != spec.wants {
            // A process that is not in charge has read that it wants something else.
            return Ok(false);
        }
        let is_settled = has_only(&own, until, kept);
        let is_ready = inner.within(term, |state| state.may_go_on(id).then_some(is_settled))?;
        match is_ready {
            Some(true) => return Ok(true),
            Some(false) => {
                sleep(ask).await;
                ask = (ask * 2).min(ASK_MAX);
            }
            None => return Ok(false),
        }
    }
    Ok(false)
}

/// Whether its own consumer is settled up to this place: nothing is left there but what is kept, so
/// many that end at a place, which comes from the shared one as well. A log that was killed may have
/// forgotten that it delivered what is kept, and have as much of something else.
fn has_only(own: &Pending, until: u64, (kept, last_kept): (u64, u64)) -> bool {
    let is_read = own.undelivered == 0 || own.delivered >= until.max(last_kept);
    is_read && own.unsettled == kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Up to place 10; 11 to 13 are kept.
    #[test]
    fn only_what_is_kept_may_be_left() {
        let has_only = |undelivered, unsettled, delivered| {
            let own = Pending {
                name: String::new(),
                description: String::new(),
                undelivered,
                unsettled,
                delivered,
                settled: 0,
                deliveries: 0,
                wants: None,
                filters: Vec::new(),
            };
            has_only(&own, 10, (3, 13))
        };
        assert!(has_only(0, 3, 13));
        assert!(has_only(500, 3, 20), "more comes all the time");
        assert!(!has_only(500, 4, 20), "one more is unsettled");
        assert!(!has_only(500, 3, 9), "one may be undelivered");
        assert!(
            !has_only(500, 3, 11),
            "12 and 13 are forgotten, two others are unsettled"
        );
    }
}
