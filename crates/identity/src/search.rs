//! Whose credentials they are, among all clients.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::SystemTime,
};

use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_application::authentication::Oidc;

use crate::{
    Memory, Refused, Request,
    compile::{CertificateRule, Compiled, KeyRule, challenge},
    issuer_keys::Source,
    passwords::Hash,
    presented::{Login, Presented},
    token::{Fault, Token},
};

/// Passwords that are computed for one request, where clients share a user name.
const LOGINS_MAX: usize = 4;

/// Clients whose credentials the request has.
#[derive(Debug)]
pub(crate) struct Found {
    names: BTreeSet<Arc<str>>,
    /// What was wrong with the others.
    pub(crate) fault: Fault,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            names: BTreeSet::new(),
            fault: Fault::Wrong,
        }
    }
}

/// More than one client fits.
pub(crate) struct Ambiguous;

impl Found {
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(crate) fn is_only(&self, name: &str) -> bool {
        self.names.len() == 1 && self.names.contains(name)
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.names.extend(other.names);
        self.fault = self.fault.worse(other.fault);
    }

    /// The only client, if there is one.
    pub(crate) fn one(&self) -> Result<Option<Arc<str>>, Ambiguous> {
        let mut names = self.names.iter();
        match (names.next(), names.next()) {
            (first, None) => Ok(first.map(Arc::clone)),
            (_, Some(_)) => Err(Ambiguous),
        }
    }
}

type TokenRules = Vec<(Oidc, Arc<str>)>;

/// Clients by what they are recognised by. Those with a mistake are not in it.
#[derive(Default)]
pub(crate) struct Index {
    certificates: Vec<(Arc<Compiled>, usize)>,
    keys: HashMap<KeyRule, Vec<Arc<str>>>,
    key_headers: Vec<HeaderName>,
    /// By issuer, then by where its keys are, so that a token is verified once for many clients.
    tokens: HashMap<String, HashMap<Source, TokenRules>>,
    logins: HashMap<String, Vec<(Hash, Arc<str>)>>,
    /// What is computed for a user that does not exist.
    any_hash: Option<Hash>,
}

impl Index {
    pub(crate) fn new<'a>(clients: impl Iterator<Item = &'a Arc<Compiled>>) -> Self {
        let mut index = Self::default();
        for client in clients.filter(|client| !client.faulty) {
            let name = &client.name;
            for place in 0..client.certificates.len() {
                index.certificates.push((Arc::clone(client), place));
            }
            for rule in &client.keys {
                if !index.key_headers.contains(&rule.header) {
                    index.key_headers.push(rule.header.clone());
                }
                let names = index.keys.entry(rule.clone()).or_default();
                names.push(Arc::clone(name));
            }
            for (source, rules) in &client.tokens {
                let sources = index.tokens.entry(source.issuer.clone()).or_default();
                let all = sources.entry(source.clone()).or_default();
                all.push((rules.clone(), Arc::clone(name)));
            }
            for (username, hash) in &client.logins {
                index.any_hash.get_or_insert_with(|| hash.clone());
                let all = index.logins.entry(username.clone()).or_default();
                all.push((hash.clone(), Arc::clone(name)));
            }
        }
        index
    }

    /// Whether any client's key could be in the request.
    pub(crate) fn has_key_header(&self, headers: &HeaderMap) -> bool {
        self.key_headers
            .iter()
            .any(|name| headers.contains_key(name))
    }

    /// What the answer 401 says where the path names nobody.
    pub(crate) fn challenge(&self) -> Option<HeaderValue> {
        challenge(!self.tokens.is_empty(), !self.logins.is_empty())
    }

    /// The clients of the certificates, keys and token.
    pub(crate) async fn cheap(
        &self,
        memory: &Memory,
        request: &Request<'_>,
        presented: &Presented,
    ) -> Found {
        let mut found = Found::default();
        for (client, place) in &self.certificates {
            let rule: Option<&CertificateRule> = client.certificates.get(*place);
            let fits =
                |rule: &CertificateRule| presented.certificates.iter().any(|one| rule.fits(one));
            if rule.is_some_and(fits) {
                found.names.insert(Arc::clone(&client.name));
            }
        }
        for header in &self.key_headers {
            let names = KeyRule::presented(header, request.headers)
                .and_then(|presented| self.keys.get(&presented));
            found
                .names
                .extend(names.into_iter().flatten().map(Arc::clone));
        }
        if let Some(token) = &presented.token {
            found.extend(self.token(memory, token, request.now).await);
        }
        found
    }

    async fn token(&self, memory: &Memory, token: &Token, now: SystemTime) -> Found {
        let mut found = Found::default();
        let sources = token
            .alleged_issuer()
            .and_then(|issuer| self.tokens.get(issuer));
        for (source, all) in sources.into_iter().flatten() {
            let claims = match memory.keys.verify(source, token).await {
                Ok(claims) => claims,
                Err(fault) => {
                    found.fault = found.fault.worse(fault);
                    continue;
                }
            };
            for (rules, name) in all {
                match claims.check(rules, now) {
                    Ok(()) => {
                        found.names.insert(Arc::clone(name));
                    }
                    Err(fault) => found.fault = found.fault.worse(fault),
                }
            }
        }
        found
    }

    /// The clients of the user name and password; where `own` has the user name, only it. A user
    /// that does not exist takes as long as one that does.
    pub(crate) async fn login(
        &self,
        memory: &Memory,
        login: &Login,
        own: Option<&Arc<str>>,
    ) -> Result<Found, Refused> {
        let mut found = Found::default();
        let all = self.logins.get(&login.username);
        let all: Vec<_> = all.into_iter().flatten().collect();
        let (mut tried, others): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|(_, name)| own.is_none_or(|own| own == name));
        if tried.is_empty() {
            tried = others;
        }
        if tried.is_empty()
            && let Some(hash) = &self.any_hash
        {
            let pretended = memory.passwords.pretend(hash, &login.password).await;
            pretended.map_err(|_| Refused::unavailable())?;
        }
        for (hash, name) in tried.into_iter().take(LOGINS_MAX) {
            let verified = memory
                .passwords
                .verify(hash, &login.username, &login.password)
                .await;
            if verified.map_err(|_| Refused::unavailable())? {
                found.names.insert(Arc::clone(name));
            }
        }
        Ok(found)
    }
}
