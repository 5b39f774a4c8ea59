//! Net: listeners, TLS and HTTP, and the emulator that joins them with the state and the services.

pub(crate) mod control;
pub mod dns;
pub(crate) mod emulator;
pub(crate) mod exchange;
pub mod fetch;
pub(crate) mod front;
pub(crate) mod gateway;
pub(crate) mod issuer;
pub(crate) mod link;
pub(crate) mod listeners;
pub(crate) mod options;
pub(crate) mod reply;
pub(crate) mod server;
pub(crate) mod steering;
pub(crate) mod tls;
