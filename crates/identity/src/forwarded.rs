//! Certificates that a trusted proxy has checked and forwards in headers; one file per proxy.

mod cloud_foundry;
mod envoy;
mod nginx;

use http::HeaderMap;
use std::time::SystemTime;
use tidegate_application::authentication::Proxy;

use crate::ClientCertificate;

/// The certificate that the proxy forwards. The caller has seen that the proxy is trusted.
/// Anything doubtful is none: a doubled header, an unverified or an expired certificate.
pub(crate) fn certificate(
    proxy: Proxy,
    headers: &HeaderMap,
    now: SystemTime,
) -> Option<ClientCertificate> {
    let certificate = match proxy {
        Proxy::Envoy => envoy::certificate(headers),
        Proxy::CloudFoundry => cloud_foundry::certificate(headers),
        Proxy::Nginx => nginx::certificate(headers),
    }?;
    certificate.is_valid_at(now).then_some(certificate)
}

/// Whether any proxy's header carries a certificate.
pub(crate) fn is_present(headers: &HeaderMap) -> bool {
    [envoy::CERTIFICATE, nginx::CERTIFICATE]
        .iter()
        .flat_map(|name| headers.get_all(*name))
        .any(|value| !value.is_empty())
}
