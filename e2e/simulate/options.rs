//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Thousands of the provider's engines against one account's quotas, in simulated time.
#[derive(Clone, Debug, Parser)]
#[command(name = "simulate")]
pub(crate) struct Options {
    /// Nodes, each with an engine of its own.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub(crate) nodes: usize,
    /// Pods on each node.
    #[arg(long, default_value_t = 110, value_name = "N")]
    pub(crate) pods: usize,
    /// ServiceAccounts that the pods of a node are divided among.
    #[arg(long, default_value_t = 11, value_name = "N")]
    pub(crate) service_accounts: usize,
    /// KMS secrets of each pod.
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(crate) objects: usize,
    /// As the provider's flag.
    #[arg(long, value_enum, default_value_t = Sharing::Pod)]
    pub(crate) share: Sharing,
    /// As the provider's flag.
    #[arg(long, value_enum, default_value_t = Batch::Off)]
    pub(crate) kms_batch: Batch,
    /// As the provider's flag, in seconds.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub(crate) refresh_interval: u64,
    /// KMS reads a second (documented: 450 for each account and region).
    #[arg(long, default_value_t = 450.0, value_name = "N")]
    pub(crate) kms_quota: f64,
    /// STS sessions a second (assumed: what is documented for AssumeRole).
    #[arg(long, default_value_t = 100.0, value_name = "N")]
    pub(crate) sts_quota: f64,
    /// Not these scenarios, but clusters of 1, 3, 10, 100 and 1,000 nodes (of --nodes at most), beside
    /// neighbours that use 0, 50 and 95 % of the quotas.
    #[arg(long, conflicts_with_all = ["only", "part", "quick"])]
    pub(crate) matrix: bool,
    /// Only these: steady, restart, outage, rotation.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) only: Vec<String>,
    /// Simulate one in N of the nodes with as much of the quotas: the same share for each, in less
    /// time.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) part: u32,
    /// As --part=50.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Where the pictures go.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) draw: Option<PathBuf>,
    /// The report to write, or to add a table to.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sharing {
    Pod,
    ServiceAccount,
}

impl Sharing {
    pub(crate) fn by_service_account(self) -> bool {
        self == Sharing::ServiceAccount
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Batch {
    Off,
    Auto,
}

impl Batch {
    pub(crate) fn on(self) -> bool {
        self == Batch::Auto
    }
}

impl Options {
    /// A small cluster has a small account, so that it meets the same limits.
    pub(crate) fn settled(mut self) -> Self {
        let part = if self.quick { 50 } else { self.part };
        self.kms_quota /= f64::from(part);
        self.sts_quota /= f64::from(part);
        self.nodes = self.nodes.div_ceil(usize::try_from(part).unwrap_or(usize::MAX));
        self
    }
}
