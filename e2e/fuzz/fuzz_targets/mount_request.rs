//! A driver's request through the parser: the same each time, within bounds, and refused in a line
//! that repeats no secret.
//!
//! After `p` an input is a MountRequest as it comes over the wire. After anything else it is a list of
//! parts that `--` lines divide, each a name and its value: `permission`, `secret:...`, or an attribute.

#![no_main]

use std::collections::BTreeMap;

use fuzz::{CANARY, HERE, check_errors, check_objects, choices, endpoints};
use libfuzzer_sys::{Corpus, fuzz_target};
use prost::Message;
use provider::{
    error::ErrorKind,
    pb::MountRequest,
    request::{self, NodePublishKeys, TokenInput, caller::Caller},
    spc::object_cache::ObjectCache,
    text::is_invisible,
};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(([kind], rest)) = choices(input) else { return Corpus::Reject };
    let request = match kind {
        b'p' => MountRequest::decode(rest).ok(),
        _ => std::str::from_utf8(rest).ok().map(written),
    };
    let Some(request) = request else { return Corpus::Reject };
    let (endpoints, known) = (endpoints(), ObjectCache::default());
    let parse = |known: &ObjectCache| {
        let mut caller = Caller::default();
        let parsed = request::parse(request.clone(), &endpoints, known, &mut caller);
        assert!(!caller.prefix().chars().any(is_invisible));
        (parsed, format!("{caller:?}"))
    };
    let (parsed, who) = parse(&known);
    // From memory, and without it.
    for known in [&known, &ObjectCache::default()] {
        let (again, same) = parse(known);
        assert_eq!(format!("{parsed:?}"), format!("{again:?}"));
        assert_eq!(who, same);
    }
    match parsed {
        Err(errors) => check_errors(&errors, &[ErrorKind::Invalid]),
        Ok(mount) => {
            check_objects(&mount.spec.objects, &endpoints);
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
            let pod = &mount.pod;
            for name in [&pod.namespace, &pod.name, &pod.service_account] {
                assert!((1..=253).contains(&name.len()) && name.bytes().all(plain), "{name}");
            }
            if let TokenInput::Token(token) = &mount.token {
                assert!((4..=20_000).contains(&token.jwt.expose().len()));
            }
            if let NodePublishKeys::Keys(keys) = &mount.node_publish_keys {
                assert_eq!(keys.id.trim(), keys.id);
            }
            assert!(mount.spec.refresh.is_none_or(|interval| interval.as_secs() <= 86_400));
            assert!(!format!("{mount:?}").contains(CANARY));
        }
    }
    Corpus::Keep
});

/// The canary stands where the driver puts secrets; access key ids are none.
fn written(text: &str) -> MountRequest {
    let (mut attributes, mut secrets) = (BTreeMap::new(), BTreeMap::new());
    let mut permission = "420".to_owned();
    for part in text.split("\n--\n") {
        let (name, value) = part.split_once('\n').unwrap_or((part, ""));
        let planted = || value.replace(HERE, CANARY);
        match name.split_once(':') {
            Some(("secret", "access_key")) => {
                secrets.insert("access_key".to_owned(), value.to_owned());
            }
            Some(("secret", name)) => {
                secrets.insert(name.to_owned(), planted());
            }
            _ if name == "permission" => value.clone_into(&mut permission),
            _ if name.ends_with("serviceAccount.tokens") => {
                attributes.insert(name.to_owned(), planted());
            }
            _ => {
                attributes.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    let json = |map| serde_json::to_string(map).unwrap();
    let (attributes, secrets) = (json(&attributes), json(&secrets));
    MountRequest { attributes, secrets, permission, ..Default::default() }
}
