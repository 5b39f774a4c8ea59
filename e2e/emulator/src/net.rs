//! Net: listeners, TLS and HTTP, and the emulator that joins them with the state and the services.

pub(crate) mod control;
pub mod dns;
pub(crate) mod emulator;
pub mod fetch;
pub(crate) mod gateway;
pub(crate) mod issuer;
pub(crate) mod listeners;
pub(crate) mod server;
pub(crate) mod steering;
pub(crate) mod tls;
