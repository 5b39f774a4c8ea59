//! Survey: what each name server says of a host, for A and AAAA apart. A connection's look-up takes the first
//! answer, and so hides what is wrong with the others.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures::future::{join, join_all};
use tokio::time::Instant;

use super::{Conf, Dns, NameError, Preferred, message::Family, query};

#[derive(Debug)]
pub(crate) struct Survey {
    /// Of /etc/hosts, where it names the host: then nobody is asked.
    pub(crate) hosts_file: Option<Vec<IpAddr>>,
    /// In the order of /etc/resolv.conf.
    pub(crate) servers: Vec<Asked>,
}

#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) server: SocketAddr,
    pub(crate) v4: (Result<Vec<IpAddr>, NameError>, Duration),
    pub(crate) v6: (Result<Vec<IpAddr>, NameError>, Duration),
}

/// Each server has as much time for each name of the search list.
pub(crate) async fn survey(host: &str, limit: Duration) -> Survey {
    let dns = Dns::of_system();
    let host = host.to_ascii_lowercase();
    let hosts_file = dns.hosts.current().0.get(&host);
    if hosts_file.is_some() {
        return Survey { hosts_file, servers: Vec::new() };
    }
    let (conf, _) = dns.conf.current();
    let (names, _) = conf.candidates(&host);
    let ask = |server: &SocketAddr| {
        let (server, names) = (*server, &names);
        let only = Conf::only(server, conf.tcp_only);
        async move {
            let (v4, v6) =
                join(find(&only, names, Family::V4, limit), find(&only, names, Family::V6, limit))
                    .await;
            Asked { server, v4, v6 }
        }
    };
    Survey { hosts_file, servers: join_all(conf.servers.iter().map(ask)).await }
}

async fn find(
    conf: &Conf,
    names: &[Arc<str>],
    family: Family,
    limit: Duration,
) -> (Result<Vec<IpAddr>, NameError>, Duration) {
    let started = Instant::now();
    let mut failure = None;
    for name in names {
        match query::ask(conf, &Preferred::default(), name, family, limit).await {
            Ok(records) => return (Ok(records.addresses), started.elapsed()),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    (Err(failure.unwrap_or(NameError::NotFound)), started.elapsed())
}
