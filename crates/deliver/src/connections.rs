//! Connections to sinks: where they may go, whom they trust, how long they are used.

use std::{
    fmt, fs, io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tidegate_subscription::{Secret, Tls};
use tokio::time::Instant;

use crate::{
    Config,
    body::Pieces,
    egress::{self, Resolver},
    hosts::Hosts,
    live::{FRESH_FOR, Live},
};

/// Most bytes of an answer's head, and of what is read ahead of its body.
pub(crate) const HEAD_BYTES_MAX: usize = 64 << 10;

/// How long a connection of HTTP/2 may be silent before it is asked for a sign of life.
const SILENT_MAX: Duration = Duration::from_secs(20);

/// The pool of connections that may have TLS.
pub(crate) type Connector = Pool<HttpsConnector<HttpConnector<Resolver>>, Pieces>;

/// Connections with one kind of TLS. Clones share them.
#[derive(Clone)]
pub(crate) struct Connections {
    config: Arc<Config>,
    pub(crate) egress: Arc<egress::Config>,
    roots: Arc<RootCertStore>,
    pub(crate) hosts: Hosts,
    own: Arc<Own>,
    /// Those that these differ from.
    usual: Option<Arc<Self>>,
}

/// What sinks of other TLS do not share.
struct Own {
    ca: Option<Live<RootCertStore>>,
    client: Option<(Live<Chain>, Live<PrivateKeyDer<'static>>)>,
    current: Mutex<Option<Current>>,
}

type Chain = Vec<CertificateDer<'static>>;

struct Current {
    /// Of what it was made; the same ones as long as nothing was rotated.
    parts: Parts,
    tls: ClientConfig,
    pool: Connector,
    made_at: Instant,
    looked_at: Instant,
}

/// What a TLS configuration is made of.
#[derive(Clone)]
struct Parts {
    roots: Arc<RootCertStore>,
    client: Option<(Arc<Chain>, Arc<PrivateKeyDer<'static>>)>,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").finish_non_exhaustive()
    }
}

impl Connections {
    /// With the machine's certificate authorities, and those of the configuration.
    pub(crate) fn new(config: &Config) -> io::Result<Self> {
        let config = Arc::new(config.clone());
        let egress = Arc::new(config.egress.clone());
        Ok(Self {
            roots: Arc::new(usual_roots(config.ca.as_deref())?),
            hosts: Hosts::new(
                Arc::clone(&config),
                Arc::clone(&egress),
                tcp(&config, &egress),
            ),
            egress,
            own: Arc::new(Own {
                ca: None,
                client: None,
                current: Mutex::new(None),
            }),
            usual: None,
            config,
        })
    }

    /// Others, with what differs in TLS. Bounds are shared.
    pub(crate) fn with_tls(&self, tls: &Tls, folder: &Path) -> Self {
        let live_chain = |secret: &Secret| Live::new(secret, folder, chain);
        Self {
            own: Arc::new(Own {
                ca: tls.ca.as_ref().map(|ca| Live::new(ca, folder, roots)),
                client: tls.client.as_ref().map(|(certificate, key)| {
                    (live_chain(certificate), Live::new(key, folder, private_key))
                }),
                current: Mutex::new(None),
            }),
            usual: Some(Arc::new(self.usual().clone())),
            ..self.clone()
        }
    }

    /// To whom a Subscription's own TLS does not apply: a sink's authority is the sink's.
    pub(crate) fn usual(&self) -> &Self {
        self.usual.as_deref().unwrap_or(self)
    }

    pub(crate) fn is_usual(&self) -> bool {
        self.usual.is_none()
    }

    /// The pool to use now. Connections are not used beyond their age, so that what a name means
    /// is asked again; nor with certificates that were rotated.
    pub(crate) fn pool(&self) -> Result<Connector, String> {
        let now = Instant::now();
        let mut current = lock(&self.own.current);
        if let Some(current) = &mut *current {
            let is_young = now - current.made_at < self.config.connection_age_max;
            if is_young && now - current.looked_at < FRESH_FOR {
                return Ok(current.pool.clone());
            }
            let parts = self.parts()?;
            current.looked_at = now;
            if !current.parts.is(&parts) {
                current.tls = parts.config()?;
                current.parts = parts;
            } else if is_young {
                return Ok(current.pool.clone());
            }
            current.made_at = now;
            current.pool = self.make(current.tls.clone());
            return Ok(current.pool.clone());
        }
        let parts = self.parts()?;
        let tls = parts.config()?;
        let made = current.insert(Current {
            pool: self.make(tls.clone()),
            parts,
            tls,
            made_at: now,
            looked_at: now,
        });
        Ok(made.pool.clone())
    }

    fn parts(&self) -> Result<Parts, String> {
        let client = match &self.own.client {
            None => None,
            Some((chain, key)) => Some((chain.get()?, key.get()?)),
        };
        let roots = match &self.own.ca {
            None => Arc::clone(&self.roots),
            Some(ca) => ca.get()?,
        };
        Ok(Parts { roots, client })
    }

    fn make(&self, tls: ClientConfig) -> Connector {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(tcp(&self.config, &self.egress));
        Pool::builder(TokioExecutor::new())
            .pool_idle_timeout(self.config.idle_timeout)
            .pool_max_idle_per_host(self.config.idle_connections_max)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .http2_max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .http2_keep_alive_interval(SILENT_MAX)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .build(connector)
    }
}

impl Parts {
    fn is(&self, other: &Self) -> bool {
        let is_same_client = match (&self.client, &other.client) {
            (None, None) => true,
            (Some((chain, key)), Some((other_chain, other_key))) => {
                Arc::ptr_eq(chain, other_chain) && Arc::ptr_eq(key, other_key)
            }
            (None, Some(_)) | (Some(_), None) => false,
        };
        is_same_client && Arc::ptr_eq(&self.roots, &other.roots)
    }

    fn config(&self) -> Result<ClientConfig, String> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(Arc::clone(&self.roots));
        match &self.client {
            None => Ok(builder.with_no_client_auth()),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.to_vec(), key.clone_key())
                .map_err(|error| format!("the client certificate cannot be used: {error}")),
        }
    }
}

fn tcp(config: &Config, egress: &Arc<egress::Config>) -> HttpConnector<Resolver> {
    let mut tcp = HttpConnector::new_with_resolver(Resolver::new(Arc::clone(egress)));
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(config.connect_timeout));
    tcp
}

fn usual_roots(file: Option<&Path>) -> io::Result<RootCertStore> {
    let mut all = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "a certificate authority of the machine is not read");
    }
    all.add_parsable_certificates(found.certs);
    if let Some(file) = file {
        let named =
            |reason: String| io::Error::other(format!("deliver.ca: {}: {reason}", file.display()));
        let content = fs::read(file).map_err(|error| named(error.to_string()))?;
        all.extend(roots(&content).map_err(named)?.roots);
    }
    if all.is_empty() {
        tracing::warn!(
            "this machine knows no certificate authority: no https sink is trusted, unless \
             deliver.ca or its Subscription names one"
        );
    }
    Ok(all)
}

fn chain(pem: &[u8]) -> Result<Chain, String> {
    let chain: Result<Chain, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|error| format!("is no PEM: {error}"))?;
    if chain.is_empty() {
        return Err("holds no certificate in PEM".to_owned());
    }
    Ok(chain)
}

fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(pem)? {
        let added = roots.add(certificate);
        added.map_err(|error| format!("holds what is no authority: {error}"))?;
    }
    Ok(roots)
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| "holds no private key in PEM".to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is complete before anything in it can panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
