//! State: what the cloud holds and decides. No HTTP, no sockets.

pub(crate) mod arn;
pub(crate) mod clock;
pub(crate) mod cloud;
pub mod config;
pub(crate) mod encoding;
pub(crate) mod error;
pub(crate) mod faults;
pub(crate) mod identity;
pub(crate) mod journal;
pub(crate) mod jwt;
pub(crate) mod key_cache;
pub(crate) mod node;
pub(crate) mod nodes;
pub(crate) mod pod_token;
pub(crate) mod policy;
pub(crate) mod random;
pub(crate) mod secret;
pub(crate) mod sessions;
pub(crate) mod settings;
pub mod stdout;
pub(crate) mod sync;
pub(crate) mod vault;
