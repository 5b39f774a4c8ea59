//! The provider as its users meet it: over its socket, with the driver's own requests and rules,
//! against a cloud that verifies signatures, tokens and policies.

#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot go on should stop where it is"
)]

#[path = "../driver/mod.rs"]
mod driver;
mod world;

mod answers;
mod architecture;
mod audit;
mod basics;
mod campaign;
mod check;
mod convert;
mod debug;
mod debug_endpoints;
mod doctor;
mod events;
mod faults;
mod grpc_go;
mod hostile;
mod http_proxy;
mod identity;
mod log;
mod memory;
mod messages;
mod metrics;
mod model;
mod names;
mod objects;
mod official;
mod policy;
mod process;
mod program;
mod proxy;
mod readme;
mod reasons;
mod refresh;
mod reports;
mod rollouts;
mod schema;
mod sessions;
mod sharing;
mod sidecar;
mod starts;
mod startup_taint;
mod storm;
mod table;
mod tasks;
mod threats;
mod wire;
