//! Proxy: which hosts are called through it.

use crate::doctor::{check::Check, line::Line};

const CHECK: Check = Check::Proxy;

#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Host and port.
    pub(crate) proxy: Option<String>,
    pub(crate) through: Vec<String>,
    pub(crate) direct: Vec<String>,
}

pub(crate) fn judge(seen: &Seen) -> Line {
    let Some(proxy) = &seen.proxy else {
        return Line::ok(CHECK, "", "no proxy is configured: all hosts are called directly");
    };
    if seen.through.is_empty() {
        let what = "no host of STS, KMS or OOS is called through the proxy";
        let fix = "hosts inside the VPC are called directly unless --proxy-vpc-endpoints is set; --no-proxy and \
                   --resolve name others. If all are reachable directly, remove the proxy";
        return Line::warn(CHECK, proxy, what, fix);
    }
    let direct = match &*seen.direct {
        [] => String::new(),
        direct => format!("; called directly: {}", direct.join(", ")),
    };
    Line::ok(CHECK, proxy, format!("called through it: {}{direct}", seen.through.join(", ")))
}
