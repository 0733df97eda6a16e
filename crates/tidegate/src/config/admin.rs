//! The section `admin`.

mod tls;

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

pub(crate) use self::tls::Tls;

/// Values of a claim that give a role; each one is compared with every value of a token.
const ROLE_VALUES_MAX: usize = 256;

/// The operator's door.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Admin {
    /// Its address: `/healthz`, `/readyz`, `/metrics`, `/api/v1`.
    pub(crate) listen: SocketAddr,
    /// Who may come in. Without any, and without an issuer, whoever reaches the address.
    pub(crate) tokens: Vec<Token>,
    /// Whose tokens of people let in as well.
    pub(crate) oidc: Oidc,
    /// The files of TLS.
    pub(crate) tls: Tls,
    /// Whether `/metrics` is open to those without a token, too.
    pub(crate) metrics_open: bool,
}

/// A bearer token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    /// Who it is for; stands in the audit log.
    pub(crate) name: String,
    /// The file of its secret, relative to the configuration file; read again when it changes.
    pub(crate) file: PathBuf,
    /// What it allows.
    pub(crate) role: Role,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Look.
    Viewer,
    /// Look and change.
    Operator,
}

/// An issuer of OpenID Connect, and what the claims of its tokens allow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Oidc {
    /// Its name, as its tokens have it (`iss`); its keys are found from there. Without one, no
    /// token of people is taken.
    pub(crate) issuer: Option<String>,
    /// What has to stand in the `aud` of a token.
    pub(crate) audience: Option<String>,
    /// The authorities of its certificate in the place of the machine's own. PEM; read at the
    /// start.
    pub(crate) ca: Option<PathBuf>,
    /// The claim that names the person in the audit log; `sub` where a token has no such claim.
    pub(crate) name_claim: String,
    /// The claim that gives a role, with dots for one within others.
    pub(crate) role_claim: String,
    /// Values of it that make an operator.
    pub(crate) operators: Vec<String>,
    /// Values of it that make a viewer.
    pub(crate) viewers: Vec<String>,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            tokens: Vec::new(),
            oidc: Oidc::default(),
            tls: Tls::default(),
            metrics_open: false,
        }
    }
}

impl Default for Oidc {
    fn default() -> Self {
        Self {
            issuer: None,
            audience: None,
            ca: None,
            name_claim: "preferred_username".to_owned(),
            role_claim: "groups".to_owned(),
            operators: Vec::new(),
            viewers: Vec::new(),
        }
    }
}

impl Admin {
    pub(super) fn validate(&self) -> Vec<String> {
        let mut names = BTreeSet::new();
        let mut mistakes = Vec::new();
        for (index, token) in self.tokens.iter().enumerate() {
            let name = &token.name;
            if name.is_empty() || name.chars().any(char::is_control) {
                mistakes.push(format!(
                    "tokens[{index}].name: must be text of one line, got {name:?}"
                ));
            }
            if !names.insert(name) {
                mistakes.push(format!(
                    "tokens[{index}].name: another token has the name {name:?}"
                ));
            }
        }
        mistakes.extend(self.oidc.validate());
        mistakes.extend(self.tls.validate());
        mistakes
    }

    pub(super) fn resolve(&mut self, folder: &Path) {
        for token in &mut self.tokens {
            token.file = folder.join(&token.file);
        }
        self.tls.resolve(folder);
        if let Some(ca) = &mut self.oidc.ca {
            *ca = folder.join(&*ca);
        }
    }
}

impl Oidc {
    fn validate(&self) -> Vec<String> {
        let Some(issuer) = &self.issuer else {
            return self.has_no_effect();
        };
        let mut mistakes = Vec::new();
        if !is_safe(issuer) {
            mistakes.push(format!(
                "oidc.issuer: must be an https URL without query, or http on loopback, got \
                 {issuer:?}"
            ));
        }
        if self.audience.as_ref().is_none_or(String::is_empty) {
            mistakes.push(
                "oidc.audience: must be given with oidc.issuer: else every token of it would do"
                    .to_owned(),
            );
        }
        for (key, claim) in [
            ("name_claim", &self.name_claim),
            ("role_claim", &self.role_claim),
        ] {
            if claim.is_empty() {
                mistakes.push(format!("oidc.{key}: must be the name of a claim"));
            }
        }
        if self.operators.is_empty() && self.viewers.is_empty() {
            mistakes.push(
                "oidc.operators, oidc.viewers: one of them must name a value of oidc.role_claim: \
                 else nobody would have a role"
                    .to_owned(),
            );
        }
        for (key, values) in [("operators", &self.operators), ("viewers", &self.viewers)] {
            if values.len() > ROLE_VALUES_MAX {
                mistakes.push(format!(
                    "oidc.{key}: must be at most {ROLE_VALUES_MAX} values, got {}",
                    values.len()
                ));
            }
            if values.iter().any(String::is_empty) {
                mistakes.push(format!("oidc.{key}: a value must not be empty"));
            }
        }
        mistakes
    }

    /// What is said without an issuer is somebody's oversight.
    fn has_no_effect(&self) -> Vec<String> {
        let given = [
            ("audience", self.audience.is_some()),
            ("ca", self.ca.is_some()),
            ("operators", !self.operators.is_empty()),
            ("viewers", !self.viewers.is_empty()),
        ];
        let given = given.into_iter().filter(|(_, is_given)| *is_given);
        given
            .map(|(key, _)| format!("oidc.{key}: has no effect without oidc.issuer"))
            .collect()
    }
}

/// Whoever is between here and the issuer could give keys of his own, were it not for TLS.
fn is_safe(issuer: &str) -> bool {
    let Ok(url) = Url::parse(issuer) else {
        return false;
    };
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => return false,
    };
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    is_plain && (url.scheme() == "https" || url.scheme() == "http" && is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Oidc)) -> Vec<String> {
        let mut oidc = Oidc {
            issuer: Some("https://login.example.com/realms/main".to_owned()),
            audience: Some("tidegate".to_owned()),
            operators: vec!["tidegate-operators".to_owned()],
            ..Oidc::default()
        };
        change(&mut oidc);
        oidc.validate()
    }

    /// Keys that come without TLS could be anybody's, and a door without a rule is open to all of
    /// an issuer's people.
    #[test]
    fn an_issuer_without_tls_audience_or_roles_is_a_mistake() {
        assert_eq!(Oidc::default().validate(), Vec::<String>::new());
        for issuer in [
            "https://login.example.com",
            "http://127.0.0.1:9000",
            "http://[::1]/a",
        ] {
            let mistakes = with(|oidc| oidc.issuer = Some(issuer.to_owned()));
            assert_eq!(mistakes, Vec::<String>::new(), "{issuer}");
        }
        for issuer in [
            "http://login.example.com",
            "login.example.com",
            "",
            "https://i/?a=b",
        ] {
            let mistakes = with(|oidc| oidc.issuer = Some(issuer.to_owned()));
            assert_eq!(mistakes.len(), 1, "{issuer}: {mistakes:?}");
            assert!(mistakes[0].starts_with("oidc.issuer: "), "{mistakes:?}");
        }
        assert_eq!(with(|oidc| oidc.audience = None).len(), 1);
        assert_eq!(with(|oidc| oidc.operators.clear()).len(), 1);
        assert_eq!(with(|oidc| oidc.role_claim.clear()).len(), 1);
        assert_eq!(with(|oidc| oidc.viewers.push(String::new())).len(), 1);
        let many = vec!["a".to_owned(); ROLE_VALUES_MAX + 1];
        assert_eq!(with(|oidc| oidc.viewers = many).len(), 1);
        assert_eq!(with(|oidc| oidc.issuer = None).len(), 2);
    }
}
