//! The keys of issuers, kept between requests and fetched when they are needed.
//!
//! Tokens are written by strangers, so no number of them may cause more than a bounded number of
//! fetches: there is one at a time for each issuer, and each reason to fetch has a least interval.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::OwnedMutexGuard, time::Instant};

use crate::{
    Config,
    claims::Claims,
    fetch::Fetcher,
    memory::locked,
    public_key::PublicKey,
    token::{Fault, Token},
};

/// Keys that are tried for one token: several of one `kid`, or all where it names none.
const TRIED_MAX: usize = 4;

/// Keys that are this many times older than fresh ones are not used before a fetch was tried, so
/// that a withdrawn key does not come back after a quiet day.
const OLD_FACTOR: u32 = 6;

/// Whose keys, and where they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Source {
    pub(crate) issuer: String,
    pub(crate) jwks_uri: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    keys: Option<Arc<Vec<PublicKey>>>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
    failed: bool,
}

#[derive(Debug)]
struct Entry {
    source: Source,
    state: Mutex<State>,
    /// Whoever holds it may fetch.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone, Copy)]
enum Reason {
    Missing,
    Stale,
    UnknownKey,
}

/// The keys of all issuers.
#[derive(Debug)]
pub(crate) struct IssuerKeys {
    /// As many as the documents name: [`Self::keep_only`] removes the others.
    entries: Mutex<HashMap<Source, Arc<Entry>>>,
    fetcher: Fetcher,
    fresh_for: Duration,
    refetch_after: Duration,
    retry_after: Duration,
}

impl IssuerKeys {
    /// Trusts the certificate authorities of a PEM text, or else the machine's own.
    pub(crate) fn new(config: &Config, authorities: Option<&[u8]>) -> io::Result<Self> {
        Ok(Self {
            entries: Mutex::default(),
            fetcher: Fetcher::new(config.fetch_timeout, authorities)?,
            fresh_for: config.keys_fresh_for,
            refetch_after: config.keys_refetch_after,
            retry_after: config.keys_retry_after,
        })
    }

    /// Forgets the issuers that no document names any more.
    pub(crate) fn keep_only(&self, sources: &HashSet<Source>) {
        locked(&self.entries).retain(|source, _| sources.contains(source));
    }

    /// The token's claims, if the issuer has signed it.
    pub(crate) async fn verify<'t>(
        &self,
        source: &Source,
        token: &'t Token,
    ) -> Result<&'t Claims, Fault> {
        let entry = self.entry(source);
        let age = locked(&entry.state).fetched.map(|at| at.elapsed());
        match age {
            None => self.refresh(&entry, Reason::Missing).await,
            Some(age) if age >= self.fresh_for * OLD_FACTOR => {
                self.refresh(&entry, Reason::Stale).await;
            }
            Some(age) if age >= self.fresh_for => self.refresh_aside(&entry),
            Some(_) => {}
        }
        let Some(keys) = entry.keys() else {
            return Err(Fault::Unavailable);
        };
        match check(&keys, token) {
            Checked::Signed(claims) => return Ok(claims),
            Checked::Forged => return Err(Fault::Wrong),
            Checked::KeyUnknown => {}
        }
        self.refresh(&entry, Reason::UnknownKey).await;
        let keys = entry.keys().ok_or(Fault::Unavailable)?;
        match check(&keys, token) {
            Checked::Signed(claims) => Ok(claims),
            // It may be signed with a new key that could not be fetched.
            Checked::KeyUnknown if locked(&entry.state).failed => Err(Fault::Unavailable),
            Checked::KeyUnknown | Checked::Forged => Err(Fault::Wrong),
        }
    }

    fn entry(&self, source: &Source) -> Arc<Entry> {
        let mut entries = locked(&self.entries);
        if let Some(entry) = entries.get(source) {
            return Arc::clone(entry);
        }
        let entry = Arc::new(Entry {
            source: source.clone(),
            state: Mutex::default(),
            turn: Arc::default(),
        });
        entries.insert(source.clone(), Arc::clone(&entry));
        entry
    }

    fn is_due(&self, entry: &Entry, reason: Reason) -> bool {
        let state = locked(&entry.state);
        let after = |least| state.tried.is_none_or(|at| at.elapsed() >= least);
        match reason {
            Reason::Missing => state.keys.is_none() && after(self.retry_after),
            Reason::Stale => {
                let fresh = |at: Instant| at.elapsed() < self.fresh_for;
                !state.fetched.is_some_and(fresh) && after(self.retry_after)
            }
            Reason::UnknownKey => after(self.refetch_after),
        }
    }

    /// Waits for the fetch, its own or somebody else's.
    async fn refresh(&self, entry: &Arc<Entry>, reason: Reason) {
        if !self.is_due(entry, reason) && entry.turn.try_lock().is_ok() {
            return;
        }
        let turn = Arc::clone(&entry.turn).lock_owned().await;
        if self.is_due(entry, reason)
            && let Err(error) = self.fetch(entry, turn).await
        {
            tracing::error!(%error, "fetching an issuer's keys broke off");
        }
    }

    /// Starts a fetch unless one is under way.
    fn refresh_aside(&self, entry: &Arc<Entry>) {
        if let Ok(turn) = Arc::clone(&entry.turn).try_lock_owned()
            && self.is_due(entry, Reason::Stale)
        {
            drop(self.fetch(entry, turn));
        }
    }

    /// As a task of its own: a sender that hangs up must not end it for all others.
    fn fetch(&self, entry: &Arc<Entry>, turn: OwnedMutexGuard<()>) -> tokio::task::JoinHandle<()> {
        let fetcher = self.fetcher.clone();
        let entry = Arc::clone(entry);
        tokio::spawn(async move {
            locked(&entry.state).tried = Some(Instant::now());
            let answer = fetcher.keys(&entry.source).await;
            let mut state = locked(&entry.state);
            state.failed = answer.is_err();
            match answer {
                Ok(keys) => {
                    state.keys = Some(Arc::new(keys));
                    state.fetched = Some(Instant::now());
                }
                Err(error) => {
                    let issuer = &entry.source.issuer;
                    tracing::warn!(%issuer, %error, "the keys of an issuer cannot be fetched");
                }
            }
            drop(state);
            drop(turn);
        })
    }
}

impl Entry {
    fn keys(&self) -> Option<Arc<Vec<PublicKey>>> {
        locked(&self.state).keys.as_ref().map(Arc::clone)
    }
}

enum Checked<'t> {
    Signed(&'t Claims),
    Forged,
    KeyUnknown,
}

fn check<'t>(keys: &[PublicKey], token: &'t Token) -> Checked<'t> {
    let mut named = keys
        .iter()
        .filter(|key| token.key_id.is_none() || token.key_id == key.id)
        .peekable();
    if named.peek().is_none() {
        return Checked::KeyUnknown;
    }
    let claims = named
        .filter(|key| key.fits(token.algorithm()))
        .take(TRIED_MAX)
        .find_map(|key| token.verified_by(key));
    match (claims, &token.key_id) {
        (Some(claims), _) => Checked::Signed(claims),
        (None, Some(_)) => Checked::Forged,
        // Without a name, only a newer set of keys could tell.
        (None, None) => Checked::KeyUnknown,
    }
}
