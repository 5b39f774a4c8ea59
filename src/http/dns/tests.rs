use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU8, Ordering},
};

use emulator::dns::{Asked, NameServer, Reply};
use tempfile::TempDir;

use super::*;

const HOST: &str = "kms-vpc.cn-hangzhou.aliyuncs.com";
const LOCAL: &str = "127.0.0.1:0";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn v4() -> IpAddr {
    ip("192.0.2.1")
}

fn v6() -> IpAddr {
    ip("2001:db8::1")
}

fn both() -> Reply {
    Reply::Addresses(vec![v6(), v4()])
}

async fn server(rule: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> NameServer {
    NameServer::start(LOCAL.parse().unwrap(), rule).await.unwrap()
}

/// A resolver with files of its own.
struct Machine {
    folder: TempDir,
    dns: Arc<Dns>,
}

impl Machine {
    fn new(resolv_conf: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let dns = Arc::new(Dns::new(&path("resolv.conf"), &path("hosts")));
        let machine = Self { folder, dns };
        machine.write("resolv.conf", resolv_conf);
        machine
    }

    fn of(servers: &[&NameServer], more: &str) -> Self {
        let line = |server: &&NameServer| {
            format!("nameserver [{}]:{}\n", server.address.ip(), server.address.port())
        };
        Self::new(&(servers.iter().map(line).collect::<String>() + more))
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    async fn lookup(&self, host: &str) -> Result<Vec<IpAddr>, NameError> {
        self.dns.lookup(host).await
    }
}

/// Fails unless one of a few tries ends in time. A busy machine delays a try or two; a wait that the
/// resolver makes itself delays them all.
async fn within(milliseconds: u64, attempt: impl AsyncFn()) {
    let mut took = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        attempt().await;
        took.push(started.elapsed());
        if started.elapsed() < Duration::from_millis(milliseconds) {
            return;
        }
    }
    panic!("none of {took:?} within {milliseconds} ms");
}

/// Every way in which a name server does not give a record, but for silence.
fn failures() -> [Reply; 4] {
    [Reply::NxDomain, Reply::ServFail, Reply::Refused, Reply::Addresses(Vec::new())]
}

#[tokio::test]
async fn resolver_gives_both_families_ipv4_first() {
    let server = server(|_| both()).await;
    let machine = Machine::of(&[&server], "");
    assert_eq!(machine.lookup(HOST).await, Ok(vec![v4(), v6()]));
    assert_eq!(machine.lookup(&HOST.to_uppercase()).await, Ok(vec![v4(), v6()]));
    assert_eq!(server.asked().len(), 2, "{:?}", server.asked());
}

#[tokio::test]
async fn resolver_uses_one_family_when_the_other_fails() {
    for failure in failures() {
        for v6_fails in [true, false] {
            let failed = failure.clone();
            let rule = move |asked: &Asked| match asked.v6 == v6_fails {
                true => failed.clone(),
                false => both(),
            };
            let server = server(rule).await;
            let found = Machine::of(&[&server], "").lookup(HOST).await;
            let expected = if v6_fails { v4() } else { v6() };
            assert_eq!(found, Ok(vec![expected]), "{failure:?} {v6_fails}");
        }
    }
}

#[tokio::test]
async fn resolver_does_not_wait_for_a_family_that_is_dropped() {
    for v6_dropped in [true, false] {
        let rule = move |asked: &Asked| match asked.v6 == v6_dropped {
            true => Reply::Drop,
            false => both(),
        };
        let server = server(rule).await;
        within(400, async || {
            let found = Machine::of(&[&server], "").lookup(HOST).await;
            assert_eq!(found, Ok(vec![if v6_dropped { v4() } else { v6() }]));
        })
        .await;
    }
}

#[tokio::test]
async fn resolver_waits_for_the_family_that_has_addresses() {
    let rule = |asked: &Asked| match asked.v6 {
        true => Reply::After(Duration::from_millis(300), Box::new(both())),
        false => Reply::NxDomain,
    };
    let server = server(rule).await;
    assert_eq!(Machine::of(&[&server], "").lookup(HOST).await, Ok(vec![v6()]));
}

#[tokio::test]
async fn resolver_asks_for_complete_names_alone() {
    let server = server(|_| Reply::NxDomain).await;
    let machine = Machine::of(&[&server], "search shop.svc.cluster.local\noptions ndots:5\n");
    for host in [HOST, "kms.", "kms.internal."] {
        assert_eq!(machine.lookup(host).await, Err(NameError::NotFound));
    }
    let names: Vec<_> = server.asked().into_iter().map(|asked| asked.name).collect();
    let complete = |name: &str| [HOST, "kms", "kms.internal"].contains(&name);
    assert!(names.iter().all(|name| complete(name)), "{names:?}");
}

#[tokio::test]
async fn resolver_walks_the_search_list_in_the_order_of_ndots() {
    for (options, host, expected) in [
        ("options ndots:5", "kms", ["kms.a.example", "kms.b.example", "kms"]),
        ("", "kms", ["kms.a.example", "kms.b.example", "kms"]),
        ("", "kms.vpc", ["kms.vpc", "kms.vpc.a.example", "kms.vpc.b.example"]),
        ("options ndots:5", "kms.vpc", ["kms.vpc.a.example", "kms.vpc.b.example", "kms.vpc"]),
        (
            "options ndots:5",
            "kubernetes.default.svc",
            [
                "kubernetes.default.svc",
                "kubernetes.default.svc.a.example",
                "kubernetes.default.svc.b.example",
            ],
        ),
    ] {
        let server = server(|_| Reply::NxDomain).await;
        let machine = Machine::of(&[&server], &format!("search a.example b.example.\n{options}\n"));
        assert_eq!(machine.lookup(host).await, Err(NameError::NotFound));
        let asked = server.asked().into_iter().filter(|asked| !asked.v6);
        let names: Vec<_> = asked.map(|asked| asked.name).collect();
        assert_eq!(names, expected, "{options} {host}");
    }
}

#[tokio::test]
async fn search_domain_that_fails_does_not_end_the_walk() {
    for failure in failures() {
        let failed = failure.clone();
        let rule = move |asked: &Asked| match &*asked.name {
            "kms.a.example" => failed.clone(),
            "kms.b.example" => both(),
            _ => Reply::NxDomain,
        };
        let server = server(rule).await;
        let machine = Machine::of(&[&server], "search a.example b.example\noptions ndots:5\n");
        assert_eq!(machine.lookup("kms").await, Ok(vec![v4(), v6()]), "{failure:?}");
    }
}

#[tokio::test]
async fn search_domain_that_is_silent_does_not_end_the_walk() {
    let rule = |asked: &Asked| match &*asked.name {
        "kms.a.example" => Reply::Drop,
        "kms.b.example" => both(),
        _ => Reply::NxDomain,
    };
    let server = server(rule).await;
    let machine = Machine::of(&[&server], "search a.example b.example\noptions ndots:5\n");
    let started = Instant::now();
    assert_eq!(machine.lookup("kms").await, Ok(vec![v4(), v6()]));
    assert!(started.elapsed() < Duration::from_millis(2500), "{:?}", started.elapsed());
}

#[tokio::test]
async fn families_of_different_search_domains_are_not_mixed() {
    let rule = |asked: &Asked| match (&*asked.name, asked.v6) {
        ("kms.a.example", true) | ("kms.b.example", false) => both(),
        _ => Reply::NxDomain,
    };
    let server = server(rule).await;
    let machine = Machine::of(&[&server], "search a.example b.example\n");
    assert_eq!(machine.lookup("kms").await, Ok(vec![v6()]));
}

#[tokio::test]
async fn resolver_asks_the_next_server_when_one_fails() {
    for failure in [Reply::ServFail, Reply::Refused, Reply::Referral, Reply::Drop] {
        let first = {
            let failure = failure.clone();
            server(move |_| failure.clone()).await
        };
        let second = server(|_| both()).await;
        within(400, async || {
            let found = Machine::of(&[&first, &second], "").lookup(HOST).await;
            assert_eq!(found, Ok(vec![v4(), v6()]), "{failure:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn server_that_answered_in_place_of_a_silent_one_is_asked_first() {
    let (first, second) = (server(|_| Reply::Drop).await, server(|_| Reply::Drop).await);
    let third = server(|_| both()).await;
    let machine = Machine::of(&[&first, &second, &third], "");
    let started = Instant::now();
    assert_eq!(machine.lookup(HOST).await, Ok(vec![v4(), v6()]));
    assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
    let started = Instant::now();
    assert_eq!(machine.lookup("sts.cn-hangzhou.aliyuncs.com").await, Ok(vec![v4(), v6()]));
    assert!(started.elapsed() < Duration::from_millis(150), "{:?}", started.elapsed());
    assert_eq!((first.asked().len(), second.asked().len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn preferred_server_gives_way_to_the_order_of_the_file() {
    let servers: Vec<SocketAddr> =
        ["192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:53"].map(|text| text.parse().unwrap()).into();
    let [first, second, third] = servers[..] else { unreachable!() };
    let preferred = Preferred::default();
    assert_eq!(preferred.order(&servers), servers);
    preferred.answered(third, &servers);
    let order = preferred.order(&servers);
    assert_eq!(order, [third, first, second]);
    // That it goes on answering does not make it first for ever.
    tokio::time::advance(Duration::from_secs(59)).await;
    preferred.answered(third, &order);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(preferred.order(&servers), servers);
    // One that the file no longer has is not asked.
    preferred.answered(third, &servers);
    assert_eq!(preferred.order(&servers[..2]), servers[..2]);
}

#[tokio::test]
async fn many_name_servers_that_do_not_answer_end_a_lookup_as_few_do() {
    let closed = server(|_| Reply::Drop).await.address.port();
    let text = format!("nameserver [127.0.0.1]:{closed}\n").repeat(70);
    let conf = Conf::parse(&text).unwrap();
    assert_eq!(conf.servers.len(), 3);
    let preferred = Preferred::default();
    let asked = query::ask(&conf, &preferred, HOST, Family::V4, LOOKUP_TIMEOUT).await;
    assert_eq!(asked.unwrap_err(), NameError::NoAnswer);
}

#[tokio::test]
async fn resolver_asks_the_next_server_when_nobody_listens() {
    let second = server(|_| both()).await;
    let machine = Machine::of(&[&second], "");
    let servers = std::fs::read_to_string(machine.folder.path().join("resolv.conf")).unwrap();
    // Each time another port: a test beside this one may be given the one that was closed.
    within(400, async || {
        let closed = server(|_| Reply::Drop).await.address.port();
        let line = format!("nameserver [127.0.0.1]:{closed}\n");
        let found = Machine::new(&(line + &servers)).lookup(HOST).await;
        assert_eq!(found, Ok(vec![v4(), v6()]));
    })
    .await;
}

#[tokio::test]
async fn resolver_believes_the_first_server_that_a_name_does_not_exist() {
    let first = server(|_| Reply::NxDomain).await;
    let second = server(|_| both()).await;
    let found = Machine::of(&[&first, &second], "").lookup(HOST).await;
    assert_eq!(found, Err(NameError::NotFound));
    assert!(second.asked().is_empty());
}

#[tokio::test]
async fn resolver_asks_again_when_a_packet_is_lost() {
    let lost = AtomicU8::new(0);
    let rule = move |_: &Asked| match lost.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Reply::Drop,
        _ => both(),
    };
    let server = server(rule).await;
    assert_eq!(Machine::of(&[&server], "").lookup(HOST).await, Ok(vec![v4(), v6()]));
}

#[tokio::test]
async fn resolver_takes_an_answer_that_comes_after_it_asked_again() {
    let slow = || Reply::After(Duration::from_millis(800), Box::new(both()));
    let first = server(move |_| slow()).await;
    let second = server(|_| Reply::Drop).await;
    assert_eq!(Machine::of(&[&first, &second], "").lookup(HOST).await, Ok(vec![v4(), v6()]));
}

#[tokio::test]
async fn truncated_answer_is_read_over_tcp() {
    let many = || (1..15).map(|n| IpAddr::from([192, 0, 2, n])).collect::<Vec<_>>();
    let whole = move || Box::new(Reply::Addresses(many()));
    let server = server(move |_| Reply::Truncated(vec![v4()], whole())).await;
    let found = Machine::of(&[&server], "").lookup(HOST).await.unwrap();
    assert_eq!(found.len(), 14);
}

#[tokio::test]
async fn addresses_beyond_what_can_be_tried_are_left_out() {
    let many = || (0..100).map(|n| IpAddr::from([192, 0, 2, n])).collect::<Vec<_>>();
    let server = server(move |_| Reply::Addresses(many())).await;
    assert_eq!(Machine::of(&[&server], "").lookup(HOST).await.unwrap(), many()[..16]);
}

#[tokio::test]
async fn truncated_answer_serves_when_tcp_is_silent() {
    let truncated = || Reply::Truncated(vec![v4()], Box::new(Reply::Drop));
    let server = server(move |_| truncated()).await;
    within(400, async || {
        assert_eq!(Machine::of(&[&server], "").lookup(HOST).await, Ok(vec![v4()]));
    })
    .await;
}

#[tokio::test]
async fn use_vc_asks_over_tcp_alone() {
    let server = server(|_| both()).await;
    let found = Machine::of(&[&server], "options use-vc\n").lookup(HOST).await;
    assert_eq!(found, Ok(vec![v4(), v6()]));
    assert!(server.asked().iter().all(|asked| asked.tcp));
}

#[tokio::test]
async fn answer_with_another_id_is_ignored() {
    let rule = |_: &Asked| Reply::Forged(ip("192.0.2.66"), Box::new(both()));
    let server = server(rule).await;
    assert_eq!(Machine::of(&[&server], "").lookup(HOST).await, Ok(vec![v4(), v6()]));
}

#[tokio::test]
async fn aliases_are_followed_within_the_answer() {
    let aliases = || vec!["a.example".to_owned(), "b.example".to_owned()];
    let rule = move |asked: &Asked| match asked.v6 {
        true => Reply::Alias(aliases(), Vec::new()),
        false => Reply::Alias(aliases(), vec![v4()]),
    };
    let server = server(rule).await;
    assert_eq!(Machine::of(&[&server], "").lookup(HOST).await, Ok(vec![v4()]));
}

#[tokio::test]
async fn name_servers_can_have_ipv6_addresses() {
    let at: SocketAddr = "[::1]:0".parse().unwrap();
    let server = NameServer::start(at, |_| both()).await.unwrap();
    assert_eq!(Machine::of(&[&server], "").lookup(HOST).await, Ok(vec![v4(), v6()]));
}

#[tokio::test]
async fn hosts_file_comes_before_the_name_servers() {
    let server = server(|_| both()).await;
    let machine = Machine::of(&[&server], "");
    machine.write("hosts", "# none\n::1 Kms.internal alias # none\n10.0.0.1\tkms.internal\n");
    let own = [ip("10.0.0.1"), ip("::1")];
    assert_eq!(machine.lookup("KMS.internal.").await.unwrap(), own);
    assert_eq!(machine.lookup("alias").await.unwrap(), [ip("::1")]);
    assert_eq!(machine.lookup("localhost").await.unwrap(), [ip("127.0.0.1"), ip("::1")]);
    assert!(server.asked().is_empty());
    assert_eq!(machine.lookup("none").await, Ok(vec![v4(), v6()]));
}

#[tokio::test]
async fn changed_files_are_read_again() {
    let (first, second) = (server(|_| both()).await, server(|_| both()).await);
    let machine = Machine::of(&[&first], "");
    machine.lookup(HOST).await.unwrap();
    let other = Machine::of(&[&second], "");
    let text = std::fs::read_to_string(other.folder.path().join("resolv.conf")).unwrap();
    machine.write("resolv.conf", &text);
    machine.lookup(HOST).await.unwrap();
    assert_eq!((first.asked().len(), second.asked().len()), (2, 2));
    machine.write("hosts", &format!("10.0.0.1 {HOST}\n"));
    assert_eq!(machine.lookup(HOST).await.unwrap(), [ip("10.0.0.1")]);
    // By another file in its place, too.
    machine.write("new", &format!("10.0.0.2 {HOST}\n"));
    let path = |name: &str| machine.folder.path().join(name);
    std::fs::rename(path("new"), path("hosts")).unwrap();
    assert_eq!(machine.lookup(HOST).await.unwrap(), [ip("10.0.0.2")]);
}

#[tokio::test]
async fn files_that_cannot_be_read_leave_what_was_read_last() {
    let server = server(|_| both()).await;
    let machine = Machine::of(&[&server], "");
    machine.lookup(HOST).await.unwrap();
    // As it is while somebody writes it.
    machine.write("resolv.conf", "");
    assert!(machine.lookup("other.example").await.is_ok());
    std::fs::remove_file(machine.folder.path().join("resolv.conf")).unwrap();
    assert!(machine.lookup("another.example").await.is_ok());
}

#[tokio::test]
async fn answers_are_kept_for_their_ttl() {
    const TTL: Duration = Duration::from_secs(60);
    let server = server(|_| Reply::WithTtl(60, Box::new(both()))).await;
    let machine = Machine::of(&[&server], "");
    let before = Instant::now();
    for _ in 0..3 {
        machine.lookup(HOST).await.unwrap();
    }
    let after = Instant::now();
    assert_eq!(server.asked().len(), 2);
    let (_, version) = machine.dns.conf.current();
    for (family, address) in [(Family::V4, v4()), (Family::V6, v6())] {
        let question = Question { name: HOST.into(), family, version };
        let late = before + TTL - Duration::from_millis(1);
        assert_eq!(machine.dns.cached(&question, late), Some(Ok([address].into())));
        assert_eq!(machine.dns.cached(&question, after + TTL), None);
    }
}

#[tokio::test]
async fn negative_answers_are_kept_and_failures_are_not() {
    let missing = server(|_| Reply::NxDomain).await;
    let machine = Machine::of(&[&missing], "");
    for _ in 0..3 {
        machine.lookup(HOST).await.unwrap_err();
    }
    assert_eq!(missing.asked().len(), 2);
    let failing = server(|_| Reply::ServFail).await;
    let machine = Machine::of(&[&failing], "");
    for _ in 0..3 {
        machine.lookup(HOST).await.unwrap_err();
    }
    assert_eq!(failing.asked().len(), 6);
}

#[tokio::test]
async fn concurrent_lookups_of_a_name_share_the_question() {
    let slow = || Reply::After(Duration::from_millis(100), Box::new(both()));
    let server = server(move |_| slow()).await;
    let machine = Machine::of(&[&server], "");
    let lookups = (0..20).map(|_| machine.lookup(HOST));
    for found in futures::future::join_all(lookups).await {
        assert_eq!(found, Ok(vec![v4(), v6()]));
    }
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn errors_tell_what_the_name_servers_said() {
    use NameError::*;
    use Reply::{NxDomain, Refused, ServFail};
    let nothing = || Reply::Addresses(Vec::new());
    for (a, aaaa, expected) in [
        (NxDomain, NxDomain, NotFound),
        (nothing(), nothing(), NoAddress),
        (nothing(), NxDomain, NoAddress),
        (ServFail, ServFail, Failed),
        (Refused, NxDomain, Failed),
        (nothing(), Refused, Failed),
        // AAAA is answered like this for names that exist and for those that do not.
        (NxDomain, Refused, NotFound),
    ] {
        let replies = (a.clone(), aaaa.clone());
        let rule = move |asked: &Asked| match asked.v6 {
            true => replies.1.clone(),
            false => replies.0.clone(),
        };
        let server = server(rule).await;
        let found = Machine::of(&[&server], "").lookup(HOST).await;
        assert_eq!(found, Err(expected), "{a:?} {aaaa:?}");
    }
    let none = Machine::new("search example.com\n");
    assert_eq!(none.lookup(HOST).await, Err(NoServer));
    let server = server(move |_| nothing()).await;
    let label = "a".repeat(64);
    let found = Machine::of(&[&server], "").lookup(&format!("{label}.b.c.example")).await;
    assert_eq!(found, Err(NotFound));
}

#[tokio::test]
async fn silent_name_servers_end_a_lookup_in_time() {
    let server = server(|_| Reply::Drop).await;
    let started = Instant::now();
    let found = Machine::of(&[&server], "").lookup(HOST).await;
    assert_eq!(found, Err(NameError::NoAnswer));
    let took = started.elapsed();
    assert!(LOOKUP_TIMEOUT - FAMILY_GRACE < took && took < Duration::from_secs(6), "{took:?}");
}

#[test]
fn resolv_conf_is_read_as_the_c_libraries_do() {
    let text = "; comment\n# comment\nnameserver 10.0.0.10\nnameserver fd00::a # dns\n\
                nameserver fe80::1%7\nnameserver nonsense\nsortlist 1\nunknown\n\
                search first\nsearch SHOP.svc .\noptions ndots:40 timeout:1 rotate ndots:x\n";
    let conf = Conf::parse(text).unwrap();
    let servers: Vec<_> = conf.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["10.0.0.10:53", "[fd00::a]:53", "[fe80::1%7]:53"]);
    let names = conf.candidates("kms").0;
    assert_eq!(names.iter().map(|name| &**name).collect::<Vec<_>>(), ["kms.shop.svc", "kms"]);
    assert!(Conf::parse("search example.com\n").is_none());
    let text = format!("nameserver fe80::1%{}\n", "lo");
    let server = Conf::parse(&text).unwrap().servers[0];
    assert!(matches!(server, SocketAddr::V6(server) if server.scope_id() > 0), "{server}");
}
