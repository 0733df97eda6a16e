//! All clients, compiled, and the first step: who it is by headers and connection.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    net::IpAddr,
    sync::Arc,
};

use http::{HeaderMap, HeaderValue};
use tidegate_application::authentication::Proxy;

use crate::{
    BodyCheck, Client, Memory, Mistake, Refused, Request, Secrets,
    compile::Compiled,
    presented::Presented,
    search::{Found, Index},
    token::Fault,
};

/// What a sender is told; nothing in it depends on which part was wrong.
pub(crate) const WRONG: &str = "no or wrong credentials";
const EXPIRED: &str = "the token has expired";
const NOT_YET_VALID: &str = "the token is not valid yet";
const AMBIGUOUS: &str =
    "the credentials fit several applications; send to the path of the one that is meant";

/// Every client. Does not change; a change of the documents makes a new one.
pub struct Identities {
    clients: HashMap<Arc<str>, Arc<Compiled>>,
    index: Index,
    /// Whose headers are worth reading.
    proxies: Vec<Proxy>,
    memory: Arc<Memory>,
}

impl fmt::Debug for Identities {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Identities")
            .field("clients", &self.clients.len())
            .finish_non_exhaustive()
    }
}

/// What the first step has shown.
#[derive(Debug)]
pub enum Proof {
    /// It is this Application.
    Known(Arc<str>),
    /// The body decides.
    NeedsBody(BodyCheck),
    /// The path names nobody, and the request has no credentials of any known kind.
    Anonymous,
}

impl Identities {
    /// Reads every secret. A client with a mistake stays, and refuses everything.
    pub fn new(
        clients: Vec<Client>,
        secrets: &dyn Secrets,
        memory: &Arc<Memory>,
    ) -> (Self, Vec<Mistake>) {
        let mut mistakes = Vec::new();
        let mut compiled: HashMap<Arc<str>, Compiled> = HashMap::new();
        for client in clients {
            let (mut one, found) = Compiled::new(&client, secrets);
            mistakes.extend(found);
            // Which of two is meant cannot be said, so neither is let in.
            if compiled.contains_key(&client.name) {
                one.faulty = true;
                mistakes.push(Mistake {
                    client: Arc::clone(&client.name),
                    index: None,
                    message: "another application has the same name".to_owned(),
                });
            }
            compiled.insert(client.name, one);
        }
        let clients: HashMap<_, _> = compiled
            .into_iter()
            .map(|(name, one)| (name, Arc::new(one)))
            .collect();
        let rules = clients.values().flat_map(|one| &one.certificates);
        let mut proxies = Vec::new();
        for proxy in rules.filter_map(|rule| rule.proxy()) {
            if !proxies.contains(&proxy) {
                proxies.push(proxy);
            }
        }
        let tokens = clients.values().flat_map(|one| &one.tokens);
        let sources: HashSet<_> = tokens.map(|(source, _)| source.clone()).collect();
        memory.keys.keep_only(&sources);
        let identities = Self {
            index: Index::new(clients.values()),
            clients,
            proxies,
            memory: Arc::clone(memory),
        };
        (identities, mistakes)
    }

    /// The first step, by headers and connection only. `application` is the one that the path
    /// names, where the door has one in its paths.
    pub async fn by_head(
        &self,
        application: Option<&str>,
        request: &Request<'_>,
    ) -> Result<Proof, Refused> {
        let own = match application {
            Some(name) => Some(
                self.clients
                    .get(name)
                    .ok_or_else(Refused::unknown_application)?,
            ),
            None => None,
        };
        match own {
            Some(own) if own.faulty => return Err(Refused::unavailable()),
            Some(own) if own.open => return Ok(Proof::Known(Arc::clone(&own.name))),
            Some(_) | None => {}
        }
        let trusted = self.memory.config.trusts(request.peer);
        let mut presented = Presented::of(request, &self.proxies, trusted);
        presented.any |= self.index.has_key_header(request.headers);
        if own.is_none() && !presented.any {
            return Ok(Proof::Anonymous);
        }
        let blamed = (!trusted).then_some(request.peer);
        if let Some(wait) = blamed.and_then(|peer| self.memory.failures.wait(peer)) {
            return Err(Refused::too_many_failures(wait));
        }
        match own {
            Some(own) => self.for_application(own, request, &presented, blamed).await,
            None => self.by_credentials(request, &presented, blamed).await,
        }
    }

    /// The path names the client; the credentials have to be its own.
    async fn for_application(
        &self,
        own: &Arc<Compiled>,
        request: &Request<'_>,
        presented: &Presented,
        blamed: Option<IpAddr>,
    ) -> Result<Proof, Refused> {
        let fault = match self.own_head(own, request, presented).await {
            Ok(()) => return Ok(Proof::Known(Arc::clone(&own.name))),
            Err(fault) => fault,
        };
        let mut found = Found::default();
        if let Some(login) = &presented.login {
            let name = Some(&own.name);
            found = self.index.login(&self.memory, login, name).await?;
            if found.is_only(&own.name) {
                return Ok(Proof::Known(Arc::clone(&own.name)));
            }
        }
        let candidates: Vec<_> = own
            .bodies
            .iter()
            .filter_map(|rule| rule.candidate(request))
            .collect();
        if !candidates.is_empty() {
            return Ok(Proof::NeedsBody(BodyCheck {
                client: Arc::clone(&own.name),
                candidates,
                unavailable: fault == Fault::Unavailable,
                memory: Arc::clone(&self.memory),
                blamed,
                challenge: own.challenge(),
            }));
        }
        if fault == Fault::Unavailable {
            return Err(Refused::unavailable());
        }
        found.extend(self.index.cheap(&self.memory, request, presented).await);
        if !found.is_empty() {
            return Err(Refused::other_application());
        }
        let tried = presented.any || has_signature(request.headers);
        Err(self.failed(fault, own.challenge(), blamed.filter(|_| tried)))
    }

    /// Everything of the client that needs neither much time nor the body.
    async fn own_head(
        &self,
        own: &Compiled,
        request: &Request<'_>,
        presented: &Presented,
    ) -> Result<(), Fault> {
        let shown = &presented.certificates;
        if own
            .certificates
            .iter()
            .any(|rule| shown.iter().any(|one| rule.fits(one)))
            || own.keys.iter().any(|rule| rule.fits(request.headers))
        {
            return Ok(());
        }
        let mut fault = Fault::Wrong;
        for rule in &own.gigya {
            match rule.check(request.headers, request.now) {
                Ok(()) => return Ok(()),
                Err(found) => fault = fault.worse(found),
            }
        }
        let Some(token) = &presented.token else {
            return Err(fault);
        };
        for (source, rules) in &own.tokens {
            if token.alleged_issuer() != Some(&source.issuer) {
                continue;
            }
            let checked = match self.memory.keys.verify(source, token).await {
                Ok(claims) => claims.check(rules, request.now),
                Err(fault) => Err(fault),
            };
            match checked {
                Ok(()) => return Ok(()),
                Err(found) => fault = fault.worse(found),
            }
        }
        Err(fault)
    }

    /// The path names nobody: the credentials have to.
    async fn by_credentials(
        &self,
        request: &Request<'_>,
        presented: &Presented,
        blamed: Option<IpAddr>,
    ) -> Result<Proof, Refused> {
        let mut found = self.index.cheap(&self.memory, request, presented).await;
        if found.is_empty()
            && let Some(login) = &presented.login
        {
            found.extend(self.index.login(&self.memory, login, None).await?);
        }
        let challenge = self.index.challenge();
        match found.one() {
            Ok(Some(name)) => Ok(Proof::Known(name)),
            Ok(None) if found.fault == Fault::Unavailable => Err(Refused::unavailable()),
            Ok(None) => Err(self.failed(found.fault, challenge, blamed)),
            Err(_) => Err(Refused::unauthenticated(AMBIGUOUS, challenge)),
        }
    }

    /// A failure, which counts against the address.
    fn failed(
        &self,
        fault: Fault,
        challenge: Option<HeaderValue>,
        blamed: Option<IpAddr>,
    ) -> Refused {
        if let Some(peer) = blamed {
            self.memory.failures.add(peer);
        }
        let detail = match fault {
            Fault::Expired => EXPIRED,
            Fault::NotYetValid => NOT_YET_VALID,
            Fault::Wrong | Fault::Unavailable => WRONG,
        };
        Refused::unauthenticated(detail, challenge)
    }
}

/// Whether there is a signature at all. A sender that asks first how to authenticate has not
/// failed.
fn has_signature(headers: &HeaderMap) -> bool {
    ["x-gigya-sig-jwt", "webhook-signature", "concur-signature"]
        .iter()
        .any(|name| headers.contains_key(*name))
}
