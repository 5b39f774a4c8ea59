//! The cloud: everything that the services share.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use crate::state::clock::Clock;
use crate::state::config::{Batch, Config};
use crate::state::error::VaultError;
use crate::state::faults::Faults;
use crate::state::identity::Directory;
use crate::state::journal::Journal;
use crate::state::jwt::{KeyError, TokenIssuer};
use crate::state::key_cache::KeyCache;
use crate::state::node::Node;
use crate::state::nodes::Nodes;
use crate::state::sessions::{Nonces, Session, Sessions};
use crate::state::sync::lock;
use crate::state::vault::Vault;

#[derive(Debug)]
pub(crate) struct Cloud {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) directory: Directory,
    pub(crate) sessions: Sessions,
    pub(crate) nonces: Nonces,
    pub(crate) vault: Mutex<Vault>,
    pub(crate) batch: Mutex<Batch>,
    pub(crate) issuer: TokenIssuer,
    pub(crate) keys: KeyCache,
    pub(crate) node: Node,
    pub(crate) nodes: Nodes,
    pub(crate) faults: Faults,
    pub(crate) journal: Journal,
    pub(crate) handshakes: AtomicU64,
    /// Kubernetes Events that were made.
    pub(crate) events: Mutex<Vec<Value>>,
    issued: Mutex<BTreeSet<String>>,
    /// Rotations of the vault whose values are among them.
    remembered: AtomicU64,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum CloudError {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Cloud {
    pub(crate) fn new(config: Config, issuer: Option<TokenIssuer>) -> Result<Self, CloudError> {
        let issuer = match issuer {
            Some(issuer) => issuer,
            None => TokenIssuer::generate(config.kubernetes.token_algorithm)?,
        };
        let clock = Clock::default();
        let vault = Vault::load(&config, clock.now())?;
        let cloud = Self {
            clock,
            directory: Directory::default(),
            sessions: Sessions::default(),
            nonces: Nonces::default(),
            batch: Mutex::new(config.kms.batch),
            issuer,
            keys: KeyCache::default(),
            node: Node::default(),
            nodes: Nodes::default(),
            faults: Faults::default(),
            journal: Journal::default(),
            handshakes: AtomicU64::new(0),
            events: Mutex::default(),
            issued: Mutex::default(),
            remembered: AtomicU64::new(0),
            vault: Mutex::new(vault),
            config,
        };
        for fault in &cloud.config.faults {
            cloud.faults.add(fault.clone());
        }
        for user in &cloud.config.users {
            cloud.remember(&user.access_key_secret);
        }
        cloud.remember_vault();
        Ok(cloud)
    }

    /// Notes a secret that was held or given out, for leak tests.
    pub(crate) fn remember(&self, secret: &str) {
        if !secret.is_empty() {
            lock(&self.issued).insert(secret.to_owned());
        }
    }

    pub(crate) fn remember_session(&self, session: &Session) {
        self.remember(&session.access_key_secret);
        self.remember(&session.security_token);
    }

    /// After a request, which may have found a secret due for rotation. To copy a vault of megabytes for
    /// each would take most of the emulator's time.
    pub(crate) fn remember_rotations(&self) {
        let rotations = lock(&self.vault).rotations();
        if rotations != self.remembered.load(Ordering::Relaxed) {
            self.remember_vault();
        }
    }

    pub(crate) fn remember_vault(&self) {
        let (values, rotations) = {
            let vault = lock(&self.vault);
            (vault.values().collect::<Vec<_>>(), vault.rotations())
        };
        self.remembered.store(rotations, Ordering::Relaxed);
        for value in values {
            self.remember(&value);
        }
    }

    pub(crate) fn issued(&self) -> Vec<String> {
        lock(&self.issued).iter().cloned().collect()
    }
}
