//! A CSIDriver as it is written: what kubelet is to send with a mount.

use super::value::{At, Text};
use crate::yaml::Position;

#[derive(Debug)]
pub struct CsiDriver {
    /// Of `tokenRequests`, where that is there.
    pub token_requests: Option<(Position, Vec<Text>)>,
    pub pod_info_on_mount: bool,
    pub requires_republish: bool,
}

impl CsiDriver {
    pub(super) fn of(at: At<'_>) -> Self {
        let spec = at.get("spec");
        let flag = |key: &str| spec.and_then(|spec| spec.flag(key)).unwrap_or(false);
        let requests = spec.and_then(|spec| spec.get("tokenRequests")).map(|requests| {
            let audiences = requests.items().filter_map(|request| request.text("audience"));
            (requests.position(), audiences.collect())
        });
        Self {
            token_requests: requests,
            pod_info_on_mount: flag("podInfoOnMount"),
            requires_republish: flag("requiresRepublish"),
        }
    }
}
