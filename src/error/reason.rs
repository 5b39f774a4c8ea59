//! Reason: why a mount failed, for code and tests to match. Its name is for people to look up, and stays.

use super::ErrorKind;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $reason:ident, $name:literal, $kind:ident;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])* $reason,)*
        }

        impl Reason {
            pub const ALL: &[Reason] = &[$(Reason::$reason,)*];

            pub fn name(self) -> &'static str {
                match self {
                    $(Reason::$reason => $name,)*
                }
            }

            /// What kind of failure it is, and so its gRPC code.
            pub fn kind(self) -> ErrorKind {
                match self {
                    $(Reason::$reason => ErrorKind::$kind,)*
                }
            }

            /// What it means, in a sentence or two.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Reason::$reason => concat!($($doc),*),)*
                }
            }
        }
    };
}

reasons! {
    // The SecretProviderClass.
    /// A parameter or field that there is not.
    UnknownName, "unknown-name", Invalid;
    /// A field that is there twice.
    DuplicateName, "duplicate-name", Invalid;
    /// A field that has to be there, and is not.
    MissingField, "missing-field", Invalid;
    /// A field that holds a list or mapping where a text belongs, or the other way round.
    WrongType, "wrong-type", Invalid;
    /// A text that YAML 1.1 reads as true or false without quotes.
    NeedsQuotes, "needs-quotes", Invalid;
    /// A value that is none of those allowed.
    InvalidValue, "invalid-value", Invalid;
    /// Two parameters or fields that contradict each other.
    Contradiction, "contradiction", Invalid;
    /// The name of a secret or parameter is not valid.
    InvalidName, "invalid-name", Invalid;
    /// A version or label is not valid.
    InvalidVersion, "invalid-version", Invalid;
    /// A host that no signed request may go to.
    InvalidEndpoint, "invalid-endpoint", Invalid;
    /// The region is not a region id.
    InvalidRegion, "invalid-region", Invalid;
    /// A role's ARN is not valid.
    InvalidRole, "invalid-role", Invalid;
    /// A file's path in the volume is not valid.
    InvalidFilePath, "invalid-file-path", Invalid;
    /// Two files at one place.
    DuplicateFile, "duplicate-file", Invalid;
    /// A path that is not JMESPath, or that reads nothing of a secret.
    InvalidPath, "invalid-path", Invalid;
    /// The list of objects is no list, or no YAML.
    InvalidObjects, "invalid-objects", Invalid;
    /// More objects, files, paths, roles or hosts than a mount may have.
    TooMany, "too-many", Invalid;
    /// Files that make a larger answer than the driver takes.
    TooLarge, "too-large", Invalid;

    // The driver's request.
    /// The driver's message is not what it should be.
    MalformedRequest, "malformed-request", Invalid;
    /// The driver did not say which pod it is.
    NoPodInfo, "no-pod-info", Invalid;
    /// The pod's tokens are not what kubelet writes, or there are two that differ.
    MalformedToken, "malformed-token", Invalid;

    // Identity.
    /// The operator does not allow this identity.
    IdentityNotAllowed, "identity-not-allowed", Denied;
    /// The operator does not allow this role for an identity that pods share, or in this namespace.
    RoleNotAllowed, "role-not-allowed", Denied;
    /// The operator does not list this KMS instance for shared identities.
    InstanceNotAllowed, "instance-not-allowed", Denied;
    /// The operator's rules have nothing for this namespace.
    NamespaceNotAllowed, "namespace-not-allowed", Denied;
    /// The operator's rules do not allow this namespace to read this secret or parameter.
    ObjectNotAllowed, "object-not-allowed", Denied;
    /// No identity is configured, or the one that was asked for lacks a setting.
    IdentityNotConfigured, "identity-not-configured", Unusable;
    /// The driver brought no token for STS.
    NoToken, "no-token", Unauthenticated;
    /// The pod's token has expired.
    TokenExpired, "token-expired", Unauthenticated;
    /// The token is not one of the pod's ServiceAccount.
    ForeignToken, "foreign-token", Unauthenticated;
    /// The Secret with the access key is missing or incomplete.
    NoAccessKey, "no-access-key", Unusable;
    /// An access key's id and secret are swapped.
    SwappedAccessKey, "swapped-access-key", Unusable;
    /// The provider's own token cannot be read.
    NoProviderToken, "no-provider-token", Unusable;
    /// The ServiceAccount names no role, and no parameter does.
    NoRole, "no-role", Unusable;
    /// An annotation of the ServiceAccount is not a role, or names another than the parameter.
    InvalidAnnotation, "invalid-annotation", Invalid;
    /// The ServiceAccount cannot be looked up: a permission or a setting is missing.
    LookupRefused, "lookup-refused", Unusable;
    /// The Kubernetes API does not answer.
    LookupFailed, "lookup-failed", Internal;
    /// This machine has no RAM role, or its metadata cannot be asked.
    NoInstanceRole, "no-instance-role", Unusable;
    /// The instance's metadata does not answer.
    MetadataFailed, "metadata-failed", Internal;
    /// No session came in the mount's time.
    NoSession, "no-session", Internal;

    // The cloud's answers.
    /// The identity may not do this: a RAM policy is missing.
    Denied, "denied", Denied;
    /// The secret, parameter or version does not exist.
    NotFound, "not-found", NotFound;
    /// The role to assume does not exist.
    RoleNotFound, "role-not-found", NotFound;
    /// The cloud calls a parameter of the request wrong.
    CallRefused, "call-refused", Invalid;
    /// The cloud does not take the keys or the token.
    Unauthenticated, "unauthenticated", Unauthenticated;
    /// The session is over or was revoked.
    SessionRefused, "session-refused", Unauthenticated;
    /// STS cannot read what it checks tokens with.
    IssuerUnread, "issuer-unread", Unauthenticated;
    /// The clock of the node and the cloud's differ too much.
    Clock, "clock", Unusable;
    /// The host's certificate is not trusted.
    Certificate, "certificate", Unusable;
    /// The KMS instance's image is too old for this operation.
    OldInstance, "old-instance", Unusable;
    /// The endpoint does not have this operation.
    UnknownApi, "unknown-api", Unusable;
    /// A key, a KMS instance or the account is in a state in which nothing is given out.
    CloudState, "cloud-state", Unusable;
    /// No connection to the host.
    Unreachable, "unreachable", Internal;
    /// The host did not answer in time.
    Timeout, "timeout", Internal;
    /// The host throttles.
    Throttled, "throttled", Internal;
    /// The service returned 5xx.
    ServerError, "server-error", Internal;
    /// An answer that is not the service's: of a proxy, a firewall or a gateway.
    NotTheService, "not-the-service", Internal;
    /// An answer that is not what the operation answers, or too large.
    Garbled, "garbled", Internal;
    /// No call to the host was possible in time: too many wait.
    NoPermit, "no-permit", Internal;

    // Values.
    /// The value is not what `objectEncoding` or `jmesPath` needs.
    InvalidSecret, "invalid-secret", Unusable;
    /// The path finds nothing in the secret, or fails on it.
    PathFailed, "path-failed", Unusable;

    // The provider.
    /// Its time was up, or it found no room, while others were served.
    OutOfTime, "out-of-time", Internal;
    /// The audit record cannot be written, and nothing is handed out without it.
    NoAuditRecord, "no-audit-record", Unusable;
    /// A fault of the provider's.
    Fault, "fault", Internal;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_of_small_letters_and_hyphens() {
        let names: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        let plain = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(names.iter().all(plain), "{names:?}");
    }
}
