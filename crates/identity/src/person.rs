//! Tokens of people, for a door that is not one of senders: one issuer, judged by the same rules.
//!
//! What a person may do there is the door's to say, by the claims.

use std::{io, time::Duration, time::SystemTime};

use tidegate_application::authentication::Oidc;

use crate::{
    Config,
    claims::Claims,
    issuer_keys::{IssuerKeys, Source},
    token::{Fault, Token},
};

/// How far clocks may differ, as for senders who say nothing else.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// An issuer of people's tokens, and its keys. One for the whole process.
#[derive(Debug)]
pub struct Issuer {
    source: Source,
    rules: Oidc,
    keys: IssuerKeys,
}

impl Issuer {
    /// Of this name, whose tokens have to be for this audience. It is reached over TLS with the
    /// certificate authorities of a PEM text, or else the machine's own; how often its keys are
    /// fetched, the configuration says as it does for senders' issuers.
    pub fn new(
        issuer: &str,
        audience: &str,
        authorities: Option<&[u8]>,
        config: &Config,
    ) -> io::Result<Self> {
        Ok(Self {
            source: Source {
                issuer: issuer.to_owned(),
                jwks_uri: None,
            },
            rules: Oidc {
                issuer: issuer.to_owned(),
                jwks_uri: None,
                audiences: vec![audience.to_owned()],
                authorized_parties: Vec::new(),
                subjects: Vec::new(),
                scopes: Vec::new(),
                clock_skew: CLOCK_SKEW,
            },
            keys: IssuerKeys::new(config, authorities)?,
        })
    }

    /// What a token says of its bearer, if this issuer has signed it, for this audience, for now.
    pub async fn claims(&self, token: &[u8], now: SystemTime) -> Result<Claims, Fault> {
        let token = Token::parse(token).ok_or(Fault::Wrong)?;
        // A stranger's token is no reason to ask this issuer for anything.
        if token.alleged_issuer() != Some(&*self.source.issuer) {
            return Err(Fault::Wrong);
        }
        let claims = self.keys.verify(&self.source, &token).await?;
        claims.check(&self.rules, now)?;
        Ok(claims.clone())
    }
}
