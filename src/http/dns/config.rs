//! Resolver configuration: /etc/resolv.conf and /etc/hosts, read again when they change.

use std::{
    collections::HashMap,
    fmt, fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use rustix::net::{AddressFamily, SocketType, netdevice::name_to_index, socket};

use crate::sync::lock;

const DNS_PORT: u16 = 53;
/// As C libraries bound it: a look-up has no time for more.
const MOST_SERVERS: usize = 3;

/// A file that is read again when it has changed. While it cannot be read, or is being written, what
/// was read last holds.
pub(super) struct Watched<T> {
    path: PathBuf,
    /// `None`: not usable.
    parse: fn(&str) -> Option<T>,
    last: Mutex<Last<T>>,
}

struct Last<T> {
    stamp: Option<Stamp>,
    value: Arc<T>,
    version: u64,
    /// It could not be read, and the log says so.
    warned: bool,
}

/// What tells a file from what it was: device, inode, size, and the times of the last change.
type Stamp = (u64, u64, u64, [i64; 4]);

impl<T: Default> Watched<T> {
    pub(super) fn new(path: &str, parse: fn(&str) -> Option<T>) -> Self {
        let last = Last { stamp: None, value: Arc::default(), version: 0, warned: false };
        Self { path: path.into(), parse, last: Mutex::new(last) }
    }

    /// With a number that another content does not have.
    pub(super) fn current(&self) -> (Arc<T>, u64) {
        let mut last = lock(&self.last);
        match self.changed(last.stamp) {
            Ok(None) => {}
            Ok(Some((stamp, bytes))) => {
                (last.stamp, last.warned) = (Some(stamp), false);
                if let Some(value) = (self.parse)(&String::from_utf8_lossy(&bytes)) {
                    last.value = Arc::new(value);
                    last.version += 1;
                }
            }
            // There may be none, and one that is being replaced is there again soon.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if !last.warned => {
                last.warned = true;
                tracing::warn!(
                    file = %self.path.display(),
                    error = %error.kind(),
                    "cannot be read, so what was read before is used; where another file was put in \
                     its place, the sandbox does not let the provider read that one: restart it"
                );
            }
            Err(_) => {}
        }
        (last.value.clone(), last.version)
    }

    /// The file, if it is another than `last`.
    fn changed(&self, last: Option<Stamp>) -> io::Result<Option<(Stamp, Vec<u8>)>> {
        let file = fs::metadata(&self.path)?;
        let times = [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()];
        let stamp = (file.dev(), file.ino(), file.size(), times);
        if Some(stamp) == last {
            return Ok(None);
        }
        Ok(Some((stamp, fs::read(&self.path)?)))
    }
}

impl<T> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.path).finish()
    }
}

/// What this resolver follows of resolv.conf(5). Timeouts are its own: a mount has its own time.
#[derive(Debug, Default)]
pub(super) struct Conf {
    pub(super) servers: Vec<SocketAddr>,
    search: Vec<String>,
    ndots: Option<usize>,
    /// `options use-vc`.
    pub(super) tcp_only: bool,
}

impl Conf {
    /// One server alone, without a search list.
    pub(super) fn only(server: SocketAddr, tcp_only: bool) -> Self {
        Self { servers: vec![server], tcp_only, ..Self::default() }
    }

    /// Unknown lines are skipped, as C libraries do.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut conf = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => conf.servers.extend(words.next().and_then(name_server)),
                // The last of these lines counts.
                Some("search" | "domain") => {
                    conf.search = words.map(|domain| domain.to_ascii_lowercase()).collect();
                }
                Some("options") => words.for_each(|option| conf.option(option)),
                _ => {}
            }
        }
        conf.servers.truncate(MOST_SERVERS);
        (!conf.servers.is_empty()).then_some(conf)
    }

    fn option(&mut self, option: &str) {
        match option.split_once(':') {
            Some(("ndots", dots)) => self.ndots = dots.parse().ok(),
            None if option == "use-vc" => self.tcp_only = true,
            _ => {}
        }
    }

    /// The names to try for `host`, and whether the first is `host` itself.
    ///
    /// Hosts of the cloud have more dots than any name that needs a search domain, so they are asked
    /// for as they are, whatever `ndots` says. `kms.shop.svc` needs one, `sts.aliyuncs.com` does not:
    /// with two dots the name itself comes first.
    pub(super) fn candidates(&self, host: &str) -> (Vec<Arc<str>>, bool) {
        if let Some(complete) = host.strip_suffix('.') {
            return (vec![complete.into()], true);
        }
        let dots = host.matches('.').count();
        if dots > 2 {
            return (vec![host.into()], true);
        }
        let within = |domain: &String| match domain.trim_end_matches('.') {
            "" => None,
            domain => Some(format!("{host}.{domain}").into()),
        };
        let mut names: Vec<Arc<str>> = self.search.iter().filter_map(within).collect();
        let given_first = dots >= self.ndots.unwrap_or(1).min(2);
        names.insert(if given_first { 0 } else { names.len() }, host.into());
        (names, given_first)
    }
}

/// An address, with `%INTERFACE` if it is link-local, or with a port as OpenBSD writes it:
/// `[ADDRESS]:PORT`.
fn name_server(text: &str) -> Option<SocketAddr> {
    if let Some((address, port)) = text.strip_prefix('[').and_then(|text| text.split_once("]:")) {
        return Some(SocketAddr::new(address.parse().ok()?, port.parse().ok()?));
    }
    if let Some((address, interface)) = text.split_once('%') {
        let scope = interface.parse().ok().or_else(|| index(interface))?;
        return Some(SocketAddrV6::new(address.parse().ok()?, DNS_PORT, 0, scope).into());
    }
    Some(SocketAddr::new(text.parse().ok()?, DNS_PORT))
}

fn index(interface: &str) -> Option<u32> {
    let any = socket(AddressFamily::INET6, SocketType::DGRAM, None).ok()?;
    name_to_index(any, interface).ok()
}

/// hosts(5): the addresses of each name, in lower case.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<String, Vec<IpAddr>>);

impl Hosts {
    pub(super) fn parse(text: &str) -> Self {
        let mut hosts = HashMap::<String, Vec<IpAddr>>::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
            for name in words {
                let addresses = hosts.entry(name.to_ascii_lowercase()).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        Self(hosts)
    }

    /// IPv4 first. `localhost` is this machine even where the file does not say so (RFC 6761).
    pub(super) fn get(&self, host: &str) -> Option<Vec<IpAddr>> {
        let host = host.trim_end_matches('.');
        if let Some(addresses) = self.0.get(host) {
            let mut addresses = addresses.clone();
            addresses.sort_by_key(IpAddr::is_ipv6);
            return Some(addresses);
        }
        let local = host == "localhost" || host.ends_with(".localhost");
        local.then(|| vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()])
    }
}

#[cfg(test)]
mod tests;
