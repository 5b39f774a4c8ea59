//! The one question to the Kubernetes API: a ServiceAccount's annotations.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use http_body_util::Full;
use hyper::{
    Request,
    header::{ACCEPT, AUTHORIZATION, HeaderValue},
};
use rustls::RootCertStore;
use serde::Deserialize;

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

/// Why there are no annotations.
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

/// Why there is no answer, and whether asking again can help.
enum Failed {
    Passing(&'static str),
    Lasting(&'static str),
    Untrusted,
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
        let mut answer = self.insist(&format!("{url}?resourceVersion=0")).await?;
        if answer.status == 404 {
            answer = self.insist(&url).await?;
        }
        let (status, body) = (answer.status, answer.body.expose());
        if status == 200 {
            return serde_json::from_slice::<ServiceAccount>(body)
                .map(|account| account.metadata.annotations.unwrap_or_default())
                .map_err(|_| Refused::Foreign(status));
        }
        let said = serde_json::from_slice::<Status>(body);
        let own = said.is_ok_and(|said| said.kind == "Status" && said.code == status);
        Err(match (own, status) {
            (true, 404) => Refused::Absent,
            // A load balancer in front of it says that it is away.
            (false, status) if !is_transient(status) => Refused::Foreign(status),
            _ => Refused::Status(status),
        })
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        self.url.split_once("://").map_or(&self.url, |(_, address)| address)
    }

    async fn insist(&self, url: &str) -> Result<Answer, Refused> {
        let answer = retry_nearby(
            || self.ask(url),
            |answer| match answer {
                Ok(answer) => is_transient(answer.status),
                Err(failed) => matches!(failed, Failed::Passing(_)),
            },
        );
        answer.await.map_err(|failed| match failed {
            Failed::Passing(what) => Refused::Unanswered(what),
            Failed::Lasting(what) => Refused::Unasked(what),
            Failed::Untrusted => Refused::Untrusted,
        })
    }

    async fn ask(&self, url: &str) -> Result<Answer, Failed> {
        let request = Request::get(url).header(ACCEPT, "application/json").body(Full::default());
        let mut request = request.map_err(|_| Failed::Lasting("its address is not one"))?;
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
