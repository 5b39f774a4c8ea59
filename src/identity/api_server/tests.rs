use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_util::task::AbortOnDropHandle;

use super::*;

/// How the API server refuses.
pub(in crate::identity) fn refusal(code: u16) -> String {
    let (kind, api, reason) = ("Status", "v1", "Example");
    serde_json::json!({ "kind": kind, "apiVersion": api, "reason": reason, "code": code })
        .to_string()
}

/// An API server that gives the same answer always, and remembers what it was asked.
pub(in crate::identity) struct Fake {
    pub(in crate::identity) url: String,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: AbortOnDropHandle<()>,
}

impl Fake {
    pub(in crate::identity) async fn answering(status: u16, body: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (heard, length) = (asked.clone(), body.len());
        let answer = format!(
            "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n")
                    && stream.read_buf(&mut request).await.unwrap() > 0
                {}
                lock(&heard).push(String::from_utf8(request).unwrap());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { url, asked, _serving: AbortOnDropHandle::new(serving) }
    }

    pub(in crate::identity) fn asked(&self) -> Vec<String> {
        lock(&self.asked).clone()
    }

    pub(in crate::identity) fn api(&self) -> ApiServer {
        ApiServer::at(&self.url).unwrap()
    }
}

#[tokio::test]
async fn annotations_are_those_of_the_service_account() {
    let body = r#"{"metadata":{"name":"web","annotations":{"a":"1","b":"2"}}}"#;
    let fake = Fake::answering(200, body).await;
    let found = fake.api().service_account("shop", "web").await.unwrap();
    let all: Vec<_> = found.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(all, [("a", "1"), ("b", "2")]);
    let [asked] = &fake.asked()[..] else { panic!("asked more than once") };
    let path = "/api/v1/namespaces/shop/serviceaccounts/web?resourceVersion=0";
    assert!(asked.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{asked}");
    assert!(!asked.to_lowercase().contains("authorization"), "{asked}");

    let fake = Fake::answering(200, r#"{"metadata":{}}"#).await;
    assert!(fake.api().service_account("shop", "web").await.unwrap().is_empty());
    let fake = Fake::answering(200, "[]").await;
    let refused = fake.api().service_account("shop", "web").await;
    assert_eq!(refused, Err(Refused::Foreign(200)));
}

#[tokio::test]
async fn a_status_is_told_and_asked_for_again_where_that_can_help() {
    for (status, times) in [(403, 1), (404, 2), (503, 3), (429, 3)] {
        let fake = Fake::answering(status, &refusal(status)).await;
        let refused = fake.api().service_account("shop", "web").await;
        let expected = if status == 404 { Refused::Absent } else { Refused::Status(status) };
        assert_eq!(refused, Err(expected));
        assert_eq!(fake.asked().len(), times, "{status}");
    }
}

#[tokio::test]
async fn a_status_counts_only_with_the_api_servers_own_words() {
    let absent = refusal(404);
    for (status, body, expected) in [
        (404, "<html>404 Not Found</html>", Refused::Foreign(404)),
        (404, r#"{"kind":"Status"}"#, Refused::Foreign(404)),
        (404, r#"{"kind":"Page","code":404}"#, Refused::Foreign(404)),
        (403, &*absent, Refused::Foreign(403)),
        (302, "", Refused::Foreign(302)),
        (503, "<html>", Refused::Status(503)),
        (404, &absent, Refused::Absent),
    ] {
        let fake = Fake::answering(status, body).await;
        let refused = fake.api().service_account("shop", "web").await;
        assert_eq!(refused, Err(expected), "{status} {body}");
    }
}

#[tokio::test]
async fn in_a_cluster_the_pod_s_own_token_goes_along() {
    let fake = Fake::answering(200, r#"{"metadata":{}}"#).await;
    let folder = tempfile::tempdir().unwrap();
    let api = || ApiServer { account: Some(folder.path().to_owned()), ..fake.api() };
    let ask = async || api().service_account("shop", "web").await;
    let lacks = async |what| assert_eq!(ask().await, Err(Refused::Unasked(what)));
    lacks("this pod has no ServiceAccount token").await;
    std::fs::write(folder.path().join("token"), "a\nb").unwrap();
    lacks("this pod's ServiceAccount token is not one").await;
    std::fs::write(folder.path().join("token"), "planted-token\n").unwrap();
    lacks("this pod has no cluster CA").await;
    std::fs::write(folder.path().join("ca.crt"), "no PEM").unwrap();
    lacks("this pod's cluster CA is not PEM").await;
    assert!(fake.asked().is_empty());
    let pem = include_str!("../../cloud/kms-private-ca/ap-northeast-1.pem");
    std::fs::write(folder.path().join("ca.crt"), pem).unwrap();
    ask().await.unwrap();
    let [asked] = &fake.asked()[..] else { panic!("asked more than once") };
    assert!(
        asked.to_lowercase().contains("\r\nauthorization: bearer planted-token\r\n"),
        "{asked}"
    );
}

#[test]
fn addresses() {
    let url = |host, port| ApiServer::in_cluster(host, port).map(|server| server.url);
    assert_eq!(url("10.0.0.1", "443").unwrap(), "https://10.0.0.1:443");
    assert_eq!(url("fd00::1", "443").unwrap(), "https://[fd00::1]:443");
    assert_eq!(url("[fd00::1]", "443").unwrap(), "https://[fd00::1]:443");
    for (host, port) in [("10.0.0.1", "tcp://x"), ("10.0.0.1", "0"), ("a b", "443")] {
        assert_eq!(url(host, port), None, "{host} {port}");
    }
    assert!(ApiServer::at("http://[::1]:8001").is_some());
    assert!(ApiServer::at("http://127.0.0.1:8001/").is_some());
    for bad in [
        "127.0.0.1:8001",
        "ftp://x",
        "http://",
        "http://a/b",
        "http://u@a",
        "http://a b",
        "http://127.0.0.1:99999",
        "http://fd00::1:8001",
        "http://[::1",
    ] {
        assert!(ApiServer::at(bad).is_none(), "{bad}");
    }
}
