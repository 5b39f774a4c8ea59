//! Answers of name servers. The first octet chooses the family, the rest is the message after its id,
//! which is the query's; and the same without that, which answers nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use provider::http::dns::{
    NameError,
    message::{Family, Query},
};

const HOST: &str = "kms-vpc.cn-hangzhou.aliyuncs.com";

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let family = if choice % 2 == 0 { Family::V4 } else { Family::V6 };
    let query = Query::new(HOST, family).expect("a host's name");
    let id = &query.bytes()[..2];
    let Some(answer) = query.read(&[id, rest].concat()) else { return };
    let header = [rest[0], rest[1]];
    assert!(header[0] & 0x80 != 0, "a query answers nothing");
    assert_eq!(answer.truncated, header[0] & 0x02 != 0);
    match answer.records {
        Ok(records) => {
            assert_eq!(header[1] & 0x0f, 0, "an error has no addresses");
            assert!((1..=16).contains(&records.addresses.len()));
            assert!(records.addresses.iter().all(|ip| ip.is_ipv6() == (family == Family::V6)));
        }
        Err(NameError::NotFound) => assert_eq!(header[1] & 0x0f, 3),
        Err(NameError::NoAddress) => assert_eq!(header[1] & 0x0f, 0),
        Err(NameError::Failed) => {}
        Err(other) => panic!("{other} is no answer"),
    }
    let other = [!id[0], id[1]];
    assert!(query.read(&[&other, rest].concat()).is_none(), "another id answers nothing");
});
