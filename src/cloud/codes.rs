//! What each documented error code means. Messages, retries, the cache and `docs/cloud-errors.md`
//! are made from this one table; a code that is not in it is classified by its HTTP status.

use super::cause::Cause;
use crate::endpoint::Service;

/// A documented error code.
#[derive(Debug)]
pub struct Known {
    /// `None`: the API gateway's, in front of all services.
    pub service: Option<Service>,
    /// The HTTP status that it comes with.
    pub status: u16,
    /// With a `*` at its end, all codes that begin so.
    pub code: &'static str,
    pub cause: Cause,
    /// What to do about it; empty where that follows from the cause or from who asked.
    pub hint: &'static str,
}

impl Known {
    fn is(&self, code: &str) -> bool {
        match self.code.strip_suffix('*') {
            Some(start) => code.starts_with(start),
            None => code == self.code,
        }
    }
}

/// The row of a code: the service's own before the gateway's, the first that fits.
pub(super) fn find(service: Service, code: &str) -> Option<&'static Known> {
    let of = |service| KNOWN.iter().find(move |row| row.service == service && row.is(code));
    of(Some(service)).or_else(|| of(None))
}

/// Of the services' errors, apart from those of 500 and above.
const STATUSES: [u16; 6] = [400, 401, 403, 404, 409, 429];

/// What an answer with a code means. A status that says that asking again may help is believed
/// before the code is.
pub(super) fn cause(service: Service, status: u16, code: &str, temporary_keys: bool) -> Cause {
    let known = find(service, code).map(|row| row.cause);
    match (status, known) {
        // The services' errors have no other status: this is a proxy's or a gateway's answer.
        _ if status < 500 && !STATUSES.contains(&status) => Cause::OnTheWay,
        (429, _) | (_, Some(Cause::Throttled)) => Cause::Throttled,
        _ if code.ends_with(".Throttling") => Cause::Throttled,
        (500.., _) => Cause::Server,
        // KMS documents that an expired session can show up as this.
        _ if temporary_keys && code == "InvalidAccessKeyId.NotFound" => Cause::SessionRefused,
        (_, Some(cause)) => cause,
        (401, None) => Cause::Unauthenticated,
        (403, None) => Cause::Denied,
        // What is missing or in the way may be anything: only a known code says that it is the
        // secret.
        (404 | 409, None) => Cause::Unusable,
        (_, None) => Cause::Invalid,
    }
}

const ANY: Option<Service> = None;
const STS: Option<Service> = Some(Service::Sts);
const KMS: Option<Service> = Some(Service::Kms);
const OOS: Option<Service> = Some(Service::Oos);

const fn row(
    service: Option<Service>,
    status: u16,
    code: &'static str,
    cause: Cause,
    hint: &'static str,
) -> Known {
    Known { service, status, code, cause, hint }
}

const KEY_STATE: &str = "the secret's encryption key must be enabled: check its state in KMS";
const KEY_GONE: &str = "the secret's encryption key no longer exists: check it in KMS, and store the \
                        secret under a key that does";
const INSTANCE: &str = "check the secret's KMS instance: it must exist, be running and be paid for";
const DEBT: &str = "the Alibaba Cloud account is in debt: settle its bill";
const SUPPORT: &str = "KMS is closed to the account: contact Alibaba Cloud's support";

/// KMS: "Common error codes" and the pages of GetSecretValue, Decrypt and the key states; STS:
/// AssumeRoleWithOIDC, AssumeRole and the page of ACK on RRSA. OOS publishes no list: its codes are
/// those that Terraform's provider and the emulator know.
pub const KNOWN: &[Known] = &[
    row(ANY, 400, "IllegalTimestamp", Cause::Clock, ""),
    row(ANY, 400, "InvalidTimeStamp*", Cause::Clock, ""),
    row(ANY, 400, "RequestTimeTooSkewed", Cause::Clock, ""),
    row(ANY, 400, "SignatureNonceUsed", Cause::NonceUsed, ""),
    row(ANY, 400, "SignatureDoesNotMatch", Cause::Unauthenticated, ""),
    row(ANY, 401, "SignatureNotMatch", Cause::Unauthenticated, ""),
    row(ANY, 400, "IncompleteSignature", Cause::Unauthenticated, ""),
    row(ANY, 400, "MissingSecurityToken", Cause::Unauthenticated, ""),
    row(ANY, 403, "InvalidSecurityToken.Expired", Cause::SessionRefused, ""),
    row(ANY, 403, "InvalidSecurityToken.Malformed", Cause::SessionRefused, ""),
    row(ANY, 403, "InvalidSecurityToken.MismatchWithAccessKey", Cause::SessionRefused, ""),
    row(ANY, 403, "InvalidSecurityToken*", Cause::SessionRefused, ""),
    row(ANY, 404, "InvalidAccessKeyId.NotFound", Cause::Unauthenticated, ""),
    row(ANY, 403, "InvalidAccessKeyId.Inactive", Cause::Unauthenticated, ""),
    row(ANY, 403, "InvalidAccessKeyId*", Cause::Unauthenticated, ""),
    row(ANY, 404, "InvalidAction*", Cause::UnknownApi, ""),
    row(ANY, 404, "InvalidApi*", Cause::UnknownApi, ""),
    row(ANY, 404, "InvalidProduct*", Cause::UnknownApi, ""),
    row(ANY, 400, "InvalidVersion", Cause::UnknownApi, ""),
    row(ANY, 400, "UnsupportedOperation", Cause::UnknownApi, ""),
    row(ANY, 403, "UnsupportedHTTPMethod", Cause::UnknownApi, ""),
    row(ANY, 400, "Throttling", Cause::Throttled, ""),
    row(ANY, 400, "Throttling.User", Cause::Throttled, ""),
    row(ANY, 400, "Throttling.Api", Cause::Throttled, ""),
    row(ANY, 400, "Throttling*", Cause::Throttled, ""),
    row(ANY, 500, "InternalError", Cause::Server, ""),
    row(ANY, 500, "InternalFailure", Cause::Server, ""),
    row(ANY, 503, "ServiceUnavailable*", Cause::Server, ""),
    row(ANY, 400, "MissingParameter", Cause::Invalid, ""),
    row(ANY, 400, "InvalidParameter", Cause::Invalid, ""),
    row(
        STS,
        400,
        "InvalidParameter.DurationSeconds",
        Cause::Invalid,
        "the session may not last longer than the role's MaxSessionDuration: lower \
         --role-session-expiration or raise the role's",
    ),
    row(
        STS,
        400,
        "InvalidParameter.RoleArn",
        Cause::Invalid,
        "check the role's ARN: acs:ram::ACCOUNT:role/NAME",
    ),
    row(
        STS,
        400,
        "InvalidParameter.RoleSessionName",
        Cause::Invalid,
        "check --role-session-name: 2 to 64 letters, digits and . @ - _",
    ),
    row(STS, 400, "InvalidParameter.*", Cause::Invalid, ""),
    row(STS, 401, "AuthenticationFail.NoPermission", Cause::Unauthenticated, ""),
    row(
        STS,
        401,
        "AuthenticationFail.OIDCToken.Expired",
        Cause::Unauthenticated,
        "the token is too old for STS: check the node's clock; kubelet renews the token",
    ),
    row(
        STS,
        401,
        "AuthenticationFail.OIDCToken.AudienceNotMatch",
        Cause::Unauthenticated,
        "the token's audience is not a client id of the OIDC provider: add sts.aliyuncs.com to its \
         client ids in RAM",
    ),
    row(
        STS,
        401,
        "AuthenticationFail.OIDCToken.IssuerNotMatch",
        Cause::Unauthenticated,
        "the OIDC provider has another issuer than this cluster: enable RRSA in this cluster and \
         check that --oidc-provider-arn is its provider",
    ),
    row(
        STS,
        401,
        "AuthenticationFail.OIDCToken.InvalidSignature",
        Cause::Unauthenticated,
        "the token is not signed with the keys that the OIDC provider's issuer publishes: check \
         that --oidc-provider-arn is this cluster's",
    ),
    row(
        STS,
        401,
        "AuthenticationFail.OIDCToken.IssuerConfigurationBroken",
        Cause::IssuerUnread,
        "STS cannot read the public keys of the OIDC provider's issuer: enable RRSA in this \
         cluster, and check that the issuer's URL is reachable",
    ),
    row(
        STS,
        401,
        "AuthenticationFail.OIDCToken.HttpsUrlInvalid",
        Cause::Unauthenticated,
        "the issuer's URL of the OIDC provider cannot be used: check the provider in RAM",
    ),
    row(
        STS,
        401,
        "AuthenticationFail.OIDCToken.PublicKeyFingerprintMismatch",
        Cause::Unauthenticated,
        "the issuer's certificate is not one that the OIDC provider lists: update its fingerprints \
         in RAM",
    ),
    row(
        STS,
        401,
        "AuthenticationFail.OIDCToken*",
        Cause::Unauthenticated,
        "the registered OIDC provider must have this cluster's issuer, keys and the client id \
         sts.aliyuncs.com",
    ),
    row(STS, 403, "NoPermission", Cause::Denied, ""),
    row(STS, 404, "EntityNotExist.Role", Cause::NoRole, "create the role or correct its name"),
    row(KMS, 404, "Forbidden.ResourceNotFound", Cause::NotFound, ""),
    row(KMS, 403, "Forbidden.NoPermission", Cause::Denied, ""),
    row(KMS, 404, "Unauthorized", Cause::Unauthenticated, ""),
    row(KMS, 403, "Forbidden.AccessKey", Cause::Unauthenticated, ""),
    row(KMS, 404, "Forbidden.KeyNotFound", Cause::Unusable, KEY_GONE),
    row(KMS, 404, "Forbidden.AliasNotFound", Cause::Unusable, KEY_GONE),
    row(KMS, 403, "Forbidden.KeyNotEnabled", Cause::Unusable, KEY_STATE),
    row(KMS, 409, "Rejected.Disabled", Cause::Unusable, KEY_STATE),
    row(
        KMS,
        409,
        "Rejected.PendingDeletion",
        Cause::Unusable,
        "the secret's encryption key is scheduled for deletion: cancel that in KMS",
    ),
    row(
        KMS,
        409,
        "Rejected.PendingImport",
        Cause::Unusable,
        "the secret's encryption key has no key material yet: import it in KMS",
    ),
    row(KMS, 409, "Rejected.Unavailable", Cause::Unusable, KEY_STATE),
    row(KMS, 409, "Rejected.StateModifiedFailed", Cause::Unusable, KEY_STATE),
    row(KMS, 429, "Rejected.Throttling", Cause::Throttled, ""),
    row(KMS, 403, "Forbidden.DKMSInstanceNotFound", Cause::Unusable, INSTANCE),
    row(KMS, 403, "Forbidden.DKMSInstanceStateInvalid", Cause::Unusable, INSTANCE),
    row(KMS, 403, "Forbidden.DKMSInstance*", Cause::Unusable, INSTANCE),
    row(KMS, 403, "Forbidden.InDebt", Cause::Unusable, DEBT),
    row(KMS, 403, "Forbidden.InDebtOverdue", Cause::Unusable, DEBT),
    row(KMS, 400, "Arrearage", Cause::Unusable, DEBT),
    row(
        KMS,
        403,
        "Forbidden.KmsServiceNotEnabled",
        Cause::Unusable,
        "KMS is not activated for the account: activate it in the console",
    ),
    row(KMS, 403, "Forbidden.ProhibitedByRiskControl", Cause::Unusable, SUPPORT),
    row(KMS, 403, "Forbidden.UbsmsInvalidUserid", Cause::Unusable, SUPPORT),
    row(KMS, 403, "Forbidden.UbsmsInvalidBid", Cause::Unusable, SUPPORT),
    row(KMS, 400, "InvalidApiName", Cause::UnknownApi, ""),
    row(KMS, 400, "InvalidApiVersion", Cause::UnknownApi, ""),
    row(KMS, 400, "ParseRequestParameterException", Cause::Invalid, ""),
    row(OOS, 404, "EntityNotExists.Parameter", Cause::NotFound, ""),
    row(OOS, 404, "EntityNotExists.ParameterVersion", Cause::NoVersion, ""),
    row(OOS, 403, "Forbidden.RAM", Cause::Denied, ""),
    row(OOS, 403, "NoPermission", Cause::Denied, ""),
    row(OOS, 403, "Forbidden.NoPermission", Cause::Denied, ""),
    row(OOS, 400, "InvalidParameter.*", Cause::Invalid, ""),
    row(OOS, 404, "Forbidden.KeyNotFound", Cause::Unusable, KEY_GONE),
    row(OOS, 409, "Rejected.Disabled", Cause::Unusable, KEY_STATE),
    row(OOS, 400, "Arrearage", Cause::Unusable, DEBT),
];

#[cfg(test)]
mod tests;
