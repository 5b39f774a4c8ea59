//! Mode `node-publish-secret`: an access key from the Secret that the pod's volume names.

use std::sync::Arc;

use super::Evidence;
use crate::{
    error::{Error, Reason},
    keys::Keys,
    login::Login,
    policy::unusable,
    request::NodePublishKeys,
    spc::mode::Mode,
};

pub(super) fn login(evidence: &Evidence<'_>) -> Result<Login, Error> {
    Ok(Login::Keys(published_keys(&evidence.mount.node_publish_keys)?))
}

fn published_keys(keys: &NodePublishKeys) -> Result<Arc<Keys>, Error> {
    let mode = Mode::NodePublishSecret;
    let hint = "the pod's volume needs a nodePublishSecretRef to a Secret with the entries \
               access_key and access_secret";
    match keys {
        NodePublishKeys::Keys(keys) => Ok(keys.clone()),
        NodePublishKeys::Absent => {
            Err(unusable(Reason::NoAccessKey, mode, "the mount brought no Secret").hint(hint))
        }
        NodePublishKeys::Others(what) | NodePublishKeys::Unusable(what) => {
            Err(unusable(Reason::NoAccessKey, mode, what).hint(hint))
        }
    }
}
