//! Who is at the other end of a connection.

use std::{net::SocketAddr, sync::Arc};

use rustls_pki_types::CertificateDer;

/// The other end of the connection that a request came on; in the extensions of each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address; that of a proxy, where one stands in between.
    pub address: SocketAddr,
    /// The certificate that it proved to own. It was verified when the connection began: its
    /// chain, its validity, and that it was not revoked.
    pub certificate: Option<Arc<CertificateDer<'static>>>,
}

impl Peer {
    /// A peer without a certificate. An IPv4 address is told as one, also by an IPv6 listener.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address: SocketAddr::new(address.ip().to_canonical(), address.port()),
            certificate: None,
        }
    }
}
