//! Certificates and revocation lists, made for one test.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// What is made here is in order; and a test may fail.
const MADE: &str = "a certificate of these parts can be made";

/// One that signs certificates.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, and the certificates between it and its authority.
#[derive(Debug)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    pem: String,
    key: KeyPair,
}

// === impl Authority ===

impl Authority {
    /// A root.
    pub fn new(name: &str) -> Self {
        let params = Self::params(name, 1);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect(MADE)).expect(MADE))
    }

    /// One below this one.
    pub fn below(&self, name: &str, serial: u64) -> Self {
        let params = Self::params(name, serial);
        let key = KeyPair::generate().expect(MADE);
        Self(CertifiedIssuer::signed_by(params, key, &self.0).expect(MADE))
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
    pub fn identity(&self, name: &str, serial: u64) -> Identity {
        self.identity_until(name, serial, 2100)
    }

    /// A certificate that is valid until the first day of that year.
    pub fn identity_until(&self, name: &str, serial: u64, year: i32) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).expect(MADE);
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect(MADE);
        let certificate = params.signed_by(&key, &self.0).expect(MADE);
        Identity {
            chain: vec![certificate.der().clone()],
            pem: certificate.pem(),
            key,
        }
    }

    /// The list of what is revoked, out of date at the first day of that year.
    pub fn revoking_until(&self, serials: &[u64], year: i32) -> String {
        self.list(serials, 2001, year)
    }

    /// The list of what is revoked, made in one year and out of date in another.
    pub fn list(&self, serials: &[u64], made: i32, until: i32) -> String {
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
        params.signed_by(&self.0).expect(MADE).pem().expect(MADE)
    }

    /// The list of what is revoked, for long.
    pub fn revoking(&self, serials: &[u64]) -> String {
        self.revoking_until(serials, 2100)
    }

    /// Its certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A client that trusts this authority and speaks these protocols.
    pub fn client(&self, identity: Option<&Identity>, protocols: &[&[u8]]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect(MADE);
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect(MADE)
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let key = PrivatePkcs8KeyDer::from(identity.key.serialize_der());
                builder
                    .with_client_auth_cert(identity.chain.clone(), key.into())
                    .expect(MADE)
            }
        };
        config.alpn_protocols = protocols.iter().map(|one| one.to_vec()).collect();
        config
    }
}

// === impl Identity ===

impl Identity {
    /// Its certificate.
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// Its key.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The same, shown together with the authority in between.
    pub fn under(mut self, between: &Authority) -> Self {
        self.chain.push(between.0.der().clone());
        self
    }
}
