//! Provider: what the one that runs here says of itself.

use crate::doctor::{check::Check, line::Line};

const CHECK: Check = Check::Provider;

/// `ready`: HTTP status and text of `/readyz`, or why there is no answer.
pub(crate) fn judge(address: &str, ready: &Result<(u16, String), String>) -> Line {
    match ready {
        Err(why) => {
            let what = format!(
                "no provider answers there ({why}): --healthz-address and --healthz-port say where"
            );
            Line::skipped(CHECK, address, what)
        }
        Ok((200, _)) => Line::ok(CHECK, address, "ready"),
        Ok((status, text)) => {
            let text = text.lines().next().unwrap_or_default();
            let what = format!("not ready (HTTP {status}): {text}");
            Line::broken(
                CHECK,
                address,
                what,
                "the lines above say more of what it names; its log has the rest",
            )
        }
    }
}
