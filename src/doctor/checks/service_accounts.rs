//! ServiceAccounts: whether they can be looked up.

use crate::doctor::{check::Check, line::Line};

const CHECK: Check = Check::ServiceAccounts;

#[derive(Debug)]
pub(crate) enum Seen {
    NotTried(String),
    /// HTTP status of a look-up.
    Status(u16),
    /// There is no answer of an API server.
    Failed(String),
}

/// `needed`: whether mounts depend on it.
pub(crate) fn judge(address: &str, seen: &Seen, needed: bool) -> Line {
    let fix = match seen {
        Seen::NotTried(why) => return Line::skipped(CHECK, address, why),
        // That there is none is an answer, too.
        Seen::Status(200 | 404) => {
            return Line::ok(CHECK, address, "ServiceAccounts can be looked up");
        }
        Seen::Status(401) => "restart the pod: its own token is not taken",
        Seen::Status(403) => {
            "the chart's ClusterRole with serviceaccounts: get must be bound to the provider's ServiceAccount; or set \
             --service-account-lookup=false, where roleArn names every role"
        }
        Seen::Status(_) | Seen::Failed(_) => {
            "check the way to the API server (NetworkPolicy, KUBERNETES_SERVICE_HOST, --kubernetes-api)"
        }
    };
    let what = match seen {
        Seen::Status(403) => "the look-up is forbidden".to_owned(),
        Seen::Status(status) => format!("the API server answers HTTP {status}"),
        Seen::Failed(why) | Seen::NotTried(why) => why.clone(),
    };
    match needed {
        true => Line::broken(CHECK, address, what, fix),
        false => Line::skipped(CHECK, address, format!("{what}; no mount here depends on it")),
    }
}
