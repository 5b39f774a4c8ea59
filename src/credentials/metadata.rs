//! ECS instance metadata: the machine's role, and its region. Plain HTTP on a link-local host, so
//! nothing secret is ever sent there, and no proxy is ever asked.

use std::{sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{Method, Request};
use rustls::RootCertStore;
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::{Session, sts::RawSession};
use crate::{
    cloud::{ask_again, passes},
    error::{Class, Error, identifier},
    http::{Broken, Client, Transport},
    secret::Secret,
};

/// The host on every ECS instance.
pub const DEFAULT_HOST: &str = "100.100.100.200";
const TOKEN_HEADER: &str = "x-aliyun-ecs-metadata-token";
const ROLES: &str = "/latest/meta-data/ram/security-credentials/";
/// The official clients' connect and read timeouts, taken together.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Sessions of instance roles live for hours; this bounds what is believed.
const LONGEST: Duration = Duration::from_secs(12 * 3600);

#[derive(Debug)]
pub struct Metadata {
    client: Arc<dyn Transport>,
    host: String,
    role: Option<String>,
    without_token: bool,
}

impl Metadata {
    /// `role` where it is known; `without_token` lets machines answer that know no tokens.
    pub fn new(host: &str, role: Option<String>, without_token: bool) -> Result<Self, String> {
        let client = Arc::new(Client::plain_too(RootCertStore::empty())?);
        Ok(Self { client, host: host.to_owned(), role, without_token })
    }

    /// By another way than the network; the role is asked for.
    pub fn by(transport: Arc<dyn Transport>) -> Self {
        let host = DEFAULT_HOST.to_owned();
        Self { client: transport, host, role: None, without_token: false }
    }

    pub async fn region(&self) -> Result<String, Error> {
        let token = self.token().await?;
        let region = self.get("/latest/meta-data/region-id", token.as_ref()).await?;
        Ok(region.expose().trim().to_owned())
    }

    pub(super) async fn session(&self, deadline: Instant) -> Result<Session, Error> {
        let asked = tokio::time::timeout_at(deadline, self.ask()).await;
        asked.unwrap_or_else(|_| Err(failed("no answer in time")))
    }

    async fn ask(&self) -> Result<Session, Error> {
        let token = self.token().await?;
        let role = match &self.role {
            Some(role) => role.clone(),
            None => self.get(ROLES, token.as_ref()).await?.expose().trim().to_owned(),
        };
        // It becomes part of a path, and of an error.
        let Some(role) = identifier(&role) else {
            return Err(failed("no RAM role is attached to the instance"));
        };
        let body = self.get(&format!("{ROLES}{role}"), token.as_ref()).await?;
        let answer: Answer = serde_json::from_str(body.expose())
            .map_err(|_| failed("the answer lacks what it must hold"))?;
        if answer.code != "Success" {
            return Err(failed("the instance's role cannot be used now"));
        }
        answer.session.session(LONGEST).ok_or_else(|| failed("the session is over already"))
    }

    async fn token(&self) -> Result<Option<Secret<String>>, Error> {
        let headers = [("x-aliyun-ecs-metadata-token-ttl-seconds", "60")];
        match self.send(Method::PUT, "/latest/api/token", &headers).await? {
            (200, token) => Ok(Some(token)),
            _ if self.without_token => Ok(None),
            (status, _) => Err(failed(&format!("no token: HTTP {status}"))),
        }
    }

    async fn get(
        &self,
        path: &str,
        token: Option<&Secret<String>>,
    ) -> Result<Secret<String>, Error> {
        let header = token.map(|token| (TOKEN_HEADER, token.expose().as_str()));
        match self.send(Method::GET, path, header.as_slice()).await? {
            (200, body) => Ok(body),
            (404, _) if path.starts_with(ROLES) => {
                Err(failed("no RAM role is attached to the instance"))
            }
            (status, _) => Err(failed(&format!("HTTP {status}"))),
        }
    }

    /// Asks again where that can help: what answers on the machine restarts too.
    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(u16, Secret<String>), Error> {
        let ask = || self.send_once(method.clone(), path, headers);
        ask_again(ask, |answer| match answer {
            Ok((status, _)) => passes(*status),
            Err(_) => true,
        })
        .await
    }

    async fn send_once(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(u16, Secret<String>), Error> {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", self.host));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::default())
            .map_err(|_| failed("a value cannot be put into a request"))?;
        match timeout(TIMEOUT, self.client.send(request)).await {
            Ok(Ok(answer)) => {
                let text = std::str::from_utf8(answer.body.expose());
                let text = text.map_err(|_| failed("the answer is not text"))?;
                Ok((answer.status, Secret::new(text.to_owned())))
            }
            Ok(Err(Broken::Connection(error))) => Err(failed(error.reason())),
            Ok(Err(Broken::Certificate)) => Err(failed("it is not who it should be")),
            Err(_) => Err(failed("no answer in time")),
        }
    }
}

fn failed(what: &str) -> Error {
    Error::new(Class::Unusable, what)
        .about("instance metadata")
        .fix("identity ecs-role needs an ECS instance with a RAM role, reachable from this pod")
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Code")]
    code: String,
    #[serde(flatten)]
    session: RawSession,
}

#[cfg(test)]
mod tests {
    use super::{super::tests::Fake, *};

    #[tokio::test(start_paused = true)]
    async fn a_machine_that_knows_no_tokens_is_asked_without_where_the_operator_agreed() {
        let fake = Arc::new(Fake::default());
        let refused = serde_json::Value::String(String::new());
        fake.answer("/latest/api/token", 404, refused);
        let metadata = |without_token: bool| Metadata {
            role: Some("node".to_owned()),
            without_token,
            ..Metadata::by(fake.clone())
        };
        let within = || Instant::now() + TIMEOUT;
        let error = metadata(false).session(within()).await.unwrap_err();
        assert_eq!(&*error.what, "no token: HTTP 404");
        assert_eq!(metadata(true).session(within()).await.unwrap().keys.id, "key-1");
        let asked = fake.last("/latest/meta-data/ram/security-credentials/node");
        assert!(!asked.contains(TOKEN_HEADER), "{asked}");
    }
}
