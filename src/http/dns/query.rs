//! DNS query: one question to the configured name servers, over UDP and, if the answer does not fit,
//! TCP.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
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

/// How long a name server is waited for before another is asked too, or the same again. It doubles
/// each time, and who was asked before can still answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// A truncated answer serves if TCP does not, and TCP to a server that just answered is quick.
const TCP_TIMEOUT: Duration = Duration::from_secs(2);
/// A server may send 512 bytes to a query without EDNS; some send more all the same.
const MOST_UDP_BYTES: usize = 4096;

/// The first name server that knows decides: that a name does not exist is an answer, that a server
/// failed is none.
pub(super) async fn ask(
    conf: &Conf,
    name: &str,
    family: Family,
    limit: Duration,
) -> Result<Records, NameError> {
    let query = &Query::new(name, family)?;
    let end = Instant::now() + limit;
    let turns = 2 * conf.servers.len().max(2);
    let mut turns = conf.servers.iter().copied().cycle().take(turns);
    let mut patience = PATIENCE;
    let mut asked = FuturesUnordered::new();
    let mut failed = Vec::new();
    let mut failure = NameError::NoAnswer;
    loop {
        let next = turns.find(|server| !failed.contains(server));
        let mut until = end;
        if let Some(server) = next {
            asked.push(async move { (server, exchange(server, query, conf.tcp_only).await) });
            until = end.min(Instant::now() + patience);
            patience *= 2;
        }
        match timeout_at(until, asked.next()).await {
            Ok(Some((server, Err(NameError::Failed)))) => {
                failed.push(server);
                failure = NameError::Failed;
            }
            Ok(Some((_, Err(NameError::NoAnswer)))) => {}
            Ok(Some((_, records))) => return records,
            Err(_) if Instant::now() < end => {}
            Ok(None) | Err(_) => return Err(failure),
        }
    }
}

async fn exchange(server: SocketAddr, query: &Query, tcp_only: bool) -> Result<Records, NameError> {
    let silence = |_| NameError::NoAnswer;
    if tcp_only {
        return over_tcp(server, query).await.map_err(silence)?.records;
    }
    let answer = over_udp(server, query).await.map_err(silence)?;
    if !answer.truncated {
        return answer.records;
    }
    match over_tcp(server, query).await {
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

async fn over_tcp(server: SocketAddr, query: &Query) -> io::Result<Answer> {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(query.bytes().len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), query.bytes()].concat()).await?;
        let mut bytes = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut bytes).await?;
        query.read(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    };
    timeout(TCP_TIMEOUT, exchange).await?
}
