//! Rule: what `check` looks for. Its code is for people to look up and to name in comments, and stays.

use crate::error::{ErrorKind, Reason};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It does not work.
    Error,
    /// It works, and probably not as it was meant.
    Warning,
    /// Good to know.
    Note,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])* $rule:ident, $code:literal, $severity:ident, $fix:literal;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            /// A mount would be refused. The code is the reason's name, as in the mount's log line.
            Mount(Reason),
            $($(#[doc = $doc])* $rule,)*
        }

        impl Rule {
            /// All but those of a mount.
            pub const OWN: &[Rule] = &[$(Rule::$rule,)*];

            pub fn code(self) -> &'static str {
                match self {
                    Rule::Mount(reason) => reason.name(),
                    $(Rule::$rule => $code,)*
                }
            }

            pub fn severity(self) -> Severity {
                match self {
                    Rule::Mount(_) => Severity::Error,
                    $(Rule::$rule => Severity::$severity,)*
                }
            }

            /// What it means, in a sentence or two.
            pub fn meaning(self) -> &'static str {
                match self {
                    Rule::Mount(reason) => reason.meaning(),
                    $(Rule::$rule => concat!($($doc),*),)*
                }
            }

            /// What to do about it.
            pub fn fix(self) -> &'static str {
                match self {
                    Rule::Mount(reason) => of_mount(reason),
                    $(Rule::$rule => $fix,)*
                }
            }
        }
    };
}

rules! {
    // What cannot be read.
    /// The document is no YAML or JSON, or too large.
    Unreadable, "unreadable", Error,
    "Correct the text at the place that is named. Templates of Helm are rendered first: \
     helm template CHART | check -";
    /// The document is no YAML or JSON, and nothing in it speaks of the Secrets Store CSI Driver.
    NotChecked, "not-checked", Note,
    "Nothing, if it is no manifest. Else correct it as named.";
    /// A name holds a placeholder or a template that was to be replaced.
    Placeholder, "placeholder", Error,
    "Replace it, or check what the template is rendered to: helm template CHART | check -";
    /// A number, true, false, a list or a mapping where Kubernetes takes a text alone: it refuses the whole object.
    NotAText, "not-a-text", Error,
    "Put the value in quotes; write a list as a block of text, with | behind the name.";

    // The object itself.
    /// The apiVersion is none that this kind has.
    WrongApiVersion, "wrong-api-version", Error,
    "Write the apiVersion that the message names.";
    /// The apiVersion is deprecated.
    OldApiVersion, "old-api-version", Warning,
    "Write secrets-store.csi.x-k8s.io/v1; nothing else changes.";
    /// The object has no name.
    MissingName, "missing-name", Error,
    "Give it metadata.name.";
    /// Two objects of one kind have the same name and namespace: the later one replaces the other.
    DuplicateManifest, "duplicate-manifest", Error,
    "Rename one, or remove it.";
    /// `spec` has a key that the SecretProviderClass does not have: Kubernetes drops it or refuses the object.
    UnknownSpecField, "unknown-spec-field", Error,
    "Under spec there are provider, parameters and secretObjects. All that the provider reads is in parameters.";
    /// `spec.provider` is no provider's name, so that the driver finds no socket.
    UnknownProvider, "unknown-provider", Error,
    "Write provider: alibabacloud.";

    // secretObjects and SecretSync.
    /// An entry of `secretObjects` names a file that the volume does not have, so that no Secret is made.
    SecretObjectUnmatched, "secret-object-unmatched", Error,
    "objectName under secretObjects is the file's path in the volume: objectAlias, or objectName with \
     each / replaced as pathTranslation says.";
    /// An entry of `secretObjects` lacks what the driver needs to make a Secret.
    SecretObjectIncomplete, "secret-object-incomplete", Error,
    "Each needs secretName, type and data, and each entry of data objectName and key.";
    /// A SecretSync lacks what its controller needs.
    SyncIncomplete, "sync-incomplete", Error,
    "It needs serviceAccountName, secretProviderClassName and secretObject with type and data, and each \
     entry of data sourcePath and targetKey.";
    /// A SecretSync's `sourcePath` names a file that its SecretProviderClass does not make.
    SourcePathUnmatched, "source-path-unmatched", Error,
    "sourcePath is the file's path: objectAlias, or objectName with each / replaced as pathTranslation says.";
    /// A SecretSync's `sourcePath` does not match the pattern of the SecretSync's API, which refuses it.
    SourcePathPattern, "source-path-pattern", Error,
    "Give the object an objectAlias of letters, digits and hyphens. The second character may not be . or _, \
     and none of these may be last or stand beside another.";
    /// The values of one Secret can be larger together than a Secret may be.
    SecretMayBeTooLarge, "secret-may-be-too-large", Note,
    "A Secret holds 1 MiB, a value at most 32 KiB. Make several Secrets if the values are that large.";

    // What sends tokens.
    /// kubelet or the sync controller does not send the token that the pod's identity is proven with.
    MissingTokenRequest, "missing-token-request", Error,
    "Give the CSIDriver tokenRequests: [{audience: sts.aliyuncs.com}] (the driver's chart: \
     tokenRequests[0].audience), and the sync controller tokenRequestAudience: [{audience: sts.aliyuncs.com}].";
    /// The CSIDriver does not have the pod's name sent, without which no mount is served.
    MissingPodInfo, "missing-pod-info", Error,
    "Set podInfoOnMount: true in the CSIDriver, as the driver's chart does.";
    /// The CSIDriver has mounts done once alone: changed secrets do not reach running pods.
    NoRepublish, "no-republish", Note,
    "Set requiresRepublish: true, in the driver's chart enableSecretRotation: true, if pods are to see \
     new values.";

    // Pods.
    /// A volume of the driver without `readOnly: true`, which the driver refuses.
    VolumeNotReadOnly, "volume-not-read-only", Error,
    "Write readOnly: true under csi, beside driver.";
    /// A volume of the driver that names no SecretProviderClass.
    NoClassName, "no-class-name", Error,
    "Write volumeAttributes: {secretProviderClass: NAME} under csi.";
    /// A SecretProviderClass of this name is in another namespace than the pod or SecretSync.
    OtherNamespace, "other-namespace", Error,
    "A SecretProviderClass serves pods of its own namespace. Move it, or copy it.";
    /// The SecretProviderClass that is named is not among the manifests given.
    ClassNotGiven, "class-not-given", Note,
    "Give its manifest too, so that both are checked together; or check the name.";
    /// Workloads were given, and none of them uses this SecretProviderClass.
    UnusedClass, "unused-class", Warning,
    "Correct the name in the workload, give the workload's manifest too, or remove the class.";
    /// `volumeAttributes` set a parameter, and win over the SecretProviderClass.
    ParameterOverride, "parameter-override", Warning,
    "Set it in the SecretProviderClass, or keep it with a check-ignore comment that says why.";
    /// A container mounts a file by `subPath`, and never sees a changed value.
    SubPath, "sub-path", Note,
    "Mount the volume's folder, or restart pods when the secret changes.";

    // What will surprise.
    /// A label that can move to another version: naming it pins nothing.
    MutablePin, "mutable-pin", Note,
    "Name one version with objectVersion if it must not change. Else leave it: following the label \
     is what it does.";

    // Comments.
    /// A check-ignore comment without a reason, or with a code that there is not.
    InvalidIgnore, "invalid-ignore", Error,
    "Write # check-ignore CODE: REASON, with a code of explain-code.";
    /// A check-ignore comment where nothing is found that it could ignore.
    UnusedIgnore, "unused-ignore", Warning,
    "Remove it.";
}

impl Rule {
    /// Those of a mount that a manifest can be the cause of come first.
    pub fn all() -> impl Iterator<Item = Rule> {
        let mounts = Reason::ALL.iter().map(|reason| Rule::Mount(*reason));
        Self::OWN.iter().copied().chain(mounts)
    }

    pub fn of_code(code: &str) -> Option<Rule> {
        Self::all().find(|rule| rule.code() == code)
    }

    /// Whether `check` can find it: for other reasons of a mount somebody has to be asked.
    pub fn is_checked(self) -> bool {
        match self {
            Rule::Mount(reason) => match reason {
                Reason::TooLarge
                | Reason::MalformedRequest
                | Reason::NoPodInfo
                | Reason::MalformedToken
                | Reason::IdentityNotConfigured => false,
                Reason::NoAccessKey | Reason::NoRole | Reason::IdentityNotAllowed => true,
                Reason::RoleNotAllowed | Reason::InstanceNotAllowed => true,
                Reason::NamespaceNotAllowed | Reason::ObjectNotAllowed => true,
                reason => reason.kind() == ErrorKind::Invalid && reason != Reason::CallRefused,
            },
            _ => true,
        }
    }
}

/// What to do about a mount that is refused. The message of each has more.
fn of_mount(reason: Reason) -> &'static str {
    match reason {
        Reason::UnknownName => {
            "Correct the name. docs/secretproviderclass.md lists parameters and fields; for a name of \
             another provider or tool the message says what to write here."
        }
        Reason::DuplicateName => "Keep one of the two.",
        Reason::MissingField => "Add the field; objectName is needed in each object.",
        Reason::WrongType => {
            "Write a text where a text belongs, and a list with \"- \" where a list does."
        }
        Reason::NeedsQuotes => "Put the value in quotes.",
        Reason::InvalidValue => "Write one of the values that the message names.",
        Reason::Contradiction => "Remove one of the two.",
        Reason::InvalidName => {
            "Correct the name; for a placeholder, blank or quote the message has its place."
        }
        Reason::InvalidVersion => {
            "Write a version id of KMS, or a number for an OOS parameter; a label goes into objectVersionLabel."
        }
        Reason::InvalidEndpoint => {
            "Write the host alone, such as kms-vpc.cn-hangzhou.aliyuncs.com or \
             INSTANCE.cryptoservice.kms.aliyuncs.com. Others are for the operator to allow (--allowed-endpoints)."
        }
        Reason::InvalidRegion => "Write a region id such as cn-hangzhou.",
        Reason::InvalidRole => "Write acs:ram::ACCOUNT:role/NAME.",
        Reason::InvalidFilePath => "Give the object an objectAlias that is a plain relative path.",
        Reason::DuplicateFile => "Give one of the two another objectAlias.",
        Reason::InvalidPath => {
            "Write JMESPath; keys with signs such as - or . need double quotes within the path."
        }
        Reason::InvalidObjects => {
            "Write a list: objects: | and below it, indented, one \"- objectName: NAME\" for each."
        }
        Reason::TooMany => {
            "Mount some objects in another volume, with another SecretProviderClass."
        }
        Reason::IdentityNotAllowed => {
            "Ask for an identity that the operator allows, or have it allowed (--allowed-identities). Give \
             check the operator's flags of the same names."
        }
        Reason::RoleNotAllowed => {
            "Have the operator allow the role, as the message says, or use identity pod."
        }
        Reason::InstanceNotAllowed => {
            "Have the operator list the instance (--allowed-endpoints), or use identity pod."
        }
        Reason::NamespaceNotAllowed => {
            "Have the operator add a rule for the namespace (--namespace-rules), or use another namespace."
        }
        Reason::ObjectNotAllowed => {
            "Read a secret that the namespace may read, or have the operator allow it (--namespace-rules)."
        }
        Reason::NoAccessKey => "Give the pod's volume a nodePublishSecretRef.",
        Reason::NoRole => {
            "Annotate the ServiceAccount with ack.alibabacloud.com/role-arn, or set parameter roleArn."
        }
        Reason::InvalidAnnotation => "Write acs:ram::ACCOUNT:role/NAME, and keep one annotation.",
        _ => "docs/troubleshooting.md has a section of this name: its messages, and what to do.",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_of_small_letters_and_hyphens() {
        let codes: Vec<_> = Rule::all().map(Rule::code).collect();
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
        let plain = |code: &&str| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(codes.iter().all(plain), "{codes:?}");
    }

    #[test]
    fn code_of_a_mounts_refusal_is_the_reason_of_its_log_line() {
        assert_eq!(Rule::of_code("unknown-name"), Some(Rule::Mount(Reason::UnknownName)));
        assert_eq!(Rule::of_code("unused-class"), Some(Rule::UnusedClass));
        assert_eq!(Rule::of_code("SPC001"), None);
    }
}
