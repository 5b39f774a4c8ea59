//! Mode `node-publish-secret`: an access key from the Secret that the pod's volume names.

use std::sync::Arc;

use super::Evidence;
use crate::{
    error::{Error, Reason},
    keys::Keys,
    login::Login,
    policy::unusable,
    request::{Mount, NodePublishKeys, caller::Via},
    spc::mode::Mode,
};

pub(super) fn login(evidence: &Evidence<'_>) -> Result<Login, Error> {
    Ok(Login::Keys(published_keys(evidence.mount)?))
}

fn published_keys(mount: &Mount) -> Result<Arc<Keys>, Error> {
    let mode = Mode::NodePublishSecret;
    let hint = match mount.via {
        Via::Sidecar => {
            "only the driver brings one: set identity: access-key, and ACCESS_KEY_ID with \
             SECRET_ACCESS_KEY"
        }
        Via::Driver | Via::SyncController => {
            "the pod's volume needs a nodePublishSecretRef to a Secret with the entries access_key \
             and access_secret"
        }
    };
    match &mount.node_publish_keys {
        NodePublishKeys::Keys(keys) => Ok(keys.clone()),
        NodePublishKeys::Absent => {
            Err(unusable(Reason::NoAccessKey, mode, "the mount brought no Secret").hint(hint))
        }
        NodePublishKeys::Others(what) | NodePublishKeys::Unusable(what) => {
            Err(unusable(Reason::NoAccessKey, mode, what).hint(hint))
        }
    }
}
