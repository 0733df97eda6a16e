//! The closed set of reasons for which a connection fails.

/// Why a connection ended otherwise than by its client's or its own wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Failure {
    /// Too many connections are open.
    Refused,
    /// The head of a request took too long.
    HeaderTimeout,
    /// The head of a request is too large for the parser.
    HeadersTooLarge,
    /// What came is not HTTP.
    Malformed,
    /// The connection broke.
    Broken,
    /// The handshake took too long.
    TlsTimeout,
    /// What came is not TLS, or breaks its rules.
    TlsMalformed,
    /// The client speaks no version, cipher or protocol that is spoken here.
    TlsIncompatible,
    /// The client did not like what it was shown, such as the certificate.
    TlsRefusedByClient,
    /// The connection broke during the handshake.
    TlsBroken,
    /// The client's certificate has expired.
    TlsCertificateExpired,
    /// The client's certificate, or one above it, is revoked.
    TlsCertificateRevoked,
    /// The client's certificate leads to no authority of ours.
    TlsCertificateUnknownIssuer,
    /// The client's certificate is wrong in another way.
    TlsCertificateInvalid,
    /// The revocation list of the client certificate's issuer is out of date or wrong.
    TlsRevocationList,
    /// Its task panicked: a mistake of ours.
    Panicked,
}

// === impl Failure ===

impl Failure {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::HeaderTimeout => "header_timeout",
            Self::HeadersTooLarge => "headers_too_large",
            Self::Malformed => "malformed",
            Self::Broken => "broken",
            Self::TlsTimeout => "tls_timeout",
            Self::TlsMalformed => "tls_malformed",
            Self::TlsIncompatible => "tls_incompatible",
            Self::TlsRefusedByClient => "tls_refused_by_client",
            Self::TlsBroken => "tls_broken",
            Self::TlsCertificateExpired => "tls_certificate_expired",
            Self::TlsCertificateRevoked => "tls_certificate_revoked",
            Self::TlsCertificateUnknownIssuer => "tls_certificate_unknown_issuer",
            Self::TlsCertificateInvalid => "tls_certificate_invalid",
            Self::TlsRevocationList => "tls_revocation_list",
            Self::Panicked => "panicked",
        }
    }
}
