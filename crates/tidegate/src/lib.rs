//! Tidegate as a program: command line, configuration, the nats-server that it runs, and
//! [`pipeline`], the one place where the stages meet.

mod admin;
#[cfg(feature = "count-allocations")]
mod allocations;
mod applications;
mod cli;
mod command;
mod config;
mod documents;
mod folder;
mod intake;
mod kafka;
mod kyma_metrics;
mod metrics;
mod nats_server;
mod pipeline;
mod sources;
mod survey;

pub use cli::run;
