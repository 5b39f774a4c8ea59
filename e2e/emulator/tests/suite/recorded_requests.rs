//! What the official clients really sent: each is understood, and its signature holds.

use std::collections::BTreeMap;

use emulator::signature::{Acs3Claim, verify_rpc};
use emulator::{ApiRequest, Service};
use serde_json::Value;

fn secret(access_key_id: &str) -> &'static str {
    match access_key_id {
        "LTAI5tEXAMPLEKEYID000001" => "EXAMPLEsecret0000000000000001",
        "STS.EXAMPLEtempKeyId000001" => "EXAMPLEtempSecret0001",
        "STS.LOOPBACKkeyid" => "LOOPBACKsecret",
        other => panic!("unknown key {other}"),
    }
}

fn recordings() -> BTreeMap<String, Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/wire");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_str(&text).unwrap())
        })
        .collect()
}

fn request(recorded: &Value) -> ApiRequest {
    let text = |name: &str| recorded[name].as_str().unwrap();
    let headers = recorded["headers"].as_array().unwrap().iter();
    let headers = headers
        .map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned()));
    ApiRequest::new(
        text("method"),
        text("path"),
        text("raw_query"),
        headers.collect(),
        text("body_utf8").to_owned().into(),
    )
}

#[derive(Debug, PartialEq)]
enum Kind {
    Acs3,
    Rpc,
    Anonymous,
    Acs4,
    Metadata,
}

fn verify(request: &ApiRequest, recorded: &Value) -> (Kind, Result<(), String>) {
    if recorded["path"].as_str().unwrap().starts_with("/latest/") {
        assert_eq!(request.service(), None);
        return (Kind::Metadata, Ok(()));
    }
    if let Some(authorization) = request.header("authorization") {
        if authorization.starts_with("ACS4-") {
            return (Kind::Acs4, Acs3Claim::parse(authorization).map(drop).map_err(|e| e.code));
        }
        let claim = Acs3Claim::parse(authorization).unwrap();
        let result = claim.verify(&request.signed(), secret(&claim.access_key_id));
        return (Kind::Acs3, result.map_err(|error| error.code));
    }
    let Some(key) = request.parameter("AccessKeyId") else {
        return (Kind::Anonymous, Ok(()));
    };
    let pairs: Vec<_> = ["query", "form"]
        .iter()
        .flat_map(|part| recorded[part].as_array().unwrap())
        .map(|pair| (pair[0].as_str().unwrap().into(), pair[1].as_str().unwrap().into()))
        .collect();
    let method = recorded["method"].as_str().unwrap();
    (Kind::Rpc, verify_rpc(method, &pairs, secret(key)).map_err(|error| error.code))
}

#[test]
fn every_recording_is_understood() {
    let mut kinds = BTreeMap::new();
    let recordings = recordings();
    assert_eq!(recordings.len(), 22);
    for (name, recording) in &recordings {
        for recorded in recording["requests"].as_array().unwrap() {
            let request = request(recorded);
            let (kind, result) = verify(&request, recorded);
            match kind {
                Kind::Acs4 => assert_eq!(result, Err("UnsupportedSignatureMethod".to_owned())),
                _ => assert_eq!(result, Ok(()), "{name}"),
            }
            if kind != Kind::Metadata {
                assert_eq!(request.action(), recorded["action"].as_str(), "{name}");
                let service = match name.split('-').next() {
                    Some("kms") => Service::Kms,
                    Some("oos") => Service::Oos,
                    _ => Service::Sts,
                };
                assert_eq!(request.service(), Some(service), "{name}");
                assert_eq!(request.host(), "127.0.0.1");
                for pair in recorded["query"].as_array().unwrap() {
                    let (key, value) = (pair[0].as_str().unwrap(), pair[1].as_str());
                    assert_eq!(request.parameter(key), value, "{name} {key}");
                }
            }
            *kinds.entry(format!("{kind:?}")).or_insert(0) += 1;
        }
    }
    let count = |kind: &str| kinds.get(kind).copied().unwrap_or(0);
    assert_eq!(count("Rpc"), 2, "{kinds:?}");
    assert_eq!(count("Acs4"), 1, "{kinds:?}");
    assert!(count("Anonymous") >= 2, "{kinds:?}");
    assert!(count("Acs3") >= 12, "{kinds:?}");
    assert!(count("Metadata") >= 10, "{kinds:?}");
}

#[test]
fn a_changed_byte_is_refused() {
    let mut changed = 0;
    for (name, recording) in recordings() {
        for recorded in recording["requests"].as_array().unwrap() {
            let kind = verify(&request(recorded), recorded).0;
            let mut tampered = recorded.clone();
            match kind {
                Kind::Acs3 => {
                    let query = format!("{}&DryRun=x", recorded["raw_query"].as_str().unwrap());
                    tampered["raw_query"] = query.into();
                }
                Kind::Rpc => tampered["query"][5][1] = "tampered".into(),
                _ => continue,
            }
            let (_, result) = verify(&request(&tampered), &tampered);
            assert_eq!(result, Err("SignatureDoesNotMatch".to_owned()), "{name}");
            changed += 1;
        }
    }
    assert!(changed >= 14, "{changed}");
}
