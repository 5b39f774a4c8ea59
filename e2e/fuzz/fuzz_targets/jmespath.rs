//! A pod author's expression over a secret: the same each time, no larger than the bound, on a stack
//! of the size that the provider's threads have, and refused without a word of the secret.
//!
//! The first octet of an input chooses the encoding of the secret; the first line after it is the
//! expression, the rest the secret, in which the canary is planted.

#![no_main]

use std::{sync::Arc, thread};

use base64::{Engine, engine::general_purpose::STANDARD};
use fuzz::{CANARY, HERE, check_errors, choices, endpoints};
use libfuzzer_sys::{Corpus, fuzz_target};
use provider::{
    cloud::sign::hex,
    document::jmespath::Expression,
    endpoint::Service,
    error::{ErrorKind, Errors},
    project::{Projection, project},
    secret::Secret,
    spc::{
        file::{FileMode, RelPath},
        objects::{Encoding, Extract, Object},
        read::Read,
        source::{Source, kms::SecretRef},
    },
    value::{Fetched, Value},
    yaml::Position,
};

/// What the search may build of a secret.
const MOST_BUILT: usize = 4 << 20;
const STACK: usize = 2 << 20;

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(([encoding], text)) = choices(input) else { return Corpus::Reject };
    let Ok(text) = std::str::from_utf8(text) else { return Corpus::Reject };
    let Some((path, secret)) = text.split_once('\n') else { return Corpus::Reject };
    let secret = secret.replace(HERE, CANARY);
    let (encoding, stored) = match encoding {
        b'b' => (Encoding::Base64, STANDARD.encode(&secret)),
        b'h' => (Encoding::Hex, hex(secret.as_bytes())),
        b'x' => (Encoding::Hex, secret.clone()),
        b'y' => (Encoding::Base64, secret.clone()),
        _ => (Encoding::Utf8, secret.clone()),
    };
    let path = path.to_owned();
    let search = move || match Expression::parse(&path) {
        Err(what) => {
            assert!(what.len() < 400, "{what}");
            None
        }
        Ok(path) => {
            let (objects, values) = ([object(encoding, path)], [fetched(&stored)]);
            let found = project(&objects, &values);
            assert_eq!(bytes(&found), bytes(&project(&objects, &values)));
            Some((found, stored.len()))
        }
    };
    let searched = thread::Builder::new().stack_size(STACK).spawn(search).unwrap().join().unwrap();
    match searched {
        None => {}
        // The secret and what is found in it together can be more than an answer holds.
        Some((Err(errors), _)) => check_errors(&errors, &[ErrorKind::Invalid, ErrorKind::Unusable]),
        Some((Ok(projection), stored)) => {
            let [whole, extract] = &*projection.files else { panic!("{projection:?}") };
            assert!(whole.bytes.expose().len() <= stored);
            assert!(extract.bytes.expose().len() <= MOST_BUILT);
        }
    }
    Corpus::Keep
});

fn bytes(found: &Result<Projection, Errors>) -> Result<Vec<&[u8]>, &Errors> {
    found.as_ref().map(|found| found.files.iter().map(|file| &**file.bytes.expose()).collect())
}

fn object(encoding: Encoding, path: Expression) -> Object {
    let endpoints = endpoints();
    let (file, mode) = (|name| RelPath::parse(name).unwrap(), FileMode::from_bits(0o644).unwrap());
    let secret = SecretRef { name: "db".to_owned(), version_id: None, stage: None };
    Object {
        label: "object 1 \"db\"".to_owned(),
        at: Position::default(),
        read: Read::new(endpoints.of(Service::Kms, &endpoints.region), Source::Kms(secret), None),
        file: file("db"),
        mode,
        encoding,
        optional: false,
        extracts: vec![Extract { path, file: file("part"), mode, encoding: Encoding::Utf8 }],
    }
}

fn fetched(stored: &str) -> Fetched {
    Some(Arc::new(Value {
        bytes: Secret::new(stored.as_bytes().to_vec()),
        version: "v1".to_owned(),
        rotates_at: None,
        request_id: String::new(),
    }))
}
