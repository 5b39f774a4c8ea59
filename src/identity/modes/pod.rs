//! Mode `pod`: the pod's own token, exchanged at STS for the role of its ServiceAccount.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{super::DEFAULT_LIFETIME, Evidence};
use crate::{
    error::{Error, Errors, Reason},
    login::Login,
    names::RoleArn,
    policy::Share,
    request::{STS_AUDIENCE, TokenInput, caller::Via},
    secret::Secret,
    spc::mode::Mode,
    text::quoted,
};

pub(super) async fn login(evidence: &Evidence<'_>) -> Result<Login, Errors> {
    let Evidence { mount, policy, service_accounts, session_name } = *evidence;
    let provider = policy.require(&policy.oidc_provider, Mode::Pod)?;
    let token = pod_token(&mount.token, mount.via)?;
    let subject = mount.pod.subject();
    let shared = policy.share == Share::ServiceAccount;
    if shared {
        check_subject(&token, &subject)?;
    }
    let named = mount.spec.role.as_ref();
    let role = match mount.via {
        Via::Sidecar => own_role(policy.role.as_ref(), named)?,
        Via::Driver | Via::SyncController => {
            service_accounts.role(&mount.pod, named, provider).await?
        }
    };
    policy.check_role(&mount.pod.namespace, &role)?;
    Ok(Login::Oidc {
        role,
        provider: provider.clone(),
        token,
        subject,
        shared,
        name: session_name.to_owned(),
        lifetime: DEFAULT_LIFETIME,
    })
}

/// The webhook has read the annotations, and says which role they name. As with these, two roles that
/// differ are an error.
fn own_role(own: Option<&RoleArn>, parameter: Option<&RoleArn>) -> Result<RoleArn, Error> {
    match (own, parameter) {
        (Some(own), Some(named)) if own != named => {
            let what = format!(
                "has two RAM roles: {own} by --role-arn or its variable, {named} by parameter roleArn"
            );
            Err(Error::new(Reason::InvalidRole, what).subject("the pod").hint("keep one"))
        }
        (Some(role), _) | (None, Some(role)) => Ok(role.clone()),
        (None, None) => Err(Error::new(Reason::NoRole, "has no RAM role").subject("the pod").hint(
            "ACK's pod-identity webhook sets ALIBABA_CLOUD_ROLE_ARN; else set it, --role-arn, or \
             parameter roleArn",
        )),
    }
}

fn pod_token(input: &TokenInput, via: Via) -> Result<Arc<Secret<String>>, Error> {
    let unproven = |reason: Reason, what: String| {
        Error::new(reason, format!("identity pod cannot be used: {what}"))
    };
    let (sender, enable) = match via {
        Via::Sidecar => (
            "pod",
            "ACK's pod-identity webhook mounts it and sets ALIBABA_CLOUD_OIDC_TOKEN_FILE; else \
             project a token for sts.aliyuncs.com and give its file with --oidc-token-file"
                .to_owned(),
        ),
        Via::Driver => (
            "driver",
            format!(
                "the CSIDriver object must list {STS_AUDIENCE} in tokenRequests (driver chart: \
                 tokenRequests[0].audience)"
            ),
        ),
        Via::SyncController => (
            "sync controller",
            format!(
                "the sync controller must ask for {STS_AUDIENCE} (its chart: \
                 tokenRequestAudience[0].audience)"
            ),
        ),
    };
    match input {
        TokenInput::Absent => {
            let verb = if via == Via::Sidecar { "has" } else { "sent" };
            Err(unproven(Reason::NoToken, format!("the {sender} {verb} no ServiceAccount token"))
                .hint(enable))
        }
        TokenInput::Unusable(what) => {
            Err(unproven(Reason::NoToken, format!("the token file {what}")).hint(enable))
        }
        TokenInput::OtherAudiences(audiences) => {
            let list: Vec<_> = audiences.iter().map(|audience| quoted(audience)).collect();
            let what = format!("the {sender} sent tokens for {} only", list.join(", "));
            Err(unproven(Reason::NoToken, what).hint(enable))
        }
        TokenInput::Token(token) => match token.expires {
            // Without its time: where clocks differ each new token has another.
            Some(expires) if expires <= jiff::Timestamp::now() => {
                Err(unproven(Reason::TokenExpired, "the pod's token has expired".to_owned()).hint(
                    "kubelet renews it; if this stays, check the clocks of node and API server",
                ))
            }
            _ => Ok(token.jwt.clone()),
        },
    }
}

/// Only one pod's token of a ServiceAccount is held against STS, so the others' have at least to say
/// whose they are.
fn check_subject(token: &Secret<String>, subject: &str) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Claims {
        sub: String,
    }
    let claims = token.expose().split('.').nth(1);
    let claims = claims.and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok()).map(Zeroizing::new);
    let claims = claims.and_then(|claims| serde_json::from_slice::<Claims>(&claims).ok());
    if claims.is_some_and(|claims| claims.sub == subject) {
        return Ok(());
    }
    let what = format!("identity pod cannot be used: the pod's token is not one of {subject}");
    Err(Error::new(Reason::ForeignToken, what)
        .hint("kubelet sends the token: remove any from the volume's attributes and Secret"))
}
