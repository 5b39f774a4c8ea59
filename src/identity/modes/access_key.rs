//! Mode `access-key`: the operator's access key, as it is.

use std::sync::Arc;

use super::Evidence;
use crate::{
    error::{Error, Reason},
    keys::Keys,
    login::Login,
    policy::{Policy, SWAPPED_KEYS, unusable},
    spc::mode::Mode,
};

pub(super) fn login(evidence: &Evidence<'_>) -> Result<Login, Error> {
    Ok(Login::Keys(operator_keys(evidence.policy, Mode::AccessKey)?))
}

pub(super) fn operator_keys(policy: &Policy, mode: Mode) -> Result<Arc<Keys>, Error> {
    let keys = policy.require(&policy.keys, mode)?;
    if policy.has_swapped_keys() {
        let hint = "the operator must look whether they are swapped";
        return Err(unusable(Reason::SwappedAccessKey, mode, SWAPPED_KEYS).hint(hint));
    }
    Ok(keys.clone())
}
