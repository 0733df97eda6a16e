//! Certificates and revocation lists made for one test, and the folder they lie in.

use std::{fs, net::Ipv4Addr, path::PathBuf, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tidegate_receive::{Config, TlsConfig};

use crate::support::config;

/// One that signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, and the certificates between it and its authority.
pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    pem: String,
    key: KeyPair,
}

/// The files of a gateway's TLS, and their authority.
pub(crate) struct Files {
    folder: TempDir,
    pub(crate) authority: Authority,
}

// === impl Authority ===

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let params = Self::params(name, 1);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// One below this one.
    pub(crate) fn below(&self, name: &str, serial: u64) -> Self {
        let params = Self::params(name, serial);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::signed_by(params, key, &self.0).unwrap())
    }

    fn params(name: &str, serial: u64) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(SerialNumber::from(serial));
        params
    }

    /// A certificate that is valid for long.
    pub(crate) fn identity(&self, name: &str, serial: u64) -> Identity {
        self.identity_until(name, serial, 2100)
    }

    /// A certificate that is valid until the first day of that year.
    pub(crate) fn identity_until(&self, name: &str, serial: u64, year: i32) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            chain: vec![certificate.der().clone()],
            pem: certificate.pem(),
            key,
        }
    }

    /// The list of what is revoked, out of date at the first day of that year.
    pub(crate) fn revoking_until(&self, serials: &[u64], year: i32) -> String {
        self.list(serials, 2001, year)
    }

    /// The list of what is revoked, made in one year and out of date in another.
    pub(crate) fn list(&self, serials: &[u64], made: i32, until: i32) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2001, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(made, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().pem().unwrap()
    }

    pub(crate) fn revoking(&self, serials: &[u64]) -> String {
        self.revoking_until(serials, 2100)
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A client that trusts this authority and speaks these protocols.
    pub(crate) fn client(&self, identity: Option<&Identity>, protocols: &[&[u8]]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let key = PrivatePkcs8KeyDer::from(identity.key.serialize_der());
                builder
                    .with_client_auth_cert(identity.chain.clone(), key.into())
                    .unwrap()
            }
        };
        config.alpn_protocols = protocols.iter().map(|one| one.to_vec()).collect();
        config
    }
}

// === impl Identity ===

impl Identity {
    /// The same, shown together with the authority in between.
    pub(crate) fn under(mut self, between: &Authority) -> Self {
        self.chain.push(between.0.der().clone());
        self
    }
}

// === impl Files ===

impl Files {
    /// A server's certificate, and the authority of it and of the clients.
    pub(crate) fn new() -> Self {
        let authority = Authority::new("authority");
        let files = Self {
            folder: TempDir::new().unwrap(),
            authority,
        };
        files.show(&files.authority.identity("gateway", 2));
        files.write("authority.pem", &files.authority.pem());
        files
    }

    /// Puts this certificate in the place of the server's.
    pub(crate) fn show(&self, identity: &Identity) {
        self.write("certificate.pem", &identity.pem);
        self.write("key.pem", &identity.key.serialize_pem());
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.folder.path().join(name)).unwrap();
    }

    /// A gateway with these files, and with a revocation list where one lies here.
    pub(crate) fn config(&self) -> Config {
        let list = self.folder.path().join("revoked.pem");
        let mut config = Config {
            tls: TlsConfig {
                listen: Some((Ipv4Addr::LOCALHOST, 0).into()),
                certificate: Some(PathBuf::from("certificate.pem")),
                key: Some(PathBuf::from("key.pem")),
                client_ca: Some(PathBuf::from("authority.pem")),
                revocation_list: list.exists().then(|| PathBuf::from("revoked.pem")),
                ..TlsConfig::default()
            },
            ..config()
        };
        config.resolve(self.folder.path());
        config
    }
}
