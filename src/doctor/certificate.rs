//! Certificate: subject, issuer and times of an X.509 certificate, to be shown. Whether it is trusted is decided
//! by rustls alone; what cannot be read here is only not shown.

use jiff::Timestamp;

/// As far as people want to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// Such as `CN=Private KMS Root CA, O=Alibaba Cloud`.
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]` around the version.
const VERSION: u8 = 0xa0;
/// Object identifiers of attributes (RFC 4519), and how they are written.
const ATTRIBUTES: [(&[u8], &str); 4] = [
    (&[0x55, 0x04, 0x03], "CN"),
    (&[0x55, 0x04, 0x0a], "O"),
    (&[0x55, 0x04, 0x0b], "OU"),
    (&[0x55, 0x04, 0x06], "C"),
];

impl Certificate {
    /// RFC 5280, section 4.1: `None` for what is none.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let mut outer = Der(der);
        let mut certificate = Der(outer.expect(SEQUENCE)?);
        let mut fields = Der(certificate.expect(SEQUENCE)?);
        let first = fields.next()?;
        if first.0 == VERSION {
            fields.expect(INTEGER)?;
        }
        fields.expect(SEQUENCE)?;
        let issuer = name(fields.expect(SEQUENCE)?)?;
        let mut times = Der(fields.expect(SEQUENCE)?);
        let (not_before, not_after) = (time(times.next()?)?, time(times.next()?)?);
        let subject = name(fields.expect(SEQUENCE)?)?;
        Some(Self { subject, issuer, not_before, not_after })
    }
}

/// What is left of a text in DER.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element: its tag and content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&length, mut rest) = rest.split_first()?;
        let mut count = usize::from(length);
        if length & 0x80 != 0 {
            let (digits, after) = rest.split_at_checked(usize::from(length & 0x7f))?;
            if digits.is_empty() || digits.len() > 4 {
                return None;
            }
            count = digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit));
            rest = after;
        }
        let (content, rest) = rest.split_at_checked(count)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }
}

fn name(content: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    let mut sets = Der(content);
    while !sets.0.is_empty() {
        let mut set = Der(sets.expect(SET)?);
        while !set.0.is_empty() {
            let mut pair = Der(set.expect(SEQUENCE)?);
            let oid = pair.expect(OID)?;
            let (_, text) = pair.next()?;
            if let Some((_, short)) = ATTRIBUTES.iter().find(|(known, _)| *known == oid) {
                parts.push(format!("{short}={}", String::from_utf8_lossy(text)));
            }
        }
    }
    Some(if parts.is_empty() { "no name".to_owned() } else { parts.join(", ") })
}

fn time((tag, content): (u8, &[u8])) -> Option<Timestamp> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let digits = match tag {
        // RFC 5280, section 4.1.2.5.1: from 50 on it is the last century.
        UTC_TIME => {
            let century = if text.get(..2)?.parse::<u8>().ok()? < 50 { "20" } else { "19" };
            format!("{century}{text}")
        }
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    if digits.len() != 14 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    let date = [part(0, 4), part(4, 6), part(6, 8)].join("-");
    let time = [part(8, 10), part(10, 12), part(12, 14)].join(":");
    format!("{date}T{time}Z").parse().ok()
}
