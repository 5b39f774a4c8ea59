//! What to say of a name that is not one of ours: a typing mistake, another provider's name for the
//! same thing, or a thing that this provider does not have.

use std::fmt;

use super::{attributes, objects};
use crate::text::quoted;

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

const PARAMETERS: [Foreign; 27] = [
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
];

const NAME: Here = ours("objectName", "");
const FILE: Here = ours("objectAlias", "");
const KEY: Here = ours("jmesPath", ", a list of path and objectAlias");
const VERSION: Here = ours("objectVersion", "");

const FIELDS: [Foreign; 24] = [
    foreign("secretName", VAULT, NAME),
    foreign("secretPath", VAULT, ours("objectName", ", and the file's name is objectAlias")),
    foreign("secretKey", VAULT, KEY),
    foreign("secretArgs", VAULT, none("here are objectVersion and objectVersionLabel")),
    foreign("method", VAULT, none("remove it")),
    foreign("encoding", VAULT, ours("objectEncoding", "")),
    foreign("resourceName", GCP, NAME),
    foreign("fileName", GCP, FILE),
    foreign("path", GCP, FILE),
    foreign("mode", GCP, ours("filePermission", ", such as \"0400\"")),
    foreign("extractJSONKey", GCP, KEY),
    foreign("extractYAMLKey", GCP, KEY),
    foreign("objectFormat", AZURE, none("here is objectEncoding: utf-8, base64 or hex")),
    foreign("objectVersionHistory", AZURE, none("name each version in an object of its own")),
    foreign("failoverObject", AWS, none("remove it")),
    foreign("name", ACK, NAME),
    foreign("key", ACK, FILE),
    foreign("versionId", ACK, VERSION),
    foreign("versionStage", ACK, ours("objectVersionLabel", "")),
    foreign("remoteRef", ESO, NAME),
    foreign("property", ESO, KEY),
    foreign("version", ESO, VERSION),
    foreign("type", ACK, ours("objectType", ": kms or oos")),
    foreign("endpoint", ACK, ours("kmsEndpoint", "")),
];

/// Where a name was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Parameter,
    Field,
}

/// What is wrong with a name, and which of the known ones was meant if that is certain enough.
pub fn unknown(kind: Kind, name: &str, known: &[&'static str]) -> (String, Option<&'static str>) {
    let (kind, foreign, misplaced) = match kind {
        Kind::Parameter => ("parameter", PARAMETERS.as_slice(), objects::FIELDS.as_slice()),
        Kind::Field => ("field", FIELDS.as_slice(), attributes::PARAMETERS.as_slice()),
    };
    if let Some(ours) = misplaced.iter().find(|ours| ours.eq_ignore_ascii_case(name)) {
        let what = match kind {
            "parameter" => {
                format!(
                    "is a field of an object, not a parameter; write {ours} in objects, beside objectName"
                )
            }
            _ => format!("is a parameter, not a field of an object; write {ours} beside objects"),
        };
        return (what, None);
    }
    if let Some(theirs) = foreign.iter().find(|theirs| theirs.name.eq_ignore_ascii_case(name)) {
        let Foreign { of, here, .. } = theirs;
        let meant = known.iter().find(|known| here.ours == Some(known));
        return (format!("is a {kind} of {of}; {here}"), meant.copied());
    }
    match near(name, known) {
        Some(near) => (format!("is not a {kind}; did you mean {near}?"), Some(near)),
        None => (format!("is not a {kind}; there are {}", known.join(", ")), None),
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

/// What to write for an object type that is another provider's.
pub fn object_type(text: &str) -> String {
    let ours = "must be kms (a KMS secret) or oos (an OOS encrypted parameter)";
    let theirs = match text.to_ascii_lowercase().as_str() {
        "kms" | "oos" => return format!("{ours}, in small letters"),
        "secretsmanager" => "is the AWS provider's type for secrets: write kms",
        "ssmparameter" => "is the AWS provider's type for parameters: write oos",
        "secret" => "is the Azure provider's type for secrets: write kms",
        "key" | "cert" => {
            "is the Azure provider's type for keys and certificates, which KMS does not hand out; \
             write kms for a secret"
        }
        _ => return format!("is {}; it {ours}", quoted(text)),
    };
    theirs.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["objectName", "objectAlias", "optional", "path"];

    #[test]
    fn a_name_close_by_is_proposed() {
        for (name, proposed) in [
            ("objectname", "objectName"),
            ("objctName", "objectName"),
            ("objectNameXY", "objectName"),
            ("object_alias", "objectAlias"),
            ("optoinal", "optional"),
            ("OPTIONAL", "optional"),
            ("pth", "path"),
        ] {
            assert_eq!(near(name, &KNOWN), Some(proposed), "{name}");
            let (told, meant) = unknown(Kind::Field, name, &KNOWN);
            assert_eq!(told, format!("is not a field; did you mean {proposed}?"));
            assert_eq!(meant, Some(proposed));
        }
        for name in ["objectNameXYZ", "obj", "ptionla", "date", "", &"x".repeat(65)] {
            assert_eq!(near(name, &KNOWN), None, "{name}");
            let (told, meant) = unknown(Kind::Field, name, &KNOWN);
            assert_eq!(told, "is not a field; there are objectName, objectAlias, optional, path");
            assert_eq!(meant, None);
        }
    }

    #[test]
    fn names_of_other_providers_are_recognised_in_any_letter_case() {
        let told = |kind, name| unknown(kind, name, &KNOWN);
        let (what, meant) = told(Kind::Field, "secretPath");
        assert_eq!(
            what,
            "is a field of the Vault provider; here it is objectName, and the file's name is \
             objectAlias"
        );
        assert_eq!(meant, Some("objectName"));
        assert_eq!(
            told(Kind::Parameter, "regionID").0,
            "is a parameter of Alibaba Cloud's APIs; here it is region"
        );
        assert!(
            told(Kind::Parameter, "keyvaultName").0.contains("a parameter of the Azure provider")
        );
        assert_eq!(told(Kind::Field, "mode").1, None);
    }

    #[test]
    fn names_in_the_wrong_place_say_where_they_belong() {
        assert_eq!(
            unknown(Kind::Parameter, "jmespath", &KNOWN).0,
            "is a field of an object, not a parameter; write jmesPath in objects, beside objectName"
        );
        assert_eq!(
            unknown(Kind::Field, "region", &KNOWN).0,
            "is a parameter, not a field of an object; write region beside objects"
        );
    }

    #[test]
    fn object_types_of_other_providers_say_which_is_ours() {
        for (text, part) in [
            ("KMS", "in small letters"),
            ("secretsmanager", "write kms"),
            ("SSMParameter", "write oos"),
            ("secret", "write kms"),
            ("cert", "does not hand out"),
            ("ssm", "is \"ssm\"; it must be kms"),
        ] {
            assert!(object_type(text).contains(part), "{}", object_type(text));
        }
    }

    #[test]
    fn distances_of_names() {
        for (a, b, distance) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("abc", "abd", 1),
            ("abc", "ab", 1),
            ("abc", "xabc", 1),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("intention", "execution", 5),
        ] {
            assert_eq!(edits(a, b), distance, "{a} {b}");
        }
        assert_eq!(edits("a", &"a".repeat(64)), 63);
        assert_eq!(edits("a", &"a".repeat(65)), usize::MAX);
        assert_eq!(edits("a", &"a".repeat(66)), usize::MAX);
    }
}
