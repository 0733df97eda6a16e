//! Documents become rules, with their secrets read.

use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;
use tidegate_application::authentication::{ApiKey, Authentication, Oidc, Proxy, Secret};
use zeroize::Zeroizing;

use crate::{
    Client, ClientCertificate, Mistake, Secrets, body::Rule, certificate::only, cxml::SharedSecret,
    gigya::GigyaJwt, issuer_keys::Source, passwords::Hash, public_key::PublicKey,
    standard_webhooks::StandardWebhooks,
};

/// Characters of an API key at least.
const KEY_BYTES_LEAST: usize = 16;

/// The way a certificate came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// On this process's own TLS connection.
    Directly,
    /// In the headers of a trusted proxy.
    By(Proxy),
}

/// Which certificates are a client's.
#[derive(Debug)]
pub(crate) struct CertificateRule {
    shown: Shown,
    common_name: Option<String>,
    alternative_name: Option<String>,
}

impl CertificateRule {
    fn new(
        shown: Shown,
        common_name: Option<String>,
        alternative_name: Option<String>,
    ) -> Result<Self, String> {
        let filled = |name: &Option<String>| name.as_ref().is_none_or(|name| !name.is_empty());
        let names_one = common_name.is_some() || alternative_name.is_some();
        if !names_one || !filled(&common_name) || !filled(&alternative_name) {
            return Err("names no commonName and no subjectAlternativeName".to_owned());
        }
        Ok(Self {
            shown,
            common_name,
            alternative_name,
        })
    }

    /// Whether the certificate has what the rule names, and came the rule's way.
    pub(crate) fn fits(&self, (shown, certificate): &(Shown, ClientCertificate)) -> bool {
        let common_name_fits =
            self.common_name.is_none() || self.common_name == certificate.common_name;
        let alternative_name_fits = self
            .alternative_name
            .as_ref()
            .is_none_or(|name| certificate.alternative_names.contains(name));
        self.shown == *shown && common_name_fits && alternative_name_fits
    }

    /// The proxy whose headers it needs.
    pub(crate) fn proxy(&self) -> Option<Proxy> {
        match self.shown {
            Shown::Directly => None,
            Shown::By(proxy) => Some(proxy),
        }
    }
}

/// The hash of a key, and the header it comes in.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct KeyRule {
    pub(crate) header: HeaderName,
    pub(crate) hash: [u8; 32],
}

impl KeyRule {
    /// The key that a request has in the header.
    pub(crate) fn presented(header: &HeaderName, headers: &HeaderMap) -> Option<Self> {
        let value = only(headers, header.as_str())?;
        Some(Self {
            header: header.clone(),
            hash: sha256(value.as_bytes()),
        })
    }

    /// Whether the request has the key. Both sides are hashed, so that no time tells a part of it.
    pub(crate) fn fits(&self, headers: &HeaderMap) -> bool {
        Self::presented(&self.header, headers)
            .is_some_and(|found| found.hash.ct_eq(&self.hash).into())
    }
}

/// A client with its secrets.
#[derive(Default)]
pub(crate) struct Compiled {
    pub(crate) name: Arc<str>,
    /// It has a mistake and refuses everything.
    pub(crate) faulty: bool,
    /// Nobody is asked.
    pub(crate) open: bool,
    pub(crate) certificates: Vec<CertificateRule>,
    pub(crate) tokens: Vec<(Source, Oidc)>,
    pub(crate) logins: Vec<(String, Hash)>,
    pub(crate) keys: Vec<KeyRule>,
    pub(crate) gigya: Vec<GigyaJwt>,
    pub(crate) bodies: Vec<Rule>,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Compiled")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Compiled {
    /// The client, and everything that is wrong with it.
    pub(crate) fn new(client: &Client, secrets: &dyn Secrets) -> (Self, Vec<Mistake>) {
        let mut compiled = Self {
            name: Arc::clone(&client.name),
            ..Self::default()
        };
        let mut mistakes = Vec::new();
        for (index, authentication) in client.authentication.iter().enumerate() {
            if let Err(message) = compiled.add(authentication, secrets) {
                mistakes.push(Mistake {
                    client: Arc::clone(&client.name),
                    index: Some(index),
                    message,
                });
            }
        }
        compiled.faulty = !mistakes.is_empty();
        (compiled, mistakes)
    }

    fn add(&mut self, by: &Authentication, secrets: &dyn Secrets) -> Result<(), String> {
        match by {
            Authentication::None(_) => self.open = true,
            Authentication::Mtls(rule) => self.certificates.push(CertificateRule::new(
                Shown::Directly,
                rule.common_name.clone(),
                rule.subject_alternative_name.clone(),
            )?),
            Authentication::ForwardedCertificate(rule) => {
                self.certificates.push(CertificateRule::new(
                    Shown::By(rule.proxy),
                    rule.common_name.clone(),
                    rule.subject_alternative_name.clone(),
                )?);
            }
            Authentication::Oidc(rules) => self.tokens.push((source(rules)?, rules.clone())),
            Authentication::Basic(basic) => {
                self.logins.push(login(basic, secrets)?);
            }
            Authentication::ApiKey(key) => self.keys.push(api_key(key, secrets)?),
            Authentication::StandardWebhooks(rule) => {
                let secret = read(secrets, &rule.secret)?;
                let rule = StandardWebhooks::new(&secret, rule.tolerance)?;
                self.bodies.push(Rule::StandardWebhooks(rule));
            }
            Authentication::ConcurSignature(rule) => {
                let keys = PublicKey::rsa_from_pem(&read(secrets, &rule.public_key)?)?;
                self.bodies.push(Rule::Concur(keys.into()));
            }
            Authentication::GigyaJwt(rule) => {
                let text = read(secrets, &rule.public_key)?;
                self.gigya.push(GigyaJwt::new(&text, rule.tolerance)?);
            }
            Authentication::CxmlSharedSecret(rule) => {
                let secret = read(secrets, &rule.secret)?;
                let rule = SharedSecret::new(rule.identity.as_deref(), &secret);
                self.bodies.push(Rule::Cxml(rule));
            }
        }
        Ok(())
    }

    /// What the answer 401 says of how to authenticate.
    pub(crate) fn challenge(&self) -> Option<HeaderValue> {
        challenge(!self.tokens.is_empty(), !self.logins.is_empty())
    }
}

/// The challenge of those who take tokens, passwords, or both.
pub(crate) fn challenge(token: bool, login: bool) -> Option<HeaderValue> {
    match (token, login) {
        (false, false) => None,
        (true, false) => Some(HeaderValue::from_static("Bearer")),
        (false, true) => Some(HeaderValue::from_static(
            r#"Basic realm="tidegate", charset="UTF-8""#,
        )),
        (true, true) => Some(HeaderValue::from_static(
            r#"Bearer, Basic realm="tidegate", charset="UTF-8""#,
        )),
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// A secret without the line end that editors put at a file's end.
fn read(secrets: &dyn Secrets, secret: &Secret) -> Result<Zeroizing<Vec<u8>>, String> {
    let bytes = secrets.read(secret)?;
    let trimmed = Zeroizing::new(bytes.trim_ascii().to_vec());
    if trimmed.is_empty() {
        return Err("the secret is empty".to_owned());
    }
    Ok(trimmed)
}

fn source(rules: &Oidc) -> Result<Source, String> {
    let places = [Some(&rules.issuer), rules.jwks_uri.as_ref()];
    for place in places.into_iter().flatten() {
        let uri: Uri = place.parse().map_err(|_| format!("{place} is not a URI"))?;
        if !matches!(uri.scheme_str(), Some("https" | "http")) || uri.host().is_none() {
            return Err(format!("{place} is not an http or https URI"));
        }
    }
    let lists = [
        &rules.audiences,
        &rules.authorized_parties,
        &rules.subjects,
        &rules.scopes,
    ];
    if lists.iter().all(|list| list.is_empty()) {
        return Err(
            "names no audience, authorized party, subject or scope: every token of the issuer \
             would be accepted"
                .to_owned(),
        );
    }
    Ok(Source {
        issuer: rules.issuer.clone(),
        jwks_uri: rules.jwks_uri.clone(),
    })
}

fn login(
    basic: &tidegate_application::authentication::Basic,
    secrets: &dyn Secrets,
) -> Result<(String, Hash), String> {
    if basic.username.is_empty() || basic.username.contains(':') {
        return Err("the user name is empty or has a colon".to_owned());
    }
    let bytes = read(secrets, &basic.password_hash)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "the password hash is not text")?;
    Ok((basic.username.clone(), Hash::parse(text)?))
}

fn api_key(key: &ApiKey, secrets: &dyn Secrets) -> Result<KeyRule, String> {
    let header: HeaderName = key
        .header
        .parse()
        .map_err(|_| format!("{} is not the name of a header", key.header))?;
    let bytes = read(secrets, &key.key)?;
    if bytes.len() < KEY_BYTES_LEAST {
        return Err(format!(
            "the key has less than {KEY_BYTES_LEAST} characters"
        ));
    }
    Ok(KeyRule {
        header,
        hash: sha256(&bytes),
    })
}
