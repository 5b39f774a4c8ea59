//! The Kubernetes API, as far as a provider asks it: how, and for a ServiceAccount's annotations.

mod create;
mod node;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use rustls::RootCertStore;
use serde::{Deserialize, de::DeserializeOwned};

pub use node::Removal;

use crate::{
    endpoint::is_authority,
    http::{self, Answer, Broken, Client},
    names::url_host,
    retry::{is_transient, retry_nearby},
    secret::Secret,
    sync::lock,
};

/// Where kubelet puts a pod's own token and the cluster's CA.
pub const ACCOUNT_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

#[derive(Debug)]
pub struct ApiServer {
    url: String,
    account: Option<PathBuf>,
    client: Mutex<Option<Arc<Client>>>,
}

/// Why there is not what was asked for, or why nothing was made.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// The API server said so itself.
    Absent,
    /// The API server answered with this HTTP status.
    Status(u16),
    /// An answer with this HTTP status that is not the API server's: a page of a proxy, a gateway.
    Foreign(u16),
    /// It could not be reached, or the connection broke.
    Unanswered(&'static str),
    /// What answers has a certificate that is not the cluster's.
    Untrusted,
    /// It was not asked.
    Unasked(&'static str),
}

impl Refused {
    /// As messages say it of what was asked for, at the API server's `address`.
    pub fn why(&self, address: &str) -> String {
        match self {
            Self::Absent => "it does not exist".to_owned(),
            Self::Status(status) => format!("the API server at {address} answered HTTP {status}"),
            Self::Foreign(status) => {
                format!("what answers at {address} is not the API server (HTTP {status})")
            }
            Self::Unanswered(what) | Self::Unasked(what) => {
                format!("the API server at {address}: {what}")
            }
            Self::Untrusted => {
                format!("the API server at {address}: its certificate is not the cluster's")
            }
        }
    }
}

/// What is asked for; with a JSON patch, what is changed.
struct Question<'a> {
    url: &'a str,
    patch: Option<Bytes>,
}

/// Why there is no answer, and whether asking again can help.
enum Failed {
    Passing(&'static str),
    Lasting(&'static str),
    Untrusted,
}

impl From<Failed> for Refused {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Passing(what) => Refused::Unanswered(what),
            Failed::Lasting(what) => Refused::Unasked(what),
            Failed::Untrusted => Refused::Untrusted,
        }
    }
}

impl ApiServer {
    /// The cluster's own, with the token and CA of this pod.
    pub fn in_cluster(host: &str, port: &str) -> Option<Self> {
        let authority = format!("{}:{port}", url_host(host));
        is_authority(&authority).then(|| Self {
            url: format!("https://{authority}"),
            account: Some(ACCOUNT_DIR.into()),
            client: Mutex::default(),
        })
    }

    /// One that needs no token, such as `kubectl proxy`.
    pub fn at(url: &str) -> Option<Self> {
        let url = url.trim_end_matches('/');
        let authority = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
        is_authority(authority).then(|| Self {
            url: url.to_owned(),
            account: None,
            client: Mutex::default(),
        })
    }

    /// Asks again where that can help: an API server is rolled out like all else, and a connection to
    /// it ends. `namespace` and `name` are Kubernetes names, and so need no encoding.
    pub async fn service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<BTreeMap<String, String>, Refused> {
        let url = format!("{}/api/v1/namespaces/{namespace}/serviceaccounts/{name}", self.url);
        // Its cache answers, and etcd is not read. One that was just made may not be there yet.
        let mut answer = self.get(&format!("{url}?resourceVersion=0")).await?;
        if answer.status == 404 {
            answer = self.get(&url).await?;
        }
        let account: ServiceAccount = object(&answer)?;
        Ok(account.metadata.annotations.unwrap_or_default())
    }

    /// Any object, by its path, as JSON, with the HTTP status of the answer.
    pub(crate) async fn read(&self, path: &str) -> Result<(u16, Secret<Vec<u8>>), Refused> {
        let answer = self.get(&[&self.url, path].concat()).await?;
        Ok((answer.status, answer.body))
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        self.url.split_once("://").map_or(&self.url, |(_, address)| address)
    }

    async fn get(&self, url: &str) -> Result<Answer, Refused> {
        self.insist(&Question { url, patch: None }).await
    }

    async fn insist(&self, question: &Question<'_>) -> Result<Answer, Refused> {
        let answer = retry_nearby(
            || self.ask(question),
            |answer| match answer {
                Ok(answer) => is_transient(answer.status),
                Err(failed) => matches!(failed, Failed::Passing(_)),
            },
        );
        answer.await.map_err(Refused::from)
    }

    async fn ask(&self, question: &Question<'_>) -> Result<Answer, Failed> {
        let request = Request::builder().uri(question.url);
        let request = match &question.patch {
            None => request.body(Full::default()),
            Some(patch) => request
                .method(Method::PATCH)
                .header(CONTENT_TYPE, "application/json-patch+json")
                .body(Full::new(patch.clone())),
        };
        self.send(request.map_err(|_| Failed::Lasting("its address is not one"))?).await
    }

    async fn send(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, Failed> {
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = self.token().await? {
            request.headers_mut().insert(AUTHORIZATION, token);
        }
        let client = self.client()?;
        client.send(request).await.map_err(|broken| {
            // The CA may have been replaced: it is read again for the next connection.
            *lock(&self.client) = None;
            match broken {
                Broken::Connection(error) => Failed::Passing(error.reason()),
                Broken::TooLarge => Failed::Passing("its answer is larger than 1 MiB"),
                Broken::Certificate(_) => Failed::Untrusted,
            }
        })
    }

    /// Read for each question, of which there are few: kubelet replaces the file.
    async fn token(&self) -> Result<Option<HeaderValue>, Failed> {
        let Some(folder) = &self.account else { return Ok(None) };
        let text = tokio::fs::read_to_string(folder.join("token")).await.map(Secret::new);
        let text = text.map_err(|_| Failed::Lasting("this pod has no ServiceAccount token"))?;
        let header = Secret::new(format!("Bearer {}", text.expose().trim()));
        let mut header = HeaderValue::from_str(header.expose())
            .map_err(|_| Failed::Lasting("this pod's ServiceAccount token is not one"))?;
        header.set_sensitive(true);
        Ok(Some(header))
    }

    fn client(&self) -> Result<Arc<Client>, Failed> {
        let mut kept = lock(&self.client);
        if let Some(client) = &*kept {
            return Ok(client.clone());
        }
        let mut roots = RootCertStore::empty();
        match &self.account {
            Some(folder) => {
                let pem = std::fs::read(folder.join("ca.crt"))
                    .map_err(|_| Failed::Lasting("this pod has no cluster CA"))?;
                http::trust(&mut roots, &pem)
                    .map_err(|_| Failed::Lasting("this pod's cluster CA is not PEM"))?;
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let client =
            Client::plain_too(roots).map_err(|_| Failed::Lasting("TLS cannot be set up"))?;
        Ok(kept.insert(Arc::new(client)).clone())
    }
}

/// The object that was asked for, or why the answer is none.
fn object<T: DeserializeOwned>(answer: &Answer) -> Result<T, Refused> {
    let (status, body) = (answer.status, answer.body.expose());
    if status == 200 {
        return serde_json::from_slice(body).map_err(|_| Refused::Foreign(status));
    }
    Err(refused(answer))
}

/// Why there is not what was asked for, as an answer that is no success says.
fn refused(answer: &Answer) -> Refused {
    let status = answer.status;
    let said = serde_json::from_slice::<Status>(answer.body.expose());
    let own = said.is_ok_and(|said| said.kind == "Status" && said.code == status);
    match (own, status) {
        (true, 404) => Refused::Absent,
        // A load balancer in front of it says that it is away.
        (false, status) if !is_transient(status) => Refused::Foreign(status),
        _ => Refused::Status(status),
    }
}

/// How the API server words each refusal.
#[derive(Deserialize)]
struct Status {
    kind: String,
    code: u16,
}

#[derive(Deserialize)]
struct ServiceAccount {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    annotations: Option<BTreeMap<String, String>>,
}

#[cfg(test)]
pub(super) mod tests;
