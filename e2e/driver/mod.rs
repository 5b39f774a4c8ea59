//! Does what the Secrets Store CSI Driver does with a provider: builds the request, calls over the
//! socket, holds the answer to its rules, and writes the files in its atomic layout.

mod volume;

use std::{collections::BTreeMap, error::Error as _, path::Path, time::Duration};

use hyper_util::rt::TokioIo;
use provider::pb::{self, csi_driver_provider_client::CsiDriverProviderClient};
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint},
};

pub use volume::Volume;

/// One `volumes[].csi` of a pod, with all that kubelet and the driver know about it.
#[derive(Clone)]
pub struct PodVolume {
    pub namespace: String,
    pub pod: String,
    pub uid: String,
    pub service_account: String,
    /// The SecretProviderClass's name.
    pub class: String,
    /// `spec.parameters` of the SecretProviderClass.
    pub parameters: BTreeMap<String, String>,
    /// The pod's own `volumeAttributes`; they win over the parameters.
    pub attributes: BTreeMap<String, String>,
    /// Tokens by audience, as kubelet got them.
    pub tokens: Option<Value>,
    /// The `nodePublishSecretRef`'s entries.
    pub secrets: Option<BTreeMap<String, String>>,
    /// kubelet gives a volume two minutes.
    pub timeout: Duration,
    /// Not the driver but secrets-store-sync-controller asks; pod and uid are its own.
    pub sync_controller: bool,
}

impl PodVolume {
    pub fn new(namespace: &str, service_account: &str, pod: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            uid: format!("uid-of-{pod}"),
            service_account: service_account.to_owned(),
            class: "secrets".to_owned(),
            parameters: BTreeMap::new(),
            attributes: BTreeMap::new(),
            tokens: None,
            secrets: None,
            timeout: Duration::from_secs(120),
            sync_controller: false,
        }
    }

    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        self.parameters.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn class(self, name: &str) -> Self {
        Self { class: name.to_owned(), ..self }
    }

    pub fn objects(self, yaml: &str) -> Self {
        self.parameter("objects", yaml)
    }

    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        self.attributes.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn token(mut self, audience: &str, token: &str, expires: &str) -> Self {
        let tokens = self.tokens.get_or_insert_with(|| json!({}));
        tokens[audience] = json!({ "token": token, "expirationTimestamp": expires });
        self
    }

    pub fn secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.get_or_insert_default().insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn by_sync_controller(self) -> Self {
        Self { sync_controller: true, ..self }
    }

    /// As driver 1.6.0 sends it, or secrets-store-sync-controller 0.0.4.
    pub fn request(&self) -> pb::MountRequest {
        let mut attributes = self.parameters.clone();
        attributes.extend(self.attributes.clone());
        let kubelet = [
            ("secretProviderClass", &*self.class),
            ("csi.storage.k8s.io/ephemeral", "true"),
            ("csi.storage.k8s.io/pod.name", &self.pod),
            ("csi.storage.k8s.io/pod.namespace", &self.namespace),
            ("csi.storage.k8s.io/pod.uid", &self.uid),
            ("csi.storage.k8s.io/serviceAccount.name", &self.service_account),
        ];
        let class = |key: &str| key == "secretProviderClass" || key.ends_with("/ephemeral");
        let sent = kubelet.into_iter().filter(|(key, _)| !self.sync_controller || !class(key));
        attributes.extend(sent.map(|(k, v)| (k.to_owned(), v.to_owned())));
        if let Some(tokens) = &self.tokens {
            let key = "csi.storage.k8s.io/serviceAccount.tokens".to_owned();
            attributes.insert(key, tokens.to_string());
        }
        pb::MountRequest {
            attributes: json!(attributes).to_string(),
            secrets: match &self.secrets {
                _ if self.sync_controller => "{}".to_owned(),
                // A Go map that is nil.
                None => "null".to_owned(),
                Some(secrets) => json!(secrets).to_string(),
            },
            target_path: match self.sync_controller {
                true => "/mnt/secrets-store".to_owned(),
                false => format!(
                    "/var/lib/kubelet/pods/{}/volumes/kubernetes.io~csi/secrets/mount",
                    self.uid
                ),
            },
            permission: "420".to_owned(),
            current_object_version: Vec::new(),
        }
    }
}

#[derive(Clone)]
pub struct Driver(CsiDriverProviderClient<Channel>);

impl Driver {
    /// One connection for all mounts, as the driver holds it.
    pub async fn connect(socket: &Path) -> Result<Self, tonic::transport::Error> {
        let socket = socket.to_owned();
        let connector = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let channel =
            Endpoint::from_static("http://localhost").connect_with_connector(connector).await?;
        // The driver's default --max-call-recv-msg-size.
        let client = CsiDriverProviderClient::new(channel).max_decoding_message_size(4_194_304);
        Ok(Self(client))
    }

    pub async fn version(&self) -> Result<pb::VersionResponse, Status> {
        let request = pb::VersionRequest { version: "v1alpha1".to_owned() };
        Ok(self.0.clone().version(request).await?.into_inner())
    }

    pub async fn mount(&self, volume: &PodVolume) -> Result<Volume, Status> {
        self.send(volume.request(), volume.timeout).await
    }

    /// One try, whatever comes of it.
    pub async fn try_once(
        &self,
        message: pb::MountRequest,
        timeout: Duration,
    ) -> Result<Volume, Status> {
        let mut request = Request::new(message);
        request.set_timeout(timeout);
        let response = self.0.clone().mount(request).await?;
        let volume = Volume::accept(response.into_inner());
        volume.map_err(|what| Status::unknown(format!("the driver: {what}")))
    }

    /// Repeats UNAVAILABLE, which a provider should never make it do, and, as grpc-go does without a
    /// word, what never left because the connection was closing.
    pub async fn send(
        &self,
        message: pb::MountRequest,
        timeout: Duration,
    ) -> Result<Volume, Status> {
        let (mut attempts, mut unsent) = (0, 0);
        loop {
            attempts += 1;
            match self.try_once(message.clone(), timeout).await {
                Err(status) if status.code() == Code::Unavailable && attempts < 3 => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(status) if never_sent(&status) && unsent < 100 => {
                    unsent += 1;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                outcome => return outcome,
            }
        }
    }
}

/// hyper, unlike grpc-go, may still write to a connection that it has been told is closing.
pub fn never_sent(status: &Status) -> bool {
    let mut next = status.source();
    while let Some(cause) = next {
        let unsent = cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled);
        let refused = cause.downcast_ref::<h2::Error>().is_some_and(|error| {
            error.is_remote() && error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR)
        });
        let closed = cause.downcast_ref::<std::io::Error>();
        if unsent || refused || closed.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) {
            return true;
        }
        next = cause.source();
    }
    false
}
