//! Against servers of its own on loopback.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use futures::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::{
    http::{Untrusted, trust},
    names::Glob,
};

/// An HTTP/1 server that answers every request with the same bytes.
struct Plain {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _serves: AbortOnDropHandle<()>,
}

impl Plain {
    /// `closes`: after each answer.
    async fn start(answer: impl Into<Vec<u8>>, closes: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, answer) = (listener.local_addr().unwrap(), Arc::new(answer.into()));
        let connections = Arc::new(AtomicUsize::new(0));
        let count = connections.clone();
        let serves = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Relaxed);
                let answer: Arc<Vec<u8>> = answer.clone();
                tokio::spawn(async move {
                    let mut read = Vec::new();
                    loop {
                        while !read.ends_with(b"\r\n\r\n") {
                            match stream.read_buf(&mut read).await {
                                Ok(0) | Err(_) => return,
                                Ok(_) => {}
                            }
                        }
                        read.clear();
                        if stream.write_all(&answer).await.is_err() || closes {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, connections, _serves: AbortOnDropHandle::new(serves) }
    }

    async fn get(&self, client: &Client) -> Result<Answer, Broken> {
        client.send(get(&format!("http://{}/", self.address))).await
    }
}

fn get(url: &str) -> Request<Full<Bytes>> {
    Request::get(url).body(Full::default()).unwrap()
}

fn plain() -> Client {
    Client::plain_too(RootCertStore::empty()).unwrap()
}

/// A client to which every host is at this address.
fn resolving(pem: &str, address: SocketAddr, plain_too: bool) -> Client {
    let mut roots = RootCertStore::empty();
    if !pem.is_empty() {
        trust(&mut roots, pem.as_bytes()).unwrap();
    }
    let resolve = Arc::new(vec![(Glob::new("*"), address)]);
    Client::over(Connector::new(tls(roots).unwrap(), resolve, None, plain_too))
}

fn sized(bytes: usize) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + bytes, b'x');
    answer
}

async fn cloud() -> emulator::Emulator {
    let config = emulator::Config::from_yaml("region: cn-hangzhou\naccounts: [\"1\"]\n").unwrap();
    emulator::Emulator::start(config).await.unwrap()
}

const KMS: &str = "https://kms.cn-hangzhou.aliyuncs.com/";

#[tokio::test]
async fn answer_has_status_headers_and_body() {
    let answer = "HTTP/1.1 503 No\r\nX-Acs-Request-Id: r\r\nContent-Length: 3\r\n\r\nyes";
    let server = Plain::start(answer, false).await;
    let answer = server.get(&plain()).await.unwrap();
    assert_eq!((answer.status, &**answer.body.expose()), (503, &b"yes"[..]));
    assert_eq!(answer.headers["x-acs-request-id"], "r");
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let answer = "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n";
    let server = Plain::start(answer, false).await;
    assert_eq!(server.get(&plain()).await.unwrap().status, 302);
}

#[tokio::test]
async fn answer_of_a_mebibyte_is_read() {
    let server = Plain::start(sized(1 << 20), false).await;
    let answer = server.get(&plain()).await.unwrap();
    assert_eq!(answer.body.expose().len(), 1 << 20);
}

#[tokio::test]
async fn answer_of_more_than_a_mebibyte_is_too_large() {
    let server = Plain::start(sized((1 << 20) + 1), false).await;
    assert_eq!(server.get(&plain()).await.unwrap_err(), Broken::TooLarge);
}

#[tokio::test]
async fn connection_that_ends_before_the_answer_is_told_from_one_that_ends_within() {
    for (answer, why) in [
        ("", ConnectionError::BrokeBeforeAnswer),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", ConnectionError::BrokeWithinAnswer),
    ] {
        let server = Plain::start(answer, true).await;
        assert_eq!(server.get(&plain()).await.unwrap_err(), Broken::Connection(why), "{answer}");
    }
}

#[tokio::test]
async fn host_where_nobody_listens_refuses() {
    let client = plain();
    // All that wait for the same attempt hear why.
    for answer in join_all((0..5).map(|_| client.send(get("http://127.0.0.1:1/")))).await {
        assert_eq!(answer.unwrap_err(), Broken::Connection(ConnectionError::Refused));
    }
}

#[tokio::test]
async fn connection_serves_one_request_after_the_other() {
    let server = Plain::start(sized(1), false).await;
    let client = plain();
    for _ in 0..3 {
        server.get(&client).await.unwrap();
    }
    assert_eq!(server.connections.load(Relaxed), 1);
}

#[tokio::test]
async fn secure_client_sends_nothing_over_plain_http() {
    let server = Plain::start(sized(1), false).await;
    let client = Client::secure(RootCertStore::empty(), Arc::default(), None).unwrap();
    server.get(&client).await.unwrap_err();
    assert_eq!(server.connections.load(Relaxed), 0);
}

#[tokio::test]
async fn fixed_address_has_the_port_of_a_url_without_one() {
    let server = Plain::start(sized(1), false).await;
    let client = resolving("", server.address, true);
    assert_eq!(client.send(get("http://kms.example/")).await.unwrap().status, 200);
}

#[tokio::test]
async fn fixed_address_leaves_a_url_its_own_port() {
    let server = Plain::start(sized(1), false).await;
    let elsewhere = SocketAddr::new(server.address.ip(), 1);
    let client = resolving("", elsewhere, true);
    let url = format!("http://kms.example:{}/", server.address.port());
    assert_eq!(client.send(get(&url)).await.unwrap().status, 200);
}

#[tokio::test]
async fn host_of_an_issuer_that_is_not_trusted_is_sent_nothing() {
    let cloud = cloud().await;
    let client = resolving(&cloud.instance_ca_pem(), cloud.https_addr(), false);
    let broken = client.send(get(KMS)).await.unwrap_err();
    assert_eq!(broken, Broken::Certificate(Untrusted::UnknownIssuer));
    assert!(cloud.requests().is_empty());
}

#[tokio::test]
async fn calls_at_once_to_a_host_share_one_connection() {
    let cloud = cloud().await;
    let client = resolving(&cloud.ca_pem(), cloud.https_addr(), false);
    for answer in join_all((0..20).map(|_| client.send(get(KMS)))).await {
        answer.unwrap();
    }
    assert_eq!(cloud.connections(), 1);
}
