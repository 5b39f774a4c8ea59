//! Issuer: whether the token can be one of the OIDC provider, and what the role's trust policy must have.

use super::token::Claims;
use crate::{
    doctor::{check::Check, line::Line},
    names::OidcProviderArn,
    request::STS_AUDIENCE,
    text::quoted,
};

const CHECK: Check = Check::Issuer;
const ACK: &str = ":oidc-provider/ack-rrsa-";

pub(crate) fn judge(claims: Option<&Claims>, provider: Option<&OidcProviderArn>) -> Line {
    let Some(claims) = claims else {
        return Line::skipped(CHECK, "", "there is no token to read it from");
    };
    let issuer = &claims.iss;
    let line = match provider {
        None => Line::broken(
            CHECK,
            issuer,
            "no OIDC provider is configured",
            "set --oidc-provider-arn, or --account-id and --cluster-id (ACK's pod-identity webhook sets \
             ALIBABA_CLOUD_OIDC_PROVIDER_ARN)",
        ),
        Some(_) if !issuer.starts_with("https://") => Line::broken(
            CHECK,
            issuer,
            "is no URL with https://, which STS wants of an issuer",
            "enable RRSA for the cluster in the ACK console",
        ),
        Some(_) if is_inside(issuer) => Line::warn(
            CHECK,
            issuer,
            "is a name inside the cluster, whose keys RAM cannot read",
            "enable RRSA for the cluster in the ACK console, and use tokens that were made after that",
        ),
        Some(provider) => match cluster(provider) {
            Some(cluster) if !issuer.contains(cluster) => Line::warn(
                CHECK,
                issuer,
                format!("does not name the cluster of {}", provider.as_str()),
                format!(
                    "the token may be of another cluster than {}: compare with the OIDC provider's issuer in RAM",
                    quoted(cluster)
                ),
            ),
            _ => Line::ok(CHECK, issuer, format!("fits {}", provider.as_str())),
        },
    };
    trust(line, claims, provider)
}

/// What the trust policy of every role has to have that this token is to become.
pub(super) fn trust(line: Line, claims: &Claims, provider: Option<&OidcProviderArn>) -> Line {
    let provider = provider.map_or("the cluster's OIDC provider", OidcProviderArn::as_str);
    line.note(format!(
        "the role's trust policy must allow sts:AssumeRole to {provider} where oidc:iss is {}, oidc:aud is \
         {STS_AUDIENCE} and oidc:sub is {}",
        claims.iss, claims.sub
    ))
}

/// What the cluster's provider is named after.
fn cluster(provider: &OidcProviderArn) -> Option<&str> {
    provider.as_str().split_once(ACK).map(|(_, cluster)| cluster)
}

fn is_inside(issuer: &str) -> bool {
    let host = issuer.trim_start_matches("https://").split(['/', ':']).next().unwrap_or_default();
    host == "kubernetes" || host.ends_with(".svc") || host.ends_with(".cluster.local")
}
