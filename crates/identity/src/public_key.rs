//! Public keys, from JWKs and PEM, and signatures checked with them.
//!
//! The algorithm is never a token's choice alone: each kind of key knows the few it is made for.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use jsonwebtoken::{
    Algorithm,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
    VerificationAlgorithm,
};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, pem::PemObject};
use x509_parser::{
    prelude::{FromDer, X509Certificate},
    public_key::PublicKey as ParsedKey,
    x509::SubjectPublicKeyInfo,
};

/// Base64url as RFC 7515 has it; padding is tolerated, some issuers add it.
pub(crate) const BASE64_URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Keys of one PEM file: the present one, the next one, and then some.
const PEM_KEYS_MAX: usize = 8;

/// The least length that anybody should still trust; shorter keys would never verify anything.
const RSA_BYTES_LEAST: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// A key that can verify, never sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    /// Its `kid`.
    pub(crate) id: Option<String>,
    /// The only algorithm it may be used with, where its owner says so.
    algorithm: Option<KeyAlgorithm>,
    material: Material,
}

impl PublicKey {
    /// The key of a JWK; none where it is no public key for signatures.
    pub(crate) fn from_jwk(value: &serde_json::Value) -> Option<Self> {
        let jwk: Jwk = serde::Deserialize::deserialize(value).ok()?;
        if jwk
            .common
            .public_key_use
            .is_some_and(|usage| usage != PublicKeyUse::Signature)
        {
            return None;
        }
        let decode = |text: &str| BASE64_URL.decode(text).ok();
        let material = if let AlgorithmParameters::RSA(key) = &jwk.algorithm {
            rsa(&decode(&key.n)?, &decode(&key.e)?)?
        } else if let AlgorithmParameters::EllipticCurve(key) = &jwk.algorithm {
            let point = [vec![4], decode(&key.x)?, decode(&key.y)?].concat();
            match (&key.curve, point.len()) {
                (EllipticCurve::P256, 65) => Material::P256(point),
                (EllipticCurve::P384, 97) => Material::P384(point),
                _ => return None,
            }
        } else if let AlgorithmParameters::OctetKeyPair(key) = &jwk.algorithm
            && key.curve == EllipticCurve::Ed25519
        {
            Material::Ed25519(decode(&key.x)?)
        } else {
            return None;
        };
        Some(Self {
            id: jwk.common.key_id,
            algorithm: jwk.common.key_algorithm,
            material,
        })
    }

    /// All RSA keys of a PEM text, of public keys and of certificates.
    pub(crate) fn rsa_from_pem(pem: &[u8]) -> Result<Vec<Self>, &'static str> {
        let mut keys = Vec::new();
        for der in SubjectPublicKeyInfoDer::pem_slice_iter(pem) {
            let der = der.map_err(|_| "the PEM text is broken")?;
            let (_, info) =
                SubjectPublicKeyInfo::from_der(&der).map_err(|_| "the public key is broken")?;
            keys.push(Self::rsa_from_info(&info)?);
        }
        for der in CertificateDer::pem_slice_iter(pem) {
            let der = der.map_err(|_| "the PEM text is broken")?;
            let (_, certificate) =
                X509Certificate::from_der(&der).map_err(|_| "the certificate is broken")?;
            keys.push(Self::rsa_from_info(certificate.public_key())?);
        }
        match keys.len() {
            0 => Err("has no public key and no certificate in PEM form"),
            1..=PEM_KEYS_MAX => Ok(keys),
            _ => Err("has more than 8 keys"),
        }
    }

    fn rsa_from_info(info: &SubjectPublicKeyInfo<'_>) -> Result<Self, &'static str> {
        let material = match info.parsed() {
            Ok(ParsedKey::RSA(key)) => rsa(key.modulus, key.exponent),
            _ => return Err("has a key that is not RSA"),
        };
        Ok(Self {
            id: None,
            algorithm: None,
            material: material.ok_or("has an RSA key of less than 2048 bits")?,
        })
    }

    /// Whether the key is made for the algorithm. Without this, a public key could be taken for
    /// the secret of a symmetric algorithm.
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        let allowed = self
            .algorithm
            .is_none_or(|only| only == KeyAlgorithm::from(algorithm));
        allowed
            && match &self.material {
                Material::Rsa { .. } => rsa_scheme(algorithm).is_some(),
                Material::P256(_) => algorithm == Algorithm::ES256,
                Material::P384(_) => algorithm == Algorithm::ES384,
                Material::Ed25519(_) => algorithm == Algorithm::EdDSA,
            }
    }

    /// Whether the signature is the key's, made with exactly this algorithm. A key and an
    /// algorithm that do not belong together verify nothing.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        let (point, scheme): (_, &'static dyn VerificationAlgorithm) = match &self.material {
            Material::Rsa { modulus, exponent } => {
                let parts = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                return rsa_scheme(algorithm)
                    .is_some_and(|scheme| parts.verify(scheme, message, signature).is_ok());
            }
            Material::P256(point) => (point, &ECDSA_P256_SHA256_FIXED),
            Material::P384(point) => (point, &ECDSA_P384_SHA384_FIXED),
            Material::Ed25519(point) => (point, &ED25519),
        };
        UnparsedPublicKey::new(scheme, point)
            .verify(message, signature)
            .is_ok()
    }
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Material> {
    let modulus = without_zeros(modulus);
    (modulus.len() >= RSA_BYTES_LEAST).then(|| Material::Rsa {
        modulus: modulus.to_vec(),
        exponent: without_zeros(exponent).to_vec(),
    })
}

/// A number without the zero that its ASN.1 form, and some issuers, begin with.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// None for the algorithms of other kinds of keys.
fn rsa_scheme(algorithm: Algorithm) -> Option<&'static ring::signature::RsaParameters> {
    let schemes: [(_, &'static ring::signature::RsaParameters); 6] = [
        (Algorithm::RS256, &RSA_PKCS1_2048_8192_SHA256),
        (Algorithm::RS384, &RSA_PKCS1_2048_8192_SHA384),
        (Algorithm::RS512, &RSA_PKCS1_2048_8192_SHA512),
        (Algorithm::PS256, &RSA_PSS_2048_8192_SHA256),
        (Algorithm::PS384, &RSA_PSS_2048_8192_SHA384),
        (Algorithm::PS512, &RSA_PSS_2048_8192_SHA512),
    ];
    let found = schemes.into_iter().find(|(name, _)| *name == algorithm);
    found.map(|(_, scheme)| scheme)
}
