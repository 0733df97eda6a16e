//! From PEM to what a handshake needs.

use std::{cmp::Reverse, sync::Arc};

use rustls::{
    InconsistentKeys, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject,
};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use crate::{
    FileError, Settings,
    files::{Content, Files},
};

/// What handshakes use.
pub(crate) struct Credentials {
    pub(crate) server: Arc<ServerConfig>,
    /// When the server's certificate ends, in seconds of Unix time.
    pub(crate) not_after: i64,
}

impl Credentials {
    pub(crate) fn new(files: &Files, settings: &Settings) -> Result<Self, FileError> {
        let provider = Arc::new(ring::default_provider());
        let (certified, not_after) = certified(files, settings)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| files.certificate.refused(error.to_string()))?;
        let builder = match &files.client_ca {
            None => builder.with_no_client_auth(),
            Some(authorities) => builder.with_client_cert_verifier(verifier(
                provider,
                authorities,
                files.revocation_list.as_ref(),
            )?),
        };
        let mut server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        let protocols = settings.protocols.iter();
        server.alpn_protocols = protocols.map(|one| one.to_vec()).collect();
        if files.client_ca.is_some() {
            // A resumed session takes its client certificate over without verifying it again,
            // though it may have expired or been revoked since.
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.send_tls13_tickets = 0;
        }
        Ok(Self {
            server: Arc::new(server),
            not_after,
        })
    }
}

/// The server's certificates with their key, and when the first of them ends.
fn certified(files: &Files, settings: &Settings) -> Result<(CertifiedKey, i64), FileError> {
    let chain: Vec<CertificateDer<'static>> = items(&files.certificate, "certificate")?;
    let not_after = match chain.first().map(|first| X509Certificate::from_der(first)) {
        Some(Ok((_, certificate))) => certificate.validity().not_after.timestamp(),
        Some(Err(_)) | None => {
            return Err(files.certificate.refused("the certificate cannot be read"));
        }
    };
    let key = PrivateKeyDer::from_pem_slice(&files.key.bytes)
        .map(Zeroizing::new)
        .map_err(|_| files.key.refused("holds no private key in PEM"))?;
    let key = ring::sign::any_supported_type(&key).map_err(|_| {
        files
            .key
            .refused("this kind of private key is not supported")
    })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
            Ok((certified, not_after))
        }
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let section = settings.section;
            let reason = format!("is not the key of the certificate in {section}.certificate");
            Err(files.key.refused(reason))
        }
        Err(error) => Err(files.certificate.refused(error.to_string())),
    }
}

/// Verifies client certificates, where clients give one. Every certificate up to the authority
/// must not be in its issuer's list; issuers without a list revoke nothing.
fn verifier(
    provider: Arc<CryptoProvider>,
    authorities: &Content,
    lists: Option<&Content>,
) -> Result<Arc<dyn ClientCertVerifier>, FileError> {
    let mut roots = RootCertStore::empty();
    for authority in items(authorities, "certificate")? {
        roots
            .add(authority)
            .map_err(|error| authorities.refused(error.to_string()))?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
        .allow_unauthenticated()
        .allow_unknown_revocation_status()
        .enforce_revocation_expiration();
    if let Some(lists) = lists {
        builder = builder.with_crls(newest_first(lists)?);
    }
    builder.build().map_err(|error| {
        let file = lists.unwrap_or(authorities);
        file.refused(error.to_string())
    })
}

/// Revocation lists, the newest first: of several of one issuer, the first one is asked.
fn newest_first(
    content: &Content,
) -> Result<Vec<CertificateRevocationListDer<'static>>, FileError> {
    let lists: Vec<CertificateRevocationListDer<'static>> = items(content, "revocation list")?;
    let mut dated = Vec::with_capacity(lists.len());
    for list in lists {
        let updated = match CertificateRevocationList::from_der(&list) {
            Ok((_, parsed)) => parsed.last_update().timestamp(),
            Err(_) => return Err(content.refused("a revocation list cannot be read")),
        };
        dated.push((Reverse(updated), list));
    }
    dated.sort_by_key(|(updated, _)| *updated);
    Ok(dated.into_iter().map(|(_, list)| list).collect())
}

/// All items of one kind in a PEM file; at least one. What is wrong with a line is not told, as
/// somebody may have given the key in the place of a certificate.
fn items<T: PemObject>(content: &Content, what: &str) -> Result<Vec<T>, FileError> {
    let items: Vec<T> = T::pem_slice_iter(&content.bytes)
        .collect::<Result<_, _>>()
        .map_err(|_| content.refused("is not PEM"))?;
    if items.is_empty() {
        return Err(content.refused(format!("holds no {what}")));
    }
    Ok(items)
}
