//! What the targets have in common: the set-up of an operator, and what holds of every error.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use provider::{
    endpoint::Endpoints,
    error::{ErrorKind, Errors},
    keys::Keys,
    names::{Glob, OidcProviderArn, Region, RoleArn},
    policy::{DefaultMode, Policy, Share},
    secret::Secret,
    spc::{
        mode::Mode,
        objects::{MAX_OBJECTS, Object},
    },
    text::is_invisible,
};
use tonic::Code;

/// Planted wherever a secret can be, and nowhere else. No identifier looks like it.
pub const CANARY: &str = "c4n4ry! of 7h3 f1nc#";
/// What stands for it in an input, so that it can be moved.
pub const HERE: &str = "{canary}";

const LISTED: &str = "*.kms.internal:8443";
const MOST_FILES: usize = 2_000;
const LONGEST_MESSAGE: usize = 900;

pub fn endpoints() -> Endpoints {
    let region = Region::parse("cn-hangzhou").unwrap();
    let (sts, kms, oos) = (None, None, None);
    Endpoints { region, public: false, sts, kms, oos, allowed: vec![Glob::new(LISTED)] }
}

/// All modes, with the operator's parts of each.
pub fn policy(share: Share) -> Policy {
    let secret = Secret::new(CANARY.to_owned());
    Policy {
        share,
        default: DefaultMode::Mode(Mode::Pod),
        allowed: BTreeSet::from(Mode::ALL),
        cross_account_roles: vec![Glob::new("acs:ram::99:role/*")],
        namespaces: None,
        oidc_provider: OidcProviderArn::of_cluster("1234567890123456", "c1"),
        role: RoleArn::of("1234567890123456", "operator"),
        token_file: None,
        keys: Some(Arc::new(Keys { id: "operator".to_owned(), secret, token: None })),
        ecs_metadata: true,
        session_name: None,
        session_lifetime: Duration::from_secs(3600),
    }
}

/// One line that fits, says nothing secret, and has a code after which no pod starts empty.
pub fn check_errors(errors: &Errors, classes: &[ErrorKind]) {
    let message = errors.message();
    check_text(&message);
    assert!(message.len() <= LONGEST_MESSAGE, "{} bytes: {message}", message.len());
    assert!(!message.chars().any(is_invisible), "{message:?}");
    assert!(classes.contains(&errors.kind()), "{:?}: {message}", errors.kind());
    let code = errors.kind().code();
    let permitted = [
        Code::InvalidArgument,
        Code::PermissionDenied,
        Code::Unauthenticated,
        Code::NotFound,
        Code::FailedPrecondition,
        Code::Internal,
    ];
    assert!(permitted.contains(&code), "{code:?}");
    errors.iter().for_each(|error| check_text(&error.to_string()));
}

/// Nothing planted is in it.
pub fn check_text(text: &str) {
    assert!(!text.contains(CANARY), "{text}");
}

/// Bounds and places: nothing lies outside of the volume or on another file, and nothing is asked of
/// a host that is neither the cloud's nor the operator's.
pub fn check_objects(objects: &[Object], endpoints: &Endpoints) {
    assert!((1..=MAX_OBJECTS).contains(&objects.len()));
    let mut files = Vec::new();
    for object in objects {
        let host = object.read.endpoint.host();
        let listed = endpoints.allowed.iter().any(|glob| glob.matches(host));
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':');
        assert!(host.bytes().all(plain), "{host}");
        assert!(host.ends_with(".aliyuncs.com") || listed, "{host}");
        let extracts = object.extracts.iter().map(|extract| (&extract.file, extract.mode));
        for (file, mode) in extracts.chain([(&object.file, object.mode)]) {
            assert!((1..=0o777).contains(&mode.bits()));
            files.push(file.as_str());
        }
    }
    assert!(files.len() <= MOST_FILES);
    for file in &files {
        let odd = |element: &str| matches!(element, "" | "." | "..") || element.len() > 255;
        assert!(file.len() <= 4096 && !file.split('/').any(odd), "{file}");
        assert!(!file.starts_with("..") && !file.contains('\0'), "{file}");
    }
    files.sort_unstable();
    let directories: BTreeSet<&str> =
        files.iter().flat_map(|file| file.match_indices('/').map(|(at, _)| &file[..at])).collect();
    assert!(files.windows(2).all(|pair| pair[0] != pair[1]), "{files:?}");
    assert!(!files.iter().any(|file| directories.contains(file)), "{files:?}");
}

/// The first octets choose, the rest is what is chosen for.
pub fn choices<const N: usize>(input: &[u8]) -> Option<([u8; N], &[u8])> {
    let (choices, rest) = input.split_first_chunk::<N>()?;
    Some((*choices, rest))
}
