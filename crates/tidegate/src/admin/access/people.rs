//! `admin.oidc`: people who show a token of an issuer, and the role that a claim gives them.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read as _},
    path::Path,
    time::SystemTime,
};

use serde_json::Value;
use tidegate_identity::{Claims, Fault, Issuer};

use super::{Denied, Who};
use crate::config::{Mistakes, Oidc, Role};

/// Characters of a name that is told. A `sub` has at most 255; more of another claim is cut.
const NAME_CHARS_MAX: usize = 255;

/// Values of one claim that are looked at. Who is in more groups is cut off by most issuers, too.
const VALUES_MAX: usize = 1_000;

/// Bytes of a file of authorities; some hundred certificates.
const CA_BYTES_MAX: u64 = 1 << 20;

/// People of one issuer.
pub(super) struct People {
    issuer: Issuer,
    /// The issuer's name.
    pub(super) url: String,
    name_claim: String,
    role_claim: String,
    operators: BTreeSet<String>,
    viewers: BTreeSet<String>,
}

impl People {
    /// Those of the configuration; none where it names no issuer.
    pub(super) fn of(
        oidc: &Oidc,
        identity: &tidegate_identity::Config,
    ) -> Result<Option<Self>, Mistakes> {
        let (Some(url), Some(audience)) = (&oidc.issuer, &oidc.audience) else {
            return Ok(None);
        };
        let about = |error: io::Error| {
            let place = oidc.ca.as_ref();
            let place = place.map_or_else(
                || "admin.oidc: the machine's own authorities".to_owned(),
                |file| format!("admin.oidc.ca: {}", file.display()),
            );
            Mistakes(vec![format!("{place}: {error}")])
        };
        let ca = oidc.ca.as_deref().map(read).transpose().map_err(about)?;
        let issuer = Issuer::new(url, audience, ca.as_deref(), identity).map_err(about)?;
        Ok(Some(Self {
            issuer,
            url: url.clone(),
            name_claim: oidc.name_claim.clone(),
            role_claim: oidc.role_claim.clone(),
            operators: oidc.operators.iter().cloned().collect(),
            viewers: oidc.viewers.iter().cloned().collect(),
        }))
    }

    /// Who shows this token, and what it allows.
    pub(super) async fn find(&self, token: &[u8]) -> Result<(Who, Role), Denied> {
        let claims = self.issuer.claims(token, SystemTime::now()).await;
        let claims = claims.map_err(|fault| match fault {
            Fault::Wrong => Denied::Unknown,
            Fault::Expired => Denied::Expired,
            Fault::NotYetValid => Denied::NotYetValid,
            Fault::Unavailable => Denied::NoKeys,
        })?;
        let who = self.who(&claims);
        match self.role(&claims) {
            Some(role) => Ok((who, role)),
            None => Err(Denied::NoRole(who, self.role_claim.clone())),
        }
    }

    fn who(&self, claims: &Claims) -> Who {
        let text = |name: &str| claims.at(name).and_then(Value::as_str).map(told);
        let subject = text("sub").unwrap_or_default();
        let name = text(&self.name_claim).filter(|name| !name.is_empty());
        Who {
            name: name.unwrap_or_else(|| subject.clone()).into(),
            subject: Some(subject.into()),
        }
    }

    /// The higher one of those that the values of the claim give.
    fn role(&self, claims: &Claims) -> Option<Role> {
        let is_scope = ["scope", "scp"].contains(&&*self.role_claim);
        let values: Vec<&str> = match claims.at(&self.role_claim)? {
            // Words, as RFC 8693 has them; elsewhere a name may have spaces.
            Value::String(text) if is_scope => text.split_ascii_whitespace().collect(),
            Value::String(text) => vec![text],
            Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
        };
        let has_one = |of: &BTreeSet<String>| {
            let mut values = values.iter().take(VALUES_MAX);
            values.any(|value| of.contains(*value))
        };
        if has_one(&self.operators) {
            Some(Role::Operator)
        } else {
            has_one(&self.viewers).then_some(Role::Viewer)
        }
    }
}

/// A name on one line, however long it was.
fn told(name: &str) -> String {
    let visible = |sign: char| if sign.is_control() { ' ' } else { sign };
    name.chars().take(NAME_CHARS_MAX).map(visible).collect()
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let file = fs::File::open(file)?;
    file.take(CA_BYTES_MAX + 1).read_to_end(&mut content)?;
    if u64::try_from(content.len()).is_ok_and(|bytes| bytes > CA_BYTES_MAX) {
        let much = format!("is larger than {CA_BYTES_MAX} bytes");
        return Err(io::Error::other(much));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn people(role_claim: &str) -> People {
        let oidc = Oidc {
            issuer: Some("https://login.example.com".to_owned()),
            audience: Some("tidegate".to_owned()),
            role_claim: role_claim.to_owned(),
            operators: vec!["ops".to_owned()],
            viewers: vec!["staff".to_owned(), "all of us".to_owned()],
            ..Oidc::default()
        };
        People::of(&oidc, &tidegate_identity::Config::default())
            .unwrap()
            .unwrap()
    }

    fn role(claim: &str, claims: Value) -> Option<Role> {
        people(claim).role(&serde_json::from_value(claims).unwrap())
    }

    /// The higher role counts; a text is one value, but for scopes; what is no text gives nothing.
    #[test]
    fn a_role_follows_from_the_values_of_a_claim() {
        let (operator, viewer) = (Some(Role::Operator), Some(Role::Viewer));
        for (claim, claims, expected) in [
            ("groups", json!({"groups": ["staff", "ops"]}), operator),
            ("groups", json!({"groups": ["staff", 7]}), viewer),
            ("groups", json!({"groups": "all of us"}), viewer),
            ("groups", json!({"groups": "no ops"}), None),
            ("groups", json!({"groups": {"ops": true}}), None),
            ("groups", json!({"groups": ["Ops", "ops ", ""]}), None),
            ("groups", json!({"roles": ["ops"]}), None),
            ("scope", json!({"scope": "openid ops"}), operator),
            ("a.roles", json!({"a": {"roles": ["ops"]}}), operator),
        ] {
            assert_eq!(role(claim, claims.clone()), expected, "{claim} {claims}");
        }
    }

    /// A name is told as far as it goes on a line, and nobody is without one.
    #[test]
    fn a_name_is_bounded_and_falls_back() {
        let who = |claims: Value| {
            let who = people("groups").who(&serde_json::from_value(claims).unwrap());
            (who.name.to_string(), who.subject.unwrap().to_string())
        };
        let pair = |name: &str, subject: &str| (name.to_owned(), subject.to_owned());
        let both = json!({"preferred_username": "anna", "sub": "4711"});
        assert_eq!(who(both), pair("anna", "4711"));
        let without = json!({"preferred_username": "", "sub": "a\nb"});
        assert_eq!(who(without), pair("a b", "a b"));
        let long = "ä".repeat(100_000);
        let (name, _) = who(json!({"preferred_username": long}));
        assert_eq!(name, "ä".repeat(NAME_CHARS_MAX));
    }
}
