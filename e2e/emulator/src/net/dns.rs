//! DNS name server for tests: answers every question as a rule says, over UDP and TCP, and remembers
//! what it was asked.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use domain::{
    base::{
        Message, MessageBuilder, Name, Rtype, Ttl,
        iana::Rcode,
        message_builder::{AnswerBuilder, PushError},
    },
    rdata::{A, Aaaa, Cname},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    time::sleep,
};
use tokio_util::task::AbortOnDropHandle;

use crate::state::sync::lock;

/// Seconds, where the reply names none.
const TTL: u32 = 30;

/// One question as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// In lower case, without the last dot.
    pub name: String,
    /// AAAA, not A.
    pub v6: bool,
    pub tcp: bool,
}

#[derive(Clone, Debug)]
pub enum Reply {
    /// Those of the family that was asked for; none is NODATA.
    Addresses(Vec<IpAddr>),
    /// CNAMEs to these names, one after another, and the addresses of the last.
    Alias(Vec<String>, Vec<IpAddr>),
    WithTtl(u32, Box<Reply>),
    NxDomain,
    ServFail,
    Refused,
    /// No answer, and no recursion: what a server says that does not serve the zone.
    Referral,
    Drop,
    /// Over UDP the truncation bit with as many addresses; over TCP the reply.
    Truncated(Vec<IpAddr>, Box<Reply>),
    After(Duration, Box<Reply>),
    /// A forged answer with another id and this address comes first.
    Forged(IpAddr, Box<Reply>),
}

type Rule = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// The rule in force, and the questions so far.
struct State {
    rule: Mutex<Rule>,
    asked: Mutex<Vec<Asked>>,
}

/// Serves until it is dropped.
pub struct NameServer {
    pub address: SocketAddr,
    state: Arc<State>,
    _serving: [AbortOnDropHandle<()>; 2],
}

impl fmt::Debug for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NameServer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl NameServer {
    /// With port 0 both protocols get the same free port.
    pub async fn start(
        at: SocketAddr,
        rule: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (udp, tcp) = bind(at).await?;
        let address = udp.local_addr()?;
        let state = Arc::new(State { rule: Mutex::new(Arc::new(rule)), asked: Mutex::default() });
        let serving = [
            AbortOnDropHandle::new(tokio::spawn(serve_udp(Arc::new(udp), state.clone()))),
            AbortOnDropHandle::new(tokio::spawn(serve_tcp(tcp, state.clone()))),
        ];
        Ok(Self { address, state, _serving: serving })
    }

    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state.asked).clone()
    }

    /// Answers by another rule from now on, and forgets what it was asked.
    pub fn change(&self, rule: impl Fn(&Asked) -> Reply + Send + Sync + 'static) {
        *lock(&self.state.rule) = Arc::new(rule);
        lock(&self.state.asked).clear();
    }
}

async fn bind(at: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let tcp = TcpListener::bind(at).await?;
        match UdpSocket::bind(tcp.local_addr()?).await {
            Ok(udp) => return Ok((udp, tcp)),
            Err(_) if at.port() == 0 && attempts < 100 => {}
            Err(error) => return Err(error),
        }
    }
}

async fn serve_udp(socket: Arc<UdpSocket>, state: Arc<State>) {
    let mut buffer = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let (socket, state) = (socket.clone(), state.clone());
        let bytes = buffer.get(..length).unwrap_or_default().to_vec();
        tokio::spawn(async move {
            for message in answers(&bytes, false, &state).await.unwrap_or_default() {
                let _ = socket.send_to(&message, from).await;
            }
        });
    }
}

async fn serve_tcp(listener: TcpListener, state: Arc<State>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve_stream(stream, state.clone()));
    }
}

async fn serve_stream(mut stream: TcpStream, state: Arc<State>) -> io::Result<()> {
    loop {
        let mut bytes = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut bytes).await?;
        for message in answers(&bytes, true, &state).await.unwrap_or_default() {
            let length = u16::try_from(message.len()).map_err(io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes(), &*message].concat()).await?;
        }
    }
}

/// `None` for what is no query.
async fn answers(bytes: &[u8], tcp: bool, state: &State) -> Option<Vec<Vec<u8>>> {
    let query = Message::from_octets(bytes).ok()?;
    let question = query.first_question()?;
    let name = question.qname().to_string().to_ascii_lowercase();
    let asked = Asked { name, v6: question.qtype() == Rtype::AAAA, tcp };
    lock(&state.asked).push(asked.clone());
    let rule = lock(&state.rule).clone();
    let (mut reply, mut ttl, mut messages) = (rule(&asked), TTL, Vec::new());
    loop {
        reply = match reply {
            Reply::WithTtl(seconds, reply) => {
                ttl = seconds;
                *reply
            }
            Reply::After(time, reply) => {
                sleep(time).await;
                *reply
            }
            Reply::Forged(address, reply) => {
                let mut message = message(&query, &asked, &Reply::Addresses(vec![address]), ttl)?;
                let id = query.header().id().wrapping_add(1);
                message.get_mut(..2)?.copy_from_slice(&id.to_be_bytes());
                messages.push(message);
                *reply
            }
            Reply::Truncated(_, reply) if tcp => *reply,
            Reply::Drop => return Some(messages),
            reply => {
                messages.push(message(&query, &asked, &reply, ttl)?);
                return Some(messages);
            }
        };
    }
}

fn message(query: &Message<&[u8]>, asked: &Asked, reply: &Reply, ttl: u32) -> Option<Vec<u8>> {
    let rcode = match reply {
        Reply::NxDomain => Rcode::NXDOMAIN,
        Reply::ServFail => Rcode::SERVFAIL,
        Reply::Refused => Rcode::REFUSED,
        _ => Rcode::NOERROR,
    };
    let mut builder = MessageBuilder::new_vec().start_answer(query, rcode).ok()?;
    builder.header_mut().set_ra(!matches!(reply, Reply::Referral));
    let (aliases, addresses): (&[String], &[IpAddr]) = match reply {
        Reply::Addresses(addresses) => (&[], addresses),
        Reply::Alias(aliases, addresses) => (aliases, addresses),
        Reply::Truncated(addresses, _) => {
            builder.header_mut().set_tc(true);
            (&[], addresses)
        }
        _ => (&[], &[]),
    };
    let mut owner: Name<Vec<u8>> = asked.name.parse().ok()?;
    for alias in aliases {
        let next: Name<Vec<u8>> = alias.parse().ok()?;
        builder.push((&owner, Ttl::from_secs(ttl), Cname::new(&next))).ok()?;
        owner = next;
    }
    for address in addresses.iter().filter(|address| address.is_ipv6() == asked.v6) {
        push(&mut builder, &owner, ttl, *address).ok()?;
    }
    Some(builder.finish())
}

fn push(
    builder: &mut AnswerBuilder<Vec<u8>>,
    owner: &Name<Vec<u8>>,
    ttl: u32,
    address: IpAddr,
) -> Result<(), PushError> {
    let ttl = Ttl::from_secs(ttl);
    match address {
        IpAddr::V4(address) => builder.push((owner, ttl, A::new(address))),
        IpAddr::V6(address) => builder.push((owner, ttl, Aaaa::new(address))),
    }
}
