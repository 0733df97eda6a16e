//! TLS to a server: whom to trust.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{net::TcpStream, task::spawn_blocking};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Whose certificates are believed: those of the file, or of the machine's authorities. Read for
/// each connection, so that they may be rotated.
#[derive(Debug)]
pub(super) struct Trust {
    ca_file: Option<PathBuf>,
}

impl Trust {
    pub(super) fn new(ca_file: Option<PathBuf>) -> Self {
        Self { ca_file }
    }

    /// A handshake with a server that has to have this name.
    pub(super) async fn secure(
        &self,
        stream: TcpStream,
        name: &str,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let ca_file = self.ca_file.clone();
        let roots = spawn_blocking(|| roots(ca_file)).await??;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await
    }
}

fn roots(ca_file: Option<PathBuf>) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
        Some(file) => {
            let wrong =
                |error| io::Error::other(format!("backbone.ca_file: {}: {error}", file.display()));
            for certificate in authorities(&file).map_err(wrong)? {
                let added = roots.add(certificate);
                added.map_err(|error| wrong(io::Error::other(error)))?;
            }
        }
    }
    Ok(roots)
}

/// The certificates of a PEM file; at least one.
pub(in super::super) fn authorities(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let pem = fs::read(file)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(io::Error::other)?;
    if certificates.is_empty() {
        return Err(io::Error::other("there is no certificate in PEM in it"));
    }
    Ok(certificates)
}
