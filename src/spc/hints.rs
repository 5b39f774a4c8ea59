//! What to say of a name that is not one of ours: a typing mistake, another provider's name for the
//! same thing, or a thing that this provider does not have.

use std::fmt;

use super::names::Place;
use crate::text::{accident, quoted};

/// A parameter or field of another tool, whose it is, and what to write here.
struct Foreign {
    name: &'static str,
    of: &'static str,
    here: Here,
}

/// What to write here: our name for it, with more to say, or none.
#[derive(Clone, Copy)]
struct Here {
    ours: Option<&'static str>,
    more: &'static str,
}

const fn foreign(name: &'static str, of: &'static str, here: Here) -> Foreign {
    Foreign { name, of, here }
}

const fn ours(name: &'static str, more: &'static str) -> Here {
    Here { ours: Some(name), more }
}

const fn none(more: &'static str) -> Here {
    Here { ours: None, more }
}

impl fmt::Display for Here {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ours) = self.ours {
            write!(f, "here it is {ours}")?;
        }
        f.write_str(self.more)
    }
}

const AWS: &str = "the AWS provider";
const AZURE: &str = "the Azure provider";
const GCP: &str = "the Google Cloud provider";
const VAULT: &str = "the Vault provider";
const ACK: &str = "ack-secret-manager";
const ESO: &str = "the External Secrets Operator";

const NO_VAULT: Here = none("secrets are found by objectName and region alone; remove it");
const IDENTITY: Here =
    ours("identity", ", and the pod's role is an annotation of its ServiceAccount");
const ROLE: Here =
    ours("roleArn", ": acs:ram::ACCOUNT:role/NAME, or an annotation of the ServiceAccount");
const TLS: Here = none("Alibaba Cloud's hosts need none of it; remove it");

const ACCESS_KEY: Here = none(
    "an access key comes from the Secret that the volume's nodePublishSecretRef names, as access_key \
     and access_secret; remove it",
);

const PARAMETERS: [Foreign; 30] = [
    foreign("regionId", "Alibaba Cloud's APIs", ours("region", "")),
    foreign("failoverRegion", AWS, none("there is one region for each object; remove it")),
    foreign("preferredAddressType", AWS, none("remove it")),
    foreign("usePodIdentity", "the AWS and Azure providers", IDENTITY),
    foreign("useVMManagedIdentity", AZURE, ours("identity", ": ecs-role")),
    foreign("userAssignedIdentityID", AZURE, IDENTITY),
    foreign("clientID", AZURE, IDENTITY),
    foreign("keyvaultName", AZURE, NO_VAULT),
    foreign("tenantId", AZURE, NO_VAULT),
    foreign("cloudName", AZURE, NO_VAULT),
    foreign("cloudEnvFileName", AZURE, NO_VAULT),
    foreign("subscriptionId", AZURE, NO_VAULT),
    foreign("resourceGroup", AZURE, NO_VAULT),
    foreign("secrets", GCP, ours("objects", ", a list of \"- objectName: NAME\"")),
    foreign("auth", GCP, IDENTITY),
    foreign("array", AZURE, none("objects is a plain list of \"- objectName: NAME\"")),
    foreign("roleName", VAULT, ROLE),
    foreign("role", VAULT, ROLE),
    foreign("vaultAddress", VAULT, NO_VAULT),
    foreign("vaultNamespace", VAULT, NO_VAULT),
    foreign("vaultAuthMountPath", VAULT, IDENTITY),
    foreign("vaultKubernetesMountPath", VAULT, IDENTITY),
    foreign("vaultSkipTLSVerify", VAULT, TLS),
    foreign("vaultCACertPath", VAULT, TLS),
    foreign("vaultCACertDirectory", VAULT, TLS),
    foreign("vaultTLSServerName", VAULT, TLS),
    foreign("audience", VAULT, none("the driver's tokenRequests say it; remove it")),
    foreign("ramRoleARN", ACK, ours("roleArn", "")),
    foreign("accessKey", ACK, ACCESS_KEY),
    foreign("accessKeySecret", ACK, ACCESS_KEY),
];

const NAME: Here = ours("objectName", "");
const FILE: Here = ours("objectAlias", "");
const KEY: Here = ours("jmesPath", ", a list of path and objectAlias");
const VERSION: Here = ours("objectVersion", "");

const FIELDS: [Foreign; 21] = [
    foreign("secretName", VAULT, NAME),
    foreign("secretPath", VAULT, ours("objectName", ", and the file's name is objectAlias")),
    foreign("secretKey", VAULT, KEY),
    foreign("secretArgs", VAULT, none("here are objectVersion and objectVersionLabel")),
    foreign("method", VAULT, none("remove it")),
    foreign("encoding", VAULT, ours("objectEncoding", "")),
    foreign("resourceName", GCP, NAME),
    foreign("fileName", GCP, FILE),
    foreign("mode", GCP, MODE),
    foreign("extractJSONKey", GCP, KEY),
    foreign("extractYAMLKey", GCP, KEY),
    foreign("objectFormat", AZURE, none("here is objectEncoding: utf-8, base64 or hex")),
    foreign("objectVersionHistory", AZURE, none("name each version in an object of its own")),
    foreign("failoverObject", AWS, none("remove it")),
    foreign("versionId", ACK, VERSION),
    foreign("versionStage", ACK, ours("objectVersionLabel", "")),
    foreign("remoteRef", ESO, NAME),
    foreign("property", ESO, KEY),
    foreign("version", ESO, VERSION),
    foreign("type", ACK, ours("objectType", ": kms or oos")),
    foreign("endpoint", ACK, ours("kmsEndpoint", "")),
];

const ENTRY_FIELDS: [Foreign; 3] = [
    foreign("fileName", GCP, FILE),
    foreign("mode", GCP, MODE),
    foreign("encoding", VAULT, ours("objectEncoding", "")),
];

/// Names that are no tool's and that people write, each with what to write.
type Guessed = (&'static str, Here);

const GUESSED_PARAMETERS: [Guessed; 4] = [
    (
        "rotationPollInterval",
        none("it is set for the driver; refreshInterval is how old values may be"),
    ),
    ("secretObjects", BESIDE_PARAMETERS),
    ("provider", BESIDE_PARAMETERS),
    ("nodePublishSecretRef", none("it belongs to the pod's volume, beside volumeAttributes")),
];
const BESIDE_PARAMETERS: Here = none("it belongs beside parameters, under spec");

const GUESSED_FIELDS: [Guessed; 9] = [
    ("name", ours("objectName", ", and the file's name is objectAlias")),
    (
        "key",
        none(
            "the secret's name is objectName, the file's objectAlias, and a part of the secret \
                  is in jmesPath, a list of path and objectAlias",
        ),
    ),
    ("alias", FILE),
    ("objectKey", KEY),
    ("jsonKey", KEY),
    ("jsonPath", KEY),
    ("fileMode", MODE),
    ("permission", MODE),
    ("versionLabel", ours("objectVersionLabel", "")),
];

const GUESSED_IN_ENTRIES: [Guessed; 11] = [
    ("key", PATH),
    ("jmesPath", PATH),
    ("objectKey", PATH),
    ("jsonKey", PATH),
    ("jsonPath", PATH),
    ("secretKey", PATH),
    ("property", PATH),
    ("alias", FILE),
    ("name", none("the file's name is objectAlias, and what to take from the secret is path")),
    ("fileMode", MODE),
    ("permission", MODE),
];
const PATH: Here = ours("path", "");
const MODE: Here = ours("filePermission", ", such as \"0400\"");

impl Place {
    fn foreign(self) -> &'static [Foreign] {
        match self {
            Place::Parameter => &PARAMETERS,
            Place::Field => &FIELDS,
            Place::Entry => &ENTRY_FIELDS,
        }
    }

    fn guessed(self) -> &'static [Guessed] {
        match self {
            Place::Parameter => &GUESSED_PARAMETERS,
            Place::Field => &GUESSED_FIELDS,
            Place::Entry => &GUESSED_IN_ENTRIES,
        }
    }

    /// What to say of a name that is known at another place alone.
    fn of_other_place(self, name: &str) -> Option<String> {
        let known = |place: Place| {
            place.known().iter().find(|known| known.eq_ignore_ascii_case(name)).copied()
        };
        match self {
            Place::Parameter => known(Place::Field).map(|ours| {
                format!(
                    "is a field of an object, not a parameter; write {ours} in objects, beside objectName"
                )
            }),
            Place::Field | Place::Entry if known(Place::Parameter).is_some() => {
                let ours = known(Place::Parameter)?;
                Some(format!("is a parameter, not a field of an object; write {ours} beside objects"))
            }
            Place::Field => known(Place::Entry).map(|ours| {
                format!(
                    "belongs into jmesPath, a list in which each entry has {ours} and objectAlias; the \
                     name of the object's own file is objectAlias"
                )
            }),
            Place::Entry => known(Place::Field).map(|_| {
                format!(
                    "is a field of the object and not of its jmesPath, whose entries have {}",
                    self.known().join(", ")
                )
            }),
        }
    }
}

/// What is wrong with a name, and which of the known ones was meant if that is certain enough.
pub fn unknown(place: Place, name: &str) -> (String, Option<&'static str>) {
    let known = place.known();
    let noun = if place == Place::Parameter { "parameter" } else { "field" };
    let meant = |here: &Here| known.iter().find(|known| here.ours == Some(known)).copied();
    let foreign = place.foreign().iter().find(|theirs| theirs.name.eq_ignore_ascii_case(name));
    if let Some(Foreign { of, here, .. }) = foreign {
        return (format!("is a {noun} of {of}; {here}"), meant(here));
    }
    let guessed = place.guessed().iter().find(|(guess, _)| guess.eq_ignore_ascii_case(name));
    if let Some((_, here)) = guessed {
        return (format!("is not a {noun}; {here}"), meant(here));
    }
    if let Some(what) = place.of_other_place(name) {
        return (what, None);
    }
    match near(name, known) {
        Some(near) => (format!("is not a {noun}; did you mean {near}?"), Some(near)),
        None => (format!("is not a {noun}; there are {}", known.join(", ")), None),
    }
}

/// The known name that differs least: by letter case, or by one letter in three, two at most.
pub fn near<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    const MAX_EDITS: usize = 2;
    let name = name.to_ascii_lowercase();
    let distance = |known: &&str| edits(&known.to_ascii_lowercase(), &name);
    let (near, edits) = known.iter().map(|known| (*known, distance(known))).min_by_key(|x| x.1)?;
    (edits <= MAX_EDITS.min(near.len() / 3)).then_some(near)
}

/// Levenshtein distance of two short names.
fn edits(a: &str, b: &str) -> usize {
    if b.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (y, cell) in b.bytes().zip(row.iter_mut().skip(1)) {
            let substituted = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = substituted.min(left + 1).min(*cell + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

/// What to say of a text that is none of a few words, which are in small letters.
pub fn none_of(text: &str, words: &[&str], rule: &str) -> String {
    let refused = refused(text, rule);
    if accident::in_word(text).is_some() {
        return refused;
    }
    match words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
        Some(word) => format!("{refused}; write {word}, in small letters"),
        None => match near(text, words) {
            Some(near) => format!("{refused}; did you mean {near}?"),
            None => refused,
        },
    }
}

/// What to say of a text that is none of those allowed, with the accident in it if there is one.
pub fn refused(text: &str, rule: &str) -> String {
    match accident::in_word(text) {
        Some(accident) => format!("is {}, which {accident}; it {rule}", quoted(text)),
        None => format!("is {}; it {rule}", quoted(text)),
    }
}

/// What to write for an object type that is another provider's.
pub fn object_type(text: &str, types: &[&str], rule: &str) -> String {
    let theirs = match text.to_ascii_lowercase().as_str() {
        "secretsmanager" => "is the AWS provider's type for secrets: write kms",
        "ssmparameter" => "is the AWS provider's type for parameters: write oos",
        "secret" => "is the Azure provider's type for secrets: write kms",
        "key" | "cert" => {
            "is the Azure provider's type for keys and certificates, which KMS does not hand out; \
             write kms for a secret"
        }
        _ => return none_of(text, types, rule),
    };
    theirs.to_owned()
}

pub fn object_encoding(text: &str) -> String {
    match text.to_ascii_lowercase().as_str() {
        "base64url" => {
            "is \"base64url\": write base64, which is read with either alphabet".to_owned()
        }
        _ => none_of(text, &["utf-8", "base64", "hex"], "must be utf-8, base64 or hex"),
    }
}

#[cfg(test)]
mod tests;
