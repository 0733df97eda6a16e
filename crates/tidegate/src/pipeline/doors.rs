//! The doors of a process, or that it has none.

use std::net::SocketAddr;

use tidegate_receive::{BindError, Config, Listeners, Server, SharedLimits};

use super::{Roles, worker};

/// Bound, and not open yet.
pub(super) enum Doors {
    Bound(Server),
    /// So many threads deliver and take nothing.
    None(usize, SharedLimits),
}

impl Doors {
    pub(super) fn bind(config: &Config, roles: Roles) -> Result<Self, BindError> {
        if roles.gateway {
            return Server::bind(config).map(Self::Bound);
        }
        Ok(Self::None(config.threads(), SharedLimits::new(config)))
    }

    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Bound(server) => Some(server.local_addr()),
            Self::None(..) => None,
        }
    }

    pub(super) fn tls_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Bound(server) => server.tls_addr(),
            Self::None(..) => None,
        }
    }

    pub(super) fn limits(&self) -> SharedLimits {
        match self {
            Self::Bound(server) => server.limits(),
            Self::None(_, limits) => limits.clone(),
        }
    }

    /// Those of each thread.
    pub(super) fn into_listeners(self) -> Vec<Option<Listeners>> {
        match self {
            Self::Bound(server) => server.into_listeners().into_iter().map(Some).collect(),
            Self::None(threads, _) => (0..threads).map(|_| None).collect(),
        }
    }

    /// Reads the files of TLS again when they change.
    pub(super) fn watch_tls(&self, shared: &worker::Shared) {
        let Self::Bound(server) = self else {
            return;
        };
        let Some(tls) = server.tls() else {
            return;
        };
        let mut draining = shared.draining.clone();
        let drain = async move {
            // An error means that the pipeline is gone, which ends this as well.
            draining.wait_for(|draining| *draining).await.ok();
        };
        tokio::spawn(tls.watch(shared.metrics.receive(), drain));
    }
}
