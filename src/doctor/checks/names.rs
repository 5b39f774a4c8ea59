//! Names: what each name server says of a host, A and AAAA apart.

use std::time::Duration;

use crate::{
    doctor::{check::Check, line::Line},
    endpoint::is_inside_vpc,
};

const CHECK: Check = Check::Names;
/// A mount waits for it.
const SLOW: Duration = Duration::from_secs(1);

/// How the address of a host is known.
#[derive(Debug)]
pub(crate) enum Way {
    /// The host is one.
    Address,
    /// `--resolve`.
    Operator(String),
    /// The proxy looks it up.
    Proxy(String),
    HostsFile(Vec<String>),
    Servers(Vec<Server>),
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) v4: (Gave, Duration),
    pub(crate) v6: (Gave, Duration),
}

/// What a server gave for one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gave {
    Addresses(Vec<String>),
    /// The name exists without an address of this family.
    NoAddress,
    NotFound,
    Silent,
    Failed,
}

impl Gave {
    fn shown(&self) -> String {
        match self {
            Self::Addresses(addresses) => addresses.join(" "),
            Self::NoAddress => "none".to_owned(),
            Self::NotFound => "no such name".to_owned(),
            Self::Silent => "no answer".to_owned(),
            Self::Failed => "an error".to_owned(),
        }
    }

    fn is_found(&self) -> bool {
        matches!(self, Self::Addresses(_))
    }

    /// Whether the server could not say.
    fn is_failure(&self) -> bool {
        matches!(self, Self::Silent | Self::Failed)
    }
}

impl Server {
    fn shown(&self) -> String {
        let one = |(gave, took): &(Gave, Duration)| {
            format!("{} in {} ms", gave.shown(), took.as_millis())
        };
        format!("{} says A: {}, AAAA: {}", self.address, one(&self.v4), one(&self.v6))
    }

    fn finds(&self) -> bool {
        self.v4.0.is_found() || self.v6.0.is_found()
    }
}

pub(crate) fn judge(host: &str, way: &Way) -> Line {
    let servers = match way {
        Way::Address => return Line::skipped(CHECK, host, "is an address"),
        Way::Operator(address) => {
            return Line::ok(CHECK, host, format!("--resolve names its address: {address}"));
        }
        Way::Proxy(proxy) => {
            return Line::skipped(CHECK, host, format!("the proxy {proxy} looks it up"));
        }
        Way::HostsFile(addresses) => {
            let list = addresses.join(" ");
            return Line::ok(CHECK, host, format!("/etc/hosts names its address: {list}"));
        }
        Way::Servers(servers) => servers,
    };
    if servers.is_empty() {
        let fix = "set dnsPolicy or dnsConfig of the pod, or the node's resolver";
        return Line::broken(CHECK, host, "/etc/resolv.conf names no server", fix);
    }
    let with_servers =
        |line: Line| servers.iter().fold(line, |line, server| line.note(server.shown()));
    let gave = |is: fn(&Gave) -> bool| servers.iter().any(|one| is(&one.v4.0) || is(&one.v6.0));
    if !servers.iter().any(Server::finds) {
        let (what, fix) = if servers.iter().all(|one| one.v4.0.is_failure()) {
            let silent = servers.iter().all(|one| one.v4.0 == Gave::Silent);
            let what = if silent {
                "the name servers do not answer"
            } else {
                "the name servers answer with an error"
            };
            (
                what,
                "check the name servers of /etc/resolv.conf and the NetworkPolicy for port 53"
                    .to_owned(),
            )
        } else if gave(|gave| *gave == Gave::NotFound) {
            ("the host name does not exist", unknown(host))
        } else {
            ("the host name has neither A nor AAAA", unknown(host))
        };
        return with_servers(Line::broken(CHECK, host, what, fix));
    }
    if let Some(other) = servers.iter().find(|server| !server.finds()) {
        let what = format!("{} does not know it, and another server does", other.address);
        return with_servers(Line::warn(CHECK, host, what, "remove or correct that name server"));
    }
    let failing = |server: &&Server| server.v4.0.is_failure() || server.v6.0.is_failure();
    if let Some(server) = servers.iter().find(failing) {
        let family = if server.v6.0.is_failure() { "AAAA" } else { "A" };
        let what = format!("{} gives no answer for {family}", server.address);
        let fix = "have the name server answer both families; the provider goes on with the other, 50 ms later";
        return with_servers(Line::warn(CHECK, host, what, fix));
    }
    if let Some(server) = servers.iter().find(|one| one.v4.1.max(one.v6.1) > SLOW) {
        let what = format!("{} takes more than a second", server.address);
        return with_servers(Line::warn(CHECK, host, what, "look for what delays the name server"));
    }
    with_servers(Line::ok(CHECK, host, "all name servers know it"))
}

fn unknown(host: &str) -> String {
    let region = "check the region as it is written";
    match is_inside_vpc(host) {
        true => format!(
            "{region}; this host is known inside its VPC alone: run there, or set --public-endpoints (a KMS instance: \
             bind the VPC to it)"
        ),
        false => format!(
            "{region}, and the host of --sts-endpoint, --kms-endpoint or --oos-endpoint; a region without an STS host \
             of its own needs --sts-endpoint=sts.aliyuncs.com"
        ),
    }
}
