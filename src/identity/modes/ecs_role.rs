//! Mode `ecs-role`: the role of the node's instance.

use super::Evidence;
use crate::{
    error::{Error, Reason},
    login::Login,
    policy::unusable,
    spc::mode::Mode,
};

pub(super) fn login(evidence: &Evidence<'_>) -> Result<Login, Error> {
    match evidence.policy.ecs_metadata {
        true => Ok(Login::EcsRole),
        false => Err(unusable(
            Reason::IdentityNotConfigured,
            Mode::EcsRole,
            "instance metadata is disabled here",
        )),
    }
}
