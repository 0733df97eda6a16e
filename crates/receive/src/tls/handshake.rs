//! A connection's handshake: its deadline, its client's certificate, and why it failed.

use std::{io, sync::Arc, time::Duration};

use rustls::{CertificateError, Error};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::Tls;
use crate::{Peer, connection, metrics::Failure};

/// Shakes hands within the time, and notes in `peer` the certificate that was verified.
pub(crate) async fn handshake(
    tls: &Tls,
    stream: TcpStream,
    peer: &mut Peer,
    time: Duration,
    mut draining: watch::Receiver<bool>,
) -> Result<TlsStream<TcpStream>, Failure> {
    let acceptor = TlsAcceptor::from(tls.server_config());
    let accept = timeout(time, acceptor.accept(stream).into_fallible());
    let drained = async move {
        // An error means that the server is gone, which is a reason to end as well.
        drop(draining.wait_for(|draining| *draining).await);
        sleep(connection::LINGER).await;
    };
    let accepted = tokio::select! {
        biased;
        accepted = accept => accepted,
        () = drained => return Err(Failure::TlsTimeout),
    };
    match accepted {
        Ok(Ok(stream)) => {
            let (_, session) = stream.get_ref();
            peer.certificate = session
                .peer_certificates()
                .and_then(|chain| chain.first())
                .map(|certificate| Arc::new(certificate.clone()));
            Ok(stream)
        }
        Ok(Err((error, mut stream))) => {
            let failure = classify(&error);
            tracing::debug!(reason = failure.label(), %error, "handshake failed");
            if failure != Failure::TlsBroken {
                // The client shall learn why before the connection is gone.
                connection::linger(&mut stream).await;
            }
            Err(failure)
        }
        Err(_) => Err(Failure::TlsTimeout),
    }
}

fn classify(error: &io::Error) -> Failure {
    let error = error
        .get_ref()
        .and_then(|error| error.downcast_ref::<Error>());
    let Some(error) = error else {
        return Failure::TlsBroken;
    };
    if let Error::InvalidCertificate(error) = error {
        return classify_certificate(error);
    }
    if matches!(error, Error::InvalidCertRevocationList(_)) {
        Failure::TlsRevocationList
    } else if matches!(error, Error::AlertReceived(_)) {
        Failure::TlsRefusedByClient
    } else if matches!(
        error,
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol
    ) {
        Failure::TlsIncompatible
    } else {
        Failure::TlsMalformed
    }
}

fn classify_certificate(error: &CertificateError) -> Failure {
    if matches!(
        error,
        CertificateError::Expired | CertificateError::ExpiredContext { .. }
    ) {
        Failure::TlsCertificateExpired
    } else if matches!(error, CertificateError::Revoked) {
        Failure::TlsCertificateRevoked
    } else if matches!(error, CertificateError::UnknownIssuer) {
        Failure::TlsCertificateUnknownIssuer
    } else if matches!(
        error,
        CertificateError::ExpiredRevocationList
            | CertificateError::ExpiredRevocationListContext { .. }
            | CertificateError::UnknownRevocationStatus
    ) {
        Failure::TlsRevocationList
    } else {
        Failure::TlsCertificateInvalid
    }
}
