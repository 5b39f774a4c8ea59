//! The checks, a file for each: what was seen becomes lines.

pub(crate) mod answer;
pub(crate) mod certificate;
pub(crate) mod clock;
pub(crate) mod configuration;
pub(crate) mod driver;
pub(crate) mod issuer;
pub(crate) mod kubelet;
pub(crate) mod login;
pub(crate) mod metadata;
pub(crate) mod names;
pub(crate) mod permission;
pub(crate) mod provider;
pub(crate) mod proxy;
pub(crate) mod quota;
pub(crate) mod service_accounts;
pub(crate) mod socket;
pub(crate) mod token;
