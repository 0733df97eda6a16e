//! nginx: `$ssl_client_verify` and `$ssl_client_escaped_cert`.

use http::HeaderMap;

use crate::{ClientCertificate, certificate::only};

/// The certificate, percent-encoded PEM.
pub(super) const CERTIFICATE: &str = "x-ssl-client-cert";
const VERIFY: &str = "x-ssl-client-verify";

/// The certificate, where nginx has verified it.
pub(super) fn certificate(headers: &HeaderMap) -> Option<ClientCertificate> {
    if only(headers, VERIFY)?.as_bytes() != b"SUCCESS" {
        return None;
    }
    ClientCertificate::from_escaped_pem(only(headers, CERTIFICATE)?.as_bytes()).ok()
}
