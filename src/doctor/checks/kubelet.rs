//! Kubelet: its version as far as it is known, and what it and the driver do that surprises.

use serde::Deserialize;

use crate::{
    doctor::{check::Check, line::Line},
    text::identifier,
};

const CHECK: Check = Check::Kubelet;

/// Of docs/operations.md.
const GAPS: [&str; 4] = [
    "a volume is mounted again about every 72 s, whatever rotationPollInterval says: a changed secret is seen that \
     much later, beside --refresh-interval",
    "a refresh that fails leaves no trace at the pod: kubelet and the driver hide it. Metrics, log and audit record of \
     the provider have it",
    "where no provider listens, a mount hangs for two minutes, and then kubelet tries again",
    "if the node's folder for providers is made anew under a running provider, its pod has to restart to see it",
];

/// `version`: of the API server, or why it is not known.
pub(crate) fn judge(version: Result<&[u8], &str>) -> Line {
    let line = match version.map(serde_json::from_slice::<Version>) {
        Ok(Ok(Version { git_version })) => {
            // Kubernetes' own looks so: v1.34.2-aliyun.1.
            let version = identifier(&git_version).unwrap_or("unknown").to_owned();
            Line::ok(CHECK, "", format!("the API server is {version}; kubelet may be older"))
        }
        Ok(Err(_)) => Line::skipped(CHECK, "", "the API server did not say its version"),
        Err(why) => Line::skipped(CHECK, "", format!("the version is not known: {why}")),
    };
    GAPS.iter().fold(line, |line, gap| line.note(*gap))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
}
