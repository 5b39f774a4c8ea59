//! Quota: what the cloud allows, how calls are bounded here, and what was throttled.

use crate::doctor::{check::Check, line::Line};

const CHECK: Check = Check::Quota;

#[derive(Debug)]
pub(crate) struct Seen {
    /// As it is configured.
    pub(crate) kms_calls: usize,
    pub(crate) oos_calls: usize,
    pub(crate) kms_batch: bool,
    pub(crate) shared: bool,
    pub(crate) refresh_seconds: u64,
    /// `/metrics` of the provider that runs here, or why there are none.
    pub(crate) metrics: Result<String, String>,
    /// Whether a call of this command was throttled.
    pub(crate) throttled_now: bool,
}

const THROTTLED_FIX: &str = "raise --refresh-interval, set --share=service-account and --kms-batch=auto, or have the \
    account's quota raised";

pub(crate) fn judge(seen: &Seen) -> Line {
    let counted = seen.metrics.as_ref().map(|text| throttled(text));
    let line = match counted {
        _ if seen.throttled_now => {
            Line::warn(CHECK, "", "a call of this command was throttled", THROTTLED_FIX)
        }
        Ok(0) => Line::ok(CHECK, "", "no call of the provider was throttled since it started"),
        Ok(calls) => {
            let what = format!("{calls} calls of the provider were throttled since it started");
            Line::warn(CHECK, "", what, THROTTLED_FIX)
        }
        Err(why) => Line::ok(
            CHECK,
            "",
            format!("no call of this command was throttled; before it: not known, {why}"),
        ),
    };
    let (share, batch) = (
        if seen.shared { "service-account" } else { "pod" },
        if seen.kms_batch { "auto" } else { "off" },
    );
    line.note(
        "documented: KMS, shared gateway: 450 GetSecretValue a second for each account and region; STS: 100 AssumeRole a \
         second for each account; of AssumeRoleWithOIDC, BatchGetSecretValue and OOS nothing is published",
    )
    .note(format!(
        "configured: {} calls to KMS and {} to OOS at once on each node, --refresh-interval {} s, --share={share}, \
         --kms-batch={batch}",
        seen.kms_calls, seen.oos_calls, seen.refresh_seconds
    ))
}

/// Of all lines of `cloud_calls_total` with the code of a throttled call.
fn throttled(metrics: &str) -> u64 {
    let calls = metrics.lines().filter(|line| {
        let code = line.split_once("code=\"").and_then(|(_, rest)| rest.split_once('"'));
        let code = code.map_or("", |(code, _)| code).to_ascii_lowercase();
        line.starts_with("csi_provider_alibabacloud_cloud_calls_total{") && code.contains("throttl")
    });
    calls.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}
