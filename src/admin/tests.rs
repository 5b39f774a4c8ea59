use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UnixListener};
use tonic::{Request as Call, Response as Answer, Status};

use super::*;
use crate::{
    pb::{
        MountRequest, MountResponse, VersionRequest, VersionResponse,
        csi_driver_provider_server::CsiDriverProvider,
    },
    readiness,
    server::{self, Socket},
};

const NAME: &str = "alibabacloud.sock";

#[tokio::test]
async fn liveness_is_a_call_through_the_path() {
    let port = Port::start("/healthz");
    let stop = port.provide(Ok(()));
    assert_eq!(port.get("/healthz").await, (200, "ok".to_owned()));

    stop.cancel();
    while port.dir.path().join(NAME).exists() {
        time::sleep(Duration::from_millis(10)).await;
    }
    // The check of this second still answers.
    time::pause();
    time::advance(Duration::from_secs(1)).await;
    time::resume();
    let (code, reason) = port.get("/healthz").await;
    assert_eq!(code, 503);
    assert!(reason.contains("cannot connect to") && reason.contains("No such file"), "{reason}");
}

#[tokio::test]
async fn probes_of_a_second_are_answered_by_one_check() {
    let port = Port::start("/healthz");
    let socket = UnixListener::bind(port.dir.path().join(NAME)).unwrap();
    let first = tokio::spawn(Port::get_from(port.address, "/healthz"));
    let (_calls, _) = socket.accept().await.unwrap();
    let others = (0..20).map(|_| tokio::spawn(Port::get_from(port.address, "/readyz")));
    let others: Vec<_> = others.collect();
    // None of them, nor one whose probe went away, makes another.
    first.abort();
    let second = time::timeout(Duration::from_millis(300), socket.accept()).await;
    assert!(second.is_err(), "one connection");
    drop(others);
}

#[tokio::test]
async fn liveness_tells_what_version_answered() {
    let port = Port::start("/healthz");
    let _stop = port.provide(Err(Status::internal("broken")));
    let (code, reason) = port.get("/healthz").await;
    assert_eq!(code, 503);
    assert!(reason.starts_with("Version answered ") && reason.ends_with(": broken"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_does_not_answer_is_not_alive() {
    let port = Port::start("/healthz");
    let _deaf = UnixListener::bind(port.dir.path().join(NAME)).unwrap();
    let start = time::Instant::now();
    let (code, reason) = port.get("/healthz").await;
    assert_eq!(code, 503);
    assert!(reason.starts_with("no answer through") && reason.ends_with("in 5 s"), "{reason}");
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_health_path_is_configurable_and_others_are_listed() {
    let port = Port::start("/live/{x");
    let _stop = port.provide(Ok(()));
    assert_eq!(port.get("/live/{x").await.0, 200);
    let (code, body) = port.get("/healthz").await;
    assert_eq!((code, body.as_str()), (404, "not here; try /live/{x, /readyz or /metrics\n"));
}

#[tokio::test]
async fn metrics_are_served_only_if_the_operator_wants_them() {
    let open = Port::start("/healthz");
    assert_eq!(open.get("/metrics").await, (200, "# EOF\n".to_owned()));
    let closed = Port::start_with("/healthz", None);
    let _stop = closed.provide(Ok(()));
    assert_eq!(closed.get("/healthz").await.0, 200);
    let told = "not here (--metrics=false); try /healthz or /readyz\n".to_owned();
    assert_eq!(closed.get("/metrics").await, (404, told.clone()));
    assert_eq!(closed.get("/").await, (404, told));
}

#[tokio::test]
async fn readiness_lists_what_holds_it() {
    let port = Port::start("/healthz");
    let (code, reason) = port.get("/readyz").await;
    assert_eq!(code, 503);
    assert!(reason.starts_with("cannot connect to") && reason.contains(NAME), "{reason}");
    let _stop = port.provide(Ok(()));
    time::pause();
    time::advance(Duration::from_secs(1)).await;
    time::resume();
    assert_eq!(port.get("/readyz").await, (200, "ready".to_owned()));

    let readiness = &port.state.readiness;
    readiness.record("KMS does not answer", Some(&|| "connection refused".to_owned()));
    assert_eq!(port.get("/readyz").await.0, 200);
    time::pause();
    time::advance(readiness::UNREADY_AFTER).await;
    time::resume();
    let lasting = "KMS does not answer for 5 minutes: connection refused";
    assert_eq!(port.get("/readyz").await, (503, lasting.to_owned()));
    assert_eq!(port.get("/healthz").await.0, 200, "a restart would not fix the cloud");
    readiness.record("KMS does not answer", None);
    assert_eq!(port.get("/readyz").await.0, 200);

    port.state.draining.cancel();
    let draining = "draining: the provider is shutting down";
    assert_eq!(port.get("/readyz").await, (503, draining.to_owned()));
}

#[tokio::test]
async fn metrics_come_with_their_content_type() {
    let port = Port::start("/healthz");
    let answer = port.exchange("/metrics").await.to_lowercase();
    assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0"));
    assert!(answer.ends_with("\r\n\r\n# eof\n"), "{answer}");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = Admin::bind(address).unwrap_err().to_string();
    let expected = format!("cannot listen on port {} of 127.0.0.1 for", address.port());
    assert!(error.starts_with(&expected) && error.contains("in use"), "{error}");
}

#[tokio::test]
async fn slow_clients_cannot_keep_a_probe_out() {
    let port = Port::start("/healthz");
    let _stop = port.provide(Ok(()));
    let mut slow = Vec::new();
    for host in 0..40 {
        for _ in 0..20 {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::from(([127, 0, 1, host], 0))).unwrap();
            let mut stream = socket.connect(port.address).await.unwrap();
            stream.write_all(b"GET /readyz HTTP/1.1\r\nX-Slow: ").await.unwrap_or_default();
            slow.push(stream);
        }
    }
    let answer = time::timeout(Duration::from_secs(2), port.get("/readyz")).await;
    assert_eq!(answer.unwrap().0, 200);

    let mut rest = Vec::new();
    let ended = slow[0].read_to_end(&mut rest);
    let _ended = time::timeout(Duration::from_secs(2), ended).await.expect("the oldest gave way");
}

/// From another address than kubelet's, as fast as it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flood_of_another_peer_costs_no_probe() {
    let port = Port::start("/healthz");
    let _stop = port.provide(Ok(()));
    let address = port.address;
    let flood = std::thread::spawn(move || {
        let end = std::time::Instant::now() + Duration::from_secs(2);
        let mut made = 0;
        while std::time::Instant::now() < end {
            let socket = request_from_another(address);
            made += usize::from(socket.is_ok());
        }
        made
    });
    let mut probes = 0;
    while !flood.is_finished() {
        let answer = time::timeout(Duration::from_secs(1), port.get("/healthz")).await;
        assert_eq!(answer.expect("in time"), (200, "ok".to_owned()));
        probes += 1;
        time::sleep(Duration::from_millis(200)).await;
    }
    let made = flood.join().unwrap();
    assert!(made > 200 && probes > 3, "{made} {probes}");
}

/// A request from an address of its own; the answer is not waited for.
fn request_from_another(address: SocketAddr) -> std::io::Result<net::TcpStream> {
    let family = rustix::net::AddressFamily::INET;
    let socket = rustix::net::socket(family, rustix::net::SocketType::STREAM, None)?;
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 9], 0)))?;
    rustix::net::connect(&socket, &address)?;
    let mut stream = net::TcpStream::from(socket);
    std::io::Write::write_all(&mut stream, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")?;
    Ok(stream)
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_is_cut_off() {
    let port = Port::start("/healthz");
    let mut slow = TcpStream::connect(port.address).await.unwrap();
    slow.write_all(b"GET /readyz HTTP/1.1\r\nX-Slow: ").await.unwrap();
    let start = time::Instant::now();
    // Closed or reset, both will do.
    let _ended = slow.read_to_end(&mut Vec::new()).await;
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_shutdown_frees_the_port() {
    let port = Port::start("/healthz");
    port.shutdown.cancel();
    port.serving.await.unwrap();
    Admin::bind(port.address).unwrap();
}

struct Port {
    dir: TempDir,
    address: SocketAddr,
    state: AdminState,
    shutdown: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Port {
    fn start(health_path: &str) -> Self {
        Self::start_with(health_path, Some(Arc::new(|| "# EOF\n".to_owned())))
    }

    fn start_with(health_path: &str, metrics: Option<MetricsText>) -> Self {
        let dir = TempDir::new().unwrap();
        let admin = Admin::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = admin.local_addr().unwrap();
        let state = AdminState {
            health_path: health_path.to_owned(),
            socket_path: Some(dir.path().join(NAME)),
            readiness: Arc::default(),
            draining: CancellationToken::new(),
            metrics,
            debug: None,
        };
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(admin.serve(state.clone(), shutdown.clone()));
        Self { dir, address, state, shutdown, serving }
    }

    fn provide(&self, version: Result<(), Status>) -> CancellationToken {
        let socket = Socket::bind(self.dir.path(), NAME).unwrap();
        let shutdown = CancellationToken::new();
        let drain = Duration::from_secs(1);
        tokio::spawn(server::serve(socket, Arc::new(Double(version)), shutdown.clone(), drain));
        shutdown
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.exchange(path).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap();
        (code.parse().unwrap(), body.to_owned())
    }

    async fn exchange(&self, path: &str) -> String {
        Self::get_from(self.address, path).await
    }

    async fn get_from(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

#[tokio::test]
async fn unspecified_ipv6_address_serves_both_families() {
    let admin = Admin::bind("[::]:0".parse().unwrap()).unwrap();
    let port = admin.local_addr().unwrap().port();
    for ip in ["127.0.0.1", "::1"] {
        TcpStream::connect((ip, port)).await.unwrap();
    }
    let only_v4 = Admin::bind("0.0.0.0:0".parse().unwrap()).unwrap();
    let port = only_v4.local_addr().unwrap().port();
    TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    TcpStream::connect(("::1", port)).await.unwrap_err();
}

#[test]
fn unspecified_ipv6_address_serves_ipv4_where_the_kernel_has_no_ipv6() {
    // The kernel's answer, for a thread of its own.
    let family = u64::from(libc::AF_INET6.unsigned_abs());
    let is_v6 = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, family);
    let rule = SeccompRule::new(vec![is_v6.unwrap()]).unwrap();
    let lacking = SeccompAction::Errno(libc::EAFNOSUPPORT.unsigned_abs());
    let machine = std::env::consts::ARCH.try_into().unwrap();
    let rules = [(libc::SYS_socket, vec![rule])].into();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, lacking, machine).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    let test = move || {
        seccompiler::apply_filter(&program).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let admin = Admin::bind("[::]:0".parse().unwrap()).unwrap();
        assert!(admin.local_addr().unwrap().is_ipv4());
    };
    std::thread::spawn(test).join().unwrap();
}

struct Double(Result<(), Status>);

#[tonic::async_trait]
impl CsiDriverProvider for Double {
    async fn version(&self, _: Call<VersionRequest>) -> Result<Answer<VersionResponse>, Status> {
        self.0.clone().map(|()| Answer::new(VersionResponse::default()))
    }

    async fn mount(&self, _: Call<MountRequest>) -> Result<Answer<MountResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }
}
