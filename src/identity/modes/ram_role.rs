//! Mode `ram-role`: the operator's access key assumes the operator's role.

use super::{Evidence, access_key};
use crate::{
    error::Error,
    login::{KeyedLogin, Login},
    spc::mode::Mode,
};

pub(super) fn login(evidence: &Evidence<'_>) -> Result<Login, Error> {
    let (mode, policy) = (Mode::RamRole, evidence.policy);
    Ok(Login::Assume {
        base: KeyedLogin::new(Login::Keys(access_key::operator_keys(policy, mode)?)),
        role: policy.require(&policy.role, mode)?.clone(),
        name: evidence.shared_session_name(),
        lifetime: policy.session_lifetime,
    })
}
