//! Against a cloud of its own, with two populations of latencies, quotas and faults: through
//! `Cloud`, as the steps of a mount call it.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use http_body_util::Full as Body;
use hyper::{HeaderMap, Request};
use tokio::{
    task::JoinHandle,
    time::{advance, sleep},
};

use super::*;
use crate::{
    cloud::{Cloud, ReadOptions, trust::Clients},
    endpoint::{Endpoints, Service},
    http::{Answer, Transport},
    keys::Keys,
    names::Region,
    secret::Secret,
    spc::source::kms::SecretRef,
    telemetry::Metrics,
    value::Value,
};

/// Of a read, and of an error.
const READ: Duration = Duration::from_millis(120);
const ERROR: Duration = Duration::from_millis(2);
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Refusing,
    Silent,
    Unavailable,
}

/// KMS, by host and access key.
#[derive(Debug)]
struct Kms {
    state: Mutex<State>,
    /// Hosts that drop all packets.
    dead: HashSet<String>,
    /// Access keys that are always throttled.
    always: HashSet<String>,
    /// So many calls are throttled, by any caller.
    throttle: AtomicU32,
    /// By the second.
    calls: Mutex<HashMap<(String, u64), u32>>,
    begun: Instant,
}

impl Kms {
    fn new() -> Self {
        Self {
            state: Mutex::new(State::Up),
            dead: HashSet::new(),
            always: HashSet::new(),
            throttle: AtomicU32::new(0),
            calls: Mutex::default(),
            begun: Instant::now(),
        }
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
    }

    fn calls(&self, host: &str) -> u32 {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|((of, _), _)| of == host).map(|(_, calls)| calls).sum()
    }
}

/// A login of an account of its own.
fn one(login: u8) -> Caller {
    Caller { login: [login; 32], account: [login; 32] }
}

fn refused(status: u16, code: &str) -> (Duration, Result<Answer, Broken>) {
    let id = "0d7e1d0c-8a4b-4b0c-9a55-2f6d0a3c1b7e";
    let body = format!(r#"{{"HttpStatus":{status},"Code":"{code}","RequestId":"{id}"}}"#);
    let body = Secret::new(body.into_bytes());
    (ERROR, Ok(Answer { status, headers: HeaderMap::new(), body }))
}

impl Transport for Kms {
    fn send(&self, request: Request<Body<Bytes>>) -> BoxFuture<'_, Result<Answer, Broken>> {
        let host = request.uri().authority().unwrap().as_str().to_owned();
        let second = self.begun.elapsed().as_secs();
        *self.calls.lock().unwrap().entry((host.clone(), second)).or_default() += 1;
        let state = *self.state.lock().unwrap();
        let dead = self.dead.contains(&host);
        let query = request.uri().query().unwrap_or_default();
        let name = query.split('&').find_map(|pair| pair.strip_prefix("SecretName=")).unwrap();
        let login = request.headers()["authorization"].to_str().unwrap();
        let always = self.always.iter().any(|key| login.contains(key.as_str()));
        let one = |left: u32| left.checked_sub(1);
        let (after, answer) = match state {
            _ if dead => return Box::pin(std::future::pending()),
            State::Silent => return Box::pin(std::future::pending()),
            State::Refusing => (ERROR, Err(Broken::Connection(ConnectionError::Refused))),
            State::Unavailable => refused(503, "ServiceUnavailableTemporary"),
            State::Up if always => refused(429, "Rejected.Throttling"),
            State::Up if self.throttle.try_update(Relaxed, Relaxed, one).is_ok() => {
                refused(429, "Rejected.Throttling")
            }
            State::Up if name.starts_with("gone") => refused(404, "Forbidden.ResourceNotFound"),
            State::Up => {
                let body = format!(
                    r#"{{"SecretName":"{name}","SecretData":"x","SecretDataType":"text","VersionId":"v1","VersionStages":{{"VersionStage":["ACSCurrent"]}},"RequestId":"r"}}"#
                );
                let body = Secret::new(body.into_bytes());
                // Half as much more or less.
                let took = READ.mul_f64(0.5 + fastrand::f64());
                (took, Ok(Answer { status: 200, headers: HeaderMap::new(), body }))
            }
        };
        Box::pin(async move {
            sleep(after).await;
            answer
        })
    }
}

/// A node with the defaults of the program's flags.
#[derive(Clone)]
struct Node {
    cloud: Arc<Cloud>,
    kms: Arc<Kms>,
    endpoints: Arc<Endpoints>,
    mounts: Arc<AtomicU32>,
}

impl Node {
    fn new(kms: Kms) -> Self {
        let kms = Arc::new(kms);
        let metrics = Arc::new(Metrics::new());
        let cloud = Arc::new(Cloud::new(Clients::by(kms.clone()), metrics, 64, 16));
        let endpoints = Arc::new(Endpoints::of_hangzhou());
        Self { cloud, kms, endpoints, mounts: Arc::default() }
    }

    fn own(&self) -> Endpoint {
        self.endpoints.of(Service::Kms, &self.endpoints.region)
    }

    fn instance(&self, number: usize) -> Endpoint {
        let host = format!("kst-{number}.cryptoservice.kms.aliyuncs.com");
        self.endpoints.kms_of_object(&host).unwrap().0
    }

    fn keys(&self, login: u8) -> Keys {
        let (id, secret) = (format!("LTAI-{login}-"), Secret::new("key".to_owned()));
        Keys { id, secret, token: None }
    }

    /// How a read of one object ended.
    async fn read(
        &self,
        endpoint: &Endpoint,
        login: u8,
        name: &str,
        priority: Priority,
        patience: Duration,
    ) -> Result<Value, Failure> {
        let keys = self.keys(login);
        let (deadline, on_error) = (Instant::now() + patience, |_: &Failure| {});
        let options = ReadOptions {
            endpoint,
            keys: &keys,
            caller: one(login),
            priority,
            deadline,
            on_error: &on_error,
            sent: &|| {},
        };
        let secret = SecretRef { name: name.to_owned(), version_id: None, stage: None };
        self.cloud.get_secret_value(&options, &secret).await
    }

    /// A new pod's mount of so many objects of the operator's host: how long, and how many failed.
    async fn mount(&self, login: u8, objects: usize) -> (Duration, usize) {
        self.mount_at(&|_| self.own(), login, objects, None).await
    }

    async fn mount_at(
        &self,
        endpoint: &(dyn Fn(usize) -> Endpoint + Sync),
        login: u8,
        objects: usize,
        has: Option<Instant>,
    ) -> (Duration, usize) {
        let begun = Instant::now();
        let mount = u64::from(self.mounts.fetch_add(1, Relaxed));
        let reads = (0..objects).map(|object| async move {
            let (priority, name) = (Priority::of(mount, object, has), format!("s{object}"));
            self.read(&endpoint(object), login, &name, priority, Duration::from_secs(90)).await
        });
        let failed = join_all(reads).await.iter().filter(|read| read.is_err()).count();
        (begun.elapsed(), failed)
    }

    fn spawn_mount(&self, login: u8, objects: usize) -> JoinHandle<(Duration, usize)> {
        let node = self.clone();
        tokio::spawn(async move { node.mount(login, objects).await })
    }
}

fn assert_within(mount: (Duration, usize), limit: Duration, what: &str) {
    assert_eq!(mount.1, 0, "{what}: failed");
    assert!(mount.0 <= limit, "{what}: {:?}", mount.0);
}

/// Slower than any single read, and quicker than two.
const ONE_ROUND: Duration = Duration::from_millis(185);

#[tokio::test(start_paused = true)]
async fn single_429_on_a_quiet_node_costs_a_moment() {
    for other in [1, 2] {
        let node = Node::new(Kms::new());
        node.mount(1, 3).await;
        sleep(MINUTE).await;
        node.kms.throttle.store(1, Relaxed);
        let throttled = node.spawn_mount(1, 1);
        sleep(ERROR * 2).await;
        let after = node.mount(other, 10).await;
        assert_within(after, ONE_ROUND + Duration::from_millis(300), "at once");
        assert_within(throttled.await.unwrap(), Duration::from_millis(600), "the one throttled");
        sleep(Duration::from_secs(5)).await;
        assert_within(node.mount(other, 10).await, ONE_ROUND, "after 5 s");
    }
}

#[tokio::test(start_paused = true)]
async fn single_429_on_a_busy_node_costs_a_moment() {
    let node = Node::new(Kms::new());
    let busy = node.clone();
    let load = tokio::spawn(async move {
        loop {
            for login in 10..30 {
                drop(busy.spawn_mount(login, 1));
                sleep(Duration::from_millis(50)).await;
            }
        }
    });
    sleep(MINUTE).await;
    node.kms.throttle.store(1, Relaxed);
    sleep(Duration::from_millis(200)).await;
    let after = node.mount(1, 10).await;
    assert_within(after, ONE_ROUND + Duration::from_millis(300), "at once");
    sleep(Duration::from_secs(5)).await;
    assert_within(node.mount(2, 10).await, ONE_ROUND, "after 5 s");
    load.abort();
}

#[tokio::test(start_paused = true)]
async fn outage_of_a_minute_is_over_two_seconds_after_its_end() {
    for state in [State::Unavailable, State::Refusing, State::Silent] {
        let node = Node::new(Kms::new());
        let has_none = Priority::default();
        let own = node.own();
        // An answer far quicker than any read.
        node.read(&own, 1, "gone", has_none, MINUTE).await.unwrap_err();
        node.mount(1, 3).await;
        node.kms.set(state);
        let before = node.kms.calls(own.host());
        // Mounts of all kinds meet it, some with little time.
        for login in 0..60 {
            drop(node.spawn_mount(login, 3));
            let impatient = node.clone();
            tokio::spawn(async move {
                let own = impatient.own();
                let patience = Duration::from_secs(1);
                impatient.read(&own, login, "x", has_none, patience).await
            });
            sleep(Duration::from_secs(1)).await;
        }
        let calls = node.kms.calls(own.host()) - before;
        // The first ones of the outage go out together.
        assert!(calls < 60 * 2 + 16, "{state:?}: {calls} calls in a minute");
        node.kms.set(State::Up);
        let after = node.mount(70, 40).await;
        assert_within(after, Duration::from_secs(2), &format!("{state:?}"));
        sleep(Duration::from_secs(15)).await;
        assert_within(node.mount(71, 40).await, ONE_ROUND, "full speed");
    }
}

#[tokio::test(start_paused = true)]
async fn down_host_fails_calls_with_its_last_reason() {
    let node = Node::new(Kms::new());
    node.kms.set(State::Refusing);
    let own = node.own();
    let reads = (0..50).map(|at| node.read(&own, at, "x", Priority::default(), MINUTE));
    for read in join_all(reads).await {
        let cause = read.unwrap_err().cause;
        assert_eq!(cause, Cause::Broken(Broken::Connection(ConnectionError::Refused)));
    }
    // One that may only wait learns why too.
    let short = Duration::from_millis(300);
    let late = node.read(&own, 1, "x", Priority::default(), short).await.unwrap_err();
    assert_eq!(late.cause, Cause::Broken(Broken::Connection(ConnectionError::Refused)));
}

#[tokio::test(start_paused = true)]
async fn always_throttled_login_slows_nobody_else() {
    let node = Node::new(Kms { always: HashSet::from(["LTAI-9-".to_owned()]), ..Kms::new() });
    let own = node.own();
    let always = node.clone();
    let load = tokio::spawn(async move {
        loop {
            let (_, failed) = always.mount(9, 1).await;
            assert_eq!(failed, 1);
            sleep(Duration::from_millis(500)).await;
        }
    });
    for round in 20..30 {
        sleep(Duration::from_secs(30)).await;
        assert_within(node.mount(round, 10).await, ONE_ROUND, "a new pod");
        let has = Some(Instant::now());
        let refresh = node.mount_at(&|_| node.own(), round, 10, has).await;
        assert_within(refresh, ONE_ROUND, "a refresh");
    }
    // In five minutes: those of the others, and one in two seconds of this login.
    assert!(node.kms.calls(own.host()) < 200 + 200, "{}", node.kms.calls(own.host()));
    load.abort();
}

#[tokio::test(start_paused = true)]
async fn shortage_of_several_accounts_slows_the_host_as_a_whole() {
    let node = Node::new(Kms::new());
    for login in 0..12 {
        node.kms.throttle.store(1, Relaxed);
        node.mount(login, 1).await;
        sleep(Duration::from_secs(2)).await;
    }
    let own = node.own();
    assert!(node.cloud.is_throttling(Service::Kms, &own, &one(200)), "a login never throttled");
    let (took, failed) = node.mount(200, 10).await;
    assert!(failed == 0 && took > Duration::from_secs(1), "{took:?}");
    let oos = node.endpoints.of(Service::Oos, &node.endpoints.region);
    assert!(!node.cloud.is_throttling(Service::Oos, &oos, &one(0)));
}

#[tokio::test(start_paused = true)]
async fn refresh_goes_after_new_pods_while_the_host_throttles() {
    let node = Node::new(Kms::new());
    for login in 0..12 {
        node.kms.throttle.store(1, Relaxed);
        node.mount(login, 1).await;
        sleep(Duration::from_secs(2)).await;
    }
    let refreshing = node.clone();
    let refresh = tokio::spawn(async move {
        let has = Some(Instant::now());
        refreshing.mount_at(&|_| refreshing.own(), 50, 5, has).await;
        Instant::now()
    });
    sleep(Duration::from_millis(1)).await;
    node.mount(51, 5).await;
    let new = Instant::now();
    assert!(refresh.await.unwrap() > new);
}

/// A refresh waits longer than a new pod: also for it somebody has to look again.
#[tokio::test(start_paused = true)]
async fn single_429_of_a_refresh_costs_a_moment() {
    for _ in 0..50 {
        let node = Node::new(Kms::new());
        let has = Some(Instant::now());
        node.kms.throttle.store(1, Relaxed);
        let refresh = node.mount_at(&|_| node.own(), 1, 1, has).await;
        assert_within(refresh, Duration::from_millis(1500), "a refresh");
    }
}

#[tokio::test(start_paused = true)]
async fn dead_hosts_that_pods_name_hold_nothing_that_others_need() {
    let dead: HashSet<String> =
        (0..70).map(|n| format!("kst-{n}.cryptoservice.kms.aliyuncs.com")).collect();
    let node = Node::new(Kms { dead, ..Kms::new() });
    // One that pods name too, and that answers.
    let good = node.endpoints.of(Service::Kms, &Region::parse("cn-beijing").unwrap());
    assert!(good.is_named_by_pods() && !node.own().is_named_by_pods());
    for login in 1..4 {
        let node = node.clone();
        tokio::spawn(async move {
            loop {
                let at = |object: usize| node.instance(object % 70);
                assert_eq!(node.mount_at(&at, login, 210, None).await.1, 210);
            }
        });
    }
    for _ in 0..20 {
        sleep(Duration::from_secs(7)).await;
        assert_within(node.mount(10, 10).await, ONE_ROUND, "the operator's host");
        assert_within(node.mount(10, 1).await, ONE_ROUND, "the operator's host");
        let there = node.mount_at(&|_| good.clone(), 11, 10, None).await;
        assert_within(there, Duration::from_secs(5), "another that pods name");
    }
}

const ENDPOINTS: [&str; 3] = ["cn-hangzhou", "cn-beijing", "cn-shanghai"];

/// Three hosts, the first of them the operator's.
fn three() -> [Endpoint; 3] {
    let endpoints = Endpoints::of_hangzhou();
    ENDPOINTS.map(|region| endpoints.of(Service::Kms, &Region::parse(region).unwrap()))
}

fn target(endpoint: &Endpoint, priority: Priority) -> Target<'_> {
    Target { endpoint, api: Api::GetSecretValue, caller: one(1), priority }
}

fn of(mount: u64) -> Priority {
    Priority::of(mount, 0, None)
}

impl Granted {
    fn unwrap(self) -> Permit {
        match self {
            Granted::Permit(permit) => permit,
            other => panic!("{other:?}"),
        }
    }

    fn is_late(&self) -> bool {
        matches!(self, Granted::Late)
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

#[tokio::test(start_paused = true)]
async fn operators_limit_holds_over_all_hosts() {
    let [a, b, c] = three();
    let limiter = Limiter::new(2);
    let (first, second) =
        (limiter.acquire(target(&a, of(1))).unwrap(), limiter.acquire(target(&b, of(1))).unwrap());
    let queued = limiter.acquire(target(&a, of(2))).unwrap_err();
    let late = limiter.acquire(target(&c, of(3))).unwrap_err();
    assert!(limiter.acquire(target(&a, of(3))).unwrap_err().until(soon()).await.is_late());
    assert_eq!(limiter.awaited(&target(&a, of(4))).cause, Cause::NoPlace(Full::Service(2)));
    drop(first);
    let permit = queued.until(soon()).await.unwrap();
    assert_eq!(&*permit.host, a.host());
    assert_eq!(limiter.lock().taken, 2);
    assert!(late.until(soon()).await.is_late());
    drop((permit, second));
    let state = limiter.lock();
    assert_eq!((state.taken, state.named, state.unproven), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn mounts_are_served_in_order_and_large_ones_by_parts() {
    let [a, ..] = three();
    let limiter = Limiter::new(1);
    let held = limiter.acquire(target(&a, of(0))).unwrap();
    let wait = |priority| limiter.acquire(target(&a, priority)).unwrap_err();
    let has = wait(Priority::of(1, 0, Some(Instant::now())));
    let mut many: VecDeque<_> = (0..100).map(|call| wait(Priority::of(2, call, None))).collect();
    let one = wait(of(3));
    drop(held);
    // A few calls of the mount that came first, and meanwhile the refresh, then the next mount, whole.
    for _ in 0..3 {
        drop(many.pop_front().unwrap().until(soon()).await.unwrap());
    }
    drop(has.until(soon()).await.unwrap());
    for _ in 3..8 {
        drop(many.pop_front().unwrap().until(soon()).await.unwrap());
    }
    drop(one.until(soon()).await.unwrap());
    for call in many {
        drop(call.until(soon()).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn new_pods_that_come_and_come_leave_a_refresh_one_call_in_four() {
    let [a, ..] = three();
    let limiter = Limiter::new(1);
    let mut held = limiter.acquire(target(&a, of(0))).unwrap();
    let (mut order, mut waiting) = (String::new(), VecDeque::new());
    for number in 0..20 {
        let since = Some(Instant::now());
        waiting.push_back(('n', limiter.acquire(target(&a, of(number))).unwrap_err()));
        waiting.push_back((
            'r',
            limiter.acquire(target(&a, Priority::of(number, 0, since))).unwrap_err(),
        ));
    }
    for _ in 0..16 {
        drop(held);
        let mut next = None;
        for (at, (_, queued)) in waiting.iter_mut().enumerate() {
            if let Ok(Ok(permit)) = queued.0.try_recv() {
                next = Some((at, permit));
                break;
            }
        }
        let (at, permit) = next.unwrap();
        order.push(waiting.remove(at).unwrap().0);
        held = permit;
    }
    assert_eq!(order, "nnnrnnnrnnnrnnnr");
}

/// What one author deploys, as many pods as it may have, is one account.
#[tokio::test(start_paused = true)]
async fn throttled_replicas_of_one_workload_slow_nobody_else() {
    let node = Node::new(Kms::new());
    let replica = |login| Caller { login: [login; 32], account: [100; 32] };
    let read = |login: u8| {
        let node = node.clone();
        async move {
            let (keys, own) = (node.keys(login), node.own());
            let deadline = Instant::now() + Duration::from_secs(1);
            let options = ReadOptions {
                endpoint: &own,
                keys: &keys,
                caller: replica(login),
                priority: Priority::default(),
                deadline,
                on_error: &|_: &Failure| {},
                sent: &|| {},
            };
            let secret = SecretRef { name: "x".to_owned(), version_id: None, stage: None };
            drop(node.cloud.get_secret_value(&options, &secret).await);
        }
    };
    for round in 0..10 {
        for login in 1..=5 {
            // Each in its turn is throttled, and then is not: none is always throttled.
            node.kms.throttle.store(1, Relaxed);
            read(login).await;
            read(login).await;
        }
        assert!(node.cloud.is_throttling(Service::Kms, &node.own(), &replica(99)), "{round}");
        node.kms.throttle.store(0, Relaxed);
        assert_within(node.mount(50 + round, 10).await, ONE_ROUND, "another account");
    }
}

#[tokio::test(start_paused = true)]
async fn cancelled_waiter_releases_its_permit() {
    let [a, ..] = three();
    let limiter = Limiter::new(1);
    let held = limiter.acquire(target(&a, of(0))).unwrap();
    let gone = limiter.acquire(target(&a, of(1))).unwrap_err();
    let waits = limiter.acquire(target(&a, of(2))).unwrap_err();
    drop(gone);
    drop(held);
    drop(waits.until(soon()).await.unwrap());
    // A permit that was given, and not taken, comes back.
    let held = limiter.acquire(target(&a, of(0))).unwrap();
    let given = limiter.acquire(target(&a, of(1))).unwrap_err();
    drop(held);
    drop(given);
    assert_eq!(limiter.lock().taken, 0);
    assert!(limiter.acquire(target(&a, of(3))).is_ok());
}

#[tokio::test(start_paused = true)]
async fn nobody_stays_behind_to_look_again() {
    let node = Node::new(Kms::new());
    for login in 0..12 {
        node.kms.throttle.store(1, Relaxed);
        node.mount(login, 1).await;
        sleep(Duration::from_secs(2)).await;
    }
    for login in 0..200 {
        let short = Duration::from_millis(20);
        let (own, refresh) = (node.own(), Priority::of(1, 0, Some(Instant::now())));
        let impatient = node.read(&own, login, "x", refresh, short);
        let _ = timeout_at(Instant::now(), impatient).await;
        node.read(&node.own(), login, "x", Priority::default(), MINUTE).await.unwrap();
    }
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(tasks < 50, "{tasks}");
}

#[tokio::test(start_paused = true)]
async fn limit_halves_under_overload_and_comes_back_with_answers_or_time() {
    let [a, b, _] = three();
    let limiter = Limiter::new(16);
    let limit = || limiter.lock().hosts[a.host()].limit(16);
    let all = || -> Vec<Permit> {
        (0..).map_while(|n| limiter.acquire(target(&a, of(n))).ok()).collect()
    };
    let late = Failure::new(Api::GetSecretValue, &a, Cause::TimedOut);
    let round = async |took: u64| {
        let permits = all();
        advance(Duration::from_millis(took)).await;
        let count = permits.len();
        permits.into_iter().for_each(Permit::succeeded);
        count
    };
    assert_eq!(round(100).await, 16);
    let mut permits = all();
    advance(Duration::from_secs(10)).await;
    // Both saw the same overload.
    permits.pop().unwrap().failed(&late);
    permits.pop().unwrap().failed(&late);
    assert_eq!(limit(), 8.0);
    permits.into_iter().for_each(drop);
    assert!(limiter.acquire(target(&b, of(0))).is_ok(), "another host is not to blame");
    // Slow answers do not raise it.
    assert_eq!(round(500).await, 8);
    assert_eq!(limit(), 8.0);
    assert_eq!(round(100).await, 8);
    assert!(limit() > 12.0, "{}", limit());
    all().pop().unwrap().failed(&late);
    let lowered = limit();
    // What the mount's own deadline cuts short says nothing.
    all().pop().unwrap().failed(&late);
    assert_eq!(limit(), lowered);
    advance(Duration::from_secs(11)).await;
    assert_eq!(all().len(), 16);
}
