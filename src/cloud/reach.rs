//! What to check when a host cannot be reached: it depends on whose host it is.

use std::borrow::Cow;

use crate::{
    endpoint::{is_kms_instance, regional},
    http::{ConnectionError, NameError},
};

/// `error` is why there was no connection, if that is known.
pub(super) fn hint(host: &str, error: Option<ConnectionError>) -> Cow<'static, str> {
    let name_error = match error {
        Some(ConnectionError::Name(error)) => Some(error),
        _ => None,
    };
    let unknown = matches!(name_error, Some(NameError::NotFound | NameError::NoAddress));
    match regional(host) {
        _ if name_error.is_some() && !unknown => {
            "check the DNS servers in the provider's /etc/resolv.conf; the mount is tried again"
                .into()
        }
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
        const UNKNOWN: ConnectionError = ConnectionError::Name(NameError::NotFound);
        const NO_DNS: ConnectionError = ConnectionError::Name(NameError::Failed);
        const LATE: ConnectionError = ConnectionError::TimedOut;
        for (host, error, says, never_says) in [
            ("kst-x.cryptoservice.kms.aliyuncs.com", UNKNOWN, "instance id", "--public"),
            ("kst-x.cryptoservice.kms.aliyuncs.com", LATE, "VPC", "--public"),
            ("sts-vpc.cn-hangzhou-finance.aliyuncs.com", UNKNOWN, "--sts-endpoint=", "VPC"),
            ("sts.cn-hangzou.aliyuncs.com", UNKNOWN, "\"cn-hangzou\"", "VPC"),
            ("kms-vpc.cn-hangzou.aliyuncs.com", UNKNOWN, "\"cn-hangzou\"", "--sts-endpoint"),
            ("oos.cn-hangzou.aliyuncs.com", UNKNOWN, "\"cn-hangzou\"", "--sts-endpoint"),
            ("sts-vpc.cn-hangzhou.aliyuncs.com", ConnectionError::Refused, "routes", "region"),
            ("sts-vpc.cn-hangzhou.aliyuncs.com", NO_DNS, "DNS servers", "region"),
            ("kst-x.cryptoservice.kms.aliyuncs.com", NO_DNS, "DNS servers", "VPC"),
            ("kms.internal:8443", LATE, "DNS", "region"),
        ] {
            let hint = hint(host, Some(error));
            assert!(hint.contains(says), "{host}: {hint}");
            assert!(!hint.contains(never_says), "{host}: {hint}");
        }
    }
}
