use super::*;

fn endpoints() -> Endpoints {
    Endpoints { allowed: vec![Glob::new("*.kms.internal:8443")], ..Endpoints::of_hangzhou() }
}

#[test]
fn vpc_hosts_unless_the_operator_says_otherwise() {
    let (here, there) =
        (Region::parse("cn-hangzhou").unwrap(), Region::parse("cn-beijing").unwrap());
    let mut set = endpoints();
    assert_eq!(set.of(Service::Sts, &here).host(), "sts-vpc.cn-hangzhou.aliyuncs.com");
    assert_eq!(set.of(Service::Oos, &there).host(), "oos-vpc.cn-beijing.aliyuncs.com");
    set.public = true;
    assert_eq!(set.of(Service::Kms, &there).host(), "kms.cn-beijing.aliyuncs.com");
    set.kms = HostTemplate::parse("kms.example:8443");
    assert_eq!(set.of(Service::Kms, &here).host(), "kms.example:8443");
    assert_eq!(set.of(Service::Kms, &there).host(), "kms.cn-beijing.aliyuncs.com");
    set.kms = HostTemplate::parse("kms.{region}.example");
    assert_eq!(set.of(Service::Kms, &there).host(), "kms.cn-beijing.example");
}

#[test]
fn an_object_can_name_only_kms_hosts_or_listed_ones() {
    let set = endpoints();
    let instance = set.kms_of_object("kst-hzz1.cryptoservice.kms.aliyuncs.com").unwrap().0;
    assert_eq!(instance.trust(), Trust::KmsInstance);
    assert!(instance.is_unlisted_instance());
    let lists = vec![Glob::new("kst-hzz1.*")];
    let listed = Endpoints { allowed: lists, ..endpoints() };
    let instance = listed.kms_of_object("kst-hzz1.cryptoservice.kms.aliyuncs.com").unwrap().0;
    assert!(!instance.is_unlisted_instance());
    let (shared, region) = set.kms_of_object("kms.cn-beijing.aliyuncs.com").unwrap();
    assert_eq!((shared.trust(), region.unwrap().as_str()), (Trust::System, "cn-beijing"));
    assert!(set.kms_of_object("a.kms.internal:8443").is_ok());
    let capitals = set.kms_of_object("KST-1.Cryptoservice.kms.aliyuncs.com").unwrap().0;
    assert_eq!(capitals.host(), "kst-1.cryptoservice.kms.aliyuncs.com");
    assert_eq!(capitals.trust(), Trust::KmsInstance);
    for bad in [
        "evil.com",
        "kms.cn-beijing.aliyuncs.com.evil.com",
        "kms.cn-beijing.aliyuncs.com/x",
        "kms.cn-beijing.aliyuncs.com@evil.com",
        "kms.cn-beijing.aliyuncs.com:444",
        "kms-vpc.oss-cn-hangzhou.aliyuncs.com",
        "https://kms.cn-beijing.aliyuncs.com",
        ".cryptoservice.kms.aliyuncs.com",
        "a.b.cryptoservice.kms.aliyuncs.com",
        "x.cryptoservice.kms.aliyuncs.com:1",
        "",
        "evil.com#.cryptoservice.kms.aliyuncs.com",
        "a@b.kms.internal:8443",
        "oss.aliyuncs.com",
        "sts.cn-beijing.aliyuncs.com",
        "evil.com/.kms.internal:8443",
    ] {
        assert!(set.kms_of_object(bad).is_err(), "{bad}");
    }
}

#[test]
fn host_of_an_object_with_port_or_path_says_what_is_too_much() {
    for (written, told) in [
        (
            "kms.cn-beijing.aliyuncs.com:443",
            "holds \":443\" behind the host; write kms.cn-beijing.aliyuncs.com",
        ),
        (
            "kst-1.cryptoservice.kms.aliyuncs.com/",
            "holds \"/\" behind the host; write kst-1.cryptoservice.kms.aliyuncs.com",
        ),
    ] {
        assert_eq!(endpoints().kms_of_object(written).unwrap_err(), told);
    }
    for other in ["evil.com:443", "kms.cn-beijing.aliyuncs.com.evil.com/", ":443", "/"] {
        let told = endpoints().kms_of_object(other).unwrap_err();
        assert!(told.contains("is not an Alibaba Cloud KMS host"), "{told}");
    }
}

#[test]
fn object_may_name_a_listed_ipv6_address() {
    let allowed = vec![Glob::new("[fd00::1]:8443")];
    let set = Endpoints { allowed, ..Endpoints::of_hangzhou() };
    let (endpoint, _) = set.kms_of_object("[fd00::1]:8443").unwrap();
    assert_eq!((endpoint.host(), endpoint.trust()), ("[fd00::1]:8443", Trust::System));
    assert!(set.kms_of_object("[fd00::2]:8443").is_err());
}

#[test]
fn an_operators_host_is_a_host() {
    for good in [
        "a.example",
        "127.0.0.1:8443",
        "kms.{region}.example",
        "localhost:1",
        "[fd00::1]",
        "[fd00::1]:8443",
    ] {
        assert!(HostTemplate::parse(good).is_some(), "{good}");
    }
    for bad in [
        "",
        "https://a",
        "a b",
        "a:0",
        "a:x",
        "a/b",
        "-a",
        "fd00::1",
        "[fd00::1]:0",
        "[fd00::1]8443",
        "[a.example]",
        "[fd00::1",
        "[::1]@a",
    ] {
        assert!(HostTemplate::parse(bad).is_none(), "{bad}");
    }
}
