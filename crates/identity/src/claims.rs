//! What a token says, and the rules that a document has for it.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Map, Value};
use tidegate_application::authentication::Oidc;

use crate::token::Fault;

/// The claims of a token.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct Claims(Map<String, Value>);

impl Claims {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// The value of a claim, and of one within others by a path: `realm_access.roles`. A claim
    /// that has the path's whole name counts first, since names may have dots.
    pub fn at(&self, path: &str) -> Option<&Value> {
        within(&self.0, path)
    }

    /// `iss`.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.text("iss")
    }

    /// A time in seconds since 1970; `Err` where the claim stands there and is no such time.
    fn time(&self, name: &str) -> Result<Option<f64>, Fault> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or(Fault::Wrong),
        }
    }

    /// `exp` has to stand there; `nbf` counts where it does.
    fn check_time(&self, now: SystemTime, skew: Duration) -> Result<(), Fault> {
        let (now, skew) = (seconds(now), skew.as_secs_f64());
        let expires = self.time("exp")?.ok_or(Fault::Wrong)?;
        let begins = self.time("nbf")?;
        if now >= expires + skew {
            return Err(Fault::Expired);
        }
        if begins.is_some_and(|begins| now + skew < begins) {
            return Err(Fault::NotYetValid);
        }
        Ok(())
    }

    /// For tokens that live for one message: `iat` has to be near; `exp` counts where it stands.
    pub(crate) fn check_freshness(
        &self,
        now: SystemTime,
        tolerance: Duration,
    ) -> Result<(), Fault> {
        let (now, tolerance) = (seconds(now), tolerance.as_secs_f64());
        let issued = self.time("iat")?.ok_or(Fault::Wrong)?;
        if now - issued > tolerance {
            return Err(Fault::Expired);
        }
        if issued - now > tolerance {
            return Err(Fault::NotYetValid);
        }
        match self.time("exp")? {
            Some(expires) if now >= expires + tolerance => Err(Fault::Expired),
            _ => Ok(()),
        }
    }

    /// Whether the token is for the client that has these rules. Time is looked at last: only who
    /// has a token that is right otherwise is told that it has expired.
    pub(crate) fn check(&self, rules: &Oidc, now: SystemTime) -> Result<(), Fault> {
        if self.issuer() != Some(&rules.issuer) || !self.follow(rules) {
            return Err(Fault::Wrong);
        }
        self.check_time(now, rules.clock_skew)
    }

    /// Whether each list that the document gives holds.
    fn follow(&self, rules: &Oidc) -> bool {
        let audiences = self.texts("aud");
        let party = self.text("azp").or_else(|| self.text("client_id"));
        let scopes = ["scope", "scp"].map(|name| self.words(name)).concat();
        let listed = |list: &[String], found: Option<&str>| {
            list.is_empty() || found.is_some_and(|found| list.iter().any(|one| one == found))
        };
        let audience_fits = rules.audiences.is_empty()
            || rules
                .audiences
                .iter()
                .any(|audience| audiences.contains(&audience.as_str()));
        audience_fits
            && listed(&rules.authorized_parties, party)
            && listed(&rules.subjects, self.text("sub"))
            && rules
                .scopes
                .iter()
                .all(|scope| scopes.contains(&scope.as_str()))
    }

    /// A claim that is a text or a list of texts.
    fn texts(&self, name: &str) -> Vec<&str> {
        match self.0.get(name) {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// A claim that is words in a text or a list of words.
    fn words(&self, name: &str) -> Vec<&str> {
        match self.0.get(name) {
            Some(Value::String(text)) => text.split_ascii_whitespace().collect(),
            _ => self.texts(name),
        }
    }
}

fn within<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    claims.get(path).or_else(|| {
        path.match_indices('.').find_map(|(at, _)| {
            let (outer, inner) = (path.get(..at)?, path.get(at + 1..)?);
            within(claims.get(outer)?.as_object()?, inner)
        })
    })
}

fn seconds(time: SystemTime) -> f64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Issuers put roles within other claims, and some have dots in the names of claims.
    #[test]
    fn a_claim_is_found_by_its_name_or_by_a_path() {
        let claims: Claims = serde_json::from_str(
            r#"{"groups": 1, "realm_access": {"roles": 2, "none": null},
                "https://example.com/roles": 3, "access": {"a.b": {"roles": 4}},
                "realm_access.more": 5}"#,
        )
        .unwrap();
        for (path, found) in [
            ("groups", Some(1)),
            ("realm_access.roles", Some(2)),
            ("https://example.com/roles", Some(3)),
            ("access.a.b.roles", Some(4)),
            ("realm_access.more", Some(5)),
            ("groups.roles", None),
            ("roles", None),
            ("", None),
            (".", None),
            ("realm_access.", None),
        ] {
            assert_eq!(claims.at(path).and_then(Value::as_u64), found, "{path}");
        }
    }
}
