use super::*;

const URL: &str = "http://user:planted@proxy.example:3128";
const KMS: &str = "kms.cn-hangzhou.aliyuncs.com";

fn proxied(except: &str, inside_vpc: bool, host: &str) -> bool {
    Proxy::new(URL, except, inside_vpc).unwrap().is_for(host)
}

// Which hosts.

#[test]
fn public_hosts_are_called_through_the_proxy() {
    for host in [KMS, "sts.aliyuncs.com", "kms.internal:8443", "[::1]:443"] {
        assert!(proxied("", false, host), "{host}");
    }
}

#[test]
fn hosts_inside_the_vpc_are_called_directly_unless_asked_for() {
    for host in [
        "sts-vpc.cn-hangzhou.aliyuncs.com",
        "kms-vpc.cn-hangzhou.aliyuncs.com:443",
        "oos-vpc.cn-hangzhou.aliyuncs.com",
        "kst-hzz0001.cryptoservice.kms.aliyuncs.com",
    ] {
        assert!(!proxied("", false, host) && proxied("", true, host), "{host}");
    }
}

#[test]
fn exceptions_are_names_with_those_below_them_or_all() {
    for except in ["aliyuncs.com", ".aliyuncs.com", "x, cn-hangzhou.aliyuncs.com ", KMS, "*"] {
        assert!(!proxied(except, false, KMS), "{except}");
    }
    for except in ["", "liyuncs.com", "kms", "10.0.0.0/8"] {
        assert!(proxied(except, false, KMS), "{except}");
    }
}

#[test]
fn exceptions_are_networks_too() {
    assert!(!proxied("10.0.0.0/8", false, "10.1.2.3:443"));
    assert!(proxied("10.0.0.0/8", false, "11.0.0.1"));
}

#[test]
fn exceptions_hold_inside_the_vpc_too() {
    assert!(!proxied("aliyuncs.com", true, "sts-vpc.cn-hangzhou.aliyuncs.com"));
}

// What a URL may be.

#[test]
fn address_is_shown_without_credentials() {
    for (url, address) in [
        (URL, "proxy.example:3128"),
        ("http://proxy.example", "proxy.example:80"),
        ("proxy.example:8080", "proxy.example:8080"),
        ("http://[fd00::1]:3128/", "[fd00::1]:3128"),
    ] {
        let proxy = Proxy::new(url, "", false).unwrap();
        assert_eq!(proxy.address(), address);
        assert!(!format!("{proxy:?}").contains("planted"));
    }
}

#[test]
fn other_urls_are_refused_in_words_without_them() {
    for (url, says) in [
        ("https://user:planted@proxy.example:3128", "begin with http://"),
        ("socks5://planted:1080", "http://HOST:PORT"),
        ("ftp://planted", "http://HOST:PORT"),
        ("planted planted", "http://HOST:PORT"),
        ("http://", "http://HOST:PORT"),
        ("/planted", "http://HOST:PORT"),
    ] {
        let what = Proxy::new(url, "", false).unwrap_err();
        assert!(what.contains(says) && !what.contains("planted"), "{url}: {what}");
    }
}

// What it answers.

#[test]
fn status_tells_why_there_is_no_tunnel() {
    for (status, error) in [
        (407, ProxyError::Credentials),
        (400, ProxyError::Refused),
        (403, ProxyError::Refused),
        (405, ProxyError::Refused),
        (502, ProxyError::NoHost),
        (504, ProxyError::NoHost),
        (301, ProxyError::Garbled),
    ] {
        assert_eq!(ProxyError::of(StatusCode::from_u16(status).unwrap()), error, "{status}");
    }
}
