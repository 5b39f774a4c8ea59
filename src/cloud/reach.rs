//! What to check when a host cannot be reached: it depends on whose host it is.

use std::borrow::Cow;

use super::endpoint::{is_kms_instance, regional};
use crate::http::UNKNOWN_HOST;

/// `reason` is why there was no connection, if that is known.
pub(super) fn hint(host: &str, reason: &str) -> Cow<'static, str> {
    let unknown = reason == UNKNOWN_HOST;
    match regional(host) {
        _ if is_kms_instance(host) && unknown => {
            "an instance's name is known only in the VPCs that are bound to it: check the instance \
             id, and bind the cluster's VPC to the instance in KMS"
                .into()
        }
        _ if is_kms_instance(host) => {
            "an instance answers only in the VPCs that are bound to it: bind the cluster's VPC to \
             the instance in KMS, and check routes and security groups; the mount is tried again"
                .into()
        }
        Some(("sts", region)) if unknown => format!(
            "check region \"{region}\"; a region without an STS host of its own needs \
             --sts-endpoint=sts.aliyuncs.com"
        )
        .into(),
        Some((_, region)) if unknown => {
            format!("check region \"{region}\" as it is written, DNS and --public-endpoints").into()
        }
        _ => "check DNS, routes and --public-endpoints; the mount is tried again".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_follow_the_kind_of_host() {
        for (host, reason, says, never_says) in [
            ("kst-x.cryptoservice.kms.aliyuncs.com", UNKNOWN_HOST, "instance id", "--public"),
            ("kst-x.cryptoservice.kms.aliyuncs.com", "no connection in time", "VPC", "--public"),
            ("sts-vpc.cn-hangzhou-finance.aliyuncs.com", UNKNOWN_HOST, "--sts-endpoint=", "VPC"),
            ("sts.cn-hangzou.aliyuncs.com", UNKNOWN_HOST, "\"cn-hangzou\"", "VPC"),
            ("kms-vpc.cn-hangzou.aliyuncs.com", UNKNOWN_HOST, "\"cn-hangzou\"", "--sts-endpoint"),
            ("oos.cn-hangzou.aliyuncs.com", UNKNOWN_HOST, "\"cn-hangzou\"", "--sts-endpoint"),
            ("sts-vpc.cn-hangzhou.aliyuncs.com", "connection refused", "routes", "region"),
            ("kms.internal:8443", UNKNOWN_HOST, "DNS", "region"),
        ] {
            let hint = hint(host, reason);
            assert!(hint.contains(says), "{host}: {hint}");
            assert!(!hint.contains(never_says), "{host}: {hint}");
        }
    }
}
