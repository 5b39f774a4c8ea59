//! Services: what each API answers to a request, as values.

pub(crate) mod answer;
pub(crate) mod api;
pub(crate) mod authentication;
pub(crate) mod change;
pub(crate) mod control;
pub(crate) mod error;
pub(crate) mod kms;
pub(crate) mod kubernetes;
pub(crate) mod metadata;
pub(crate) mod oidc;
pub(crate) mod oos;
pub(crate) mod request;
pub(crate) mod secret_view;
pub mod signature;
pub(crate) mod sts;
