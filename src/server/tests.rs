use std::sync::{Arc, atomic::AtomicU32, atomic::Ordering};

use prost::Message;
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::Semaphore,
    task::JoinHandle,
};
use tonic::{
    Code, Request as Call, Response as Answer,
    transport::{Channel, Endpoint, Uri},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{
    authority::tests::{huffman, raw},
    *,
};
use crate::pb::{
    MountRequest, MountResponse, VersionRequest, VersionResponse,
    csi_driver_provider_client::CsiDriverProviderClient,
};

const NAME: &str = "alibabacloud.sock";
const RAW_PATH: &str = "/var/run/secrets-store-csi-providers/alibabacloud.sock";
const ESCAPED: &str = "%2Fvar%2Frun%2Fsecrets-store-csi-providers%2Falibabacloud.sock";

#[tokio::test]
async fn old_and_new_authorities_are_served_three_times_on_a_connection() {
    for authority in [RAW_PATH, ESCAPED, "localhost"] {
        for text in [raw(authority), huffman(authority)] {
            let server = Server::start(Duration::from_secs(1));
            let stream = UnixStream::connect(server.path()).await.unwrap();
            assert_eq!(raw_calls(stream, &text, "3S").await, ["v1alpha1"; 3], "{authority}");
        }
    }
}

/// If this fails, h2 has learnt to take such an authority and `AuthorityFix` can go.
#[tokio::test]
async fn h2_alone_still_refuses_a_path_as_authority() {
    for authority in [RAW_PATH, ESCAPED] {
        let (client, server) = tokio::io::duplex(65_536);
        let routes = Routes::new(CsiDriverProviderServer::new(Double::default())).prepare();
        let service = hyper_util::service::TowerToHyperService::new(routes);
        tokio::spawn(
            http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(server), service),
        );
        assert_eq!(raw_calls(client, &raw(authority), "3S").await, ["reset 1"; 3]);
    }
}

#[tokio::test]
async fn an_expired_grpc_timeout_is_not_answered_by_us() {
    let server = Server::start(Duration::from_secs(1));
    server.double.version_takes.store(300, Ordering::Relaxed);
    let stream = UnixStream::connect(server.path()).await.unwrap();
    assert_eq!(raw_calls(stream, &raw("localhost"), "20m").await, ["v1alpha1"; 3]);
}

#[tokio::test(start_paused = true)]
async fn the_handler_is_told_the_deadline_and_the_peer() {
    let server = Server::start(Duration::from_secs(1));
    let mut call = Call::new(mount("deadline"));
    call.set_timeout(Duration::from_secs(20));
    let told = server.client().await.mount(call).await.unwrap().into_inner();
    let ours = rustix::process::geteuid().as_raw();
    assert_eq!(told.error.unwrap().code, format!("20 s, uid {ours}"));
}

#[tokio::test]
async fn a_panic_costs_one_call_and_is_internal() {
    let server = Server::start(Duration::from_secs(1));
    let mut client = server.client().await;
    let mut other = client.clone();
    let slow = tokio::spawn(async move { other.mount(mount("300")).await });
    let status = client.mount(mount("panic")).await.err().unwrap();
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("canary"), "{status}");
    client.mount(mount("0")).await.unwrap();
    slow.await.unwrap().unwrap();
    assert_eq!(server.double.connections().await, 1);
}

#[tokio::test]
async fn two_hundred_calls_run_at_once_on_one_connection() {
    let server = Server::start(Duration::from_secs(1));
    let client = server.client().await;
    let calls = (0..200).map(|_| {
        let mut client = client.clone();
        tokio::spawn(async move { client.mount(mount("wait")).await })
    });
    let calls: Vec<_> = calls.collect();
    // All two hundred are in their handlers before the first is let go.
    let all = server.double.entered.acquire_many(200);
    drop(time::timeout(Duration::from_secs(20), all).await.expect("all at once").unwrap());
    server.double.released.add_permits(200);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(server.double.connections().await, 1);
}

#[tokio::test]
async fn a_shutdown_finishes_the_call_in_flight_and_takes_no_other() {
    let server = Server::start(Duration::from_secs(10));
    let mut client = server.client().await;
    let mut health = HealthClient::new(server.channel().await);
    assert_eq!(serving(&mut health).await, [1, 1]);
    let slow = tokio::spawn(async move { client.mount(mount("wait")).await });
    server.double.entered.acquire().await.unwrap().forget();

    server.shutdown.cancel();
    time::sleep(Duration::from_millis(100)).await;
    assert!(!server.path().exists());
    assert!(UnixStream::connect(server.path()).await.is_err());
    assert!(!server.serving.is_finished());

    server.double.released.add_permits(1);
    slow.await.unwrap().unwrap();
    time::timeout(Duration::from_secs(2), server.serving).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn health_says_not_serving_while_draining() {
    let server = Server::start(Duration::from_secs(10));
    let mut stream = UnixStream::connect(server.path()).await.unwrap();
    stream.write_all(&opening()).await.unwrap();
    time::sleep(Duration::from_millis(50)).await;

    // It never acknowledges the first GOAWAY, so it may still call.
    server.shutdown.cancel();
    time::sleep(Duration::from_millis(50)).await;
    let check = call_frames(1, "/grpc.health.v1.Health/Check", &raw("localhost"), "1S", &[]);
    stream.write_all(&check).await.unwrap();
    let (_, body) = answers(stream, 1).await.remove(0);
    assert_eq!(body, [0, 0, 0, 0, 2, 8, 2], "status 2 is NOT_SERVING");
}

#[tokio::test(start_paused = true)]
async fn the_drain_is_bounded_and_its_end_answers_internal() {
    let drain = Duration::from_secs(30);
    let server = Server::start(drain);
    let mut client = server.client().await;
    let stuck = tokio::spawn(async move { client.mount(mount("wait")).await });
    server.double.entered.acquire().await.unwrap().forget();

    let start = Instant::now();
    server.shutdown.cancel();
    let error = server.serving.await.unwrap().unwrap_err();
    assert!(start.elapsed() <= drain && start.elapsed() > drain / 2, "{:?}", start.elapsed());
    assert!(error.to_string().starts_with("1 calls were still running after a drain of 30 s"));
    let status = stuck.await.unwrap().err().unwrap();
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().contains("shutting down"), "{status}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_holds_the_drain_no_longer_than_its_bound() {
    let drain = Duration::from_secs(30);
    let server = Server::start(drain);
    let silent = UnixStream::connect(server.path()).await.unwrap();
    let mut unread = UnixStream::connect(server.path()).await.unwrap();
    unread.write_all(&opening()).await.unwrap();
    time::sleep(Duration::from_millis(10)).await;

    let start = Instant::now();
    server.shutdown.cancel();
    server.serving.await.unwrap().unwrap();
    assert!(start.elapsed() <= drain + Duration::from_millis(10), "{:?}", start.elapsed());
    drop((silent, unread));
}

#[tokio::test]
async fn a_successor_keeps_its_socket_when_we_go() {
    let old = Server::start(Duration::from_secs(1));
    let mut new = Socket::bind(old.dir.path(), NAME).unwrap();
    old.shutdown.cancel();
    old.serving.await.unwrap().unwrap();
    let (client, _) = tokio::join!(UnixStream::connect(new.path().to_owned()), new.accept());
    client.unwrap();
}

#[tokio::test]
async fn a_vanished_path_is_served_again_and_the_open_connection_lives_on() {
    let server = Server::start(Duration::from_secs(1));
    let mut before = server.client().await;
    before.mount(mount("0")).await.unwrap();
    std::fs::remove_file(server.path()).unwrap();
    while !server.path().exists() {
        time::sleep(Duration::from_millis(50)).await;
    }
    server.client().await.mount(mount("0")).await.unwrap();
    before.mount(mount("0")).await.unwrap();
}

#[test]
fn only_root_and_our_own_user_may_connect() {
    for (peer, ours, admitted) in
        [(0, 0, true), (0, 1000, true), (1000, 1000, true), (1000, 0, false), (7, 1000, false)]
    {
        assert_eq!(may_connect(peer, ours), admitted, "{peer} to {ours}");
    }
}

#[test]
fn timeouts_are_parsed_as_grpc_writes_them() {
    for (text, expected) in [
        ("20S", Some(Duration::from_secs(20))),
        ("19863m", Some(Duration::from_millis(19_863))),
        ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
        ("2M", Some(Duration::from_secs(120))),
        ("1u", Some(Duration::from_micros(1))),
        ("1n", Some(Duration::from_nanos(1))),
        ("100000000S", None),
        ("+5S", None),
        ("5", None),
        ("S", None),
        ("", None),
        ("5é", None),
    ] {
        assert_eq!(parse_timeout(text), expected, "{text}");
    }
}

#[derive(Clone)]
struct Double {
    version_takes: Arc<AtomicU32>,
    entered: Arc<Semaphore>,
    released: Arc<Semaphore>,
    peers: Arc<tokio::sync::Mutex<std::collections::BTreeSet<String>>>,
}

impl Default for Double {
    fn default() -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        Self {
            version_takes: Arc::default(),
            entered: closed(),
            released: closed(),
            peers: Arc::default(),
        }
    }
}

impl Double {
    /// How many connections brought mounts; each has its own peer address allocation.
    async fn connections(&self) -> usize {
        self.peers.lock().await.len()
    }
}

#[tonic::async_trait]
impl CsiDriverProvider for Double {
    async fn version(&self, call: Call<VersionRequest>) -> Result<Answer<VersionResponse>, Status> {
        time::sleep(Duration::from_millis(self.version_takes.load(Ordering::Relaxed).into())).await;
        let version = call.into_inner().version;
        Ok(Answer::new(VersionResponse { version, ..VersionResponse::default() }))
    }

    async fn mount(&self, call: Call<MountRequest>) -> Result<Answer<MountResponse>, Status> {
        type Peer = tonic::transport::server::UdsConnectInfo;
        let peer = call.extensions().get::<Peer>().cloned().unwrap();
        let address = format!("{:p}", Arc::as_ptr(peer.peer_addr.as_ref().unwrap()));
        self.peers.lock().await.insert(address);
        let left = call.extensions().get::<Deadline>().map(|deadline| deadline.0 - Instant::now());
        let mut response = MountResponse::default();
        match call.get_ref().target_path.as_str() {
            "panic" => panic!("canary"),
            "deadline" => {
                let uid = peer.peer_cred.unwrap().uid();
                let code = format!("{} s, uid {uid}", left.unwrap().as_secs_f32().round());
                response.error = Some(crate::pb::Error { code });
            }
            "wait" => {
                self.entered.add_permits(1);
                self.released.acquire().await.unwrap().forget();
            }
            millis => time::sleep(Duration::from_millis(millis.parse().unwrap())).await,
        }
        Ok(Answer::new(response))
    }
}

struct Server {
    dir: TempDir,
    double: Double,
    shutdown: CancellationToken,
    serving: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    fn start(drain: Duration) -> Self {
        let dir = TempDir::new().unwrap();
        let (double, shutdown) = (Double::default(), CancellationToken::new());
        let socket = Socket::bind(dir.path(), NAME).unwrap();
        let serving =
            tokio::spawn(serve(socket, Arc::new(double.clone()), shutdown.clone(), drain));
        Self { dir, double, shutdown, serving }
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join(NAME)
    }

    async fn channel(&self) -> Channel {
        let path = self.path();
        let connector = tower::service_fn(move |_: Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        Endpoint::from_static("http://localhost").connect_with_connector(connector).await.unwrap()
    }

    async fn client(&self) -> CsiDriverProviderClient<Channel> {
        CsiDriverProviderClient::new(self.channel().await)
    }
}

fn mount(what: &str) -> MountRequest {
    MountRequest { target_path: what.to_owned(), ..MountRequest::default() }
}

async fn serving(health: &mut HealthClient<Channel>) -> [i32; 2] {
    let mut statuses = [0; 2];
    for (status, service) in statuses.iter_mut().zip(["", "v1alpha1.CSIDriverProvider"]) {
        let request = HealthCheckRequest { service: service.to_owned() };
        *status = health.check(request).await.unwrap().into_inner().status;
    }
    statuses
}

/// Three `Version` calls as grpc-go makes them, written frame by frame since no Rust client sends
/// such an authority: literally and remembered, then twice by its index in the dynamic table.
async fn raw_calls<S>(mut stream: S, authority: &[u8], timeout: &str) -> Vec<String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let version = VersionRequest { version: "v1alpha1".to_owned() }.encode_to_vec();
    let path = "/v1alpha1.CSIDriverProvider/Version";
    let mut sent = opening();
    sent.extend(call_frames(1, path, authority, timeout, &version));
    // Newest first: 62 te, 63 timeout, 64 content type, 65 authority, 66 path.
    let block = [0x83, 0x86, 0xc2, 0xc1, 0xc0, 0xbf, 0xbe];
    for stream in [3, 5] {
        sent.extend(frame(1, 4, stream, &block));
        sent.extend(frame(0, 1, stream, &message(&version)));
    }
    stream.write_all(&sent).await.unwrap();
    let answers = answers(stream, 3).await.into_iter();
    let text = |(reset, body): (Option<u32>, Vec<u8>)| match reset {
        Some(reason) => format!("reset {reason}"),
        None => VersionResponse::decode(&body[5..]).unwrap().version,
    };
    answers.map(text).collect()
}

fn opening() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat()
}

fn call_frames(stream: u32, path: &str, authority: &[u8], timeout: &str, body: &[u8]) -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    block.extend([&[0x44], raw(path).as_slice(), &[0x41], authority].concat());
    block.extend([&[0x5f], raw("application/grpc").as_slice()].concat());
    block.extend([&[0x40], raw("grpc-timeout").as_slice(), &raw(timeout)].concat());
    block.extend([&[0x40], raw("te").as_slice(), &raw("trailers")].concat());
    [frame(1, 4, stream, &block), frame(0, 1, stream, &message(body))].concat()
}

fn message(body: &[u8]) -> Vec<u8> {
    [&[0][..], &(body.len() as u32).to_be_bytes(), body].concat()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// For each of the streams 1, 3, .. the reason of its reset, if it was, and its body.
async fn answers<S>(mut stream: S, calls: usize) -> Vec<(Option<u32>, Vec<u8>)>
where
    S: AsyncRead + Unpin,
{
    let mut answers = vec![(None, Vec::new()); calls];
    let mut open = calls;
    while open > 0 {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.expect("an answer to each call");
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.unwrap();
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) as usize;
        let end_of_stream = head[4] & 1 != 0;
        match head[3] {
            0 => answers[id / 2].1.extend(payload),
            1 if end_of_stream => open -= 1,
            3 => {
                answers[id / 2].0 = Some(u32::from_be_bytes(payload.try_into().unwrap()));
                open -= 1;
            }
            _ => {}
        }
    }
    answers
}
