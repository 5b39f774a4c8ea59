//! DNS query: one question to the configured name servers, over UDP and, if the answer does not fit,
//! TCP.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use domain::{
    base::{
        Message, MessageBuilder, Name, ParsedRecord, Rtype,
        iana::{Class, Rcode},
    },
    rdata::{A, Aaaa},
};
use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::{Instant, timeout, timeout_at},
};

use super::{Conf, Family, NameError};

/// How long a name server is waited for before another is asked too, or the same again. It doubles
/// each time, and who was asked before can still answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// A truncated answer serves if TCP does not, and TCP to a server that just answered is quick.
const TCP_TIMEOUT: Duration = Duration::from_secs(2);
/// Without EDNS a server sends 512 bytes over UDP; some send more all the same.
const MOST_UDP_BYTES: usize = 4096;

type Answer = Message<Vec<u8>>;

#[derive(Debug)]
pub(super) struct Records {
    pub(super) addresses: Vec<IpAddr>,
    pub(super) ttl: Duration,
}

/// The first name server that knows decides: that a name does not exist is an answer, that a server
/// failed is none.
pub(super) async fn ask(
    conf: &Conf,
    name: &str,
    family: Family,
    limit: Duration,
) -> Result<Records, NameError> {
    let query = query(name, family)?;
    let query = &query;
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
            asked.push(
                async move { (server, exchange(server, query, family, conf.tcp_only).await) },
            );
            until = end.min(Instant::now() + patience);
            patience *= 2;
        }
        match timeout_at(until, asked.next()).await {
            Ok(Some((server, Err(NameError::Failed)))) => {
                failed.push(server);
                failure = NameError::Failed;
            }
            Ok(Some((_, Err(NameError::NoAnswer)))) => {}
            Ok(Some((_, answer))) => return answer,
            Err(_) if Instant::now() < end => {}
            Ok(None) | Err(_) => return Err(failure),
        }
    }
}

fn query(name: &str, family: Family) -> Result<Answer, NameError> {
    // What is no name does not exist.
    let name: Name<Vec<u8>> = name.parse().map_err(|_| NameError::NotFound)?;
    let mut id = [0; 2];
    aws_lc_rs::rand::fill(&mut id).map_err(|_| NameError::NoAnswer)?;
    let mut builder = MessageBuilder::new_vec();
    builder.header_mut().set_id(u16::from_ne_bytes(id));
    builder.header_mut().set_rd(true);
    let mut builder = builder.question();
    let kind = match family {
        Family::V4 => Rtype::A,
        Family::V6 => Rtype::AAAA,
    };
    builder.push((name, kind, Class::IN)).map_err(|_| NameError::NotFound)?;
    Ok(builder.into_message())
}

async fn exchange(
    server: SocketAddr,
    query: &Answer,
    family: Family,
    tcp_only: bool,
) -> Result<Records, NameError> {
    let over_tcp = async || match timeout(TCP_TIMEOUT, tcp(server, query)).await {
        Ok(Ok(answer)) => records(&answer, family),
        Ok(Err(_)) | Err(_) => Err(NameError::NoAnswer),
    };
    if tcp_only {
        return over_tcp().await;
    }
    let answer = udp(server, query).await.map_err(|_| NameError::NoAnswer)?;
    if !answer.header().tc() {
        return records(&answer, family);
    }
    match over_tcp().await {
        // Some networks let no DNS through over TCP.
        Err(NameError::NoAnswer) => records(&answer, family).map_err(|_| NameError::NoAnswer),
        whole => whole,
    }
}

async fn udp(server: SocketAddr, query: &Answer) -> io::Result<Answer> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A port of its own for each query, and connected: nobody else's answer gets in, and a port
    // where nobody listens is an error at once.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query.as_slice()).await?;
    let mut buffer = vec![0; MOST_UDP_BYTES];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let bytes = buffer.get(..length).unwrap_or_default().to_vec();
        if let Some(answer) = answer(bytes, query) {
            return Ok(answer);
        }
    }
}

async fn tcp(server: SocketAddr, query: &Answer) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.as_slice().len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), query.as_slice()].concat()).await?;
    let mut bytes = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut bytes).await?;
    answer(bytes, query).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A message that answers this query and no other. Some servers leave the question out of a refusal.
fn answer(bytes: Vec<u8>, query: &Answer) -> Option<Answer> {
    let answer = Message::from_octets(bytes).ok()?;
    let header = answer.header();
    let bare = header.qr()
        && header.id() == query.header().id()
        && header.rcode() != Rcode::NOERROR
        && answer.header_counts().qdcount() == 0;
    (bare || answer.is_answer(query)).then_some(answer)
}

fn records(answer: &Answer, family: Family) -> Result<Records, NameError> {
    let header = answer.header();
    match header.rcode() {
        Rcode::NOERROR => {}
        Rcode::NXDOMAIN => return Err(NameError::NotFound),
        _ => return Err(NameError::Failed),
    }
    let owner = answer.canonical_name().ok_or(NameError::Failed)?;
    let mut addresses = Vec::new();
    let mut ttl = Duration::MAX;
    let section = answer.answer().map_err(|_| NameError::Failed)?;
    for record in section {
        // What comes after a broken record cannot be read.
        let Ok(record) = record else { break };
        if let Some(address) = address(&record, family) {
            if record.owner() != owner {
                continue;
            }
            addresses.push(address);
        } else if record.rtype() != Rtype::CNAME {
            continue;
        }
        ttl = ttl.min(record.ttl().into_duration());
    }
    match addresses.is_empty() {
        false => Ok(Records { addresses, ttl }),
        // Neither the name's own server nor one that asks others: it passes the question back.
        true if !header.aa() && !header.ra() => Err(NameError::Failed),
        true => Err(NameError::NoAddress),
    }
}

fn address(record: &ParsedRecord<'_, Vec<u8>>, family: Family) -> Option<IpAddr> {
    if record.class() != Class::IN {
        return None;
    }
    match family {
        Family::V4 => Some(record.to_record::<A>().ok()??.data().addr().into()),
        Family::V6 => Some(record.to_record::<Aaaa>().ok()??.data().addr().into()),
    }
}
