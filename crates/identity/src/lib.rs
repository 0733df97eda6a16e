//! Who sent a request: credentials become the name of an Application.
//!
//! It takes two steps. [`Identities::by_head`] looks at the headers and the connection, before a
//! byte of the body is read; where an Application signs its bodies, [`BodyCheck::check`] finishes
//! the work. What is learned on the way (keys of issuers, verified passwords, failures) is in
//! [`Memory`] and outlives a change of the documents.
//!
//! People who show a token at a door that is no sender's have an [`Issuer`] of their own.

mod body;
mod certificate;
mod claims;
mod compile;
mod concur;
mod config;
mod cxml;
mod distinguished_name;
mod failures;
mod fetch;
mod forwarded;
mod gigya;
mod identities;
mod issuer_keys;
mod memory;
mod passwords;
mod person;
mod presented;
mod public_key;
mod refused;
mod search;
mod standard_webhooks;
mod token;

use std::{net::IpAddr, sync::Arc, time::SystemTime};

use http::HeaderMap;
use tidegate_application::authentication::{Authentication, Secret};
use zeroize::Zeroizing;

pub use crate::{
    body::BodyCheck,
    certificate::{ClientCertificate, NotACertificate},
    claims::Claims,
    config::Config,
    identities::{Identities, Proof},
    memory::Memory,
    passwords::hash_password,
    person::Issuer,
    refused::Refused,
    token::Fault,
};

/// Reads secrets. The program gives one that knows the documents' folder and the environment.
pub trait Secrets {
    /// The secret's bytes, or why there are none; the reason must not contain the secret.
    fn read(&self, secret: &Secret) -> Result<Zeroizing<Vec<u8>>, String>;
}

/// An Application, as far as this crate needs it.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its name.
    pub name: Arc<str>,
    /// The ways to prove to be it; any one is enough. None at all lets nobody in.
    pub authentication: Vec<Authentication>,
}

/// What stands in the documents and cannot work. The client with it refuses everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Whose it is.
    pub client: Arc<str>,
    /// Which of its authentications, from 0; the client itself where it is none.
    pub index: Option<usize>,
    /// What is wrong. Never contains a secret.
    pub message: String,
}

/// What is known of a request before its body.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The other end of the connection.
    pub peer: IpAddr,
    /// The certificate of the TLS connection. The listener has verified its chain, its validity
    /// and that it was not revoked.
    pub certificate: Option<&'a ClientCertificate>,
    /// The present time, against which tokens and signatures are fresh or not.
    pub now: SystemTime,
}
