//! Which of several controllers is in charge: the one that holds the Lease.
//!
//! The published crates for it are made for older versions of the client library.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams, core::ObjectMeta};
use tokio::time::{Instant, sleep, timeout};

/// Of the Lease's duration: so often is it renewed.
const RENEWALS: u32 = 3;

/// A candidate.
pub(crate) struct Election {
    api: Api<Lease>,
    name: String,
    identity: String,
    duration: Duration,
    /// What was last seen of the Lease, and when that was new: clocks of machines are not compared.
    seen: Option<(Option<String>, Instant)>,
}

impl Election {
    pub(crate) fn new(
        client: Client,
        (namespace, name): (&str, &str),
        identity: &str,
        duration: Duration,
    ) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
            duration,
            seen: None,
        }
    }

    /// Returns when this one is in charge.
    pub(crate) async fn win(&mut self) {
        loop {
            match self.attempt().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "who is in charge is not known"),
            }
            sleep(self.duration / RENEWALS).await;
        }
    }

    /// Holds it; returns when it is lost.
    pub(crate) async fn hold(&mut self) {
        let pause = self.duration / RENEWALS;
        let mut renewed = Instant::now();
        loop {
            sleep(pause).await;
            // Before another one may think that it is over.
            let left = (self.duration - pause / 2).saturating_sub(renewed.elapsed());
            match timeout(left, self.attempt()).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => return tracing::warn!("another controller is in charge"),
                Ok(Err(error)) => tracing::warn!(%error, "the lease is not renewed"),
                Err(_) => {}
            }
            if renewed.elapsed() + pause / 2 >= self.duration {
                return tracing::warn!("the lease is lost");
            }
        }
    }

    /// Lets another one have it at once.
    pub(crate) async fn release(&mut self) {
        let released = async {
            let Some(mut lease) = self.api.get_opt(&self.name).await? else {
                return Ok(());
            };
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_ref() != Some(&self.identity) {
                return Ok(());
            }
            spec.holder_identity = None;
            let parameters = PostParams::default();
            let written = self.api.replace(&self.name, &parameters, &lease).await;
            written.map(drop)
        };
        let released: Result<(), kube::Error> = released.await;
        if let Err(error) = released {
            tracing::debug!(%error, "the lease runs out by itself");
        }
    }

    /// Takes or renews it; whether this one is in charge now.
    async fn attempt(&mut self) -> Result<bool, kube::Error> {
        let now = MicroTime(Timestamp::now());
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.spec(&now, &now, 0)),
            };
            return won(self.api.create(&PostParams::default(), &lease).await);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
        let is_ours = holder.as_ref() == Some(&self.identity);
        let version = lease.metadata.resource_version.clone();
        let new = (version, Instant::now());
        let seen = match self.seen.take() {
            Some(seen) if seen.0 == new.0 => seen,
            _ => new,
        };
        let is_over = seen.1.elapsed() >= self.duration;
        self.seen = Some(seen);
        if holder.is_some() && !is_ours && !is_over {
            return Ok(false);
        }
        let transitions = spec.lease_transitions.unwrap_or(0);
        let (since, transitions) = match (is_ours, spec.acquire_time) {
            (true, Some(since)) => (since, transitions),
            _ => (now.clone(), transitions + 1),
        };
        lease.spec = Some(self.spec(&since, &now, transitions));
        won(self
            .api
            .replace(&self.name, &PostParams::default(), &lease)
            .await)
    }

    fn spec(&self, since: &MicroTime, now: &MicroTime, transitions: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.duration.as_secs()).ok(),
            acquire_time: Some(since.clone()),
            renew_time: Some(now.clone()),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }
}

/// Whether it was written: not, if somebody else was faster.
fn won(written: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match written {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
