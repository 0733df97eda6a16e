//! The credentials that a request carries, read once and not yet believed.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, header};
use tidegate_application::authentication::Proxy;
use zeroize::Zeroizing;

use crate::{ClientCertificate, Request, compile::Shown, forwarded, token::Token};

/// A user name and its password.
pub(crate) struct Login {
    pub(crate) username: String,
    pub(crate) password: Zeroizing<Vec<u8>>,
}

/// Everything but signatures of bodies and keys in headers.
#[derive(Default)]
pub(crate) struct Presented {
    /// Certificates, each with the way it came.
    pub(crate) certificates: Vec<(Shown, ClientCertificate)>,
    pub(crate) token: Option<Token>,
    pub(crate) login: Option<Login>,
    /// Whether there are any, readable or not.
    pub(crate) any: bool,
}

impl fmt::Debug for Presented {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Presented").finish_non_exhaustive()
    }
}

impl Presented {
    /// Forwarded certificates are read in the given forms, and from a trusted proxy only.
    pub(crate) fn of(request: &Request<'_>, proxies: &[Proxy], trusted: bool) -> Self {
        let mut presented = Self::default();
        if let Some(certificate) = request.certificate {
            presented.any = true;
            presented
                .certificates
                .push((Shown::Directly, certificate.clone()));
        }
        if trusted && forwarded::is_present(request.headers) {
            presented.any = true;
            let read = |proxy: &Proxy| {
                let certificate = forwarded::certificate(*proxy, request.headers, request.now)?;
                Some((Shown::By(*proxy), certificate))
            };
            presented
                .certificates
                .extend(proxies.iter().filter_map(read));
        }
        presented.authorization(request.headers);
        presented
    }

    fn authorization(&mut self, headers: &HeaderMap) {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return;
        };
        self.any = true;
        // Of two, another reader of the same request may believe the other one.
        if values.next().is_some() {
            return;
        }
        let bytes = value.as_bytes();
        let Some(space) = bytes.iter().position(|byte| *byte == b' ') else {
            return;
        };
        let (scheme, rest) = bytes.split_at(space);
        let rest = rest.trim_ascii();
        if scheme.eq_ignore_ascii_case(b"bearer") {
            self.token = Token::parse(rest);
        } else if scheme.eq_ignore_ascii_case(b"basic") {
            self.login = login(rest);
        }
    }
}

fn login(encoded: &[u8]) -> Option<Login> {
    let text = Zeroizing::new(STANDARD.decode(encoded).ok()?);
    let colon = text.iter().position(|byte| *byte == b':')?;
    let username = std::str::from_utf8(text.get(..colon)?).ok()?;
    Some(Login {
        username: username.to_owned(),
        password: Zeroizing::new(text.get(colon + 1..)?.to_vec()),
    })
}
