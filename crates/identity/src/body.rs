//! The second step: signatures and secrets for which the body is needed.

use std::{fmt, net::IpAddr, sync::Arc};

use http::HeaderValue;

use crate::{
    Memory, Refused, Request, concur,
    cxml::SharedSecret,
    identities::WRONG,
    public_key::PublicKey,
    standard_webhooks::{self, StandardWebhooks},
};

/// One way to prove it with the body, as a document says it.
#[derive(Clone)]
pub(crate) enum Rule {
    StandardWebhooks(StandardWebhooks),
    Concur(Arc<[PublicKey]>),
    Cxml(SharedSecret),
}

impl Rule {
    /// What is to be held against the body; none where the headers cannot fit already.
    pub(crate) fn candidate(&self, request: &Request<'_>) -> Option<Candidate> {
        match self {
            Self::StandardWebhooks(rule) => rule
                .signed(request.headers, request.now)
                .map(Candidate::StandardWebhooks),
            Self::Concur(keys) => concur::Signed::of(request.headers, keys).map(Candidate::Concur),
            Self::Cxml(secret) => Some(Candidate::Cxml(secret.clone())),
        }
    }
}

/// A proof that lacks only its body.
pub(crate) enum Candidate {
    StandardWebhooks(standard_webhooks::Signed),
    Concur(concur::Signed),
    Cxml(SharedSecret),
}

impl Candidate {
    fn fits(&self, body: &[u8]) -> bool {
        match self {
            Self::StandardWebhooks(signed) => signed.fits(body),
            Self::Concur(signed) => signed.fits(body),
            Self::Cxml(secret) => secret.fits(body),
        }
    }
}

/// What is left to check when the body has come. Borrows nothing from the request.
#[must_use = "the request is not authenticated until the check was made"]
pub struct BodyCheck {
    pub(crate) client: Arc<str>,
    pub(crate) candidates: Vec<Candidate>,
    /// Another credential of the request could not be checked.
    pub(crate) unavailable: bool,
    pub(crate) memory: Arc<Memory>,
    /// The address whose failure it would be; none for a trusted proxy.
    pub(crate) blamed: Option<IpAddr>,
    pub(crate) challenge: Option<HeaderValue>,
}

impl fmt::Debug for BodyCheck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BodyCheck")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl BodyCheck {
    /// The Application that the body may prove.
    pub fn client(&self) -> &Arc<str> {
        &self.client
    }

    /// The Application, if the body is what its sender has signed or has the sender's secret.
    pub fn check(self, body: &[u8]) -> Result<Arc<str>, Refused> {
        if self.candidates.iter().any(|one| one.fits(body)) {
            return Ok(self.client);
        }
        if self.unavailable {
            return Err(Refused::unavailable());
        }
        if let Some(peer) = self.blamed {
            self.memory.failures.add(peer);
        }
        Err(Refused::unauthenticated(WRONG, self.challenge))
    }
}
