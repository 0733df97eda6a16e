//! Subscriptions and Applications of a cluster: a real API server with the chart, a real nats-server,
//! and controllers, gateways and dispatchers as processes of their own. Only `cargo xtask test
//! --kubernetes` builds this.

#[cfg(test)]
mod applications;
#[cfg(test)]
mod chart;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod drift;
#[cfg(test)]
mod kafka;
#[cfg(test)]
mod kyma;
#[cfg(test)]
mod many;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod own;
#[cfg(test)]
mod rolling;
