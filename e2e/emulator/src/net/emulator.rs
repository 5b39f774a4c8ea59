//! The emulator as a value: start it, change it, ask it what happened.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::net::control::Control;
use crate::net::front::Front;
use crate::net::listeners::Listeners;
use crate::net::options::{Addresses, Options};
use crate::net::server::{Port, bind};
use crate::net::tls::{Authorities, TlsError, failed, write_private};
use crate::state::cloud::{Cloud, CloudError};
use crate::state::config::{self, Config};
use crate::state::journal::RequestRecord;
use crate::state::jwt::TokenIssuer;
use crate::state::nodes::Taint;
use crate::state::pod_token::TokenFor;
use crate::state::sync::lock;

/// A running stand-in for Alibaba Cloud; dropping it stops it.
pub struct Emulator {
    pub(crate) cloud: Arc<Cloud>,
    authorities: Arc<Authorities>,
    addresses: Addresses,
    pub(crate) listeners: Arc<Listeners>,
    root: CancellationToken,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Content(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Listen(#[from] io::Error),
}

impl From<CloudError> for StartError {
    fn from(error: CloudError) -> Self {
        Self::Content(error.to_string())
    }
}

impl Emulator {
    /// Listens on free loopback ports.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::start_with(config, Options::default()).await
    }

    pub async fn start_with(config: Config, options: Options) -> Result<Self, StartError> {
        let authorities = Arc::new(Authorities::load(options.ca_dir.as_deref(), &config.tls)?);
        let issuer = issuer(options.ca_dir.as_deref(), &config)?;
        let cloud = Arc::new(Cloud::new(config, issuer)?);
        cloud.journal.print_to_stdout(options.log);
        let acceptor = TlsAcceptor::from(Arc::new(authorities.server_config()?));
        let port = |front, tls| Port { cloud: cloud.clone(), front, tls };
        let (https, http) = (bind(options.https).await?, bind(options.http).await?);
        let (metadata, kubernetes) =
            (bind(options.metadata).await?, bind(options.kubernetes).await?);
        let control = bind(options.control).await?;
        let addresses = Addresses {
            https: https.local_addr()?,
            http: http.local_addr()?,
            metadata: metadata.local_addr()?,
            kubernetes: kubernetes.local_addr()?,
            control: control.local_addr()?,
        };
        let root = CancellationToken::new();
        let bound = vec![
            (port(Front::Cloud, Some(acceptor)), https),
            (port(Front::Cloud, None), http),
            (port(Front::Metadata, None), metadata),
            (port(Front::Kubernetes, None), kubernetes),
        ];
        let listeners = Arc::new(Listeners::new(root.clone(), bound)?);
        let front =
            Control { authorities: authorities.clone(), addresses, listeners: listeners.clone() };
        let steered = Port { cloud: cloud.clone(), front, tls: None };
        tokio::spawn(steered.run(control, root.clone()));
        Ok(Self { cloud, authorities, addresses, listeners, root })
    }

    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// STS, KMS and OOS over TLS.
    pub fn https_addr(&self) -> SocketAddr {
        self.addresses.https
    }

    /// STS, KMS and OOS over plain HTTP.
    pub fn http_addr(&self) -> SocketAddr {
        self.addresses.http
    }

    pub fn metadata_addr(&self) -> SocketAddr {
        self.addresses.metadata
    }

    pub fn kubernetes_addr(&self) -> SocketAddr {
        self.addresses.kubernetes
    }

    pub fn control_addr(&self) -> SocketAddr {
        self.addresses.control
    }

    /// The authority of `*.aliyuncs.com`, localhost and 127.0.0.1.
    pub fn ca_pem(&self) -> String {
        self.authorities.ca_pem()
    }

    /// Root and intermediate of `*.cryptoservice.kms.aliyuncs.com`.
    pub fn instance_ca_pem(&self) -> String {
        self.authorities.instance_ca_pem()
    }

    /// A ServiceAccount token bound to a pod, as kubelet would hand it out.
    pub fn pod_token(
        &self,
        namespace: &str,
        service_account: &str,
        pod: &str,
        uid: &str,
        audience: &str,
        lifetime: Duration,
    ) -> String {
        let audiences = [audience.to_owned()];
        let wanted =
            TokenFor { namespace, service_account, pod: Some((pod, uid)), audiences: &audiences };
        self.cloud.pod_token(&wanted, seconds(lifetime))
    }

    /// The same, expired for `ago`.
    pub fn expired_pod_token(
        &self,
        namespace: &str,
        service_account: &str,
        pod: &str,
        uid: &str,
        audience: &str,
        ago: Duration,
    ) -> String {
        let audiences = [audience.to_owned()];
        let wanted =
            TokenFor { namespace, service_account, pod: Some((pod, uid)), audiences: &audiences };
        self.cloud.pod_token(&wanted, -seconds(ago).max(1))
    }

    /// Any claims at all, signed by the builtin issuer.
    pub fn sign_token(&self, claims: &serde_json::Value) -> String {
        let token = self.cloud.issuer.sign(claims).unwrap_or_default();
        self.cloud.remember(&token);
        token
    }

    /// A node of the cluster that has these taints, each a key and an effect.
    pub fn set_taints(&self, node: &str, taints: Vec<Taint>) {
        self.cloud.nodes.set(node, taints);
    }

    /// `None` where there is no such node.
    pub fn taints(&self, node: &str) -> Option<Vec<Taint>> {
        self.cloud.nodes.taints(node)
    }

    pub fn requests(&self) -> Vec<RequestRecord> {
        self.cloud.journal.list()
    }

    /// Kubernetes Events that were made, as they were sent.
    pub fn events(&self) -> Vec<serde_json::Value> {
        lock(&self.cloud.events).clone()
    }

    pub fn clear_requests(&self) {
        self.cloud.journal.clear();
    }

    /// TLS handshakes completed so far.
    pub fn connections(&self) -> u64 {
        self.cloud.handshakes.load(Ordering::SeqCst)
    }

    /// Every secret value, key secret, security token and pod token ever held, seen or issued.
    pub fn issued_secrets(&self) -> Vec<String> {
        self.cloud.issued()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.root.cancel();
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

fn issuer(folder: Option<&Path>, config: &Config) -> Result<Option<TokenIssuer>, StartError> {
    let Some(folder) = folder else {
        return Ok(None);
    };
    let algorithm = config.kubernetes.token_algorithm;
    let path = folder.join(match algorithm {
        config::TokenAlgorithm::RS256 => "issuer-rs256.der",
        config::TokenAlgorithm::ES256 => "issuer-es256.der",
    });
    let content = |error: crate::state::jwt::KeyError| StartError::Content(error.to_string());
    if path.exists() {
        let der = std::fs::read(&path).map_err(|error| failed(&path, error))?;
        return TokenIssuer::from_pkcs8(algorithm, &der).map(Some).map_err(content);
    }
    let issuer = TokenIssuer::generate(algorithm).map_err(content)?;
    write_private(&path, &issuer.to_pkcs8().map_err(content)?)?;
    Ok(Some(issuer))
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
