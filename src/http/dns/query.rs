//! DNS query: one question to the configured name servers, over UDP and, if the answer does not fit,
//! TCP.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Mutex,
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::{Instant, timeout, timeout_at},
};

use super::{
    Conf, NameError,
    message::{Answer, Family, Query, Records},
};
use crate::sync::lock;

/// How long a name server is waited for before another is asked too, or the same again. It doubles
/// once all were asked, and who was asked before can still answer.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long a server that answered in place of an earlier one is asked first. Then the order of
/// resolv.conf holds again: the servers may differ in what they know.
const PREFERENCE: Duration = Duration::from_secs(60);
const TCP_TIMEOUT: Duration = Duration::from_secs(2);
/// A truncated answer that holds addresses serves if TCP is not quick.
const TCP_PATIENCE: Duration = Duration::from_millis(100);
/// A server may send 512 bytes to a query without EDNS; some send more all the same.
const MOST_UDP_BYTES: usize = 4096;

/// The name server that answered last in place of an earlier one, and until when it is asked first.
#[derive(Debug, Default)]
pub(super) struct Preferred(Mutex<Option<(SocketAddr, Instant)>>);

impl Preferred {
    pub(super) fn order(&self, servers: &[SocketAddr]) -> Vec<SocketAddr> {
        let now = Instant::now();
        let preferred = lock(&self.0).filter(|(_, until)| *until > now);
        let mut servers = servers.to_vec();
        // Stable: the others keep their order.
        servers.sort_by_key(|server| preferred.is_none_or(|(preferred, _)| preferred != *server));
        servers
    }

    pub(super) fn answered(&self, server: SocketAddr, order: &[SocketAddr]) {
        if order.first() != Some(&server) {
            *lock(&self.0) = Some((server, Instant::now() + PREFERENCE));
        }
    }
}

/// The first name server that knows decides: that a name does not exist is an answer, that a server
/// failed is none.
pub(super) async fn ask(
    conf: &Conf,
    preferred: &Preferred,
    name: &str,
    family: Family,
    limit: Duration,
) -> Result<Records, NameError> {
    let query = &Query::new(name, family)?;
    let end = Instant::now() + limit;
    let servers = preferred.order(&conf.servers);
    let rounds = if servers.len() > 1 { 2 } else { 4 };
    let turn = |round: u32| {
        let patience = PATIENCE * (1 << round);
        servers.iter().map(move |server| (*server, patience))
    };
    let turns: Vec<_> = (0..rounds).flat_map(turn).collect();
    let mut turns = turns.into_iter();
    let mut asked = FuturesUnordered::new();
    let mut failed = Vec::new();
    let mut failure = NameError::NoAnswer;
    loop {
        let next = turns.find(|(server, _)| !failed.contains(server));
        let mut until = end;
        if let Some((server, patience)) = next {
            asked.push(async move { (server, exchange(server, query, conf.tcp_only).await) });
            until = end.min(Instant::now() + patience);
        }
        match timeout_at(until, asked.next()).await {
            Ok(Some((server, Err(NameError::Failed)))) => {
                failed.push(server);
                failure = NameError::Failed;
            }
            Ok(Some((_, Err(NameError::NoAnswer)))) => {}
            Ok(Some((server, records))) => {
                preferred.answered(server, &servers);
                return records;
            }
            Err(_) if Instant::now() < end => {}
            Ok(None) | Err(_) => return Err(failure),
        }
    }
}

async fn exchange(server: SocketAddr, query: &Query, tcp_only: bool) -> Result<Records, NameError> {
    let silence = |_| NameError::NoAnswer;
    if tcp_only {
        return over_tcp(server, query, TCP_TIMEOUT).await.map_err(silence)?.records;
    }
    let answer = over_udp(server, query).await.map_err(silence)?;
    if !answer.truncated {
        return answer.records;
    }
    let limit = if answer.records.is_ok() { TCP_PATIENCE } else { TCP_TIMEOUT };
    match over_tcp(server, query, limit).await {
        Ok(whole) => whole.records,
        // Some networks let no DNS through over TCP.
        Err(_) => answer.records.map_err(|_| NameError::NoAnswer),
    }
}

async fn over_udp(server: SocketAddr, query: &Query) -> io::Result<Answer> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A port of its own for each query, and connected: nobody else's answer gets in, and a port
    // where nobody listens is an error at once.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query.bytes()).await?;
    let mut buffer = vec![0; MOST_UDP_BYTES];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = buffer.get(..length).and_then(|bytes| query.read(bytes)) {
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, query: &Query, limit: Duration) -> io::Result<Answer> {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(query.bytes().len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), query.bytes()].concat()).await?;
        let mut bytes = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut bytes).await?;
        query.read(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    };
    timeout(limit, exchange).await?
}
