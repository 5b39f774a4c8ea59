//! Stands in for Alibaba Cloud STS, KMS, OOS and instance metadata, and for the few calls of a
//! Kubernetes API server that belong with them.

mod net;
mod services;
mod state;

pub use net::emulator::{Emulator, StartError};
pub use net::options::{Addresses, Options};
pub use net::tls::TlsError;
pub use net::{dns, fetch};
pub use services::change::ChangeError;
pub use services::error::ApiError;
pub use services::request::{ApiRequest, Service};
pub use services::signature;
pub use state::config::{Batch, Config, ConfigError};
pub use state::encoding::Pair;
pub use state::error::VaultError;
pub use state::faults::{Fault, FaultEffect};
pub use state::journal::{PrincipalRecord, RequestRecord};
pub use state::jwt::KeyError;
pub use state::nodes::Taint;
pub use state::policy::{Document, Effect, OneOrMany, Operator, Principals, Statement};
pub use state::{config, stdout};
