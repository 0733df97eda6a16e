//! A set of clients with their secrets in memory, and requests to it.

use std::{
    collections::HashMap,
    net::IpAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_application::authentication::{Authentication, Secret};
use tidegate_identity::{
    Client, ClientCertificate, Config, Identities, Memory, Mistake, Proof, Refused, Request,
    Secrets,
};
use zeroize::Zeroizing;

/// Secrets by the name of their file.
#[derive(Default)]
pub(crate) struct Safe(HashMap<PathBuf, Vec<u8>>);

impl Secrets for Safe {
    fn read(&self, secret: &Secret) -> Result<Zeroizing<Vec<u8>>, String> {
        let Secret::File(path) = secret else {
            return Err("not here".to_owned());
        };
        let found = self.0.get(path).ok_or("no such file")?;
        Ok(Zeroizing::new(found.clone()))
    }
}

impl Safe {
    pub(crate) fn with(mut self, name: &str, secret: impl AsRef<[u8]>) -> Self {
        self.0.insert(name.into(), secret.as_ref().to_vec());
        self
    }
}

pub(crate) fn file(name: &str) -> Secret {
    Secret::File(name.into())
}

pub(crate) fn client(name: &str, authentication: Vec<Authentication>) -> Client {
    Client {
        name: name.into(),
        authentication,
    }
}

pub(crate) fn built(
    config: &Config,
    safe: &Safe,
    clients: Vec<Client>,
) -> (Identities, Vec<Mistake>) {
    let memory = Arc::new(Memory::new(config).unwrap());
    Identities::new(clients, safe, &memory)
}

/// The clients, which have no mistakes, with the default configuration.
pub(crate) fn house(safe: &Safe, clients: Vec<Client>) -> Identities {
    let (identities, mistakes) = built(&Config::default(), safe, clients);
    assert_eq!(mistakes, []);
    identities
}

/// The time of all tests.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

pub(crate) const NOW: u64 = 1_800_000_000;

/// A request under construction.
#[derive(Clone)]
pub(crate) struct Asking {
    pub(crate) headers: HeaderMap,
    pub(crate) peer: IpAddr,
    pub(crate) certificate: Option<ClientCertificate>,
    pub(crate) now: SystemTime,
}

pub(crate) fn asking() -> Asking {
    Asking {
        headers: HeaderMap::new(),
        peer: "192.0.2.1".parse().unwrap(),
        certificate: None,
        now: now(),
    }
}

impl Asking {
    pub(crate) fn with(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.headers.append(
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value.as_ref()).unwrap(),
        );
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.with("authorization", format!("Bearer {token}"))
    }

    pub(crate) fn from(mut self, peer: &str) -> Self {
        self.peer = peer.parse().unwrap();
        self
    }

    pub(crate) fn at(mut self, now: SystemTime) -> Self {
        self.now = now;
        self
    }

    /// The answer of the first step.
    pub(crate) async fn to(
        &self,
        identities: &Identities,
        application: Option<&str>,
    ) -> Result<Proof, Refused> {
        let request = Request {
            headers: &self.headers,
            peer: self.peer,
            certificate: self.certificate.as_ref(),
            now: self.now,
        };
        identities.by_head(application, &request).await
    }

    /// Whom the first step knows, or the code of its refusal.
    pub(crate) async fn who(
        &self,
        identities: &Identities,
        application: Option<&str>,
    ) -> Result<String, &'static str> {
        match self.to(identities, application).await {
            Ok(Proof::Known(name)) => Ok(name.to_string()),
            Ok(Proof::NeedsBody(_)) => Err("needs body"),
            Ok(Proof::Anonymous) => Err("anonymous"),
            Err(refused) => Err(refused.code),
        }
    }

    /// Whom both steps know, or the code of the refusal.
    pub(crate) async fn who_with(
        &self,
        identities: &Identities,
        application: &str,
        body: &[u8],
    ) -> Result<String, &'static str> {
        match self.to(identities, Some(application)).await {
            Ok(Proof::NeedsBody(check)) => match check.check(body) {
                Ok(name) => Ok(name.to_string()),
                Err(refused) => Err(refused.code),
            },
            Ok(proof) => panic!("{proof:?}"),
            Err(refused) => Err(refused.code),
        }
    }
}

pub(crate) const UNAUTHENTICATED: Result<String, &str> = Err("identity/unauthenticated");
