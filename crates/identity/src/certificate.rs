//! A client's certificate, reduced to the names it is recognised by.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use http::HeaderValue;
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer,
    time::ASN1Time,
};

/// Alternative names that are looked at; a real certificate has a few.
const ALTERNATIVE_NAMES_MAX: usize = 100;

/// Bytes of a certificate; a real one has a few kilobytes.
const DER_BYTES_MAX: usize = 64 * 1024;

/// The bytes are no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACertificate;

impl fmt::Display for NotACertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("not an X.509 certificate")
    }
}

impl std::error::Error for NotACertificate {}

/// The names in a certificate that somebody else has verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The subject's common name. A subject with several has none: nobody could say which counts.
    pub common_name: Option<String>,
    /// The subject alternative names: DNS, URI and e-mail.
    pub alternative_names: Vec<String>,
    /// From when to when it is valid, where that is known.
    pub validity: Option<(SystemTime, SystemTime)>,
}

impl ClientCertificate {
    /// Reads the names of a DER certificate; verifies nothing.
    pub fn from_der(der: &[u8]) -> Result<Self, NotACertificate> {
        if der.len() > DER_BYTES_MAX {
            return Err(NotACertificate);
        }
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| NotACertificate)?;
        if !rest.is_empty() {
            return Err(NotACertificate);
        }
        let mut names = certificate.subject().iter_common_name();
        let common_name = match (names.next(), names.next()) {
            (Some(name), None) => name.as_str().ok().map(str::to_owned),
            _ => None,
        };
        let mut alternative_names = Vec::new();
        for extension in certificate.extensions() {
            if let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() {
                let texts = names.general_names.iter().filter_map(text);
                alternative_names.extend(texts.take(ALTERNATIVE_NAMES_MAX));
            }
        }
        alternative_names.truncate(ALTERNATIVE_NAMES_MAX);
        let validity = certificate.validity();
        Ok(Self {
            common_name,
            alternative_names,
            validity: Some((time_of(validity.not_before), time_of(validity.not_after))),
        })
    }

    /// Reads exactly one percent-encoded PEM certificate, as proxies forward it.
    pub(crate) fn from_escaped_pem(value: &[u8]) -> Result<Self, NotACertificate> {
        let pem: Vec<u8> = percent_encoding::percent_decode(value).collect();
        let mut certificates = CertificateDer::pem_slice_iter(&pem);
        let first = certificates.next().ok_or(NotACertificate)?;
        let first = first.map_err(|_| NotACertificate)?;
        Self::from_der(&first)
    }

    /// Whether it is valid at that time; where the validity is unknown, somebody else has looked.
    pub(crate) fn is_valid_at(&self, now: SystemTime) -> bool {
        self.validity
            .is_none_or(|(from, until)| (from..=until).contains(&now))
    }
}

/// The value, if the header stands there exactly once; a second one could be a forged one.
pub(crate) fn only(headers: &http::HeaderMap, name: &str) -> Option<HeaderValue> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.clone()),
        _ => None,
    }
}

/// The names that are texts; addresses and directory names are not compared.
fn text(name: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::DNSName(text) | GeneralName::URI(text) | GeneralName::RFC822Name(text) =
        name
    {
        return Some((*text).to_owned());
    }
    None
}

fn time_of(time: ASN1Time) -> SystemTime {
    let seconds = Duration::from_secs(time.timestamp().unsigned_abs());
    let moved = if time.timestamp() < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    moved.unwrap_or(SystemTime::UNIX_EPOCH)
}
