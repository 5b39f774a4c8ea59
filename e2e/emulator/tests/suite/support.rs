//! A small client: signs, connects under any host name, and keeps what came back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::{digest, hmac};
use bytes::Bytes;
use emulator::{Config, Emulator};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::net::TcpStream;

pub(crate) const ACCOUNT: &str = "1234567890123456";
pub(crate) const PARTNER: &str = "6543210987654321";
pub(crate) const APP: &str = "acs:ram::1234567890123456:role/app";
pub(crate) const SHARED: &str = "acs:ram::6543210987654321:role/shared";
pub(crate) const PROVIDER: &str =
    "acs:ram::1234567890123456:oidc-provider/ack-rrsa-c0123456789abcdef";
pub(crate) const KMS: &str = "kms.cn-hangzhou.aliyuncs.com";
pub(crate) const OOS: &str = "oos-vpc.cn-hangzhou.aliyuncs.com";
pub(crate) const STS: &str = "sts-vpc.cn-hangzhou.aliyuncs.com";

pub(crate) async fn start() -> Emulator {
    Emulator::start(Config::from_yaml(Config::example()).unwrap()).await.unwrap()
}

pub(crate) fn pod_token(emulator: &Emulator) -> String {
    let hour = Duration::from_secs(3600);
    emulator.pod_token("default", "app", "web-0", "uid-1", "sts.aliyuncs.com", hour)
}

#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
}

pub(crate) fn user() -> Keys {
    Keys {
        id: "LTAI5tEXAMPLEKEYID000001".to_owned(),
        secret: "EXAMPLEsecret0000000000000001".to_owned(),
        token: None,
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) raw: Bytes,
    pub(crate) json: Value,
}

impl Reply {
    pub(crate) fn code(&self) -> &str {
        self.json["Code"].as_str().unwrap_or_default()
    }

    pub(crate) fn outcome(&self) -> (u16, &str) {
        (self.status, self.code())
    }

    pub(crate) fn keys(&self) -> Keys {
        let text = |name: &str| self.json["Credentials"][name].as_str().unwrap().to_owned();
        assert_eq!(self.status, 200, "{}", self.json);
        Keys {
            id: text("AccessKeyId"),
            secret: text("AccessKeySecret"),
            token: Some(text("SecurityToken")),
        }
    }
}

/// A call, signed unless `keys` is none, and changeable before it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) host: String,
    pub(crate) method: &'static str,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

pub(crate) fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

pub(crate) fn form(parameters: &[(&str, &str)]) -> String {
    let mut pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    pairs.sort();
    pairs.join("&")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn nonce() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    hex(&bytes)
}

pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

impl Call {
    pub(crate) fn new(
        host: &str,
        version: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Self {
        let header = |name: &str, value: String| (name.to_owned(), value);
        Self {
            host: host.to_owned(),
            method: "POST",
            query: form(parameters),
            headers: vec![
                header("x-acs-action", action.to_owned()),
                header("x-acs-content-sha256", sha256(b"")),
                header("x-acs-date", now()),
                header("x-acs-signature-nonce", nonce()),
                header("x-acs-version", version.to_owned()),
                header("accept", "application/json".to_owned()),
            ],
            body: String::new(),
        }
    }

    pub(crate) fn kms(action: &str, parameters: &[(&str, &str)]) -> Self {
        Self::new(KMS, "2016-01-20", action, parameters)
    }

    pub(crate) fn secret(name: &str) -> Self {
        Self::kms("GetSecretValue", &[("SecretName", name)])
    }

    pub(crate) fn oos(action: &str, parameters: &[(&str, &str)]) -> Self {
        Self::new(OOS, "2019-06-01", action, parameters)
    }

    pub(crate) fn sts(action: &str, parameters: &[(&str, &str)]) -> Self {
        Self::new(STS, "2015-04-01", action, parameters)
    }

    pub(crate) fn at(mut self, host: &str) -> Self {
        self.host = host.to_owned();
        self
    }

    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn sign(mut self, keys: &Keys) -> Self {
        if let Some(token) = &keys.token {
            self = self.set("x-acs-security-token", token);
        }
        let mut signed: Vec<(String, String)> = self
            .headers
            .iter()
            .filter(|(name, _)| name.starts_with("x-acs-") || name == "content-type")
            .cloned()
            .collect();
        signed.push(("host".to_owned(), self.host.clone()));
        signed.sort();
        let names: Vec<&str> = signed.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let headers: String =
            signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let hash = sha256(self.body.as_bytes());
        let canonical = format!("{}\n/\n{}\n{headers}\n{names}\n{hash}", self.method, self.query);
        let text = format!("ACS3-HMAC-SHA256\n{}", sha256(canonical.as_bytes()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, keys.secret.as_bytes());
        let signature = hex(hmac::sign(&key, text.as_bytes()).as_ref());
        let id = &keys.id;
        let value =
            format!("ACS3-HMAC-SHA256 Credential={id},SignedHeaders={names},Signature={signature}");
        self.set("Authorization", &value)
    }

    pub(crate) fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(format!("/?{}", self.query))
            .header("host", &self.host);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(self.body.clone().into())).unwrap()
    }

    pub(crate) async fn send(&self, emulator: &Emulator) -> Reply {
        send(emulator.http_addr(), self.request()).await.unwrap()
    }
}

pub(crate) fn oidc_parameters(token: &str) -> Vec<(&str, &str)> {
    vec![
        ("RoleArn", APP),
        ("OIDCProviderArn", PROVIDER),
        ("OIDCToken", token),
        ("RoleSessionName", "default-app"),
    ]
}

/// AssumeRoleWithOIDC in the shape of credentials-go: the parameters in a form.
pub(crate) async fn assume_with_oidc(emulator: &Emulator, parameters: &[(&str, &str)]) -> Reply {
    let call = Call {
        host: STS.to_owned(),
        method: "POST",
        query: form(&[
            ("Action", "AssumeRoleWithOIDC"),
            ("Format", "JSON"),
            ("Version", "2015-04-01"),
            ("Timestamp", &now()),
        ]),
        headers: vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())],
        body: form(parameters),
    };
    call.send(emulator).await
}

pub(crate) async fn session(emulator: &Emulator) -> Keys {
    let token = pod_token(emulator);
    assume_with_oidc(emulator, &oidc_parameters(&token)).await.keys()
}

pub(crate) async fn send(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> Result<Reply, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    exchange(stream, request).await
}

pub(crate) async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Reply, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let task = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let (parts, body) = response.into_parts();
    let raw = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    task.abort();
    let json = serde_json::from_slice(&raw).unwrap_or(Value::Null);
    Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, raw, json })
}

pub(crate) fn trusting(pem: &str, alpn: &[u8]) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    Arc::new(config)
}

pub(crate) async fn connect_tls(
    emulator: &Emulator,
    config: Arc<rustls::ClientConfig>,
    name: &str,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let stream = TcpStream::connect(emulator.https_addr()).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    tokio_rustls::TlsConnector::from(config).connect(name, stream).await
}

pub(crate) async fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Reply {
    plain(address, "GET", path, headers, "").await
}

pub(crate) async fn plain(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let mut request =
        Request::builder().method(method).uri(path).header("host", address.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(address, request.body(Full::new(body.to_owned().into())).unwrap()).await.unwrap()
}
