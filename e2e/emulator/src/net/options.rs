//! Options of the emulator: where it shall listen; and the addresses where it does.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Serialize;

/// Where to listen, and where authorities and the issuer's key are kept.
#[derive(Debug, Clone)]
pub struct Options {
    pub https: SocketAddr,
    pub http: SocketAddr,
    pub metadata: SocketAddr,
    pub kubernetes: SocketAddr,
    pub control: SocketAddr,
    pub ca_dir: Option<PathBuf>,
    /// Print one line per request on stdout.
    pub log: bool,
}

impl Default for Options {
    fn default() -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            https: any,
            http: any,
            metadata: any,
            kubernetes: any,
            control: any,
            ca_dir: None,
            log: false,
        }
    }
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Addresses {
    pub https: SocketAddr,
    pub http: SocketAddr,
    pub metadata: SocketAddr,
    pub kubernetes: SocketAddr,
    pub control: SocketAddr,
}
