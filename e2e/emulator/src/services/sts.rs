//! STS: AssumeRoleWithOIDC, AssumeRole and GetCallerIdentity.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::services::error::ApiError;
use crate::services::oidc::check_token;
use crate::services::request::ApiRequest;
use crate::state::arn::{self, account_of};
use crate::state::clock;
use crate::state::cloud::Cloud;
use crate::state::config::{OidcProvider, Role};
use crate::state::identity::{Principal, PrincipalKind, find_role};
use crate::state::jwt::Claims;
use crate::state::policy::{
    Context, Decision, Document, OneOrMany, SessionPolicyError, evaluate_trust,
    parse_session_policy,
};
use crate::state::sessions::Session;

/// An answer, and whom the token spoke for.
pub(crate) type WithSubject = (Option<String>, Result<Value, ApiError>);

/// `fetch` gets the JWKS of a provider that has a file or a URL.
pub(crate) async fn assume_role_with_oidc(
    cloud: &Cloud,
    request: &ApiRequest,
    fetch: impl AsyncFn(&OidcProvider) -> Result<Bytes, String>,
) -> WithSubject {
    let wanted = match Wanted::parse(request) {
        Ok(wanted) => wanted,
        Err(error) => return (None, Err(error)),
    };
    let claims = match checked_claims(cloud, request, fetch).await {
        Ok(claims) => claims,
        Err(error) => return (None, Err(error)),
    };
    let result = assume_by_claims(cloud, request, wanted, &claims);
    (Some(claims.sub), result)
}

async fn checked_claims(
    cloud: &Cloud,
    request: &ApiRequest,
    fetch: impl AsyncFn(&OidcProvider) -> Result<Bytes, String>,
) -> Result<Claims, ApiError> {
    let provider =
        request.filled("OIDCProviderArn").ok_or_else(|| ApiError::missing("OIDCProviderArn"))?;
    if !arn::is_ram(provider, "oidc-provider") {
        return Err(ApiError::invalid(
            "OIDCProviderArn",
            "The parameter OIDCProviderArn is wrongly formed.",
        ));
    }
    let token = request.filled("OIDCToken").ok_or_else(|| ApiError::missing("OIDCToken"))?;
    if !(4..=20_000).contains(&token.len()) {
        return Err(ApiError::invalid(
            "OIDCToken",
            "The length of OIDCToken must be 4 to 20,000 characters.",
        ));
    }
    cloud.remember(token);
    check_token(cloud, provider, token, fetch).await
}

fn assume_by_claims(
    cloud: &Cloud,
    request: &ApiRequest,
    wanted: Wanted,
    claims: &Claims,
) -> Result<Value, ApiError> {
    let role = existing_role(cloud, &wanted.role_arn)?;
    let provider = request.filled("OIDCProviderArn").unwrap_or_default();
    let context = Context::from([
        ("oidc:iss".to_owned(), vec![claims.iss.clone()]),
        ("oidc:aud".to_owned(), claims.aud.list().to_vec()),
        ("oidc:sub".to_owned(), vec![claims.sub.clone()]),
    ]);
    let trusted = evaluate_trust(
        &role.trust,
        |principals| names(&principals.federated, &[provider]),
        &context,
    );
    if trusted != Decision::Allowed || cloud.directory.is_trust_revoked(&role.arn) {
        return Err(ApiError::new(
            401,
            "AuthenticationFail.NoPermission",
            "There is no permission",
        ));
    }
    let session = wanted.issue(cloud, role)?;
    let mut answer = answer(role, &session);
    let time = |seconds: i64| jiff::Timestamp::from_second(seconds).map(clock::format).ok();
    if let Value::Object(members) = &mut answer {
        members.insert(
            "OIDCTokenInfo".to_owned(),
            json!({
                "Subject": claims.sub,
                "Issuer": claims.iss,
                "ClientIds": claims.aud.list().join(","),
                "ExpirationTime": time(claims.exp),
                "IssuanceTime": claims.iat.and_then(time),
                "VerificationInfo": "Success",
            }),
        );
    }
    Ok(answer)
}

pub(crate) fn assume_role(
    cloud: &Cloud,
    caller: &Principal,
    request: &ApiRequest,
) -> Result<Value, ApiError> {
    let wanted = Wanted::parse(request)?;
    let external_id = request.filled("ExternalId");
    if let Some(id) = external_id {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c);
        if !(2..=1224).contains(&id.len()) || !id.chars().all(allowed) {
            return Err(ApiError::invalid(
                "ExternalId",
                "The parameter ExternalId is wrongly formed.",
            ));
        }
    }
    if matches!(caller.kind, PrincipalKind::Root) {
        return Err(ApiError::new(
            403,
            "NoPermission",
            "Roles may not be assumed by root accounts.",
        ));
    }
    let role = existing_role(cloud, &wanted.role_arn)?;
    let no_permission = || {
        ApiError::new(
            403,
            "NoPermission",
            "You are not authorized to do this action. You should be authorized by RAM.",
        )
    };
    cloud
        .directory
        .authorize(&cloud.config, caller, "sts:AssumeRole", &role.arn)
        .map_err(|denied| no_permission().with_denied(denied))?;
    let mut context = Context::new();
    if let Some(id) = external_id {
        context.insert("sts:externalid".to_owned(), vec![id.to_owned()]);
    }
    let root = arn::root(&caller.account);
    let trusted = evaluate_trust(
        &role.trust,
        |principals| names(&principals.ram, &[&root, &caller.arn]),
        &context,
    );
    if trusted != Decision::Allowed || cloud.directory.is_trust_revoked(&role.arn) {
        return Err(no_permission());
    }
    let session = wanted.issue(cloud, role)?;
    Ok(answer(role, &session))
}

pub(crate) fn get_caller_identity(caller: &Principal) -> Value {
    let (identity_type, arn, principal_id) = match &caller.kind {
        PrincipalKind::Root => ("Account", caller.arn.clone(), caller.account.clone()),
        PrincipalKind::User { name } => ("RAMUser", caller.arn.clone(), stable_id(name)),
        PrincipalKind::Role { session_name, .. } => (
            "AssumedRoleUser",
            session_arn(&caller.arn, session_name),
            format!("{}:{session_name}", stable_id(&caller.arn)),
        ),
    };
    json!({
        "AccountId": caller.account,
        "Arn": arn,
        "IdentityType": identity_type,
        "PrincipalId": principal_id,
    })
}

/// The parameters AssumeRole and AssumeRoleWithOIDC share.
struct Wanted {
    role_arn: String,
    session_name: String,
    duration: u64,
    policy: Option<Document>,
}

impl Wanted {
    fn parse(request: &ApiRequest) -> Result<Self, ApiError> {
        let role_arn = request.filled("RoleArn").ok_or_else(|| ApiError::missing("RoleArn"))?;
        if !arn::is_ram(role_arn, "role") {
            return Err(ApiError::invalid("RoleArn", "The parameter RoleArn is wrongly formed."));
        }
        let session_name = request
            .filled("RoleSessionName")
            .ok_or_else(|| ApiError::missing("RoleSessionName"))?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".@-_".contains(c);
        if !(2..=64).contains(&session_name.len()) || !session_name.chars().all(allowed) {
            return Err(ApiError::invalid(
                "RoleSessionName",
                "The parameter RoleSessionName is wrongly formed.",
            ));
        }
        let duration = match request.filled("DurationSeconds") {
            None => 3600,
            Some(text) => {
                text.parse().ok().filter(|seconds| *seconds >= 900).ok_or_else(bad_duration)?
            }
        };
        let policy = match request.parameter("Policy") {
            None => None,
            Some(text) => Some(parse_session_policy(text).map_err(|error| match error {
                SessionPolicyError::Size => ApiError::invalid(
                    "PolicySize",
                    "The size of Policy must be 1 to 2,048 characters.",
                ),
                SessionPolicyError::Grammar => {
                    ApiError::invalid("PolicyGrammar", "The parameter Policy has wrong grammar.")
                }
            })?),
        };
        Ok(Self {
            role_arn: role_arn.to_owned(),
            session_name: session_name.to_owned(),
            duration,
            policy,
        })
    }

    fn issue(self, cloud: &Cloud, role: &Role) -> Result<Session, ApiError> {
        if self.duration > role.max_session_duration {
            return Err(bad_duration());
        }
        let now = cloud.clock.now();
        let session =
            cloud.sessions.issue(&role.arn, &self.session_name, self.policy, now, self.duration);
        cloud.remember_session(&session);
        Ok(session)
    }
}

fn bad_duration() -> ApiError {
    ApiError::invalid(
        "DurationSeconds",
        "The Min/Max value of DurationSeconds is 15min/MaxSessionDuration of the role.",
    )
}

fn existing_role<'a>(cloud: &'a Cloud, role_arn: &str) -> Result<&'a Role, ApiError> {
    find_role(&cloud.config, role_arn).ok_or_else(|| {
        ApiError::new(404, "EntityNotExist.Role", format!("The role not exists: {role_arn}. "))
    })
}

fn names(list: &Option<OneOrMany>, any_of: &[&str]) -> bool {
    list.as_ref().is_some_and(|list| list.iter().any(|name| name == "*" || any_of.contains(&name)))
}

fn answer(role: &Role, session: &Session) -> Value {
    json!({
        "Credentials": {
            "AccessKeyId": session.access_key_id,
            "AccessKeySecret": session.access_key_secret,
            "SecurityToken": session.security_token,
            "Expiration": clock::format(session.expires),
        },
        "AssumedRoleUser": {
            "Arn": session_arn(&role.arn, &session.session_name),
            "AssumedRoleId": format!("{}:{}", stable_id(&role.arn), session.session_name),
        },
    })
}

fn session_arn(role_arn: &str, session_name: &str) -> String {
    let (account, role) = (account_of(role_arn), arn::name(role_arn));
    format!("acs:ram::{account}:assumed-role/{role}/{session_name}")
}

/// The numeric ids RAM gives, the same for the same name.
fn stable_id(name: &str) -> String {
    let hash = name
        .bytes()
        .fold(7_u64, |hash, byte| hash.wrapping_mul(1_099_511_628_211) ^ u64::from(byte));
    format!("3{:017}", hash % 100_000_000_000_000_000)
}
