//! ECS instance metadata: the machine's role, and its region. Plain HTTP on a link-local host, so
//! nothing secret is ever sent there, and no proxy is ever asked.

use std::{borrow::Cow, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{Method, Request};
use rustls::RootCertStore;
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::{NoSession, Session, sts::RawSession};
use crate::{
    error::{Error, Reason},
    http::{Broken, Client, Transport},
    retry::{is_transient, retry_nearby},
    secret::Secret,
    text::identifier,
};

/// The host on every ECS instance.
pub const DEFAULT_HOST: &str = "100.100.100.200";
const TOKEN_HEADER: &str = "x-aliyun-ecs-metadata-token";
const NO_ROLE: &str = "no RAM role is attached to the instance";
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
        let region = async {
            let token = self.token().await?;
            self.get("/latest/meta-data/region-id", token.as_ref()).await
        };
        let region = region.await.map_err(|failed| *failed.no_session().error)?;
        Ok(region.expose().trim().to_owned())
    }

    pub(super) async fn session(&self, deadline: Instant) -> Result<Session, NoSession> {
        let asked = tokio::time::timeout_at(deadline, self.ask()).await;
        let asked = asked.unwrap_or(Err(Failed::Passing("no answer in time".into())));
        asked.map_err(Failed::no_session)
    }

    async fn ask(&self) -> Result<Session, Failed> {
        let token = self.token().await?;
        let role = match &self.role {
            Some(role) => role.clone(),
            None => self.get(ROLES, token.as_ref()).await?.expose().trim().to_owned(),
        };
        // It becomes part of a path, and of an error.
        let Some(role) = identifier(&role) else {
            return Err(Failed::Lasting(NO_ROLE.into()));
        };
        let body = self.get(&format!("{ROLES}{role}"), token.as_ref()).await?;
        let answer: Answer = serde_json::from_str(body.expose())
            .map_err(|_| Failed::Lasting("the answer lacks what it must hold".into()))?;
        if answer.code != "Success" {
            return Err(Failed::Lasting("the instance's role cannot be used now".into()));
        }
        let session = answer.session.session(LONGEST);
        session.ok_or_else(|| Failed::Lasting("the session is over already".into()))
    }

    async fn token(&self) -> Result<Option<Secret<String>>, Failed> {
        let headers = [("x-aliyun-ecs-metadata-token-ttl-seconds", "60")];
        match self.send(Method::PUT, "/latest/api/token", &headers).await? {
            (200, token) => Ok(Some(token)),
            _ if self.without_token => Ok(None),
            (status, _) => Err(Failed::of(status, format!("no token: HTTP {status}"))),
        }
    }

    async fn get(
        &self,
        path: &str,
        token: Option<&Secret<String>>,
    ) -> Result<Secret<String>, Failed> {
        let header = token.map(|token| (TOKEN_HEADER, token.expose().as_str()));
        match self.send(Method::GET, path, header.as_slice()).await? {
            (200, body) => Ok(body),
            (404, body) if path.starts_with(ROLES) => Err(match is_foreign_page(body.expose()) {
                true => passing("HTTP 404 with a page that is not the metadata server's"),
                false => Failed::NoRole,
            }),
            (status, _) => Err(Failed::of(status, format!("HTTP {status}"))),
        }
    }

    /// Asks again where that can help: what answers on the machine restarts too.
    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(u16, Secret<String>), Failed> {
        let ask = || self.send_once(method.clone(), path, headers);
        retry_nearby(ask, |answer| match answer {
            Ok((status, _)) => is_transient(*status),
            Err(failed) => matches!(failed, Failed::Passing(_)),
        })
        .await
    }

    async fn send_once(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(u16, Secret<String>), Failed> {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", self.host));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::default())
            .map_err(|_| Failed::Lasting("a value cannot be put into a request".into()))?;
        match timeout(TIMEOUT, self.client.send(request)).await {
            Ok(Ok(answer)) => {
                let text = std::str::from_utf8(answer.body.expose());
                let text = text.map_err(|_| passing("the answer is not text"))?;
                Ok((answer.status, Secret::new(text.to_owned())))
            }
            Ok(Err(Broken::Connection(error))) => Err(passing(error.reason())),
            Ok(Err(Broken::TooLarge)) => Err(passing("the answer is larger than 1 MiB")),
            Ok(Err(Broken::Certificate(_))) => {
                Err(Failed::Lasting("it is not who it should be".into()))
            }
            Err(_) => Err(passing("no answer in time")),
        }
    }
}

/// Why metadata gave nothing.
#[derive(Clone, Debug)]
enum Failed {
    /// It did not answer, or returned 429 or 5xx: that may pass.
    Passing(Cow<'static, str>),
    /// Until somebody changes the set-up.
    Lasting(Cow<'static, str>),
    /// The only answer that says that this machine may be nobody.
    NoRole,
}

/// A page of a proxy or a gateway. The metadata server may word its own 404 as a page too, with this
/// text.
fn is_foreign_page(body: &str) -> bool {
    body.trim_start().starts_with('<') && !body.contains("404 - Not Found")
}

fn passing(what: &'static str) -> Failed {
    Failed::Passing(what.into())
}

impl Failed {
    fn of(status: u16, what: String) -> Self {
        if is_transient(status) {
            Failed::Passing(what.into())
        } else {
            Failed::Lasting(what.into())
        }
    }

    fn no_session(self) -> NoSession {
        let set_up = "identity ecs-role needs an ECS instance with a RAM role, reachable from this \
                      pod";
        let (reason, what, hint) = match &self {
            Failed::Passing(what) => (
                Reason::MetadataFailed,
                &**what,
                format!("the mount is tried again; if this stays: {set_up}"),
            ),
            Failed::Lasting(what) => (Reason::NoInstanceRole, &**what, set_up.to_owned()),
            Failed::NoRole => (Reason::NoInstanceRole, NO_ROLE, set_up.to_owned()),
        };
        let error = Error::new(reason, what).subject("instance metadata").hint(hint);
        let refusal = matches!(self, Failed::NoRole);
        NoSession { refusal, ..NoSession::unanswered(error) }
    }
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

    #[test]
    fn a_404_page_of_something_on_the_way_is_not_the_metadata_servers() {
        for (body, foreign) in [
            ("<html><title>404 Not Found</title></html>", true),
            ("\n<!DOCTYPE html><html>", true),
            ("<?xml version=\"1.0\"?><html><h1>404 - Not Found</h1></html>", false),
            ("404 - Not Found", false),
            ("", false),
        ] {
            assert_eq!(is_foreign_page(body), foreign, "{body}");
        }
    }

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
        assert_eq!(&*error.error.message, "no token: HTTP 404");
        assert_eq!(metadata(true).session(within()).await.unwrap().keys.id, "key-1");
        let asked = fake.last("/latest/meta-data/ram/security-credentials/node");
        assert!(!asked.contains(TOKEN_HEADER), "{asked}");
    }
}
