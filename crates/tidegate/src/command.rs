//! One module per command.

mod admin_client;
pub(crate) mod applications;
pub(crate) mod check;
pub(crate) mod context;
mod contexts;
pub(crate) mod controller;
pub(crate) mod dead_letters;
pub(crate) mod events;
mod http_client;
pub(crate) mod listen;
pub(crate) mod log_level;
mod output;
pub(crate) mod publish;
pub(crate) mod replay;
mod server_sent;
pub(crate) mod sources;
pub(crate) mod status;
pub(crate) mod subscriptions;
pub(crate) mod up;
