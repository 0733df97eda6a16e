//! Cloud Foundry: the router's three headers.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderMap;

use crate::{ClientCertificate, certificate::only};

/// The result of the router's check, as OpenSSL counts it: 0 is good.
const VERIFY: &str = "x-ssl-client-verify";
const CERTIFICATE: &str = "x-forwarded-client-cert";
const COMMON_NAME: &str = "x-ssl-client-subject-cn";

/// The certificate, where the router has verified it and names the same client by itself.
pub(super) fn certificate(headers: &HeaderMap) -> Option<ClientCertificate> {
    if only(headers, VERIFY)?.as_bytes() != b"0" {
        return None;
    }
    let der = STANDARD
        .decode(only(headers, CERTIFICATE)?.as_bytes())
        .ok()?;
    let certificate = ClientCertificate::from_der(&der).ok()?;
    let named = STANDARD
        .decode(only(headers, COMMON_NAME)?.as_bytes())
        .ok()?;
    let agrees = certificate
        .common_name
        .as_ref()
        .is_some_and(|name| name.as_bytes() == named);
    agrees.then_some(certificate)
}
