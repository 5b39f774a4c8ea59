//! What to check when a host cannot be reached: it depends on whose host it is.

use std::borrow::Cow;

use crate::{
    endpoint::{is_kms_instance, regional},
    http::{ConnectionError, NameError, ProxyError},
};

/// `error` is why there was no connection, if that is known.
pub(super) fn hint(host: &str, error: Option<ConnectionError>) -> Cow<'static, str> {
    let name_error = match error {
        Some(ConnectionError::Name(error)) => Some(error),
        _ => None,
    };
    let unknown = matches!(name_error, Some(NameError::NotFound | NameError::NoAddress));
    if let Some(ConnectionError::NoTunnel(error)) = error {
        return proxy_hint(host, error);
    }
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

fn proxy_hint(host: &str, error: ProxyError) -> Cow<'static, str> {
    match error {
        ProxyError::Unreachable | ProxyError::Garbled => {
            "check --https-proxy (HTTPS_PROXY), and that this node can reach the proxy; the mount is tried again".into()
        }
        ProxyError::Credentials => {
            "set HTTPS_PROXY to http://USER:PASSWORD@HOST:PORT, from a Secret; the mount is tried again".into()
        }
        ProxyError::Refused => format!(
            "the proxy must allow CONNECT to {host}, or list the host in --no-proxy (NO_PROXY) if it can be \
             reached directly; the mount is tried again"
        )
        .into(),
        ProxyError::NoHost => format!(
            "the proxy must be able to look up and reach {host}, or list the host in --no-proxy (NO_PROXY) if \
             it can be reached directly; the mount is tried again"
        )
        .into(),
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
        let proxy = ConnectionError::NoTunnel;
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
            (
                "kms.cn-hangzhou.aliyuncs.com",
                proxy(ProxyError::Unreachable),
                "--https-proxy",
                "DNS",
            ),
            ("kms.cn-hangzhou.aliyuncs.com", proxy(ProxyError::Credentials), "PASSWORD", "DNS"),
            ("kms.cn-hangzhou.aliyuncs.com", proxy(ProxyError::Refused), "CONNECT", "DNS"),
            ("kms.cn-hangzhou.aliyuncs.com", proxy(ProxyError::NoHost), "look up", "--public"),
        ] {
            let hint = hint(host, Some(error));
            assert!(hint.contains(says), "{host}: {hint}");
            assert!(!hint.contains(never_says), "{host}: {hint}");
        }
    }
}
