//! Secrets of Alibaba Cloud as files of a pod, by way of the Secrets Store CSI Driver.
//!
//! ```text
//! driver -> server -> mount: request -> identity -> credentials -> fetch -> project -> response
//! ```
//!
//! `ARCHITECTURE.md` follows one request through these files.

pub mod admin;
pub mod api;
pub mod app;
pub mod audit;
pub mod check;
pub mod cli;
pub mod cloud;
pub mod commands;
pub mod config;
pub mod convert;
pub mod credentials;
pub mod digest;
pub(crate) mod doctor;
pub mod document;
pub mod endpoint;
pub mod error;
pub mod events;
pub(crate) mod explain;
mod fair_cache;
pub mod fetch;
pub mod freshness;
pub mod http;
pub mod identity;
pub mod idle;
pub mod keys;
pub mod limits;
pub mod login;
pub mod manifests;
pub mod memory;
pub mod mount;
pub mod names;
pub mod offload;
pub mod plan;
pub mod policy;
pub(crate) mod preview;
pub mod project;
pub(crate) mod ram;
pub mod readiness;
pub(crate) mod records;
pub mod refresh_events;
pub mod request;
pub mod response;
pub mod retry;
pub mod role;
pub mod sandbox;
pub mod schema;
pub mod secret;
pub mod server;
pub mod session_name;
pub mod sidecar;
pub mod singleflight;
pub mod spc;
pub mod startup_taint;
pub mod sync;
pub mod telemetry;
pub mod text;
pub mod turns;
pub mod value;
pub mod value_cache;
pub mod yaml;

/// The driver's contract, generated from `proto/service.proto`.
pub mod pb {
    #![expect(
        missing_debug_implementations,
        clippy::allow_attributes_without_reason,
        reason = "generated; a derived Debug would print secrets"
    )]
    tonic::include_proto!("v1alpha1");
}
