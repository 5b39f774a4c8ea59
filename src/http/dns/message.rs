//! DNS messages: a question as it is sent, and what an answer to it says.

use std::{net::IpAddr, time::Duration};

use domain::{
    base::{
        Message, MessageBuilder, Name, ParsedRecord, Rtype,
        iana::{Class, Rcode},
    },
    rdata::{A, Aaaa},
};

use super::NameError;

/// More would leave each too little of the time for a connection.
const MOST_ADDRESSES: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    V4,
    V6,
}

/// One question, with the random number by which its answer is known.
#[derive(Debug)]
pub struct Query {
    message: Message<Vec<u8>>,
    family: Family,
}

#[derive(Debug)]
pub struct Answer {
    /// More would have been said over TCP.
    pub truncated: bool,
    pub records: Result<Records, NameError>,
}

/// At least one address, of the family that was asked for.
#[derive(Debug)]
pub struct Records {
    pub addresses: Vec<IpAddr>,
    pub ttl: Duration,
}

impl Query {
    pub fn new(name: &str, family: Family) -> Result<Self, NameError> {
        // What is no name does not exist.
        let name: Name<Vec<u8>> = name.parse().map_err(|_| NameError::NotFound)?;
        let mut id = [0; 2];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| NameError::NoAnswer)?;
        // Without EDNS, as C libraries ask: some servers and devices on the way refuse what they do
        // not know.
        let mut builder = MessageBuilder::new_vec();
        builder.header_mut().set_id(u16::from_ne_bytes(id));
        builder.header_mut().set_rd(true);
        let mut builder = builder.question();
        let kind = match family {
            Family::V4 => Rtype::A,
            Family::V6 => Rtype::AAAA,
        };
        builder.push((name, kind, Class::IN)).map_err(|_| NameError::NotFound)?;
        Ok(Self { message: builder.into_message(), family })
    }

    pub fn bytes(&self) -> &[u8] {
        self.message.as_slice()
    }

    /// `None` for what does not answer this query. Some servers leave the question out of a refusal.
    pub fn read(&self, bytes: &[u8]) -> Option<Answer> {
        let message = Message::from_octets(bytes).ok()?;
        let header = message.header();
        let bare_refusal = header.qr()
            && header.id() == self.message.header().id()
            && header.rcode() != Rcode::NOERROR
            && message.header_counts().qdcount() == 0;
        let answers = bare_refusal || message.is_answer(&self.message);
        let answer = || Answer { truncated: header.tc(), records: records(&message, self.family) };
        answers.then(answer)
    }
}

fn records(message: &Message<&[u8]>, family: Family) -> Result<Records, NameError> {
    let header = message.header();
    match header.rcode() {
        Rcode::NOERROR => {}
        Rcode::NXDOMAIN => return Err(NameError::NotFound),
        _ => return Err(NameError::Failed),
    }
    let owner = message.canonical_name().ok_or(NameError::Failed)?;
    let section = message.answer().map_err(|_| NameError::Failed)?;
    let mut addresses = Vec::new();
    let mut ttl = Duration::MAX;
    // What comes after a broken record cannot be read.
    for record in section.map_while(Result::ok) {
        match address(&record, family) {
            Some(address) if record.owner() == owner && addresses.len() < MOST_ADDRESSES => {
                addresses.push(address);
            }
            None if record.rtype() == Rtype::CNAME => {}
            _ => continue,
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

fn address(record: &ParsedRecord<'_, &[u8]>, family: Family) -> Option<IpAddr> {
    if record.class() != Class::IN {
        return None;
    }
    match family {
        Family::V4 => Some(record.to_record::<A>().ok()??.data().addr().into()),
        Family::V6 => Some(record.to_record::<Aaaa>().ok()??.data().addr().into()),
    }
}
