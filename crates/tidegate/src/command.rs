//! One module per command.

pub(crate) mod applications;
pub(crate) mod check;
pub(crate) mod dead_letters;
mod http_client;
pub(crate) mod listen;
pub(crate) mod publish;
pub(crate) mod subscriptions;
pub(crate) mod up;
