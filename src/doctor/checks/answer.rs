//! Answer: whether who answers is the service.

use std::time::Duration;

use crate::doctor::{check::Check, line::Line};

const CHECK: Check = Check::Answer;
const SLOW: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) service: &'static str,
    pub(crate) status: u16,
    pub(crate) code: Option<String>,
    pub(crate) request: Option<String>,
    pub(crate) took: Duration,
    /// It is a page of something on the way.
    pub(crate) foreign: bool,
    pub(crate) throttled: bool,
}

pub(crate) fn judge(host: &str, seen: &Seen) -> Line {
    let Seen { service, status, took, .. } = seen;
    let code = seen.code.as_deref().unwrap_or("no code");
    let line = if seen.foreign {
        let fix = format!("a proxy, firewall or gateway before {host} must let calls through");
        Line::broken(CHECK, host, format!("HTTP {status} of something other than {service}"), fix)
    } else if seen.throttled {
        let fix = "the account's quota is used up: see check quota";
        Line::warn(CHECK, host, format!("{service} throttles (HTTP {status}, {code})"), fix)
    } else if *status >= 500 {
        let what = format!("{service} answers HTTP {status}, {code}");
        Line::warn(CHECK, host, what, "a fault of the service: look at its status page if it stays")
    } else if *took > SLOW {
        let what = format!("{service} answers, and slowly");
        Line::warn(CHECK, host, what, "look for what delays calls between here and the host")
    } else {
        let what = format!(
            "{service} answers: HTTP {status}, {code}, as to any question without a signature"
        );
        Line::ok(CHECK, host, what)
    };
    line.request(seen.request.as_deref()).took(*took)
}
