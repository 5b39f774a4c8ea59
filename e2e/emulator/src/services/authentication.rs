//! Authentication: from a signed request to the principal behind it.

use crate::services::error::ApiError;
use crate::services::request::{ApiRequest, Service};
use crate::services::signature::{Acs3Claim, verify_rpc};
use crate::state::clock;
use crate::state::cloud::Cloud;
use crate::state::identity::{Principal, PrincipalKind};

const TOLERANCE_SECONDS: i64 = 15 * 60;

/// The key a request claims to be signed with.
struct Key {
    secret: String,
    session: Option<crate::state::sessions::Session>,
    principal: Principal,
}

pub(crate) fn authenticate(cloud: &Cloud, request: &ApiRequest) -> Result<Principal, ApiError> {
    let (key, token, date, nonce) = if let Some(header) = request.header("authorization") {
        let claim = Acs3Claim::parse(header)?;
        let key = find_key(cloud, &claim.access_key_id)?;
        claim.verify(&request.signed(), &key.secret)?;
        let token = request.header("x-acs-security-token");
        let (date, nonce) = (request.header("x-acs-date"), request.header("x-acs-signature-nonce"));
        (key, token, date, nonce)
    } else {
        let access_key_id = request.filled("AccessKeyId").ok_or_else(|| {
            ApiError::new(
                400,
                "IncompleteSignature",
                "The request carries neither an Authorization header nor AccessKeyId.",
            )
        })?;
        let key = find_key(cloud, access_key_id)?;
        verify_rpc(&request.method, &request.pairs, &key.secret)?;
        let (date, nonce) = (request.parameter("Timestamp"), request.parameter("SignatureNonce"));
        (key, request.filled("SecurityToken"), date, nonce)
    };
    check_date(cloud, request, date)?;
    check_token(cloud, request, &key, token)?;
    let fresh = nonce.filter(|nonce| !nonce.is_empty()).is_some_and(|nonce| {
        cloud.nonces.is_fresh(&key.principal.access_key_id, nonce, cloud.clock.now())
    });
    if !fresh {
        return Err(ApiError::new(
            400,
            "SignatureNonceUsed",
            "Specified signature nonce was used already.",
        ));
    }
    Ok(key.principal)
}

fn find_key(cloud: &Cloud, access_key_id: &str) -> Result<Key, ApiError> {
    if let Some(session) = cloud.sessions.find(access_key_id) {
        return Ok(Key {
            secret: session.access_key_secret.clone(),
            principal: Principal::of_session(&session),
            session: Some(session),
        });
    }
    let user = cloud
        .config
        .users
        .iter()
        .find(|user| user.access_key_id == access_key_id)
        .ok_or_else(unknown_key)?;
    if user.inactive {
        return Err(ApiError::new(
            403,
            "InvalidAccessKeyId.Inactive",
            "Specified access key is disabled.",
        ));
    }
    let account = user.account.as_deref().unwrap_or(cloud.config.default_account()).to_owned();
    let (arn, kind) = if user.root {
        (crate::state::arn::root(&account), PrincipalKind::Root)
    } else {
        let arn = format!("acs:ram::{account}:user/{}", user.name);
        (arn, PrincipalKind::User { name: user.name.clone() })
    };
    Ok(Key {
        secret: user.access_key_secret.clone(),
        session: None,
        principal: Principal { account, arn, access_key_id: access_key_id.to_owned(), kind },
    })
}

fn unknown_key() -> ApiError {
    ApiError::new(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
}

fn check_date(cloud: &Cloud, request: &ApiRequest, date: Option<&str>) -> Result<(), ApiError> {
    let kms = request.service() == Some(Service::Kms);
    let code = |kind: &str| {
        if kms { "IllegalTimestamp".to_owned() } else { format!("InvalidTimeStamp.{kind}") }
    };
    let date = date.and_then(clock::parse).ok_or_else(|| {
        ApiError::new(
            400,
            code("Format"),
            "Specified time stamp or date value is not well formatted.",
        )
    })?;
    let off = cloud.clock.now().as_second() - date.as_second();
    if off.abs() > TOLERANCE_SECONDS {
        return Err(ApiError::new(
            400,
            code("Expired"),
            "Specified time stamp or date value is expired.",
        ));
    }
    Ok(())
}

fn check_token(
    cloud: &Cloud,
    request: &ApiRequest,
    key: &Key,
    token: Option<&str>,
) -> Result<(), ApiError> {
    let invalid = |kind: &str, message: &str| {
        Err(ApiError::new(400, format!("InvalidSecurityToken.{kind}"), message))
    };
    let token = token.filter(|token| !token.is_empty());
    match (&key.session, token) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(ApiError::new(
            400,
            "MissingSecurityToken",
            "SecurityToken is mandatory for this access key.",
        )),
        (Some(session), Some(token)) if session.security_token == token => {
            if cloud.clock.now() < session.expires {
                return Ok(());
            }
            if request.service() == Some(Service::Kms)
                && cloud.config.kms.expired_session_is_unknown_key
            {
                return Err(unknown_key());
            }
            invalid("Expired", "Specified SecurityToken is expired.")
        }
        (_, Some(token)) if cloud.sessions.is_known_token(token) => {
            invalid("MismatchWithAccessKey", "Specified SecurityToken mismatch with the AccessKey.")
        }
        _ => invalid("Malformed", "Specified SecurityToken is malformed."),
    }
}
