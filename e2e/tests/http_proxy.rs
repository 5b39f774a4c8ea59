//! Calls through an HTTP proxy: by CONNECT, with TLS from end to end.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::AbortOnDropHandle;
use tonic::Code;

use crate::world::{Setup, World, cloud};

const OBJECTS: &str = "- objectName: web/plain\n";

/// An HTTP proxy that looks hosts up by itself: all of them are at one address.
pub struct HttpProxy {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    _accepting: AbortOnDropHandle<()>,
}

struct State {
    hosts: SocketAddr,
    /// What it answers in place of a tunnel.
    refusal: Option<&'static str>,
    /// Request lines and credentials.
    requests: Vec<(String, String)>,
}

impl HttpProxy {
    pub async fn to(hosts: SocketAddr) -> Self {
        Self::at("127.0.0.1", hosts).await
    }

    pub async fn at(address: &str, hosts: SocketAddr) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { hosts, refusal: None, requests: Vec::new() }));
        let shared = state.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, shared.clone()));
            }
        });
        Self { address, state, _accepting: AbortOnDropHandle::new(accepting) }
    }

    fn refuse(&self, answer: &'static str) {
        self.state.lock().unwrap().refusal = Some(answer);
    }

    fn lead_to(&self, hosts: SocketAddr) {
        self.state.lock().unwrap().hosts = hosts;
    }

    pub fn requests(&self) -> Vec<(String, String)> {
        self.state.lock().unwrap().requests.clone()
    }
}

async fn serve(client: TcpStream, state: Arc<Mutex<State>>) {
    let mut client = BufReader::new(client);
    let (mut lines, mut line) = (Vec::new(), String::new());
    while client.read_line(&mut line).await.unwrap_or(0) > 2 {
        lines.push(std::mem::take(&mut line).trim_end().to_owned());
    }
    let credentials = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("proxy-authorization").then(|| value.to_owned())
    });
    let (hosts, refusal) = {
        let mut state = state.lock().unwrap();
        state.requests.push((lines[0].clone(), credentials.unwrap_or_default()));
        (state.hosts, state.refusal)
    };
    let answer = refusal.unwrap_or("HTTP/1.1 200 Connection established\r\n\r\n");
    client.write_all(answer.as_bytes()).await.unwrap();
    if refusal.is_some() {
        let _ = client.read_to_end(&mut Vec::new()).await;
        return;
    }
    let mut host = TcpStream::connect(hosts).await.unwrap();
    let _ = copy_bidirectional(&mut client, &mut host).await;
}

/// The cloud is reached through the proxy alone: no other address of its hosts is known.
async fn world() -> World {
    Setup::default().http_proxy().flag("public-endpoints", "true").start().await
}

async fn failure(world: &World) -> (Code, String) {
    let status = world.web(OBJECTS).await.unwrap_err();
    (status.code(), status.message().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_of_the_cloud_alone_are_called_through_the_proxy_with_its_credentials() {
    let world = world().await;
    world.web(OBJECTS).await.unwrap();
    let mut requests = world.http_proxy.as_ref().unwrap().requests();
    requests.sort();
    // user:planted-password
    let credentials = "Basic dXNlcjpwbGFudGVkLXBhc3N3b3Jk";
    assert_eq!(
        requests,
        ["kms", "sts"].map(|service| (
            format!("CONNECT {service}.cn-hangzhou.aliyuncs.com:443 HTTP/1.1"),
            credentials.to_owned()
        ))
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn host_inside_the_vpc_is_called_directly() {
    let world = Setup::default().http_proxy().start().await;
    let (code, message) = failure(&world).await;
    // This machine knows no such host.
    assert_eq!(code, Code::Internal);
    assert!(message.contains("sts-vpc.cn-hangzhou.aliyuncs.com"), "{message}");
    assert!(!message.contains("proxy"), "{message}");
    assert_eq!(world.http_proxy.as_ref().unwrap().requests(), []);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proxy_that_opens_tls_is_not_trusted() {
    let world = world().await;
    let other = cloud(&[]).await;
    world.http_proxy.as_ref().unwrap().lead_to(other.https_addr());
    let (code, message) = failure(&world).await;
    assert_eq!(code, Code::FailedPrecondition);
    assert!(message.contains("certificate"), "{message}");
    assert_eq!(other.requests().len(), 0, "nothing signed was sent");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_of_the_proxy_says_what_to_do() {
    for (answer, why, fix) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            "the proxy wants a user and password (HTTP 407)",
            "set HTTPS_PROXY to http://USER:PASSWORD@HOST:PORT",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 15\r\n\r\nplanted-refusal",
            "the proxy refuses to connect to this host",
            "must allow CONNECT to sts.cn-hangzhou.aliyuncs.com",
        ),
        (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
            "the proxy cannot connect to this host",
            "must be able to look up and reach sts.cn-hangzhou.aliyuncs.com",
        ),
        ("SSH-2.0-planted-banner\r\n", "no HTTP proxy", "check --https-proxy (HTTPS_PROXY)"),
    ] {
        let world = Setup::default()
            .http_proxy()
            .flag("public-endpoints", "true")
            .flag("mount-timeout", "3")
            .start()
            .await;
        world.http_proxy.as_ref().unwrap().refuse(answer);
        let (code, message) = failure(&world).await;
        assert_eq!(code, Code::Internal, "{message}");
        assert!(message.contains(why) && message.contains(fix), "{message}");
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proxy_that_is_gone_is_named_in_place_of_the_host() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let world = Setup::default()
        .http_proxy()
        .flag("public-endpoints", "true")
        .flag("mount-timeout", "3")
        .flag("https-proxy", &format!("http://{gone}"))
        .start()
        .await;
    let (code, message) = failure(&world).await;
    assert_eq!(code, Code::Internal);
    assert!(message.contains("the proxy cannot be reached"), "{message}");
    world.finish().await;
}
