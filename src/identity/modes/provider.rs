//! Mode `provider`: the provider's own token, which all pods share.

use std::{path::Path, sync::Arc};

use super::Evidence;
use crate::{
    error::{Error, Reason},
    login::Login,
    policy::unusable,
    secret::Secret,
    spc::mode::Mode,
};

pub(super) async fn login(evidence: &Evidence<'_>) -> Result<Login, Error> {
    let (mode, policy) = (Mode::Provider, evidence.policy);
    Ok(Login::Oidc {
        role: policy.require(&policy.role, mode)?.clone(),
        provider: policy.require(&policy.oidc_provider, mode)?.clone(),
        token: provider_token(policy.require(&policy.token_file, mode)?).await?,
        subject: "the provider's own".to_owned(),
        shared: false,
        name: evidence.shared_session_name(),
        lifetime: policy.session_lifetime,
    })
}

/// Read at each mount: kubelet replaces the file as it renews the token.
async fn provider_token(file: &Path) -> Result<Arc<Secret<String>>, Error> {
    let failed = |what: &str| {
        unusable(Reason::NoProviderToken, Mode::Provider, &format!("{} {what}", file.display()))
    };
    let text = tokio::fs::read_to_string(file).await.map(Secret::new);
    let text = text.map_err(|error| failed(&format!("cannot be read: {}", error.kind())))?;
    match text.expose().trim() {
        "" => Err(failed("is empty")),
        token => Ok(Arc::new(Secret::new(token.to_owned()))),
    }
}
